//! The configuration section of a Microsoft Teams tenant.

mod clouds;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use viaduct_bridge::secret::{self, Secret, SecretError};

use clouds::address;
pub use clouds::{Addresses, Cloud, Overrides};

/// One tenant of Microsoft Teams, reached by an app of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the operator's")]
pub struct Section {
    /// The application (client) id of the partner's Entra app, which is also the bot's.
    pub app_id: String,
    /// The partner's tenant id. Tokens and activities of other tenants are refused.
    pub tenant: String,
    /// The app's client secret. Better in a file or in the environment.
    #[serde(default)]
    pub secret: Option<Secret>,
    /// A file that holds the app's client secret.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// An environment variable that holds the app's client secret.
    #[serde(default)]
    pub secret_env: Option<String>,
    /// Instead of a secret: a file with the app's certificate and its RSA key (PEM, PKCS #8).
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// Which of Microsoft's clouds the tenant is in.
    #[serde(default)]
    pub cloud: Cloud,
    /// Addresses that differ from those of the cloud.
    #[serde(default)]
    pub addresses: Overrides,
    /// The address to listen on for Microsoft's requests, such as `127.0.0.1:8091`; a proxy with TLS stands in front of it.
    /// Several networks may share one.
    pub listen: SocketAddr,
    /// The path of the requests.
    #[serde(default = "default_path")]
    pub path: String,
    /// The address under which Microsoft reaches it, such as `https://hub.example.org/api/messages`.
    #[serde(default)]
    pub public_url: Option<String>,
    /// An HTTP proxy through which Microsoft is reached, such as `http://proxy.example.org:3128`.
    #[serde(default)]
    pub proxy: Option<Secret>,
    /// A file with further certificate authorities (PEM), such as that of a proxy which looks into TLS.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether joins and leaves of people in Teams are told to the other sides.
    #[serde(default = "yes")]
    pub membership: bool,
    /// Whether Graph is asked to notify of what the bot is not told: reactions of people, and what activities missed. Needs
    /// `public_url`.
    #[serde(default = "yes")]
    pub subscriptions: bool,
    /// For how many minutes a subscription is made, 10 to 4,320; it is renewed at half of it.
    #[serde(default = "default_subscription")]
    pub subscription_minutes: u64,
    /// Whether reactions of other sides are put on messages, as the bot's own, one for each emoji. Microsoft calls it a preview.
    #[serde(default = "yes")]
    pub reactions: bool,
    /// How many seconds pass between two sweeps of the channels for what no activity told of.
    #[serde(default = "default_sweep")]
    pub sweep_seconds: u64,
    /// Whether Graph is asked, before a message is passed on, if one before it was missed. It takes up to a half of
    /// `graph_per_second` and a quarter of `tenant_per_second`; a message waits for it a second at most, and in a flood it is
    /// left out. Without it, what was missed comes with the next sweep, behind what came later.
    #[serde(default = "yes")]
    pub check_order: bool,
    /// How many days a thread is watched for replies that were missed during an absence.
    #[serde(default = "default_thread_days")]
    pub thread_days: u64,
    /// How it is shown in Teams who of another side speaks.
    #[serde(default)]
    pub sender: Sender,
    /// Whether people of both sides may talk to each other in private, through the bot. People in Teams add the app for
    /// themselves for it.
    #[serde(default = "yes")]
    pub direct: bool,
    /// People who let the app act in their name, by their Matrix user id: what they write into channels is posted as
    /// themselves, and what they write in Teams is theirs on Matrix.
    #[serde(default)]
    pub people: BTreeMap<String, Personal>,
    /// What becomes of files for Teams.
    #[serde(default)]
    pub files: Files,
    /// The largest file taken from or given to Teams, in bytes.
    #[serde(default = "default_file_limit")]
    pub file_limit: u64,
    /// How often Microsoft may be called.
    #[serde(default)]
    pub limits: Limits,
}

/// How it is shown who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sender {
    /// By the name in front of the text, which is found by Teams' search and can be quoted.
    #[default]
    Text,
    /// By a card with the name and, where the hub publishes files, the picture.
    Card,
}

/// What lets the app act in a person's name: a refresh token for it, as the login gives it (`offline_access`). It is
/// exchanged for newer ones, which are kept sealed with this one.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Personal {
    /// The refresh token. Better in a file or in the environment.
    #[serde(default)]
    pub refresh_token: Option<Secret>,
    /// A file that holds the refresh token.
    #[serde(default)]
    pub refresh_token_file: Option<PathBuf>,
    /// An environment variable that holds the refresh token.
    #[serde(default)]
    pub refresh_token_env: Option<String>,
}

/// What becomes of files for Teams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Files {
    /// They are uploaded into the channel's folder, which needs the permission for it.
    #[default]
    Upload,
    /// They are linked to, where the hub publishes files.
    Link,
}

/// How often Microsoft may be called. The defaults are the published limits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Messages a second in one conversation.
    pub per_second: u32,
    /// Messages in thirty seconds in one conversation.
    pub per_half_minute: u32,
    /// Messages an hour in one conversation.
    pub per_hour: u32,
    /// Calls a second in the whole tenant.
    pub tenant_per_second: u32,
    /// Calls of Graph a second for one team or channel.
    pub graph_per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_second: 4,
            per_half_minute: 60,
            per_hour: 1800,
            tenant_per_second: 30,
            graph_per_second: 4,
        }
    }
}

/// The longest refresh token, in bytes.
const REFRESH: usize = 8 * 1024;

fn default_path() -> String {
    "/api/messages".to_owned()
}

fn default_sweep() -> u64 {
    300
}

fn default_subscription() -> u64 {
    240
}

fn default_thread_days() -> u64 {
    7
}

fn default_file_limit() -> u64 {
    100 * 1024 * 1024
}

fn yes() -> bool {
    true
}

/// How the app shows who it is.
#[derive(Debug, Clone)]
pub enum Credential {
    /// By a secret.
    Secret(Secret),
    /// By a certificate and its key, in PEM.
    Certificate(Secret),
}

impl Section {
    /// Reads how the app shows who it is.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if there is none, or it cannot be read.
    pub fn credential(&self) -> Result<Credential, SecretError> {
        if let Some(file) = &self.certificate_file {
            let pem = secret::required("certificate", None, Some(file), None)?;
            return Ok(Credential::Certificate(pem));
        }
        let (file, variable) = (self.secret_file.as_deref(), self.secret_env.as_ref());
        let secret = secret::required("secret", self.secret.as_ref(), file, variable)?;
        secret::one_line("secret", secret, 1024).map(Credential::Secret)
    }

    /// Reads the refresh tokens of people, by their Matrix user ids.
    ///
    /// # Errors
    ///
    /// [`SecretError`] if one is missing or cannot be read.
    pub fn logins(&self) -> Result<BTreeMap<String, Secret>, SecretError> {
        let mut out = BTreeMap::new();
        for (user, personal) in &self.people {
            let key = format!("people.{user}.refresh_token");
            let (file, variable) = (
                personal.refresh_token_file.as_deref(),
                personal.refresh_token_env.as_ref(),
            );
            let token = secret::required(&key, personal.refresh_token.as_ref(), file, variable)?;
            out.insert(user.clone(), secret::one_line(&key, token, REFRESH)?);
        }
        Ok(out)
    }

    /// Checks what the schema cannot say; each complaint with the path of the key it is about.
    pub fn check(&self) -> Vec<(String, String)> {
        let mut complaints = Vec::new();
        let mut complain = |path: &str, text: &str| complaints.push((path.to_owned(), text.to_owned()));
        for (key, value) in [("app_id", &self.app_id), ("tenant", &self.tenant)] {
            if !is_guid(value) {
                complain(key, "it is an id such as 11111111-2222-3333-4444-555555555555");
            }
        }
        let ways = [
            self.secret.is_some(),
            self.secret_file.is_some(),
            self.secret_env.is_some(),
            self.certificate_file.is_some(),
        ];
        if ways.iter().filter(|given| **given).count() != 1 {
            complain(
                "secret_file",
                "give exactly one of secret, secret_file, secret_env and certificate_file",
            );
        }
        if let Err(key) = self.addresses() {
            complain(key, "it is an address that begins with https://");
        }
        let own = &self.addresses;
        for (key, hosts) in [
            ("addresses.service_hosts", &own.service_hosts),
            ("addresses.storage_hosts", &own.storage_hosts),
        ] {
            if hosts.iter().any(|host| !is_host_pattern(host)) {
                complain(key, "a host such as smba.example.org or *.example.org");
            }
        }
        if own.notifier.as_deref().is_some_and(|id| !is_guid(id)) {
            complain(
                "addresses.notifier",
                "it is an id such as 11111111-2222-3333-4444-555555555555",
            );
        }
        for user in self.people.keys() {
            if !user.starts_with('@') || !user.contains(':') {
                complain("people", "the keys are Matrix user ids such as @anna:example.org");
            }
        }
        if !self.path.starts_with('/') || self.path.contains(['{', '}', '*', '?', '#']) {
            complain("path", "it is a path that begins with / and has no special characters");
        }
        if let Some(url) = &self.public_url
            && address(url, false).is_none()
        {
            complain("public_url", "it is an address that begins with https://");
        }
        if let Some(proxy) = &self.proxy
            && !Url::parse(proxy.reveal()).is_ok_and(|url| url.scheme() == "http" && url.has_host())
        {
            complain("proxy", "it is an address such as http://proxy.example.org:3128");
        }
        if self.sweep_seconds == 0 {
            complain("sweep_seconds", "it is at least 1");
        }
        if !(10..=4320).contains(&self.subscription_minutes) {
            complain("subscription_minutes", "Microsoft allows 10 to 4320");
        }
        let limits = &self.limits;
        let rates = [
            limits.per_second,
            limits.per_half_minute,
            limits.per_hour,
            limits.tenant_per_second,
            limits.graph_per_second,
        ];
        if rates.contains(&0) {
            complain("limits", "every limit is more than zero");
        }
        complaints
    }
}

/// Whether a text is an id as Entra writes them.
pub(crate) fn is_guid(text: &str) -> bool {
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12])
        && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

fn is_host_pattern(text: &str) -> bool {
    let host = text.strip_prefix("*.").unwrap_or(text);
    !host.is_empty()
        && host
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(more: &serde_json::Value) -> Section {
        let mut json = serde_json::json!({
            "app_id": "11111111-2222-3333-4444-555555555555",
            "tenant": "aaaaaaaa-2222-3333-4444-555555555555",
            "listen": "127.0.0.1:0",
        });
        for (key, value) in more.as_object().unwrap() {
            json[key] = value.clone();
        }
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn an_id_a_tenant_a_secret_and_an_address_are_enough() {
        let section = section(&serde_json::json!({"secret": "x"}));
        assert_eq!(section.check(), []);
        let Credential::Secret(secret) = section.credential().unwrap() else {
            panic!()
        };
        assert_eq!(secret.reveal(), "x");
        assert!(!format!("{:?}", section.credential().unwrap()).contains('x'));
        assert_eq!(
            section.addresses().unwrap().graph.as_str(),
            "https://graph.microsoft.com/"
        );
    }

    #[test]
    fn clouds_have_their_own_addresses_and_any_can_be_replaced() {
        let section = section(&serde_json::json!({
            "secret": "x", "cloud": "gcc_high", "addresses": {"graph": "http://127.0.0.1:9/g"},
        }));
        let addresses = section.addresses().unwrap();
        assert_eq!(addresses.issuer, "https://api.botframework.us");
        assert_eq!(addresses.graph.as_str(), "http://127.0.0.1:9/g/");
        assert_eq!(addresses.service_hosts, ["smba.infra.gov.teams.microsoft.us"]);
        let tenant = section.tenant.clone();
        let issuer = format!("https://login.microsoftonline.us/{tenant}/v2.0");
        assert_eq!(section.notification_issuers(), [issuer]);
        let section = self::section(&serde_json::json!({"secret": "x", "addresses": {
            "notification_issuer": "https://login.example.org/", "notifier": "11111111-2222-3333-4444-555555555555",
            "storage_hosts": ["*.example.org"],
        }}));
        let issuer = format!("https://login.example.org/{tenant}/v2.0");
        assert_eq!(
            (section.check(), section.notification_issuers()),
            (Vec::new(), vec![issuer])
        );
        let addresses = section.addresses().unwrap();
        assert_eq!(addresses.notifier, "11111111-2222-3333-4444-555555555555");
        assert_eq!(addresses.storage_hosts, ["*.example.org"]);
    }

    #[test]
    fn refresh_tokens_are_read_and_never_shown() {
        let section = section(&serde_json::json!({
            "secret": "x", "people": {"@anna:example.org": {"refresh_token": "wonderland"}},
        }));
        assert_eq!(section.check(), []);
        let logins = section.logins().unwrap();
        assert_eq!(logins["@anna:example.org"].reveal(), "wonderland");
        assert!(!format!("{logins:?}").contains("wonderland"));
    }

    #[test]
    fn mistakes_are_named() {
        let section = section(&serde_json::json!({
            "app_id": "x", "secret": "a", "secret_env": "B",
            "addresses": {"login": "http://example.org", "storage_hosts": ["a b"], "notifier": "x"},
            "path": "messages", "public_url": "http://x", "sweep_seconds": 0, "limits": {"per_hour": 0},
            "people": {"anna": {"refresh_token_env": "A"}},
        }));
        let paths: Vec<String> = section.check().into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            [
                "app_id",
                "secret_file",
                "addresses.login",
                "addresses.storage_hosts",
                "addresses.notifier",
                "people",
                "path",
                "public_url",
                "sweep_seconds",
                "limits"
            ]
        );
    }
}
