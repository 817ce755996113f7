//! People who speak for the first time.

use tokio::time::Instant;
use viaduct_tests::load::LoadServer as _;
use viaduct_tests::stub_world::{channel, text};

use crate::report::Figures;
use crate::rig::{Load, Rig};

const FEW: usize = 1_000;
const MANY: usize = 10_000;

/// How fast new ghosts come.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below the bound of exact numbers"
)]
pub async fn speed(load: Load) -> anyhow::Result<Figures> {
    let rig = Rig::start(load).await?;
    let begun = Instant::now();
    let arrived = greet(&rig, load, 0, FEW).await;
    let elapsed = begun.elapsed().as_secs_f64();
    anyhow::ensure!(arrived == FEW as u64, "only {arrived} of {FEW} first messages arrived");
    Ok(Figures::default().with("1,000 new ghosts, first message each", FEW as f64 / elapsed, "ghosts/s"))
}

/// What memory the hub has in use.
pub async fn memory(load: Load) -> anyhow::Result<Figures> {
    let mut rig = Rig::start(load).await?;
    let idle = rig.resident_mib()?;
    greet(&rig, load, 0, FEW).await;
    let few = rig.resident_mib()?;
    greet(&rig, load, FEW, MANY).await;
    let many = rig.resident_mib()?;
    Ok(Figures::default()
        .with("memory idle", idle, "MiB")
        .with("memory after 1,000 ghosts", few, "MiB")
        .with("memory after 10,000 ghosts", many, "MiB"))
}

/// Lets new people from `first` to `last` say one line each; gives how many lines arrived in all.
async fn greet(rig: &Rig, load: Load, first: usize, last: usize) -> u64 {
    for number in first..last {
        rig.server
            .speak(&channel(number % load.mirrors), &format!("new{number}"), &text(number))
            .await;
    }
    rig.until(|| rig.stub.messages(), last as u64).await
}
