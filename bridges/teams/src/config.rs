//! The configuration section of a Microsoft Teams tenant.

use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use viaduct_bridge::secret::{self, Secret, SecretError};

/// One tenant of Microsoft Teams, reached by an app of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// The application (client) id of the partner's Entra app, which is also the bot's.
    pub app_id: String,
    /// The partner's tenant id. Tokens and activities of other tenants are refused.
    pub tenant: String,
    /// The app's client secret. Better in a file or in the environment.
    #[serde(default)]
    pub secret: Option<String>,
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
    pub proxy: Option<String>,
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
    /// How many days a thread is watched for replies that were missed during an absence.
    #[serde(default = "default_thread_days")]
    pub thread_days: u64,
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

/// One of Microsoft's clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// The worldwide one.
    #[default]
    Public,
    /// The United States' government's (GCC).
    Gcc,
    /// The United States' government's (GCC High).
    GccHigh,
    /// China's, operated by 21Vianet.
    China,
}

/// Addresses that differ from those of the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Overrides {
    /// Where the app gets its tokens, such as `https://login.microsoftonline.com/`.
    pub login: Option<String>,
    /// Where the keys of inbound tokens are described (the metadata of `OpenID`).
    pub openid: Option<String>,
    /// Who issues inbound tokens.
    pub issuer: Option<String>,
    /// What tokens for the connector are asked for.
    pub scope: Option<String>,
    /// Where the connector is when no activity has told yet.
    pub connector: Option<String>,
    /// Where Graph is.
    pub graph: Option<String>,
    /// The hosts that may be given the bot's token; `*.example.org` stands for every host below. Replaces the cloud's.
    pub service_hosts: Vec<String>,
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

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// Where tokens come from, ending in a slash.
    pub login: Url,
    /// The metadata of `OpenID`.
    pub openid: Url,
    /// The issuer of inbound tokens.
    pub issuer: String,
    /// The scope of tokens for the connector.
    pub scope: String,
    /// The connector when no activity has told yet, ending in a slash.
    pub connector: Url,
    /// Graph, ending in a slash.
    pub graph: Url,
    /// Hosts that may be given the bot's token.
    pub service_hosts: Vec<String>,
}

struct Preset {
    login: &'static str,
    openid: &'static str,
    issuer: &'static str,
    scope: &'static str,
    connector: &'static str,
    graph: &'static str,
    hosts: &'static [&'static str],
}

const PUBLIC: Preset = Preset {
    login: "https://login.microsoftonline.com/",
    openid: "https://login.botframework.com/v1/.well-known/openidconfiguration",
    issuer: "https://api.botframework.com",
    scope: "https://api.botframework.com/.default",
    connector: "https://smba.trafficmanager.net/teams/",
    graph: "https://graph.microsoft.com/",
    hosts: &["smba.trafficmanager.net"],
};

fn preset(cloud: Cloud) -> Preset {
    match cloud {
        Cloud::Public => PUBLIC,
        Cloud::Gcc => Preset {
            connector: "https://smba.infra.gcc.teams.microsoft.com/teams/",
            hosts: &["smba.infra.gcc.teams.microsoft.com"],
            ..PUBLIC
        },
        Cloud::GccHigh => Preset {
            login: "https://login.microsoftonline.us/",
            openid: "https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
            issuer: "https://api.botframework.us",
            scope: "https://api.botframework.us/.default",
            connector: "https://smba.infra.gov.teams.microsoft.us/teams/",
            graph: "https://graph.microsoft.us/",
            hosts: &["smba.infra.gov.teams.microsoft.us"],
        },
        Cloud::China => Preset {
            login: "https://login.partner.microsoftonline.cn/",
            openid: "https://login.botframework.azure.cn/v1/.well-known/openidconfiguration",
            issuer: "https://api.botframework.azure.cn",
            scope: "https://api.botframework.azure.cn/.default",
            connector: "https://frontend.botapi.msg.infra.teams.microsoftonline.cn/teams/",
            graph: "https://microsoftgraph.chinacloudapi.cn/",
            hosts: &["frontend.botapi.msg.infra.teams.microsoftonline.cn"],
        },
    }
}

/// Whether tokens may be sent there at all: encrypted, or within this machine.
pub(crate) fn is_private(url: &Url) -> bool {
    let local = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    url.has_host() && (url.scheme() == "https" || (url.scheme() == "http" && local))
}

fn address(text: &str, slash: bool) -> Option<Url> {
    let mut text = text.to_owned();
    if slash && !text.ends_with('/') {
        text.push('/');
    }
    Url::parse(&text).ok().filter(is_private)
}

impl Section {
    /// Where everything is.
    ///
    /// # Errors
    ///
    /// The key of the address that is none.
    pub fn addresses(&self) -> Result<Addresses, &'static str> {
        let preset = preset(self.cloud);
        let own = &self.addresses;
        let pick = |own: &Option<String>, preset: &str| own.clone().unwrap_or_else(|| preset.to_owned());
        let url = |key, own: &Option<String>, preset: &str, slash| address(&pick(own, preset), slash).ok_or(key);
        let mut service_hosts = own.service_hosts.clone();
        if service_hosts.is_empty() {
            service_hosts = preset.hosts.iter().map(|host| (*host).to_owned()).collect();
        }
        Ok(Addresses {
            login: url("addresses.login", &own.login, preset.login, true)?,
            openid: url("addresses.openid", &own.openid, preset.openid, false)?,
            issuer: pick(&own.issuer, preset.issuer),
            scope: pick(&own.scope, preset.scope),
            connector: url("addresses.connector", &own.connector, preset.connector, true)?,
            graph: url("addresses.graph", &own.graph, preset.graph, true)?,
            service_hosts,
        })
    }

    /// Who may have issued the tokens that come with Graph's notifications.
    pub fn notification_issuers(&self) -> Vec<String> {
        let mut out = vec![format!("{}{}/v2.0", preset(self.cloud).login, self.tenant)];
        if matches!(self.cloud, Cloud::Public | Cloud::Gcc) {
            out.push(format!("https://sts.windows.net/{}/", self.tenant));
        }
        out
    }

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
        if self.addresses.service_hosts.iter().any(|host| !is_host_pattern(host)) {
            complain(
                "addresses.service_hosts",
                "a host such as smba.example.org or *.example.org",
            );
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
            && !Url::parse(proxy).is_ok_and(|url| url.scheme() == "http" && url.has_host())
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
    let groups: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
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
    }

    #[test]
    fn mistakes_are_named() {
        let section = section(&serde_json::json!({
            "app_id": "x", "secret": "a", "secret_env": "B", "addresses": {"login": "http://example.org"},
            "path": "messages", "public_url": "http://x", "sweep_seconds": 0, "limits": {"per_hour": 0},
        }));
        let paths: Vec<String> = section.check().into_iter().map(|(path, _)| path).collect();
        assert_eq!(
            paths,
            [
                "app_id",
                "secret_file",
                "addresses.login",
                "path",
                "public_url",
                "sweep_seconds",
                "limits"
            ]
        );
    }
}
