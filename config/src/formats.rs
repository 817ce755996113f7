//! What a text must look like: the `format`s that the schema names.

use std::net::SocketAddr;

use url::Url;
use viaduct_governance::{Day, Region};
use viaduct_model::link::is_here;
use viaduct_model::{ChannelId, MirrorName};

/// What is wrong with a text and what to do, if something is. Formats that are not known here are not checked.
pub(crate) fn complaint(format: &str, text: &str) -> Option<(String, String)> {
    let told = |what: &str, fix: &str| Some((what.to_owned(), fix.to_owned()));
    match format {
        "private-url" => match Url::parse(text) {
            Ok(url) if url.scheme() == "http" && !url.host_str().is_some_and(is_here) => told(
                "what is sent there could be read on the way",
                "write https://host; http:// is for this machine only",
            ),
            _ => complaint("http-url", text),
        },
        "http-url" => match Url::parse(text) {
            Ok(url) if !matches!(url.scheme(), "http" | "https") => told(
                "this is not the address of a web server",
                "write https://host or http://host:port",
            ),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => told(
                "a password does not belong into an address",
                "remove what stands before the @",
            ),
            Ok(_) => None,
            Err(error) => Some((
                format!("this is not an address: {error}"),
                "write https://host or http://host:port".into(),
            )),
        },
        "socket-address" if text.parse::<SocketAddr>().is_err() => told(
            "this is not an address and port",
            "write an IP address and a port, such as 127.0.0.1:29320 or [::1]:29320",
        ),
        "server-name" if !is_server_name(text) => told(
            "this is not a server name",
            "write what stands after the colon in user ids, such as example.org",
        ),
        "localpart" if !is_localpart(text) => told(
            "this cannot be part of a user id",
            "use lower-case letters, digits and . _ -",
        ),
        "ghost-name" => ghost_name(text),
        "matrix-user" if !is_sigiled(text, '@') => {
            told("this is not a Matrix user", "write \"@name:example.org\", in quotes")
        }
        "room-alias" if !is_sigiled(text, '#') => {
            told("this is not a room alias", "write \"#name:example.org\", in quotes")
        }
        // The room ids of room version 12 have no server part.
        "room" if !(is_sigiled(text, '#') || text.starts_with('!') && text.len() > 1) => told(
            "this is neither a room id nor an alias",
            "write \"!id:example.org\" or \"#name:example.org\", in quotes",
        ),
        "name" => MirrorName::new(text).err().map(|error| {
            (
                format!("this cannot be a name: {error}"),
                "use lower-case letters, digits and -, starting with a letter".into(),
            )
        }),
        "channel" => ChannelId::new(text).err().map(|error| {
            (
                format!("this cannot be a channel: {error}"),
                "write the channel as its network does".into(),
            )
        }),
        "day" if Day::parse(text).is_err() => told("this is not a day", "write it as 2026-12-31"),
        "region" if Region::parse(text).is_err() => told(
            "this is not a region",
            "write eea, or a country's two letters such as us",
        ),
        "sha256" if text.len() != 64 || !text.chars().all(|c| c.is_ascii_hexdigit()) => told(
            "this is not a SHA-256",
            "write the 64 hexadecimal digits that `sha256sum` prints",
        ),
        _ => None,
    }
}

fn is_server_name(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_host = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.'))
        }
    };
    is_host && text.len() <= 255 && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_localpart(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 64
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '-'))
}

fn is_sigiled(text: &str, sigil: char) -> bool {
    text.len() <= 255
        && text
            .strip_prefix(sigil)
            .and_then(|rest| rest.split_once(':'))
            .is_some_and(|(local, server)| !local.is_empty() && is_server_name(server))
}

fn ghost_name(text: &str) -> Option<(String, String)> {
    if !text.contains("{name}") {
        return Some((
            "ghosts would all be called the same".to_owned(),
            "put {name} into it".to_owned(),
        ));
    }
    let known = ["{name}", "{network}", "{id}", "{organisation}"];
    let rest = known
        .iter()
        .fold(text.to_owned(), |rest, placeholder| rest.replace(placeholder, ""));
    rest.contains(['{', '}']).then(|| {
        (
            "this has a placeholder that is not known".to_owned(),
            "known are {name}, {network}, {id}, {organisation}".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn formats_tell_right_from_wrong() {
        for (format, good, bad) in [
            ("http-url", "http://127.0.0.1:8008", "matrix.example.org"),
            ("http-url", "https://matrix.example.org", "ftp://example.org"),
            ("http-url", "https://[::1]/", "https://me:secret@example.org"),
            (
                "private-url",
                "https://login.example.org/realms/staff",
                "http://login.example.org",
            ),
            ("private-url", "http://127.0.0.1:1", "login.example.org"),
            ("socket-address", "[::1]:80", "localhost:80"),
            ("server-name", "example.org:8448", "https://example.org"),
            ("server-name", "[::1]:8448", "example.org:99999"),
            ("localpart", "_via_", "Via"),
            ("ghost-name", "{name} ({network})", "{network}"),
            ("ghost-name", "{name}", "{name} {colour}"),
            ("matrix-user", "@a:example.org", "a@example.org"),
            ("room-alias", "#a:example.org", "#a"),
            ("room", "!x", "a:b"),
            ("name", "acme-irc", "acme_irc"),
            ("channel", "#x", ""),
            ("day", "2028-02-29", "2027-02-29"),
            ("day", "2026-12-31", "2026-12-31T00:00:00Z"),
            ("day", "2026-12-31", "20261231"),
            ("region", "EEA", "europe"),
            ("sha256", &"0a".repeat(32), "0a"),
        ] {
            assert_eq!(complaint(format, good), None, "{format} {good}");
            assert!(complaint(format, bad).is_some(), "{format} {bad}");
        }
        assert_eq!(complaint("unheard-of", "x"), None);
    }
}
