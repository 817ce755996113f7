//! What leaves the hub: it reaches nobody but those whom its configuration names, and a label above a partner's ceiling keeps
//! every byte from that partner's sockets. Judge is strace, which sees all the hub's system calls.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use viaduct_tests::launch::{
    Hub, HubSpec, Prosody, Reach, Trace, XmppServer, agreement, available, free_port, slack_section, teams_endpoint,
    teams_section, xmpp_section,
};
use viaduct_tests::people::{HEARD, IrcPerson, MatrixPerson, SlackPerson, TeamsPerson, XmppPerson};
use viaduct_tests::slack::{self, SlackStandIn};
use viaduct_tests::teams::{self, TeamsStandIn};
use viaduct_tests::wait::{wait_for, wait_until};
use viaduct_tests::world::{World, made_room};

/// What may cross, and has to be seen crossing: else nothing was shown.
const PERMITTED: &str = "nightingale";
/// What is said, in whatever way, where it may not leave.
const CANARY: &str = "kingfisher";
/// The networks of the partners.
const NETWORKS: [&str; 4] = ["irc", "xmpp", "slack", "teams"];

/// Each network's channel of a project.
fn channels(project: &str) -> [(&'static str, String); 4] {
    [
        ("irc", format!("#{project}")),
        ("xmpp", XmppServer::room(project)),
        ("slack", format!("#{project}")),
        ("teams", format!("Acme/{project}")),
    ]
}

/// Four partners on four networks, in two projects: one is open to them, the other is labelled as internal.
struct Partners {
    world: World,
    slack: SlackStandIn,
    teams: TeamsStandIn,
    /// What Slack and Teams call the channel of the open project.
    open: [String; 2],
}

impl Partners {
    /// None where a server or strace is missing.
    async fn start() -> anyhow::Result<Option<Self>> {
        let Some(trace) = available(Trace::new())? else {
            return Ok(None);
        };
        let Some(prosody) = available(Prosody::start().await)? else {
            return Ok(None);
        };
        let (slack, teams) = (SlackStandIn::start().await?, TeamsStandIn::start().await?);
        slack.set_limits(slack::Limits::none());
        teams.set_limits(teams::Limits::none());
        let mut open = Vec::new();
        for project in ["open", "inside"] {
            let channel = slack.add_channel(project, slack::Kind::Public);
            slack.join(&channel, &slack.app().bot_user);
            open.extend([channel, teams.add_channel(project, teams::Kind::Standard)]);
        }
        open.truncate(2);
        let endpoint = SocketAddr::from(([127, 0, 0, 1], free_port()?));
        teams.set_endpoint(Some(&teams_endpoint(endpoint)));
        let app = slack.app();
        let sections = [
            ("xmpp", xmpp_section(prosody.components())),
            (
                "slack",
                slack_section(&slack.api_url(), &app.bot_token, &app.app_token, false),
            ),
            ("teams", teams_section(&teams.about(), endpoint, false)),
        ];
        let complete = |mut spec: HubSpec| {
            spec.networks
                .extend(sections.map(|(name, section)| (name.to_owned(), section)));
            for network in NETWORKS {
                spec.networks[network]["own"] = false.into();
            }
            for project in ["open", "inside"] {
                let channels = channels(project);
                let members: Vec<(&str, &str)> = channels
                    .iter()
                    .map(|(network, channel)| (*network, channel.as_str()))
                    .collect();
                spec = spec.mirror(project, &made_room(project), &members);
            }
            if let Some(inside) = spec.mirrors.last_mut() {
                inside["labels"] = json!(["internal"]);
            }
            let mut partner = agreement("Acme Inc.", &NETWORKS, "public");
            partner["third_country_basis"] = json!("standard contractual clauses, file 4711");
            spec.ledger = true;
            spec.with("partners", json!({ "acme": partner }))
        };
        let started = World::start_watched(trace, XmppServer::Prosody(prosody), complete).await;
        let Some(mut world) = available(started)? else {
            return Ok(None);
        };
        let listen = || slack.sockets() > 0 && teams.calls("graph.messages").len() >= 2;
        let waited = wait_until("the hub listening to Slack and Teams", HEARD, listen).await;
        world.hub.process().context("the hub runs")?.explain(waited)?;
        let open = open.try_into().map_err(|_| anyhow::anyhow!("two channels"))?;
        Ok(Some(Self {
            world,
            slack,
            teams,
            open,
        }))
    }

    /// Somebody of each partner in the open project.
    async fn people(&self) -> anyhow::Result<(IrcPerson, XmppPerson, SlackPerson, TeamsPerson)> {
        let igor = self.world.irc_person("igor", "#open").await?;
        let xena = self.world.xmpp_person("xena", &XmppServer::room("open")).await?;
        let sue = SlackPerson::new(self.slack.url(), "sue").await?;
        sue.join(&self.open[0]).await?;
        let tess = TeamsPerson::new(self.teams.url(), "Tess Miller").await?;
        Ok((igor, xena, sue, tess))
    }

    /// Everybody talks in the open project, with a file; gives the address from which XMPP's upload service gives it.
    async fn everybody_talks(&self, ann: &MatrixPerson) -> anyhow::Result<SocketAddr> {
        let (igor, xena, sue, tess) = self.people().await?;
        let (room, muc) = (ann.join("#open:localhost").await?, XmppServer::room("open"));
        ann.say(&room, PERMITTED).await?;
        igor.hears("#open", PERMITTED).await?;
        xena.hears(&muc, PERMITTED).await?;
        sue.hears(&self.open[0], PERMITTED).await?;
        tess.hears(&self.open[1], PERMITTED).await?;
        igor.say("#open", "good morning from IRC").await?;
        xena.utter(&muc, "good morning from XMPP").await?;
        sue.say(&self.open[0], "good morning from Slack").await?;
        tess.say(&self.open[1], "good morning from Teams").await?;
        for network in ["IRC", "XMPP", "Slack", "Teams"] {
            ann.hears(&room, &format!("good morning from {network}")).await?;
        }
        ann.send_file(&room, "minutes.txt", b"we agreed").await?;
        let shared = xena.expect("a file", |message| message.link.is_some()).await?;
        igor.hears("#open", "minutes.txt").await?;
        tess.hears(&self.open[1], "minutes.txt").await?;
        let link = shared.link.unwrap_or_default();
        let (_, address) = link.split_once("//").context("a link")?;
        let (address, _) = address.split_once('/').context("a path")?;
        Ok(address.parse()?)
    }

    /// Everything is said, in every way there is, where nothing may leave.
    async fn the_canary_sings(&self) -> anyhow::Result<()> {
        // They are new, and have the word in their name: whoever told a partner who is there would tell it.
        let wren = self.world.matrix_person(CANARY).await?;
        let room = wren.join("#inside:localhost").await?;
        let said = wren.say(&room, &format!("the {CANARY} sings")).await?;
        wren.edit(&room, &said, &format!("the {CANARY} sang")).await?;
        wren.reply(&room, &said, &format!("it is a {CANARY}")).await?;
        wren.react(&room, &said, CANARY).await?;
        wren.send_file(&room, &format!("{CANARY}.txt"), CANARY.as_bytes())
            .await?;
        let html = format!("<b>{CANARY}</b> <a href=\"https://example.org/{CANARY}\">again</a>");
        let last = wren.say_html(&room, CANARY, &html).await?;
        wren.expect("a notice about the last of it", &room, |seen| {
            seen.text("/content/m.relates_to/m.in_reply_to/event_id") == last
        })
        .await?;
        // A lane decides in order: when the last of it is refused to every partner, everything was decided on.
        let refused = || async {
            let entries = tokio::task::block_in_place(|| self.world.hub.entries(&["--action", "refused"])).ok()?;
            let about = |entry: &&Value| entry.get("event").and_then(Value::as_str) == Some(&last);
            (entries.iter().filter(about).count() == NETWORKS.len()).then_some(())
        };
        wait_for("the last of it refused to every partner", HEARD, refused).await?;
        Ok(())
    }
}

/// Every address that a configuration names: as `host:port`, in a link, or as a host and a port side by side.
fn declared(configuration: &Value, to: &mut BTreeSet<SocketAddr>) {
    match configuration {
        Value::Object(keys) => {
            let host = keys.get("host").and_then(Value::as_str);
            let port = keys.get("port").and_then(Value::as_u64);
            if let (Some(host), Some(port)) = (host, port) {
                to.extend(format!("{host}:{port}").parse::<SocketAddr>());
            }
            keys.values().for_each(|value| declared(value, to));
        }
        Value::Array(values) => values.iter().for_each(|value| declared(value, to)),
        Value::String(text) => {
            let text = text.split_once("//").map_or(text.as_str(), |(_, rest)| rest);
            let authority = text.split('/').next().unwrap_or_default();
            to.extend(authority.parse::<SocketAddr>());
        }
        _ => {}
    }
}

/// Whom these calls reached, of those who are not in the list.
fn strangers<'a>(reached: &'a [Reach], known: &BTreeSet<SocketAddr>) -> Vec<&'a Reach> {
    reached
        .iter()
        .filter(|reach| reach.connects() && !known.contains(&reach.peer))
        .collect()
}

fn configuration(hub: &Hub) -> anyhow::Result<Value> {
    Ok(serde_json::from_slice(&std::fs::read(hub.configuration())?)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn s4_s5_s17_the_hub_reaches_only_whom_it_is_told_to_and_what_is_internal_stays_inside() -> anyhow::Result<()> {
    let Some(mut partners) = Partners::start().await? else {
        return Ok(());
    };
    let ann = partners.world.matrix_person("ann").await?;
    let talked = partners.everybody_talks(&ann).await;
    let uploads = partners.world.hub.process().context("the hub runs")?.explain(talked)?;
    partners.the_canary_sings().await?;
    let (_, told) = tokio::task::block_in_place(|| partners.world.hub.doctor())?;
    ensure!(partners.world.hub.stop(), "it ends by itself when asked to");

    let mut known = BTreeSet::new();
    declared(&configuration(&partners.world.hub)?, &mut known);
    let reached = partners.world.hub.trace().context("it was watched")?.reached().await?;
    let connected: BTreeSet<SocketAddr> = reached
        .iter()
        .filter(|reach| reach.connects())
        .map(|reach| reach.peer)
        .collect();
    let homeserver: SocketAddr = partners.world.synapse.url().trim_start_matches("http://").parse()?;
    let xmpp = partners.world.xmpp.as_ref().context("an XMPP server")?.components();
    let address = |url: &str| url.trim_start_matches("http://").parse::<SocketAddr>();
    let at = [
        partners.world.irc.address(),
        xmpp,
        address(partners.slack.url())?,
        address(partners.teams.url())?,
    ];
    for peer in at.iter().chain([&homeserver]) {
        ensure!(
            connected.contains(peer) && known.contains(peer),
            "{peer}: {connected:?}, {known:?}"
        );
    }
    // XMPP's upload service, which the configuration names, says itself where it takes files and gives them.
    known.insert(uploads);
    let strangers = strangers(&reached, &known);
    ensure!(
        strangers.is_empty(),
        "nobody told the hub to reach these: {strangers:#?}"
    );

    // What may cross was seen crossing to each partner, so the rest would have been.
    for peer in at {
        let seen = reached
            .iter()
            .any(|reach| reach.peer == peer && reach.call.contains(PERMITTED));
        ensure!(seen, "nothing was seen on its way to {peer}");
    }
    let sang: Vec<&Reach> = reached
        .iter()
        .filter(|reach| reach.peer != homeserver && reach.call.contains(CANARY))
        .collect();
    ensure!(sang.is_empty(), "it left the house: {sang:#?}");
    ensure!(!told.contains(CANARY), "doctor says what people say: {told}");
    Ok(())
}
