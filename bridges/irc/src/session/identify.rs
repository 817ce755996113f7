//! Logging in by a message to a service, for servers without SASL.
//!
//! The reader says who it is before it joins anything, and waits for the answer, for some channels are for accounts only.
//! Services have no common language: the server's own signs (a numeric, the mode `r`, an account) come first, then the
//! words that services use when they are left in English.

use std::time::Duration;

use irc_proto::Message as Line;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use viaduct_bridge::InboxClosed;

use super::Shared;
use super::incoming::Incoming;
use crate::client::Connection;
use crate::client::line::{Fields, message};

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
const REFUSED: [&str; 10] = [
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
];
/// What they say to the right one.
const ACCEPTED: [&str; 6] = [
    "you are now identified",
    "you are now logged in",
    "you are successfully",
    "password accepted",
    "you have been logged in",
    "already logged in",
];

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
pub(super) fn verdict(service: &str, connection: &Connection, line: &Line) -> Option<Verdict> {
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
        "401" | "402" if same(line.parameter(1), service) => Some(Verdict::Silent(line.last().to_owned())),
        // A service may be addressed with its server, as NickServ@services.example.
        "NOTICE" | "PRIVMSG" if same(line.source(), service.split('@').next().unwrap_or(service)) => words(line.last()),
        _ => None,
    }
}

fn words(text: &str) -> Option<Verdict> {
    let text: String = text.chars().filter(|character| !character.is_control()).collect();
    let folded = text.to_lowercase();
    if REFUSED.iter().any(|part| folded.contains(part)) {
        return Some(Verdict::Refused(text));
    }
    let accepted = ACCEPTED.iter().any(|part| folded.contains(part));
    accepted.then_some(Verdict::Accepted)
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
    while let Ok(Some(batch)) = timeout_at(end, lines.recv()).await {
        let found = batch
            .iter()
            .find_map(|line| verdict(&service.service, connection, line));
        if let Some(handler) = &mut handler {
            handler.take(batch).await?;
        }
        if let Some(found) = found.filter(|found| *found != Verdict::LoggedOut) {
            return Ok(Some(found));
        }
    }
    Ok(Some(Verdict::Silent(format!(
        "no answer within {} s",
        PATIENCE.as_secs()
    ))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_understood() {
        let refused = |text: &str| assert!(matches!(words(text), Some(Verdict::Refused(_))), "{text}");
        refused("Invalid password for \u{2}hub\u{2}.");
        refused("\u{2}hub\u{2} is not a registered nickname.");
        refused("Password incorrect.");
        refused("Your nick isn't registered.");
        for text in [
            "You are now identified for \u{2}hub\u{2}.",
            "Password accepted -- you are now recognized.",
        ] {
            assert_eq!(words(text), Some(Verdict::Accepted), "{text}");
        }
        for text in [
            "This nickname is registered. Please choose a different nickname, or identify via /msg NickServ identify.",
            "Last login from: host",
            "",
        ] {
            assert_eq!(words(text), None, "{text}");
        }
    }
}
