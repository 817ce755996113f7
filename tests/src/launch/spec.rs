//! What a hub under test is configured with.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::XmppServer;
use super::hub::Tokens;

/// What a hub is configured with. The rest (tokens, ports, store) is chosen here.
#[derive(Debug, Clone)]
pub struct HubSpec {
    /// The homeserver's client API.
    pub homeserver: String,
    /// The homeserver's name.
    pub domain: String,
    /// The `networks:` section.
    pub networks: Map<String, Value>,
    /// The `mirrors:` section.
    pub mirrors: Vec<Value>,
    /// The `policies:` section; empty for none.
    pub policies: Map<String, Value>,
    /// Where to keep the store; none for a folder that vanishes with the hub.
    pub store: Option<PathBuf>,
    /// What to log: `warn`, `info` or `debug`.
    pub log_level: String,
    /// The port for the homeserver; none for a free one.
    pub listen: Option<u16>,
    /// Whether it keeps a ledger; its keys are made for it.
    pub ledger: bool,
    /// Further keys of sections, by the section's name; see [`HubSpec::with`].
    pub more: Map<String, Value>,
}

impl HubSpec {
    /// A hub without networks and mirrors.
    pub fn new(homeserver: &str, domain: &str) -> Self {
        Self {
            homeserver: homeserver.to_owned(),
            domain: domain.to_owned(),
            networks: Map::new(),
            mirrors: Vec::new(),
            policies: Map::new(),
            store: None,
            log_level: env::var("VIADUCT_LOG").unwrap_or_else(|_| "info".to_owned()),
            listen: None,
            ledger: false,
            more: Map::new(),
        }
    }

    /// Adds keys to a section of the configuration, such as `appservice` or `audit`.
    #[must_use]
    pub fn with(mut self, section: &str, keys: Value) -> Self {
        self.more.insert(section.to_owned(), keys);
        self
    }

    /// Adds a network: the own organisation's, which needs no agreement, unless the section says otherwise.
    #[must_use]
    pub fn network(mut self, name: &str, mut section: Value) -> Self {
        if let Some(section) = section.as_object_mut() {
            section.entry("own").or_insert(Value::Bool(true));
        }
        self.networks.insert(name.to_owned(), section);
        self
    }

    /// Adds an IRC network at `server`, without TLS and without pacing: the servers are our own.
    #[must_use]
    pub fn irc(self, name: &str, server: SocketAddr, puppets: bool) -> Self {
        self.network(name, irc_section(server, puppets))
    }

    /// Adds an XMPP network whose server takes the hub's component at `components`, with puppets.
    #[must_use]
    pub fn xmpp(self, name: &str, components: SocketAddr) -> Self {
        self.network(name, xmpp_section(components))
    }

    /// Adds the Slack workspace at `api` with an app of these tokens, without pacing.
    #[must_use]
    pub fn slack(self, name: &str, api: &str, bot_token: &str, app_token: &str) -> Self {
        self.network(name, slack_section(api, bot_token, app_token, false))
    }

    /// Adds the Teams tenant that a stand-in tells [`about`](crate::teams::Control::about), whose bot is to take requests at
    /// `endpoint`, without pacing.
    #[must_use]
    pub fn teams(self, name: &str, about: &Value, endpoint: SocketAddr) -> Self {
        self.network(name, teams_section(about, endpoint, false))
    }

    /// Gives the bot a device of its own, whose keys are encrypted with this.
    #[must_use]
    pub fn encrypted(self, passphrase: &str) -> Self {
        self.with("homeserver", json!({ "encryption": { "passphrase": passphrase } }))
    }

    /// Has a mirror be encrypted.
    #[must_use]
    pub fn encrypt(mut self, mirror: &str) -> Self {
        let named = |other: &&mut Value| other.get("name").and_then(Value::as_str) == Some(mirror);
        if let Some(mirror) = self.mirrors.iter_mut().find(named).and_then(Value::as_object_mut) {
            mirror.insert("encrypted".to_owned(), Value::Bool(true));
        }
        self
    }

    /// Adds a mirror of `room` with channels, each `(network, channel)`, in both directions.
    #[must_use]
    pub fn mirror(mut self, name: &str, room: &Value, members: &[(&str, &str)]) -> Self {
        let members: Vec<Value> = members
            .iter()
            .map(|(network, channel)| json!({ "network": network, "channel": channel, "direction": "both" }))
            .collect();
        self.mirrors
            .push(json!({ "name": name, "room": room, "members": members }));
        self
    }
}

/// The section of an IRC network at `server`.
pub fn irc_section(server: SocketAddr, puppets: bool) -> Value {
    json!({
        "kind": "irc",
        "server": { "host": server.ip().to_string(), "port": server.port() },
        "tls": { "enabled": false },
        "connect": { "retry": 1, "retry_limit": 2 },
        "nick": "viaduct",
        "puppets": { "enabled": puppets, "max": 2000 },
        "pacing": "off",
    })
}

/// The section of an XMPP network: the component of an [`XmppServer`] that takes it at `components`.
pub fn xmpp_section(components: SocketAddr) -> Value {
    json!({
        "kind": "xmpp",
        "component": {
            "host": components.ip().to_string(), "port": components.port(), "domain": XmppServer::COMPONENT,
            "secret": XmppServer::SECRET,
        },
        "muc_services": [XmppServer::ROOMS],
        "upload_service": XmppServer::UPLOADS,
        "file_hosts": ["127.0.0.1"],
        "nick": "viaduct",
    })
}

/// The section of a Slack workspace at `api`; `paced` as Slack asks for, else as fast as it goes: the stand-in is our own.
pub fn slack_section(api: &str, bot_token: &str, app_token: &str, paced: bool) -> Value {
    let mut section = json!({ "kind": "slack", "base_url": api, "bot_token": bot_token, "app_token": app_token });
    if !paced && let Some(section) = section.as_object_mut() {
        let limits = json!({
            "posts_per_second": 1000.0, "posts_per_minute": 1_000_000, "tier_1": 100_000, "tier_2": 100_000,
            "tier_3": 100_000, "tier_4": 100_000, "history": 100_000,
        });
        section.insert("limits".to_owned(), limits);
    }
    section
}

/// The section of the Teams tenant that a stand-in tells [`about`](crate::teams::Control::about), with requests at
/// `endpoint`; `paced` as Microsoft asks for, else as fast as it goes: the stand-in is our own.
pub fn teams_section(about: &Value, endpoint: SocketAddr, paced: bool) -> Value {
    let told = |pointer: &str| about.pointer(pointer).cloned().unwrap_or_default();
    let mut section = json!({
        "kind": "teams",
        "app_id": told("/app/app_id"), "tenant": told("/app/tenant"), "secret": told("/app/secret"),
        "listen": endpoint.to_string(), "public_url": teams_endpoint(endpoint),
        "addresses": {
            "login": told("/login"), "openid": told("/openid"), "graph": told("/graph"), "connector": told("/connector"),
            "service_hosts": ["127.0.0.1"],
        },
    });
    if !paced && let Some(section) = section.as_object_mut() {
        let limits = json!({
            "per_second": 1000, "per_half_minute": 100_000, "per_hour": 1_000_000, "tenant_per_second": 10_000,
            "graph_per_second": 10_000,
        });
        section.insert("limits".to_owned(), limits);
    }
    section
}

/// Where the bot of a [`teams_section`] takes requests.
pub fn teams_endpoint(endpoint: SocketAddr) -> String {
    format!("http://{endpoint}/api/messages")
}

/// Adds keys to a section of a configuration; a list or a single value is the section itself.
pub(super) fn add_keys(configuration: &mut Map<String, Value>, section: &str, keys: Value) {
    let section = configuration.entry(section).or_insert_with(|| json!({}));
    match (section, keys) {
        (Value::Object(section), Value::Object(keys)) => section.extend(keys),
        (section, keys) => *section = keys,
    }
}

pub(super) fn configuration(
    spec: &HubSpec,
    listen: SocketAddr,
    admin: SocketAddr,
    tokens: &Tokens,
    store: &Path,
) -> Map<String, Value> {
    let config = json!({
        "homeserver": { "url": spec.homeserver, "domain": spec.domain },
        "appservice": {
            "id": "viaduct",
            "listen": listen.to_string(),
            "url": format!("http://{listen}"),
            "public_url": format!("http://{listen}"),
            "bot": "viaduct",
            "ghost_prefix": "_via_",
            "as_token": tokens.application_service,
            "hs_token": tokens.homeserver,
        },
        "store": { "path": store },
        "admin": { "listen": admin.to_string(), "token": tokens.operator },
        "logging": { "format": "text", "level": spec.log_level },
        "networks": spec.networks,
        "mirrors": spec.mirrors,
    });
    let Value::Object(mut config) = config else {
        return Map::new();
    };
    if !spec.policies.is_empty() {
        config.insert("policies".to_owned(), Value::Object(spec.policies.clone()));
    }
    for (section, keys) in &spec.more {
        add_keys(&mut config, section, keys.clone());
    }
    config
}
