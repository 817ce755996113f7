//! The log.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use viaduct_config::{LogFormat, Logging};

use crate::trouble::Trouble;

/// Starts the log as configured; the environment variable `VIADUCT_LOG` goes before the configured level.
///
/// # Errors
///
/// If the level is not understood, or a log was started already.
pub fn start(logging: &Logging) -> anyhow::Result<()> {
    let (level, place) = match std::env::var("VIADUCT_LOG") {
        Ok(level) => (level, "VIADUCT_LOG"),
        Err(_) => (logging.level.clone(), "logging.level"),
    };
    let filter = EnvFilter::try_new(&level).map_err(|error| {
        let fix = "write error, warn, info, debug or trace, or parts such as info,viaduct_irc=debug";
        Trouble::error(
            format!("the log level `{level}` is not understood: {error}"),
            place,
            fix,
        )
    })?;
    let log = fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let started = match logging.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!("the log could not be started: {error}"))
}
