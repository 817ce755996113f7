//! `viaduct doctor`: tries out whether everything works, and says what to do where it does not.

mod bench;
mod compliance;
mod machine;
mod people;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use viaduct_bridge::{Connection, Probe, ProbeStatus, Session, SessionError};
use viaduct_config::Config;
use viaduct_model::{ChannelId, NetworkName};

use crate::args::Doctor;
use crate::hub::{Hub, Shown};
use crate::registry::Registry;
use crate::settings;
use crate::system::SystemClock;

/// How long a network gets to connect.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a session that is not well yet is asked again.
const LOOK: Duration = Duration::from_millis(250);
/// How long a session gets to end, and a probe to answer.
const END: Duration = Duration::from_secs(6);

/// One finding, and what it is about.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// `homeserver`, `machine`, `people`, `compliance`, or a network's name.
    pub about: String,
    /// The finding.
    #[serde(flatten)]
    pub probe: Probe,
}

/// Looks at everything and gives the findings, the homeserver's first.
///
/// # Errors
///
/// If a token cannot be read, without which nothing can be tried.
pub async fn examine(
    config: &Config,
    shown: &Shown,
    wanted: &Doctor,
    registry: &Registry,
) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut add = |about: &str, probes: Vec<Probe>| {
        findings.extend(probes.into_iter().map(|probe| Finding {
            about: about.to_owned(),
            probe,
        }));
    };
    add("machine", machine::probes(config));
    add("people", people::probes(config).await?);
    if let Some(path) = &wanted.registration {
        add("homeserver", vec![registration(path, config)?]);
    }
    let home = settings::homeserver(config)?;
    add(
        "homeserver",
        viaduct_matrix::doctor(&home, Arc::new(SystemClock)).await?,
    );
    add(
        "compliance",
        compliance::probes(config, Hub::find(config, shown).await?.as_ref()).await?,
    );
    // A second connection beside a running hub's would take its nick or its stream away: there, the hub itself is asked.
    if let Some(hub) = Hub::find(config, shown).await? {
        let configured: Vec<&str> = config.mirrors.iter().map(|mirror| mirror.name.as_str()).collect();
        for (name, probe) in asked(&hub.get("status", &[]).await?, &configured) {
            add(&name, vec![probe]);
        }
        let told: Vec<Told> = serde_json::from_value(hub.get("probe", &[]).await?)
            .context("what the running hub found cannot be read")?;
        for Told { network, probe } in told.into_iter().filter(|told| !told.network.is_matrix()) {
            add(network.as_str(), vec![probe]);
        }
    } else if !wanted.no_networks {
        for (name, network) in &config.networks {
            let section = serde_json::Value::Object(network.section.clone());
            let probes = match registry.factory(&network.kind) {
                Some(factory) => {
                    let channels = channels(config, name);
                    examine_network(factory, section, name, channels).await
                }
                None => vec![Probe::error(
                    "kind",
                    "there is no such kind of network",
                    "see `viaduct check`",
                )],
            };
            add(name.as_str(), probes);
        }
    }
    Ok(findings)
}

/// What a running hub's session found.
#[derive(Deserialize)]
struct Told {
    network: NetworkName,
    #[serde(flatten)]
    probe: Probe,
}

fn channels(config: &Config, network: &NetworkName) -> Vec<ChannelId> {
    let members = config.mirrors.iter().flat_map(|mirror| &mirror.members);
    members
        .filter(|member| member.network == *network)
        .map(|member| member.channel.clone())
        .collect()
}

/// What a running hub says about its networks, and which of the configured mirrors have no room.
fn asked(status: &Value, configured: &[&str]) -> Vec<(String, Probe)> {
    let list = |key: &str| status.get(key).and_then(Value::as_array).into_iter().flatten();
    let text = |network: &Value, key: &str| network.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let roomless = list("mirrors").filter(|mirror| mirror.get("room").is_none_or(Value::is_null));
    let homeless = roomless.map(|mirror| text(mirror, "name"));
    let homeless = homeless.filter(|name| configured.contains(&name.as_str())).map(|name| {
        let fix = "make the room and invite the bot, or correct the mirror's `room`; the hub's log says what it tried";
        let finding = format!("the room of mirror {name} does not exist, or the bot cannot get into it");
        ("homeserver".to_owned(), Probe::error("room", finding, fix))
    });
    let told = list("networks").map(|network| {
        let (name, state, reason) = (
            text(network, "name"),
            text(network, "connection"),
            text(network, "reason"),
        );
        let probe = match state.as_str() {
            "up" => Probe::ok("connection", "up, the running hub says"),
            "auth_lost" => refused(&reason),
            "connecting" => Probe::warning(
                "connection",
                "the running hub is still connecting",
                "wait, and look again",
            ),
            _ => unreachable(&reason),
        };
        (name, probe)
    });
    told.chain(homeless).collect()
}

/// Opens a session that nobody listens to, lets it connect, and asks it what it found.
async fn examine_network(
    factory: &Arc<dyn viaduct_bridge::Factory>,
    section: serde_json::Value,
    name: &NetworkName,
    channels: Vec<ChannelId>,
) -> Vec<Probe> {
    let stop = CancellationToken::new();
    let (context, mut connection) = bench::context(name.clone(), channels, stop.clone());
    let session = match factory.open(section, context).await {
        Ok(session) => session,
        Err(error) => return vec![Probe::error("configuration", error.to_string(), "see `viaduct check`")],
    };
    let running = tokio::spawn({
        let session = Arc::clone(&session);
        async move { session.run().await }
    });
    let settled = connection.wait_for(|state| !matches!(state, Connection::Connecting));
    let reached = tokio::time::timeout(PATIENCE, settled).await;
    let mut probes = match reached.map(|state| state.map(|state| state.clone())) {
        Ok(Ok(Connection::Up)) => vec![Probe::ok("login", "connected")],
        Ok(Ok(Connection::AuthLost(reason))) => vec![refused(&reason)],
        Ok(Ok(Connection::Down(reason))) => vec![unreachable(&reason)],
        // It said nothing: how its run ended tells more, if it has ended.
        _ if running.is_finished() => Vec::new(),
        _ => vec![unreachable("no connection within 10 seconds")],
    };
    probes.extend(settled_probes(session.as_ref()).await);
    stop.cancel();
    if probes.iter().all(|probe| probe.status == ProbeStatus::Ok)
        && let Ok(Ok(Err(error))) = tokio::time::timeout(END, running).await
    {
        probes.push(ended(&error));
    }
    probes.dedup_by(|a, b| a.subject == b.subject && a.finding == b.finding);
    probes
}

/// What a session found, once all is well or it had its time: right after the login, channels are still being joined.
async fn settled_probes(session: &dyn Session) -> Vec<Probe> {
    let until = Instant::now() + PATIENCE;
    loop {
        let Ok(probes) = tokio::time::timeout(END, session.probe()).await else {
            return vec![unreachable("it did not answer the probe")];
        };
        if Instant::now() >= until || probes.iter().all(|probe| probe.status == ProbeStatus::Ok) {
            return probes;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn ended(error: &SessionError) -> Probe {
    match error {
        SessionError::Auth(reason) => refused(reason),
        other => unreachable(&other.to_string()),
    }
}

fn refused(reason: &str) -> Probe {
    Probe::error(
        "login",
        format!("the network refuses our credentials: {reason}"),
        "renew them in the network's section",
    )
}

fn unreachable(reason: &str) -> Probe {
    let fix = "look at host, port and TLS in the network's section, and whether this machine may connect there";
    Probe::error("login", reason.to_owned(), fix)
}

/// Whether the homeserver's copy of the registration is what it should be.
fn registration(path: &Path, config: &Config) -> anyhow::Result<Probe> {
    let subject = format!("registration {}", path.display());
    let found = std::fs::read_to_string(path).map_err(|error| error.to_string());
    let found = match found.and_then(|text| viaduct_matrix::registration::parse(&text)) {
        Ok(found) => found,
        Err(error) => {
            let fix = "name the file that the homeserver uses; `viaduct registration` writes a new one";
            return Ok(Probe::error(subject, format!("it cannot be read: {error}"), fix));
        }
    };
    let differences = viaduct_matrix::registration::diff(&crate::registration::wanted(config)?, &found);
    Ok(if differences.is_empty() {
        Probe::ok(subject, "is up to date")
    } else {
        let fix = "write it again with `viaduct registration`, and restart the homeserver";
        Probe::error(subject, format!("it is out of date: {}", differences.join("; ")), fix)
    })
}

/// Whether nothing is wrong.
pub fn is_well(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.probe.status != ProbeStatus::Error)
}

/// The findings for a terminal.
pub fn text(findings: &[Finding]) -> String {
    let mut lines = Vec::new();
    let mut about = "";
    for finding in findings {
        if finding.about != about {
            about = &finding.about;
            lines.push(about.to_owned());
        }
        let probe = &finding.probe;
        let mark = match probe.status {
            ProbeStatus::Ok => "ok     ",
            ProbeStatus::Warning => "warning",
            ProbeStatus::Error => "ERROR  ",
        };
        lines.push(format!("  {mark} {probe}"));
        if !probe.fix.is_empty() {
            lines.push(format!("          fix: {}", probe.fix));
        }
    }
    let count = |status| findings.iter().filter(|finding| finding.probe.status == status).count();
    let (errors, warnings) = (count(ProbeStatus::Error), count(ProbeStatus::Warning));
    lines.push(format!(
        "{} checks, {warnings} warnings, {errors} errors",
        findings.len()
    ));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_running_hub_is_believed() {
        let status = json!({"networks": [
            {"name": "acme", "connection": "down", "reason": "connection refused"},
            {"name": "matrix", "connection": "up", "reason": null},
        ], "mirrors": [
            {"name": "project", "room": null}, {"name": "lobby", "room": "!r"}, {"name": "direct-1", "room": null},
        ]});
        let told = asked(&status, &["project", "lobby"]);
        assert_eq!((told[0].0.as_str(), told[0].1.status), ("acme", ProbeStatus::Error));
        assert_eq!(told[0].1.finding, "connection refused");
        assert_eq!(told[1].1.status, ProbeStatus::Ok);
        assert!(
            told[2].1.finding.contains("mirror project") && told.len() == 3,
            "{told:?}"
        );
    }

    #[tokio::test]
    async fn a_network_is_opened_probed_and_ended() {
        let registry = Registry::new();
        let name = NetworkName::new("echo").unwrap();
        let probes = examine_network(registry.factory("echo").unwrap(), json!({}), &name, Vec::new()).await;
        assert!(probes.iter().all(|probe| probe.status == ProbeStatus::Ok), "{probes:?}");
        assert!(probes.iter().any(|probe| probe.subject == "login"), "{probes:?}");
    }

    #[test]
    fn findings_are_told_with_their_fix() {
        let finding = |about: &str, probe| Finding {
            about: about.to_owned(),
            probe,
        };
        let findings = [
            finding("machine", Probe::ok("disk", "80 GiB free")),
            finding("acme", Probe::error("login", "refused", "renew the password")),
        ];
        assert!(!is_well(&findings));
        assert_eq!(
            text(&findings),
            "machine\n  ok      disk: 80 GiB free\nacme\n  ERROR   login: refused\n          \
             fix: renew the password\n2 checks, 0 warnings, 1 errors"
        );
    }
}
