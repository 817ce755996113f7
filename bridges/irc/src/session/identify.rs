//! Logging in by a message to a service, for servers without SASL.
//!
//! The reader says who it is before it joins anything, and waits for the answer, for some channels are for accounts only.
//! Services have no common language: the server's own signs (a numeric, a standard reply, the mode `r`, an account) come first,
//! then the words that services use in English and German, and those of the configuration.

use std::time::Duration;

use irc_proto::Message as Line;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use viaduct_bridge::InboxClosed;

use super::Shared;
use super::incoming::Incoming;
use crate::client::Connection;
use crate::client::line::{Fields, message};
use crate::config::NickServ;

/// How long the service is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// After so long a service that was away is asked again.
pub(super) const AGAIN: Duration = Duration::from_mins(1);

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// We are logged in.
    Accepted,
    /// The password or the account is wrong; the service's words.
    Refused(String),
    /// There is nobody to ask now, or no answer; what is known.
    Silent(String),
    /// We were logged in, and are no longer.
    LoggedOut,
}

/// What services say to a wrong password or an unknown account.
const REFUSED: [&str; 17] = [
    "invalid password",
    "incorrect",
    "wrong password",
    "not registered",
    "isn't registered",
    "is not a registered",
    "authentication failed",
    "access denied",
    "is suspended",
    "has been frozen",
    "ungültiges passwort",
    "falsches passwort",
    "passwort ist falsch",
    "nicht registriert",
    "zugriff verweigert",
    "anmeldung fehlgeschlagen",
    "ist gesperrt",
];
/// What they say to the right one.
const ACCEPTED: [&str; 11] = [
    "you are now identified",
    "you are now logged in",
    "you are successfully",
    "password accepted",
    "you have been logged in",
    "already logged in",
    "passwort akzeptiert",
    "jetzt angemeldet",
    "nun angemeldet",
    "bereits angemeldet",
    "eingeloggt",
];
/// The numerics by which a server tells that an account or its password is not taken: the password (464), a locked account
/// (902), a failed login (904).
const FAILED: [&str; 3] = ["464", "902", "904"];

/// What to say to the service; none if there is none.
pub(super) fn introduction(shared: &Shared, connection: &Connection) -> Option<Line> {
    let (service, secret) = (shared.section.nickserv.as_ref()?, shared.secrets.nickserv.as_ref()?);
    let own = &shared.section.nick;
    // A password alone is taken for that of the nick we have, which may not be ours.
    let stranger = Some(own).filter(|own| !connection.is_own(own));
    let text = match service.account.as_ref().or(stranger) {
        Some(account) => format!("IDENTIFY {account} {}", secret.reveal()),
        None => format!("IDENTIFY {}", secret.reveal()),
    };
    Some(message("PRIVMSG", &[&service.service, &text]))
}

/// What a line tells about the login, if anything.
pub(super) fn verdict(service: &NickServ, connection: &Connection, line: &Line) -> Option<Verdict> {
    let same = |one: &str, other: &str| connection.isupport().casemapping.same(one, other);
    match line.name() {
        "900" => Some(Verdict::Accepted),
        "901" => Some(Verdict::LoggedOut),
        "ACCOUNT" if connection.is_own(line.source()) => Some(if line.parameter(0) == "*" {
            Verdict::LoggedOut
        } else {
            Verdict::Accepted
        }),
        "MODE" if connection.is_own(line.parameter(0)) => {
            let given = line.parameter(1).split('-').next().unwrap_or_default();
            (given.starts_with('+') && given.contains('r')).then_some(Verdict::Accepted)
        }
        "401" | "402" if same(line.parameter(1), &service.service) => Some(Verdict::Silent(line.last().to_owned())),
        name if FAILED.contains(&name) || (name == "FAIL" && is_of_login(line)) => {
            Some(Verdict::Refused(line.last().to_owned()))
        }
        "NOTICE" | "PRIVMSG" if is_from(service, connection, line) => words(service, line.last()),
        _ => None,
    }
}

/// Whether a standard reply is about logging in, by the command that failed or by its reason.
fn is_of_login(line: &Line) -> bool {
    let command = line.parameter(0).to_ascii_uppercase();
    let reason = line.parameter(1).to_ascii_uppercase();
    let about = |part: &&str| reason.contains(part);
    match command.as_str() {
        "NS" | "NICKSERV" | "IDENTIFY" | "AUTHENTICATE" => true,
        "*" => ["CREDENTIALS", "PASSWORD", "ACCOUNT_"].iter().any(about),
        // Another command failed, such as joining a channel that is for accounts only.
        _ => false,
    }
}

/// Whether the service says something. It may be addressed with its server, as `NickServ@services.example`.
fn is_from(service: &NickServ, connection: &Connection, line: &Line) -> bool {
    let name = service.service.split('@').next().unwrap_or(&service.service);
    matches!(line.name(), "NOTICE" | "PRIVMSG") && connection.isupport().casemapping.same(line.source(), name)
}

fn words(service: &NickServ, text: &str) -> Option<Verdict> {
    let text: String = text.chars().filter(|character| !character.is_control()).collect();
    let folded = text.to_lowercase();
    let says = |known: &[&str], own: &[String]| {
        known.iter().any(|part| folded.contains(part))
            || own.iter().any(|part| folded.contains(&part.trim().to_lowercase()))
    };
    if says(&[], &service.accepted) {
        Some(Verdict::Accepted)
    } else if says(&REFUSED, &service.refused) {
        Some(Verdict::Refused(text))
    } else {
        says(&ACCEPTED, &[]).then_some(Verdict::Accepted)
    }
}

/// Asks, and waits for the answer for a bounded time. All that comes meanwhile goes to `handler`. None if there is nothing
/// to ask.
pub(super) async fn log_in(
    shared: &Shared,
    connection: &Connection,
    lines: &mut mpsc::Receiver<Vec<Line>>,
    mut handler: Option<&mut Incoming>,
) -> Result<Option<Verdict>, InboxClosed> {
    let (Some(introduction), Some(service)) = (introduction(shared, connection), &shared.section.nickserv) else {
        return Ok(None);
    };
    connection.send(introduction).await;
    let end = Instant::now() + PATIENCE;
    let mut heard = None;
    while let Ok(Some(batch)) = timeout_at(end, lines.recv()).await {
        let found = batch.iter().find_map(|line| verdict(service, connection, line));
        let said = batch.iter().filter(|line| is_from(service, connection, line));
        heard = said.last().map(|line| line.last().to_owned()).or(heard);
        if let Some(handler) = &mut handler {
            handler.take(batch).await?;
        }
        if let Some(found) = found.filter(|found| *found != Verdict::LoggedOut) {
            return Ok(Some(found));
        }
    }
    Ok(Some(Verdict::Silent(match heard {
        Some(words) => format!(
            "it said {words:?}, which is neither known as yes nor as no: add a part of it to nickserv.accepted or \
             nickserv.refused"
        ),
        None => format!("no answer within {} s", PATIENCE.as_secs()),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(keys: serde_json::Value) -> NickServ {
        serde_json::from_value(keys).unwrap()
    }

    #[test]
    fn services_are_understood() {
        let service = service(serde_json::json!({}));
        for text in [
            "Invalid password for \u{2}hub\u{2}.",
            "\u{2}hub\u{2} is not a registered nickname.",
            "Password incorrect.",
            "Your nick isn't registered.",
            "Dein Nick ist nicht registriert.",
            "Zugriff verweigert.",
            "Ungültiges Passwort für \u{2}hub\u{2}.",
        ] {
            assert!(matches!(words(&service, text), Some(Verdict::Refused(_))), "{text}");
        }
        for text in [
            "You are now identified for \u{2}hub\u{2}.",
            "Password accepted -- you are now recognized.",
            "Passwort akzeptiert - Du bist jetzt angemeldet.",
            "Du bist als hub eingeloggt.",
        ] {
            assert_eq!(words(&service, text), Some(Verdict::Accepted), "{text}");
        }
        for text in [
            "This nickname is registered. Please choose a different nickname, or identify via /msg NickServ identify.",
            "Dieser Nickname ist registriert und geschützt.",
            "Last login from: host",
            "",
        ] {
            assert_eq!(words(&service, text), None, "{text}");
        }
    }

    #[test]
    fn other_languages_are_learnt_from_the_configuration() {
        let french =
            service(serde_json::json!({"refused": ["Mot de passe invalide"], "accepted": ["maintenant identifié"]}));
        assert!(matches!(
            words(&french, "mot de passe invalide."),
            Some(Verdict::Refused(_))
        ));
        assert_eq!(
            words(&french, "Vous êtes MAINTENANT IDENTIFIÉ."),
            Some(Verdict::Accepted)
        );
        assert_eq!(words(&french, "Bonjour."), None);
    }

    #[test]
    fn standard_replies_about_logging_in_are_refusals() {
        let of_login = |text: &str| is_of_login(&text.parse().unwrap());
        assert!(of_login("FAIL NS INVALID_CREDENTIALS :Nein."));
        assert!(of_login("FAIL * ACCOUNT_REQUIRED :Erst anmelden."));
        assert!(!of_login("FAIL JOIN ACCOUNT_REQUIRED :Nur mit Konto."));
    }
}
