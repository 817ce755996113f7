//! From the configuration to what the engine and the homeserver side take.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use viaduct_compliance::Policy;
use viaduct_config::{Config, PolicyNames, Room, SecretSource};
use viaduct_engine::{Flow, Forms, MemberSpec, MirrorSpec, NetworkSpec, Policies, Settings};
use viaduct_matrix::{HomeserverConfig, RoomSpec, Secret};
use viaduct_model::Place;

use crate::trouble::Trouble;

/// The largest transaction accepted from the homeserver, in bytes: a hundred events of the largest size, and room.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// What the engine takes: everything that a reload may change.
pub fn engine(config: &Config) -> Settings {
    let policies = |names: &PolicyNames| {
        let find = |name: &Option<String>| -> Option<Policy> {
            name.as_ref().and_then(|name| config.policies.get(name)).cloned()
        };
        Policies {
            inward: find(&names.inward),
            outward: find(&names.outward),
        }
    };
    let networks = config.networks.iter().map(|(name, network)| NetworkSpec {
        name: name.clone(),
        kind: network.kind.clone(),
        section: Value::Object(network.section.clone()),
        policies: policies(&network.policy),
        forms: Forms::default(),
    });
    let mirrors = config.mirrors.iter().map(|mirror| MirrorSpec {
        name: mirror.name.clone(),
        room: room(&mirror.room, mirror.name.as_str()),
        members: mirror
            .members
            .iter()
            .map(|member| MemberSpec {
                place: Place::new(member.network.clone(), member.channel.clone()),
                direction: flow(member.direction),
                policies: policies(&member.policy),
            })
            .collect(),
    });
    Settings {
        networks: networks.collect(),
        mirrors: mirrors.collect(),
        keep: Duration::from_secs(u64::from(config.store.keep_days) * 24 * 60 * 60),
    }
}

fn flow(flow: viaduct_config::Flow) -> Flow {
    match flow {
        viaduct_config::Flow::Both => Flow::Both,
        viaduct_config::Flow::In => Flow::In,
        viaduct_config::Flow::Out => Flow::Out,
        viaduct_config::Flow::Paused => Flow::Paused,
    }
}

/// What the homeserver side takes, with the tokens read.
///
/// # Errors
///
/// If a token is missing or cannot be read.
pub fn homeserver(config: &Config) -> anyhow::Result<HomeserverConfig> {
    let appservice = &config.appservice;
    let language = match appservice.language {
        viaduct_config::Language::En => viaduct_matrix::Language::English,
        viaduct_config::Language::De => viaduct_matrix::Language::German,
    };
    Ok(HomeserverConfig {
        url: config.homeserver.url.trim_end_matches('/').to_owned(),
        domain: config.homeserver.domain.clone(),
        as_token: secret("as_token", appservice.as_token())?,
        hs_token: secret("hs_token", appservice.hs_token())?,
        id: appservice.id.clone(),
        bot: appservice.bot.clone(),
        ghost_prefix: appservice.ghost_prefix.clone(),
        listen: appservice.listen,
        public_url: appservice.url.clone(),
        ca_file: config.homeserver.ca_file.clone(),
        media_limit: appservice.media_limit,
        body_limit: BODY_LIMIT,
        language,
        ghost_name: appservice.ghost_name.clone(),
    })
}

fn secret(name: &str, source: Option<SecretSource>) -> anyhow::Result<Secret> {
    let source = source.ok_or_else(|| {
        Trouble::error(
            format!("{name} is missing"),
            "appservice",
            format!("give `{name}_file`; `viaduct init` makes one"),
        )
    })?;
    let secret = source.read().with_context(|| format!("{name} cannot be read"))?;
    Ok(Secret::new(secret.reveal()))
}

fn room(room: &Room, mirror: &str) -> RoomSpec {
    match room {
        Room::Existing(address) => RoomSpec {
            room: address.clone(),
            create: false,
            name: None,
            topic: None,
            version: None,
            public: false,
            invite: Vec::new(),
        },
        Room::Made(made) => RoomSpec {
            room: made.alias.clone(),
            create: made.create,
            name: made.name.clone().or_else(|| Some(mirror.to_owned())),
            topic: made.topic.clone(),
            version: made.version.clone(),
            public: made.public,
            invite: made.invite.clone(),
        },
    }
}
