//! Which hosts may be given a token.

use std::sync::{Arc, Mutex, PoisonError};

use url::Url;
use viaduct_token::is_private;

use crate::config::Addresses;

/// The hosts of one tenant's cloud.
#[derive(Debug, Clone)]
pub struct Hosts {
    service: Vec<String>,
    storage: Vec<String>,
    graph: Url,
    /// The connector that was named last, as it was written: nearly every activity names the same.
    last: Arc<Mutex<Option<(String, Url)>>>,
}

impl Hosts {
    /// The hosts that go with these addresses.
    pub fn new(addresses: &Addresses) -> Self {
        Self {
            service: addresses.service_hosts.clone(),
            storage: addresses.storage_hosts.clone(),
            graph: addresses.graph.clone(),
            last: Arc::default(),
        }
    }

    /// The address of a connector, ending in a slash, if the bot's token may be sent there.
    pub fn service(&self, text: &str) -> Option<Url> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, url)) = &*last
            && known == text
        {
            return Some(url.clone());
        }
        let mut address = text.trim().to_owned();
        if !address.ends_with('/') {
            address.push('/');
        }
        let url = Url::parse(&address).ok().filter(|url| self.is_service(url))?;
        *last = Some((text.to_owned(), url.clone()));
        Some(url)
    }

    /// Whether the bot's token may be sent there.
    pub fn is_service(&self, url: &Url) -> bool {
        // A host of our own machine, as in tests, is on any port.
        let port = url.port().is_none() || url.scheme() == "http";
        let host = url.host_str().unwrap_or_default();
        is_private(url) && port && is_plain(url) && self.service.iter().any(|known| matches_host(known, host))
    }

    /// Whether a token for Graph may be sent there.
    pub fn is_graph(&self, url: &Url) -> bool {
        url.scheme() == self.graph.scheme()
            && url.host() == self.graph.host()
            && url.port_or_known_default() == self.graph.port_or_known_default()
            && url.path().starts_with(self.graph.path())
            && is_plain(url)
    }

    /// Whether a file may be fetched from there without any token: where Microsoft keeps the files of teams.
    pub fn is_storage(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        let known = url.scheme() == "https"
            && url.port().is_none()
            && self.storage.iter().any(|known| matches_host(known, host));
        is_plain(url) && (known || self.is_graph(url) || self.is_service(url))
    }
}

fn is_plain(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none()
}

fn matches_host(known: &str, host: &str) -> bool {
    match known.strip_prefix("*.") {
        Some(parent) => host
            .strip_suffix(parent)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => host.eq_ignore_ascii_case(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Section;

    fn hosts(addresses: &serde_json::Value) -> Hosts {
        let section: Section = serde_json::from_value(serde_json::json!({
            "app_id": "a", "tenant": "b", "listen": "127.0.0.1:1", "secret": "x", "addresses": addresses,
        }))
        .unwrap();
        Hosts::new(&section.addresses().unwrap())
    }

    #[test]
    fn tokens_go_to_microsoft_only() {
        let hosts = hosts(&serde_json::json!({}));
        for (address, allowed) in [
            ("https://smba.trafficmanager.net/emea/x/", true),
            ("https://smba.trafficmanager.net/teams", true),
            ("http://smba.trafficmanager.net/", false),
            ("https://smba.trafficmanager.net:8443/", false),
            ("https://smba.trafficmanager.net.evil.example/", false),
            ("https://smba.trafficmanager.net@evil.example/", false),
            ("https://x:y@smba.trafficmanager.net/", false),
            ("https://evil.example/smba.trafficmanager.net", false),
            ("https://127.0.0.1/", false),
            ("file:///etc/passwd", false),
            ("", false),
        ] {
            assert_eq!(hosts.service(address).is_some(), allowed, "{address}");
        }
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(hosts.is_graph(&url("https://graph.microsoft.com/v1.0/x")));
        assert!(!hosts.is_graph(&url("https://graph.microsoft.com:444/v1.0/x")));
        assert!(!hosts.is_graph(&url("https://graph.microsoft.com.evil.example/")));
        assert!(hosts.is_storage(&url("https://partner.sharepoint.com/sites/x")));
        assert!(!hosts.is_storage(&url("https://sharepoint.com.evil.example/")));
        assert!(!hosts.is_storage(&url("https://169.254.169.254/latest")));
    }
}
