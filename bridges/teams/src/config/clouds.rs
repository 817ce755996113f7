//! Where Microsoft is: its clouds and the addresses in each, every one of which an operator can replace.
//!
//! They are compared with what Microsoft publishes: its Teams libraries (`CloudEnvironment`) for login, keys, issuer, scope, Graph
//! and the hosts of connectors, and "Proactive messages" for where a connector is before an activity has told. Two things are
//! published nowhere we found: where China's connector is before an activity has told (the host is, its path is the others'), and
//! whether Graph's notifications come from the same app in the national clouds. `addresses` replaces each of them.

use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;
use viaduct_token::is_private;

use super::Section;

/// One of Microsoft's clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cloud {
    /// The worldwide one.
    #[default]
    Public,
    /// The worldwide one's part for the United States' authorities (GCC).
    Gcc,
    /// The United States' government's (GCC High).
    GccHigh,
    /// The United States' Department of Defense's.
    Dod,
    /// China's, operated by 21Vianet. Where its connector is before an activity has come from there is not published: set
    /// `addresses.connector` if the bot is to write first.
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
    /// Who issues the tokens that come with Graph's notifications, without the tenant: `https://login.microsoftonline.com/`.
    pub notification_issuer: Option<String>,
    /// The id of Microsoft's app that sends Graph's notifications.
    pub notifier: Option<String>,
    /// The hosts that may be given the bot's token; `*.example.org` stands for every host below. Replaces the cloud's.
    pub service_hosts: Vec<String>,
    /// The hosts where Microsoft keeps files, which are fetched from and sent to without a token. Replaces the usual ones.
    pub storage_hosts: Vec<String>,
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
    /// The app that sends Graph's notifications.
    pub notifier: String,
    /// Hosts that may be given the bot's token.
    pub service_hosts: Vec<String>,
    /// Hosts where files are, without any token.
    pub storage_hosts: Vec<String>,
}

/// Where Microsoft keeps files: `SharePoint` and `OneDrive`.
const STORAGE: [&str; 8] = [
    "*.sharepoint.com",
    "*.sharepoint.us",
    "*.sharepoint-mil.us",
    "*.dps.mil",
    "*.sharepoint.cn",
    "*.svc.ms",
    "*.onedrive.com",
    "*.microsoftpersonalcontent.com",
];

/// The app of Microsoft's that sends Graph's notifications.
const NOTIFIER: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";

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
    hosts: &["smba.trafficmanager.net", "smba.onyx.prod.teams.trafficmanager.net"],
};

const GCC_HIGH: Preset = Preset {
    login: "https://login.microsoftonline.us/",
    openid: "https://login.botframework.azure.us/v1/.well-known/openidconfiguration",
    issuer: "https://api.botframework.us",
    scope: "https://api.botframework.us/.default",
    connector: "https://smba.infra.gov.teams.microsoft.us/teams/",
    graph: "https://graph.microsoft.us/",
    hosts: &["smba.infra.gov.teams.microsoft.us"],
};

fn preset(cloud: Cloud) -> Preset {
    match cloud {
        Cloud::Public => PUBLIC,
        Cloud::Gcc => Preset {
            connector: "https://smba.infra.gcc.teams.microsoft.com/teams/",
            hosts: &["smba.infra.gcc.teams.microsoft.com"],
            ..PUBLIC
        },
        Cloud::GccHigh => GCC_HIGH,
        Cloud::Dod => Preset {
            connector: "https://smba.infra.dod.teams.microsoft.us/teams/",
            graph: "https://dod-graph.microsoft.us/",
            hosts: &["smba.infra.dod.teams.microsoft.us"],
            ..GCC_HIGH
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

pub(super) fn address(text: &str, slash: bool) -> Option<Url> {
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
        let hosts = |own: &[String], preset: &[&str]| {
            if own.is_empty() {
                preset.iter().map(|host| (*host).to_owned()).collect()
            } else {
                own.to_vec()
            }
        };
        Ok(Addresses {
            login: url("addresses.login", &own.login, preset.login, true)?,
            openid: url("addresses.openid", &own.openid, preset.openid, false)?,
            issuer: pick(&own.issuer, preset.issuer),
            scope: pick(&own.scope, preset.scope),
            connector: url("addresses.connector", &own.connector, preset.connector, true)?,
            graph: url("addresses.graph", &own.graph, preset.graph, true)?,
            notifier: pick(&own.notifier, NOTIFIER),
            service_hosts: hosts(&own.service_hosts, preset.hosts),
            storage_hosts: hosts(&own.storage_hosts, &STORAGE),
        })
    }

    /// Who may have issued the tokens that come with Graph's notifications.
    pub fn notification_issuers(&self) -> Vec<String> {
        let own = self.addresses.notification_issuer.as_deref();
        let issuer = own.unwrap_or(preset(self.cloud).login).trim_end_matches('/');
        let mut out = vec![format!("{issuer}/{}/v2.0", self.tenant)];
        if own.is_none() && matches!(self.cloud, Cloud::Public | Cloud::Gcc) {
            out.push(format!("https://sts.windows.net/{}/", self.tenant));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clouds_addresses_are_encrypted_and_its_connector_is_one_of_its_hosts() {
        let mut graphs = Vec::new();
        for cloud in [Cloud::Public, Cloud::Gcc, Cloud::GccHigh, Cloud::Dod, Cloud::China] {
            let preset = preset(cloud);
            for text in [
                preset.login,
                preset.openid,
                preset.issuer,
                preset.scope,
                preset.connector,
                preset.graph,
            ] {
                assert!(
                    text.starts_with("https://") && address(text, false).is_some(),
                    "{cloud:?}: {text}"
                );
            }
            let connector = address(preset.connector, true).unwrap();
            assert!(preset.hosts.contains(&connector.host_str().unwrap()), "{cloud:?}");
            graphs.push(preset.graph);
        }
        graphs.dedup();
        assert_eq!(
            graphs.len(),
            4,
            "GCC has the worldwide Graph, every other cloud its own"
        );
    }
}
