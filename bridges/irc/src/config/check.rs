//! What a schema cannot say about a section.

use super::{Mechanism, Pacing, Section};
use crate::convert::nick;

/// Complaints, each with the key it is about.
pub fn check(section: &Section) -> Vec<(String, String)> {
    let mut out = Vec::new();
    let mut complain = |key: &str, text: String| out.push((key.to_owned(), text));
    if section.server.host.trim().is_empty() {
        complain("server.host", "it is empty; give the server's host name".to_owned());
    } else if !section.tls.enabled
        && let Some(what) = viaduct_model::link::plaintext(&section.server.host, section.plaintext.as_deref())
    {
        complain("tls.enabled", what);
    }
    if !nick::is_sendable(&section.nick) {
        complain(
            "nick",
            format!(
                "{:?} is not a nick; use letters, digits and -_[]{{}}\\|^`",
                section.nick
            ),
        );
    }
    if encoding_rs::Encoding::for_label(section.encoding.as_bytes()).is_none() {
        complain(
            "encoding",
            format!("{:?} is not a known encoding; try windows-1252", section.encoding),
        );
    }
    if section.tls.client_cert_file.is_some() != section.tls.client_key_file.is_some() {
        complain(
            "tls.client_cert_file",
            "a client certificate needs both client_cert_file and client_key_file".to_owned(),
        );
    }
    if let Pacing::Paced(rate) = section.pacing
        && (!rate.rate.is_finite() || rate.rate <= 0.0 || rate.burst == 0)
    {
        complain(
            "pacing",
            "burst and rate must be above zero; write `pacing: off` for none".to_owned(),
        );
    }
    if section.puppets.enabled
        && !["{name}", "{localpart}"]
            .iter()
            .any(|key| section.puppets.nick.contains(key))
    {
        complain(
            "puppets.nick",
            "without {name} or {localpart} all puppets would have one nick".to_owned(),
        );
    }
    if !["{nick}", "{realname}", "{account}"]
        .iter()
        .any(|key| section.display.contains(key))
    {
        complain(
            "display",
            "without {nick}, {realname} or {account} everybody would have one name".to_owned(),
        );
    }
    if section.line_limit == 0 {
        complain("line_limit", "it must be at least 1".to_owned());
    }
    if let Some(ident) = &section.ident
        && ident.listen.parse::<std::net::SocketAddr>().is_err()
    {
        complain(
            "ident.listen",
            format!("{:?} is not an address with a port, such as 0.0.0.0:113", ident.listen),
        );
    }
    if let Some(sasl) = &section.sasl {
        match sasl.mechanism {
            Mechanism::Plain if sasl.account.is_empty() => complain("sasl.account", "it is missing".to_owned()),
            Mechanism::External if section.tls.client_cert_file.is_none() => {
                complain(
                    "tls.client_cert_file",
                    "SASL EXTERNAL needs a client certificate".to_owned(),
                );
            }
            _ => {}
        }
    }
    if let Some(nickserv) = &section.nickserv {
        for (key, words) in [("refused", &nickserv.refused), ("accepted", &nickserv.accepted)] {
            if words.iter().any(|word| word.trim().chars().count() < 3) {
                complain(
                    &format!("nickserv.{key}"),
                    "a word of fewer than three letters would be found in nearly everything".to_owned(),
                );
            }
        }
    }
    for name in section.channels.keys() {
        if !is_channel(name) {
            complain(
                &format!("channels.{name}"),
                "a channel's name starts with # or & and has no blanks".to_owned(),
            );
        }
    }
    out.extend(secrets(section));
    out
}

/// Whether this can be a channel's name.
pub fn is_channel(name: &str) -> bool {
    name.len() > 1
        && name.len() <= 200
        && name.starts_with(['#', '&', '+', '!'])
        && !name.contains(|character: char| character.is_whitespace() || character.is_control() || character == ',')
}

fn secrets(section: &Section) -> Vec<(String, String)> {
    let sasl = section.sasl.as_ref().filter(|sasl| sasl.mechanism == Mechanism::Plain);
    [
        section.server_password().err(),
        sasl.and_then(|sasl| sasl.secret().err()),
        section.nickserv.as_ref().and_then(|nickserv| nickserv.secret().err()),
        section.webirc.as_ref().and_then(|webirc| webirc.secret().err()),
    ]
    .into_iter()
    .flatten()
    .chain(
        section
            .channels
            .iter()
            .filter_map(|(name, options)| options.secret(name).err()),
    )
    .map(|error| (error.key, error.reason))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_name_their_key() {
        let section: Section = serde_json::from_value(serde_json::json!({
            "server": {"host": ""},
            "nick": "a b",
            "encoding": "morse",
            "pacing": {"burst": 0},
            "sasl": {"mechanism": "external"},
            "nickserv": {"password": "x", "accepted": ["vous voilà"], "refused": [" "]},
            "puppets": {"nick": "all"},
            "display": "somebody",
            "channels": {"nohash": {}},
            "webirc": {"hostname": "x"},
        }))
        .unwrap();
        let keys: Vec<String> = check(&section).into_iter().map(|(key, _)| key).collect();
        assert_eq!(
            keys,
            [
                "server.host",
                "nick",
                "encoding",
                "pacing",
                "puppets.nick",
                "display",
                "tls.client_cert_file",
                "nickserv.refused",
                "channels.nohash",
                "webirc.password_file"
            ]
        );
    }

    #[test]
    fn the_smallest_section_is_enough_and_unknown_keys_are_not_taken() {
        let read = |value| serde_json::from_value::<Section>(value);
        let section =
            read(serde_json::json!({"server": {"host": "irc.example.org"}})).unwrap_or_else(|e| panic!("{e}"));
        assert!(check(&section).is_empty());
        assert_eq!(section.port(), 6697);
        assert!(read(serde_json::json!({"server": {"host": "a"}, "nik": "b"})).is_err());
        let off = read(serde_json::json!({"server": {"host": "a"}, "pacing": "off"})).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(off.pacing, Pacing::Off(super::super::Off::Off));
    }
}
