//! Which hosts are Slack's.

use url::Url;

/// Hosts that may be given a token.
const TOKEN: [&str; 3] = ["slack.com", "*.slack.com", "*.slack-files.com"];
/// Hosts from which pictures may be fetched, without a token.
const PICTURES: [&str; 3] = ["*.slack-edge.com", "secure.gravatar.com", "*.wp.com"];

/// The hosts of one network: Slack's own, and the host of another base address where one is configured.
#[derive(Debug, Clone)]
pub struct Hosts {
    base: Url,
}

impl Hosts {
    /// The hosts that go with this base address.
    pub fn new(base: Url) -> Self {
        Self { base }
    }

    /// Whether a token may be sent there: to Slack over TLS, or to where the base address leads.
    pub fn may_have_token(&self, url: &Url) -> bool {
        if self.is_base(url) {
            return true;
        }
        matches!(url.scheme(), "https" | "wss") && has_own_port(url) && is_one_of(url, &TOKEN)
    }

    /// Whether a picture may be fetched from there.
    pub fn may_have_picture(&self, url: &Url) -> bool {
        self.may_have_token(url) || (url.scheme() == "https" && has_own_port(url) && is_one_of(url, &PICTURES))
    }

    /// Whether it is the host of the base address, with the same encryption, or encrypted where the base is not.
    fn is_base(&self, url: &Url) -> bool {
        let encrypted = |url: &Url| matches!(url.scheme(), "https" | "wss");
        url.host() == self.base.host()
            && matches!(url.scheme(), "http" | "https" | "ws" | "wss")
            && (encrypted(url) || !encrypted(&self.base))
            && (self.is_loopback() || url.port_or_known_default() == self.base.port_or_known_default())
    }

    fn is_loopback(&self) -> bool {
        match self.base.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            _ => false,
        }
    }
}

fn has_own_port(url: &Url) -> bool {
    url.port().is_none()
}

fn is_one_of(url: &Url, known: &[&str]) -> bool {
    let Some(host) = url.host_str() else { return false };
    known.iter().any(|known| match known.strip_prefix("*.") {
        Some(parent) => host
            .strip_suffix(parent)
            .is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
        None => host == *known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn tokens_go_to_slack_only() {
        let hosts = Hosts::new(url("https://slack.com/api/"));
        for (address, allowed) in [
            ("https://slack.com/api/auth.test", true),
            ("https://files.slack.com/files-pri/T1-F1/a.png", true),
            ("wss://wss-primary.slack.com/link/?ticket=x", true),
            ("http://files.slack.com/a", false),
            ("https://slack.com.evil.example/", false),
            ("https://evilslack.com/", false),
            ("https://slack.com@evil.example/", false),
            ("https://slack.com:8443/", false),
            ("https://127.0.0.1/", false),
            ("https://avatars.slack-edge.com/a.png", false),
        ] {
            assert_eq!(hosts.may_have_token(&url(address)), allowed, "{address}");
        }
        assert!(hosts.may_have_picture(&url("https://avatars.slack-edge.com/a.png")));
        assert!(!hosts.may_have_picture(&url("https://example.org/a.png")));
    }

    #[test]
    fn another_base_is_trusted_alone() {
        let hosts = Hosts::new(url("https://slack.partner.example/api/"));
        assert!(hosts.may_have_token(&url("wss://slack.partner.example/link")));
        assert!(!hosts.may_have_token(&url("http://slack.partner.example/api/x")));
        assert!(!hosts.may_have_token(&url("https://slack.partner.example:444/api/x")));
        let local = Hosts::new(url("http://127.0.0.1:4300/api/"));
        assert!(local.may_have_token(&url("ws://127.0.0.1:4301/link")));
        assert!(!local.may_have_token(&url("http://10.0.0.1:4300/api/x")));
    }
}
