//! A Slack of one's own as a program: `viaduct-slack-stand-in [--port PORT]`.
//!
//! Prints its address and the app's tokens as JSON, then answers until interrupted. See `viaduct_tests::slack` for the
//! control interface.
#![expect(clippy::print_stdout, reason = "the tokens are what it prints")]

use anyhow::{Context as _, bail};
use serde_json::json;
use viaduct_tests::slack::SlackStandIn;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let slack = SlackStandIn::start_at(port()?).await?;
    println!(
        "{}",
        json!({ "url": slack.url(), "api_url": slack.api_url(), "app": slack.app() })
    );
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
