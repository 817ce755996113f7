//! `viaduct registration`: the file that the homeserver needs.

use viaduct_config::{Config, Room};
use viaduct_matrix::registration::Registration;

use crate::settings;

/// The registration that this configuration needs.
///
/// # Errors
///
/// If a token is missing or cannot be read.
pub fn wanted(config: &Config) -> anyhow::Result<Registration> {
    let made = config.mirrors.iter().filter_map(|mirror| match &mirror.room {
        Room::Made(room) if room.create => Some(room.alias.clone()),
        _ => None,
    });
    Ok(Registration::of(
        &settings::homeserver(config)?,
        &made.collect::<Vec<_>>(),
    ))
}

/// The registration file as YAML.
///
/// # Errors
///
/// If a token is missing or cannot be read.
pub fn text(config: &Config) -> anyhow::Result<String> {
    Ok(wanted(config)?.to_yaml())
}
