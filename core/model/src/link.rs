//! Links that are not encrypted: the one rule about them, for every part of a configuration that names a host.
//!
//! Whatever leaves this machine is encrypted, unless the operator says in the configuration itself why a link need not be.

use std::net::IpAddr;

/// The shortest reason, in characters: long enough to say what protects the link instead.
pub const REASON: usize = 10;

/// Whether a host is this machine itself: a loopback address, or `localhost`. IPv6 addresses may stand in brackets.
pub fn is_here(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => bare.eq_ignore_ascii_case("localhost"),
    }
}

/// What is wrong with a link to this host that is not encrypted; none if it stays within this machine, or if the operator gives
/// a reason of at least [`REASON`] characters.
///
/// ```
/// use viaduct_model::link::plaintext;
///
/// assert_eq!(plaintext("127.0.0.1", None), None);
/// assert!(plaintext("irc.partner.example", None).is_some());
/// assert_eq!(plaintext("irc.partner.example", Some("VPN to the partner, ticket 17")), None);
/// ```
pub fn plaintext(host: &str, reason: Option<&str>) -> Option<String> {
    let long_enough = |reason: &str| reason.trim().chars().count() >= REASON;
    if is_here(host) || reason.is_some_and(long_enough) {
        return None;
    }
    Some(format!(
        "everybody on the way to {host} could read and change what is sent there: encrypt the link, or say under `plaintext` what \
         else protects it, such as \"VPN to the partner, ticket 17\""
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_here() {
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.8.8.8",
            "::1",
            "[::1]",
            "::ffff:127.0.0.1",
        ] {
            assert!(is_here(host), "{host}");
        }
        for host in [
            "",
            "localhost.example.org",
            "127.0.0.1.example.org",
            "10.0.0.1",
            "0.0.0.0",
            "::",
            "[::2]",
            "127.1",
        ] {
            assert!(!is_here(host), "{host}");
        }
    }

    #[test]
    fn a_reason_says_something() {
        assert!(plaintext("10.0.0.1", Some("  because  ")).is_some());
        assert_eq!(plaintext("10.0.0.1", Some("WireGuard to the partner")), None);
    }
}
