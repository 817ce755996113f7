//! A Microsoft of one's own as a program: `viaduct-teams-stand-in [--port PORT]`.
//!
//! Prints its addresses and the app as JSON, then answers until interrupted. See `viaduct_tests::teams` for the control
//! interface.
#![expect(clippy::print_stdout, reason = "the addresses are what it prints")]

use anyhow::{Context as _, bail};
use viaduct_tests::teams::TeamsStandIn;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let teams = TeamsStandIn::start_at(port()?).await?;
    println!("{}", teams.about());
    tokio::signal::ctrl_c().await?;
    Ok(())
}

/// The port that was asked for; 0 for any.
fn port() -> anyhow::Result<u16> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        None => Ok(0),
        Some("--port") => {
            let port = arguments.next().context("--port needs a number")?;
            port.parse().with_context(|| format!("this is no port: {port}"))
        }
        Some(other) => bail!("the only argument is --port PORT, not {other}"),
    }
}
