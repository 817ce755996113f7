//! The configuration section of an XMPP network.

mod connection;
mod secret;

use schemars::JsonSchema;
use serde::Deserialize;
use xmpp_parsers::jid::BareJid;

pub use connection::{Account, Component, Timeouts, Tls};
pub use secret::{RoomPassword, Secret, SecretError, Secrets, StoredPassword};

/// One XMPP network. It has exactly one of `component` and `account`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the operator's")]
pub struct Section {
    /// The hub connects as a component (XEP-0114) of a server that the operator runs: everybody it speaks for is a person of
    /// their own in the rooms.
    #[serde(default)]
    pub component: Option<Component>,
    /// The hub connects as a client with an ordinary account, where a partner grants only that: it sits in the rooms under one
    /// nick and says who speaks.
    #[serde(default)]
    pub account: Option<Account>,
    /// MUC services whose rooms may be mirrored, such as `conference.example.org`. Channels elsewhere are refused. Empty
    /// allows every service.
    #[serde(default)]
    pub muc_services: Vec<String>,
    /// The nick under which the hub itself sits in every room.
    #[serde(default = "default_nick")]
    pub nick: String,
    /// Whether people from other sides join rooms under nicks of their own. Without (and always with an `account`), the hub
    /// speaks for them, with their name in front.
    #[serde(default = "yes")]
    pub puppets: bool,
    /// The nick of a puppet: `{name}` stands for the display name, `{id}` for the id on the person's own network. Where a
    /// nick is taken, a number is added.
    #[serde(default = "default_template")]
    pub nick_template: String,
    /// How a text is said for somebody without a nick of their own: `{name}` stands for their name, and `{text}`, at the end,
    /// for what they say.
    #[serde(default = "default_relay_form")]
    pub relay_form: String,
    /// Passwords of rooms that ask for one, by the room's address: each as it is, or as `password_file` or `password_env`.
    #[serde(default)]
    pub room_passwords: std::collections::BTreeMap<String, RoomPassword>,
    /// Whether joins, leaves and changes of nick of people in the room are told to the other sides.
    #[serde(default = "yes")]
    pub membership: bool,
    /// Whether people's pictures cross: those of people in the rooms (XEP-0153, XEP-0084) to the other sides, and those of
    /// people from other sides as their puppets' pictures.
    #[serde(default = "yes")]
    pub avatars: bool,
    /// Whether the Matrix room's name and picture become those of the XMPP room (XEP-0045, XEP-0486). The hub's address has to
    /// be an owner of it. The other way they cross in any case.
    #[serde(default)]
    pub rename_rooms: bool,
    /// Whether titles in the room that say what somebody is (XEP-0317) are shown behind their names.
    #[serde(default)]
    pub hats: bool,
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
    /// Whether it crosses who has received (XEP-0184) and read (XEP-0333) what, both ways.
    #[serde(default)]
    pub receipts: bool,
    /// Whether puppets grant requests to see their presence, and show themselves as available to whoever asked.
    #[serde(default)]
    pub presence: bool,
    /// Why the component's stream, which is never encrypted, may go to a server that is not on this machine, such as
    /// `WireGuard to the server's host`.
    #[serde(default)]
    pub plaintext: Option<String>,
    /// Waiting times.
    #[serde(default)]
    pub timeouts: Timeouts,
}

fn default_nick() -> String {
    "viaduct".to_owned()
}

fn default_template() -> String {
    "{name}".to_owned()
}

fn default_relay_form() -> String {
    "{name}: {text}".to_owned()
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
        match (&self.component, &self.account) {
            (Some(component), None) => {
                if let Some(what) = viaduct_model::link::plaintext(&component.host, self.plaintext.as_deref()) {
                    complain("component.host", what);
                }
                check_component(component, &mut complain);
            }
            (None, Some(account)) => check_account(account, &mut complain),
            _ => complain("component", "give exactly one of component and account".to_owned()),
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
        let introduction = self.relay_form.strip_suffix("{text}");
        if !introduction.is_some_and(|form| form.contains("{name}") && !form.contains(['\r', '\n'])) {
            complain(
                "relay_form",
                "it needs {name}, and {text} at its end, in one line".to_owned(),
            );
        }
        for room in self.room_passwords.keys() {
            if BareJid::new(room).is_err() {
                complain("room_passwords", format!("{room:?} is not the address of a room"));
            }
        }
        complaints
    }

    /// Whether people from other sides join rooms under nicks of their own.
    pub fn has_puppets(&self) -> bool {
        self.puppets && self.component.is_some()
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

fn check_component(component: &Component, complain: &mut impl FnMut(&str, String)) {
    if !is_domain(&component.domain) {
        complain("component.domain", "it is not a domain name".to_owned());
    }
    let secrets = [
        component.secret.is_some(),
        component.secret_file.is_some(),
        component.secret_env.is_some(),
    ];
    if secrets.iter().filter(|given| **given).count() != 1 {
        let text = "give the shared secret in exactly one way: secret, secret_file or secret_env";
        complain("component.secret", text.to_owned());
    }
}

fn check_account(account: &Account, complain: &mut impl FnMut(&str, String)) {
    if !BareJid::new(&account.address).is_ok_and(|address| address.node().is_some()) {
        complain(
            "account.address",
            "it is not the address of an account, such as bridge@partner.example".to_owned(),
        );
    }
    let secrets = [
        account.password.is_some(),
        account.password_file.is_some(),
        account.password_env.is_some(),
    ];
    if secrets.iter().filter(|given| **given).count() != 1 {
        let text = "give the password in exactly one way: password, password_file or password_env";
        complain("account.password", text.to_owned());
    }
    if account.port.is_some() && account.host.is_none() {
        complain("account.port", "a port needs a host".to_owned());
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
        assert_eq!(section.component.as_ref().map(|component| component.port), Some(5347));
        assert!(section.has_puppets());
        assert!(!format!("{section:?}").contains("\"s\""));
    }

    #[test]
    fn mistakes_are_named() {
        let section = section(serde_json::json!({
            "component": {"domain": "a@b", "secret": "s", "secret_env": "S"},
            "muc_services": ["a@b"], "nick": "", "nick_template": "x", "relay_form": "{text} ({name})",
        }));
        let paths: Vec<String> = section.check().into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            [
                "component.domain",
                "component.secret",
                "muc_services[0]",
                "nick",
                "nick_template",
                "relay_form"
            ]
        );
    }

    #[test]
    fn an_account_is_the_other_way() {
        let account = serde_json::json!({"address": "bridge@partner.example", "password": "hunter2"});
        let section = section(serde_json::json!({"account": account}));
        assert_eq!(section.check(), []);
        assert!(!section.has_puppets());
        assert!(!format!("{section:?}").contains("hunter2"));
        assert_eq!(section.secrets().unwrap().login.reveal(), "hunter2");
        for bad in [
            serde_json::json!({}),
            serde_json::json!({"account": account, "component": {"domain": "m.example", "secret": "s"}}),
            serde_json::json!({"account": {"address": "partner.example", "password": "x"}}),
            serde_json::json!({"account": {"address": "a@b", "password": "x", "port": 5222}}),
        ] {
            let section: Section = serde_json::from_value(bad).unwrap();
            assert_eq!(section.check().len(), 1, "{section:?}");
        }
    }

    #[test]
    fn passwords_of_rooms_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "pass\n").unwrap();
        let section = section(serde_json::json!({
            "component": {"domain": "m.example", "secret": "s"},
            "room_passwords": {"a@c.example": "word", "b@c.example": {"password_file": file}},
        }));
        assert_eq!(section.check(), []);
        let passwords: Vec<String> = section
            .secrets()
            .unwrap()
            .rooms
            .values()
            .map(|one| one.reveal().to_owned())
            .collect();
        assert_eq!(passwords, ["word", "pass"]);
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
