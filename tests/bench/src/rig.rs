//! The hub between a stub homeserver and a load server, with its processor time and memory.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};
use viaduct_tests::launch::install_tls;
use viaduct_tests::load::{LoadIrcd, LoadServer, LoadTeams};
use viaduct_tests::stub_world::{LoadWorld, StubSpec, nick};

/// How long nothing may arrive before a run is given up.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often arrivals are looked at; coarse, because looking costs the hub's time.
const LOOK: Duration = Duration::from_millis(2);

/// How often Teams is swept, in seconds.
const SWEEP: u64 = 300;

/// How much is sent, and how it is spread.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Messages in all.
    pub messages: usize,
    /// Mirrors.
    pub mirrors: usize,
    /// Whether Matrix people appear as themselves.
    pub puppets: bool,
    /// Whether policies filter both ways and a ledger is kept.
    pub governed: bool,
}

/// A [`LoadRig`] with an IRC server.
pub type Rig = LoadRig<LoadIrcd>;

/// A hub with load on both sides.
pub struct LoadRig<N> {
    world: LoadWorld<N>,
    load: Load,
}

impl<N> Deref for LoadRig<N> {
    type Target = LoadWorld<N>;

    fn deref(&self) -> &LoadWorld<N> {
        &self.world
    }
}

impl<N> DerefMut for LoadRig<N> {
    fn deref_mut(&mut self) -> &mut LoadWorld<N> {
        &mut self.world
    }
}

impl<N: LoadServer> LoadRig<N> {
    /// Starts everything, and waits until the hub is in every channel.
    pub async fn start(load: Load) -> anyhow::Result<Self> {
        install_tls();
        let log_level = std::env::var("VIADUCT_LOG").unwrap_or_else(|_| "warn".to_owned());
        let arrangement = StubSpec {
            mirrors: load.mirrors,
            puppets: load.puppets,
            store: None,
            log_level: Some(log_level),
            governed: load.governed,
            section: seldom_swept(N::KIND),
        };
        Ok(Self {
            world: LoadWorld::start(arrangement).await?,
            load,
        })
    }

    /// Lets every nick that will speak say one line, so that its ghost exists; forgets these lines.
    pub async fn warm_up_nicks(&self, nicks: usize) -> anyhow::Result<()> {
        let before = self.stub.messages();
        let mut spoken = 0;
        for mirror in 0..self.load.mirrors {
            for speaker in 0..nicks {
                self.server
                    .speak(&N::channel(mirror), &nick(mirror, speaker), "good morning")
                    .await;
                spoken += 1;
            }
        }
        let arrived = self.until(|| self.stub.messages() - before, spoken).await;
        anyhow::ensure!(arrived == spoken, "only {arrived} of {spoken} first lines arrived");
        self.stub.forget_sent();
        Ok(())
    }

    /// Waits until `count` reaches `wanted`, or does not grow any more; gives what it came to.
    pub async fn until(&self, count: impl Fn() -> u64, wanted: u64) -> u64 {
        let (mut last, mut since) = (count(), Instant::now());
        while last < wanted && since.elapsed() < PATIENCE {
            sleep(LOOK).await;
            let now = count();
            if now != last {
                (last, since) = (now, Instant::now());
            }
        }
        last
    }

    /// The processor time the hub has used.
    pub fn cpu_seconds(&mut self) -> anyhow::Result<f64> {
        Ok(self.hub.process().context("the hub does not run")?.cpu_seconds())
    }

    /// The memory the hub has in use, in MiB.
    #[expect(
        clippy::cast_precision_loss,
        reason = "memory sizes are far below the bound of exact numbers"
    )]
    pub fn resident_mib(&mut self) -> anyhow::Result<f64> {
        Ok(self.hub.process().context("the hub does not run")?.resident_kib() as f64 / 1024.0)
    }
}

/// Teams is swept as seldom as by default: nothing gets lost here that would have to be looked for soon.
fn seldom_swept(kind: &str) -> Map<String, Value> {
    let keys = (kind == LoadTeams::KIND).then(|| ("sweep_seconds".to_owned(), json!(SWEEP)));
    keys.into_iter().collect()
}

/// How many of `messages` spread evenly over `mirrors` one mirror has.
pub fn share(messages: usize, mirrors: usize, mirror: usize) -> usize {
    messages / mirrors + usize::from(mirror < messages % mirrors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        assert_eq!((0..7).map(|mirror| share(100, 7, mirror)).sum::<usize>(), 100);
    }
}
