//! From the configuration to what the engine and the homeserver side take.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use url::Url;
use viaduct_admin::{ConsoleParts, Directory, Grant, LedgerPlace, Meaning, Oidc, Role, Roles, login_back};
use viaduct_audit::note::Signer;
use viaduct_config::{Config, PolicyNames, Room, SecretSource};
use viaduct_engine::{Audit, Flow, Forms, MemberSpec, MirrorSpec, NamedPolicy, NetworkSpec, Policies, Settings};
use viaduct_governance::HubKey;
use viaduct_matrix::{Encryption, HomeserverConfig, RoomSpec, SpeakFor};
use viaduct_model::{Place, Secret};
use viaduct_token::{Client, Issuer};

use crate::system::SystemEntropy;
use crate::trouble::Trouble;

/// The largest transaction accepted from the homeserver, in bytes: a hundred events of the largest size, and room.
const BODY_LIMIT: usize = 16 * 1024 * 1024;

/// What the engine takes: everything that a reload may change.
pub fn engine(config: &Config) -> Settings {
    let policies = |names: &PolicyNames| {
        let find = |name: &Option<String>| {
            let name = name.as_ref()?;
            let policy = config.policies.get(name)?.clone();
            Some(NamedPolicy {
                name: name.clone(),
                policy,
            })
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
        own: network.own,
    });
    let mirrors = config.mirrors.iter().map(|mirror| MirrorSpec {
        name: mirror.name.clone(),
        room: RoomSpec {
            encrypted: mirror.encrypted,
            ..room(&mirror.room, mirror.name.as_str())
        },
        members: mirror
            .members
            .iter()
            .map(|member| MemberSpec {
                place: Place::new(member.network.clone(), member.channel.clone()),
                direction: flow(member.direction),
                policies: policies(&member.policy),
            })
            .collect(),
        labels: mirror.labels.clone(),
    });
    Settings {
        networks: networks.collect(),
        mirrors: mirrors.collect(),
        partners: config.partners.clone(),
        policy_rooms: config.policy_rooms.iter().map(|room| existing(room)).collect(),
        operators: config.admin.room.clone().map(|room| existing(&room)),
        language: config.appservice.language,
        keep: Duration::from_secs(u64::from(config.store.keep_days) * 24 * 60 * 60),
    }
}

/// Who may use the API and command the bot, with their tokens read.
///
/// # Errors
///
/// If a token cannot be read, two people have the same one, or the identity provider's section cannot be used.
pub fn directory(config: &Config) -> anyhow::Result<Directory> {
    let admin = &config.admin;
    let token = |source: Option<SecretSource>, whose: &str| {
        let read = source.map(|source| source.read()).transpose();
        read.with_context(|| format!("admin: the token {whose} cannot be read"))
    };
    let api = token(admin.token(), "of the API")?;
    // Where there is one administrator, the token is theirs. Where there are several it cannot say which of them shows it.
    let (own, shared) = match admin.users.as_slice() {
        [_] => (api, None),
        _ => (None, api),
    };
    let users = admin.users.iter().map(|user| Grant {
        user: user.clone(),
        roles: Role::ALL.into_iter().collect(),
        until: None,
        token: own.clone(),
    });
    let mut people: Vec<Grant> = users.collect();
    for (user, person) in &admin.people {
        people.push(Grant {
            user: user.clone(),
            roles: roles(&person.roles),
            until: person.until,
            token: token(person.token(), &format!("of {user}"))?,
        });
    }
    let tokens = people.iter().filter_map(|grant| grant.token.as_ref()).chain(&shared);
    let mut seen = BTreeSet::new();
    if !tokens.map(Secret::reveal).all(|token| seen.insert(token)) {
        let fix = "give each person a token of their own";
        return Err(Trouble::error("two people have the same token", "admin", fix));
    }
    Ok(Directory {
        people,
        shared,
        oidc: admin.oidc.as_ref().map(|oidc| provider(oidc, config)).transpose()?,
    })
}

/// The address of the console as browsers see it.
fn console_url(console: &viaduct_config::Console) -> anyhow::Result<Url> {
    Url::parse(&console.url).context("admin.console.url")
}

/// What the console is made from, if there is to be one.
///
/// # Errors
///
/// If its address is none, or the ledger's key cannot be read.
pub fn console(config: &Config) -> anyhow::Result<Option<ConsoleParts>> {
    let Some(console) = &config.admin.console else {
        return Ok(None);
    };
    let ledger = match &config.audit {
        Some(audit) => Some(LedgerPlace {
            folder: audit.folder.clone(),
            verifier: signer(config)?.verifier(),
        }),
        None => None,
    };
    Ok(Some(ConsoleParts {
        url: console_url(console)?,
        entropy: Arc::new(SystemEntropy),
        ledger,
        settings: engine(config),
    }))
}

/// As whom people log in at the provider, if they can.
fn client(http: reqwest::Client, config: &Config) -> anyhow::Result<Option<Client>> {
    let Some(console) = &config.admin.console else {
        return Ok(None);
    };
    let Some(id) = &console.client_id else { return Ok(None) };
    let secret = console.client_secret().map(|source| source.read()).transpose();
    let secret = secret.context("admin.console: the client's secret cannot be read")?;
    Ok(Some(Client::new(http, id, secret, login_back(&console_url(console)?))))
}

fn provider(oidc: &viaduct_config::Oidc, config: &Config) -> anyhow::Result<Oidc> {
    let roots = oidc
        .ca_file
        .as_ref()
        .map(std::fs::read)
        .transpose()
        .context("admin.oidc.ca_file cannot be read")?;
    let http = viaduct_token::client(roots.as_deref()).context("admin.oidc")?;
    let client = client(http.clone(), config)?;
    let issuer = Issuer::named(http, &oidc.issuer).map_err(|what| Trouble::error(what, "admin.oidc.issuer", ""))?;
    let meaning = Meaning {
        user_claim: oidc.user_claim.clone(),
        groups_claim: oidc.groups_claim.clone(),
        roles: oidc
            .roles
            .iter()
            .map(|(group, given)| (group.clone(), roles(given)))
            .collect(),
        domain: config.homeserver.domain.clone(),
    };
    let provider = Oidc::new(issuer, &oidc.issuer, &oidc.audience, meaning);
    Ok(match client {
        Some(client) => provider.with_client(client),
        None => provider,
    })
}

fn roles(given: &BTreeSet<viaduct_config::Role>) -> Roles {
    let role = |role: &viaduct_config::Role| match role {
        viaduct_config::Role::Operator => Role::Operator,
        viaduct_config::Role::Compliance => Role::Compliance,
        viaduct_config::Role::Approver => Role::Approver,
        viaduct_config::Role::Auditor => Role::Auditor,
        viaduct_config::Role::Dpo => Role::Dpo,
    };
    given.iter().map(role).collect()
}

/// The ledger's place and keys, if one is to be kept.
///
/// # Errors
///
/// If a key is missing or cannot be read.
pub fn audit(config: &Config) -> anyhow::Result<Option<Audit>> {
    let Some(audit) = &config.audit else { return Ok(None) };
    let seal = secret_of("audit", "seal_key", audit.seal_key())?;
    Ok(Some(Audit {
        folder: audit.folder.clone(),
        keys: audit.keys.clone(),
        origin: audit.origin(&config.homeserver.domain),
        signer: signer(config)?,
        seal: HubKey::from_secret(seal.reveal()).context("audit.seal_key")?,
        exporters: audit.exporters.clone(),
        host: config.homeserver.domain.clone(),
    }))
}

/// What signs the ledger.
///
/// # Errors
///
/// If the configuration describes no ledger, or its key cannot be read.
pub fn signer(config: &Config) -> anyhow::Result<Signer> {
    let audit = config.audit.as_ref().ok_or_else(no_ledger)?;
    let key = secret_of("audit", "key", audit.key())?;
    Signer::from_secret(key.reveal()).context("audit.key")
}

/// There is no section about a ledger.
pub fn no_ledger() -> anyhow::Error {
    let fix = "describe one under `audit`; `viaduct audit key` makes its keys";
    Trouble::error("no ledger is kept", "audit", fix)
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
    Ok(HomeserverConfig {
        url: config.homeserver.url.trim_end_matches('/').to_owned(),
        domain: config.homeserver.domain.clone(),
        as_token: secret_of("appservice", "as_token", appservice.as_token())?,
        hs_token: secret_of("appservice", "hs_token", appservice.hs_token())?,
        id: appservice.id.clone(),
        bot: appservice.bot.clone(),
        ghost_prefix: appservice.ghost_prefix.clone(),
        speak_for: speak_for(&appservice.speak_for),
        listen: appservice.listen,
        public_url: appservice.url.clone(),
        ca_file: config.homeserver.ca_file.clone(),
        media_limit: appservice.media_limit,
        body_limit: BODY_LIMIT,
        encryption: encryption(config)?,
        ghost_name: appservice.ghost_name.clone(),
    })
}

fn encryption(config: &Config) -> anyhow::Result<Option<Encryption>> {
    let Some(wanted) = &config.homeserver.encryption else {
        return Ok(None);
    };
    Ok(Some(Encryption {
        device: wanted.device.clone(),
        folder: wanted.folder.clone(),
        passphrase: secret_of("homeserver.encryption", "passphrase", wanted.passphrase())?,
    }))
}

fn speak_for(wanted: &viaduct_config::SpeakFor) -> SpeakFor {
    match wanted {
        viaduct_config::SpeakFor::Everybody(_) => SpeakFor::OwnUsers,
        viaduct_config::SpeakFor::These(people) if people.is_empty() => SpeakFor::Nobody,
        viaduct_config::SpeakFor::These(people) => SpeakFor::These(people.iter().cloned().collect()),
    }
}

fn secret_of(section: &str, name: &str, source: Option<SecretSource>) -> anyhow::Result<Secret> {
    let source = source.ok_or_else(|| {
        Trouble::error(
            format!("{name} is missing"),
            section,
            format!("give `{name}_file`; `viaduct init` makes one"),
        )
    })?;
    source.read().with_context(|| format!("{name} cannot be read"))
}

/// A room that is there already.
fn existing(address: &str) -> RoomSpec {
    RoomSpec {
        room: address.to_owned(),
        create: false,
        name: None,
        topic: None,
        version: None,
        public: false,
        invite: Vec::new(),
        encrypted: false,
    }
}

fn room(room: &Room, mirror: &str) -> RoomSpec {
    match room {
        Room::Existing(address) => existing(address),
        Room::Made(made) => RoomSpec {
            room: made.alias.clone(),
            create: made.create,
            name: made.name.clone().or_else(|| Some(mirror.to_owned())),
            topic: made.topic.clone(),
            version: made.version.clone(),
            public: made.public,
            invite: made.invite.clone(),
            encrypted: false,
        },
    }
}
