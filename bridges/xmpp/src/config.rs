//! The configuration section of an XMPP network.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use xmpp_parsers::jid::BareJid;

/// One XMPP network.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// How the hub connects: as a component (XEP-0114) of a server that the operator runs.
    pub component: Component,
    /// MUC services whose rooms may be mirrored, such as `conference.example.org`. Channels elsewhere are refused. Empty
    /// allows every service.
    #[serde(default)]
    pub muc_services: Vec<String>,
    /// The nick under which the hub itself sits in every room.
    #[serde(default = "default_nick")]
    pub nick: String,
    /// Whether people from other sides join rooms under nicks of their own. Without, the hub speaks for them, with their
    /// name in front.
    #[serde(default = "yes")]
    pub puppets: bool,
    /// The nick of a puppet: `{name}` stands for the display name, `{id}` for the id on the person's own network. Where a
    /// nick is taken, a number is added.
    #[serde(default = "default_template")]
    pub nick_template: String,
    /// Passwords of rooms that ask for one, by the room's address.
    #[serde(default)]
    pub room_passwords: std::collections::BTreeMap<String, Secret>,
    /// Whether joins, leaves and changes of nick of people in the room are told to the other sides.
    #[serde(default = "yes")]
    pub membership: bool,
    /// The service to which files from other sides are uploaded (XEP-0363), such as `upload.example.org`. Without, files
    /// are sent as links if the hub publishes files, and otherwise named only.
    #[serde(default)]
    pub upload_service: Option<String>,
    /// Hosts from which files that people share may be fetched, such as `upload.example.org` or `*.example.org`. Addresses
    /// on other hosts stay links; the hub never fetches from them.
    #[serde(default)]
    pub file_hosts: Vec<String>,
    /// The largest file fetched from `file_hosts`, in bytes.
    #[serde(default = "default_file_limit")]
    pub file_limit: u64,
    /// Whether typing notifications (XEP-0085) cross, both ways.
    #[serde(default)]
    pub typing: bool,
    /// Waiting times.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// The component account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// Where the server listens for components. The stream is not encrypted: keep it on the loopback interface or inside a
    /// tunnel.
    #[serde(default = "default_host")]
    pub host: String,
    /// The server's component port.
    #[serde(default = "default_port")]
    pub port: u16,
    /// The component's own domain, as configured in the server, such as `matrix.example.org`.
    pub domain: String,
    /// The shared secret. Better in a file or in the environment.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// A file that holds the shared secret; white space at its end is dropped.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// An environment variable that holds the shared secret.
    #[serde(default)]
    pub secret_env: Option<String>,
}

/// Waiting times, in seconds.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Until the server has accepted the connection.
    pub connect: u64,
    /// Silence after which the server is asked for a sign of life.
    pub idle: u64,
    /// Until it has given one, before the connection counts as lost.
    pub response: u64,
    /// Until a request is answered.
    pub request: u64,
    /// Until a room lets somebody in.
    pub join: u64,
    /// Until a room has shown a message that was sent to it. After that its outcome is unknown, and it is looked up.
    pub reflection: u64,
    /// How often the hub makes sure that it still sits in its rooms (XEP-0410).
    pub self_ping: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: 30,
            idle: 60,
            response: 30,
            request: 30,
            join: 60,
            reflection: 60,
            self_ping: 300,
        }
    }
}

/// A text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Takes a text that is never to be shown.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The text itself, to be sent only.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

fn default_nick() -> String {
    "viaduct".to_owned()
}

fn default_template() -> String {
    "{name}".to_owned()
}

fn default_host() -> String {
    "127.0.0.1".to_owned()
}

fn default_port() -> u16 {
    5347
}

fn default_file_limit() -> u64 {
    100 * 1024 * 1024
}

fn yes() -> bool {
    true
}

impl Section {
    /// Checks what the schema cannot say; each complaint with the path of the key it is about.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut complaints = Vec::new();
        let mut complain = |path: &str, text: String| complaints.push((path.to_owned(), text));
        if !is_domain(&self.component.domain) {
            complain("component.domain", "it is not a domain name".to_owned());
        }
        let component = &self.component;
        let secrets = [
            component.secret.is_some(),
            component.secret_file.is_some(),
            component.secret_env.is_some(),
        ];
        if secrets.iter().filter(|given| **given).count() != 1 {
            let text = "give the shared secret in exactly one way: secret, secret_file or secret_env";
            complain("component.secret", text.to_owned());
        }
        for (number, service) in self.muc_services.iter().enumerate() {
            if !is_domain(service) {
                complain(
                    &format!("muc_services[{number}]"),
                    format!("{service:?} is not a domain name"),
                );
            }
        }
        if self
            .upload_service
            .as_deref()
            .is_some_and(|service| !is_domain(service))
        {
            complain("upload_service", "it is not a domain name".to_owned());
        }
        if crate::convert::names::clean_nick(&self.nick).is_none() {
            complain("nick", "it is not a possible nick".to_owned());
        }
        if !self.nick_template.contains("{name}") && !self.nick_template.contains("{id}") {
            complain(
                "nick_template",
                "it needs {name} or {id}, or everybody has the same nick".to_owned(),
            );
        }
        for room in self.room_passwords.keys() {
            if BareJid::new(room).is_err() {
                complain("room_passwords", format!("{room:?} is not the address of a room"));
            }
        }
        complaints
    }

    /// Whether rooms of this service may be mirrored.
    pub fn allows_service(&self, domain: &str) -> bool {
        self.muc_services.is_empty()
            || self
                .muc_services
                .iter()
                .any(|service| service.eq_ignore_ascii_case(domain))
    }

    /// Whether files may be fetched from this host.
    pub fn allows_file_host(&self, host: &str) -> bool {
        self.file_hosts.iter().any(|allowed| match allowed.strip_prefix("*.") {
            Some(parent) => host
                .strip_suffix(parent)
                .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            None => allowed.eq_ignore_ascii_case(host),
        })
    }
}

fn is_domain(text: &str) -> bool {
    BareJid::new(text).is_ok_and(|jid| jid.node().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(json: serde_json::Value) -> Section {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_small_section_is_enough() {
        let section = section(serde_json::json!({"component": {"domain": "m.example.org", "secret": "s"}}));
        assert_eq!(section.check(), []);
        assert_eq!(section.component.port, 5347);
        assert!(!format!("{section:?}").contains("\"s\""));
    }

    #[test]
    fn mistakes_are_named() {
        let section = section(serde_json::json!({
            "component": {"domain": "a@b", "secret": "s", "secret_env": "S"},
            "muc_services": ["a@b"], "nick": "", "nick_template": "x",
        }));
        let paths: Vec<String> = section.check().into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            [
                "component.domain",
                "component.secret",
                "muc_services[0]",
                "nick",
                "nick_template"
            ]
        );
    }

    #[test]
    fn file_hosts_may_have_a_wildcard() {
        let section = section(serde_json::json!({
            "component": {"domain": "m.example.org"}, "file_hosts": ["up.example.org", "*.files.example"],
        }));
        for (host, allowed) in [
            ("up.example.org", true),
            ("a.files.example", true),
            ("files.example", false),
            ("xfiles.example", false),
            ("127.0.0.1", false),
        ] {
            assert_eq!(section.allows_file_host(host), allowed, "{host}");
        }
    }
}
