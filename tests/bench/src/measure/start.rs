//! From start to the first bridged message.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use viaduct_tests::load::LoadServer as _;
use viaduct_tests::stub_world::{channel, nick, text};

use crate::report::Figures;
use crate::rig::{Load, Rig};

/// How long the first message may take.
const BOUND: Duration = Duration::from_mins(1);

/// The time a restart takes until a line said on IRC is in its room: said as soon as the hub is in the channel.
pub async fn start(load: Load) -> anyhow::Result<Figures> {
    let mut rig = Rig::start(load).await?;
    rig.warm_up_nicks(1).await?;
    rig.hub.stop();
    rig.disconnected().await?;
    // The server may notice a little later; a line said meanwhile would be for nobody.
    let stopped = Instant::now();
    while rig.server.members(&channel(0)) > 0 {
        anyhow::ensure!(stopped.elapsed() < BOUND, "the stopped hub is still in the channel");
        sleep(Duration::from_millis(1)).await;
    }
    let begun = Instant::now();
    rig.hub.launch(&[])?;
    while rig.server.members(&channel(0)) == 0 {
        anyhow::ensure!(begun.elapsed() < BOUND, "the hub did not join again");
        sleep(Duration::from_millis(1)).await;
    }
    rig.server.speak(&channel(0), &nick(0, 0), &text(0)).await;
    while rig.stub.messages() == 0 {
        anyhow::ensure!(begun.elapsed() < BOUND, "the first message did not arrive");
        sleep(Duration::from_millis(1)).await;
    }
    Ok(Figures::default().with("start to first bridged message", begun.elapsed().as_secs_f64(), "s"))
}
