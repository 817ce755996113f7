//! What `doctor` should know.

use std::sync::Arc;
use std::time::Duration;

use viaduct_bridge::Probe;

use super::identify::{self, Verdict};
use super::{Shared, locked};
use crate::client::{ConnectError, Connection, talk_of_others};

/// Looks at the login and each channel. Where the session has not tried yet, it logs in and out once.
pub(super) async fn probe(shared: &Arc<Shared>) -> Vec<Probe> {
    let Some(reader) = shared.reader() else {
        let known = locked(&shared.down).clone();
        return vec![match known {
            Some(error) => not_connected(error),
            None => login(shared).await,
        }];
    };
    let lag = reader.lag().as_millis();
    let nick = reader.nick();
    let mut out = vec![if reader.is_own(&shared.section.nick) {
        Probe::ok(
            "login",
            format!("connected as {nick}, the server last answered within {lag} ms"),
        )
    } else {
        let fix = "free the nick, or set another one as `nick`; it is asked for again and again";
        Probe::warning(
            "login",
            format!("connected as {nick}, for {} is taken", shared.section.nick),
            fix,
        )
    }];
    let account = locked(&shared.account).clone();
    if !account.is_empty() {
        out.push(Probe::warning("account", account, SERVICE_FIX));
    }
    let roster = locked(&shared.roster);
    let problems = locked(&shared.problems);
    for channel in &shared.context.channels {
        let subject = format!("channel {channel}");
        let known = roster.channel_ref(channel.as_str());
        out.push(match known.filter(|known| known.joined) {
            None => {
                let problem = problems
                    .get(&channel.as_str().to_lowercase())
                    .map_or("still being joined", String::as_str);
                let fix = format!("let {nick} in (invitation, key, ban list), or correct the channel's name or key");
                Probe::error(subject, format!("not joined: {problem}"), fix)
            }
            Some(known)
                if roster
                    .modes(channel.as_str(), &nick)
                    .is_some_and(|modes| modes.contains(['o', 'a', 'q'])) =>
            {
                Probe::ok(
                    subject,
                    format!("joined as an operator, {} people", known.members.len()),
                )
            }
            Some(known) => Probe::warning(
                subject,
                format!("joined, {} people; not an operator", known.members.len()),
                format!("make {nick} a channel operator, if topics, kicks, bans and roles shall cross"),
            ),
        });
    }
    out
}

/// What to do about a service that cannot be asked.
const SERVICE_FIX: &str = "check nickserv.service, and whether the network's services are up; it is tried again";

async fn login(shared: &Arc<Shared>) -> Probe {
    match Connection::open(shared.settings(shared.reader_identity(), talk_of_others())).await {
        Ok((connection, mut lines)) => {
            let nick = connection.nick();
            let verdict = identify::log_in(shared, &connection, &mut lines, None).await;
            connection.quit("that was a test", Duration::from_secs(2)).await;
            match verdict.unwrap_or(None) {
                Some(Verdict::Refused(words)) => Probe::error(
                    "login",
                    format!("the service refused the login: {words}"),
                    "correct nickserv.account and its password",
                ),
                Some(Verdict::Silent(why)) => Probe::warning(
                    "login",
                    format!("logged in as {nick}, but the service could not be asked: {why}"),
                    SERVICE_FIX,
                ),
                _ => Probe::ok("login", format!("logged in as {nick}")),
            }
        }
        Err(error) => not_connected(error),
    }
}

/// Why there is no connection, and what to do about it.
fn not_connected(error: ConnectError) -> Probe {
    match error {
        ConnectError::Auth(reason) => Probe::error("login", reason, "correct the password, account or certificate"),
        ConnectError::Failed(reason) => Probe::error(
            "login",
            reason,
            "check server.host and server.port, that this machine may connect there, and that the port speaks TLS (where it does \
             not: `tls: {enabled: false}`)",
        ),
    }
}
