//! The directory stays where it is: what the hub asks of Slack, Teams, XMPP and IRC in a start and a day's work. But for one
//! method, nothing lists the people of an organisation: who is in a mirrored channel is asked for, and whoever speaks there is
//! looked up.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use viaduct_tests::launch::{
    HubSpec, Prosody, Reach, Trace, XmppServer, available, free_port, slack_section, teams_endpoint, teams_section,
    xmpp_section,
};
use viaduct_tests::people::{HEARD, SlackPerson, TeamsPerson};
use viaduct_tests::slack::{self, SlackStandIn};
use viaduct_tests::teams::{self, TeamsStandIn};
use viaduct_tests::wait::wait_until;
use viaduct_tests::world::{World, made_room};

const ROOM: &str = "#project:localhost";
const CHANNEL: &str = "#project";

/// What is asked of Slack, by method. One more is to be thought about before it is added here: it must not list people.
const OF_SLACK: [&str; 21] = [
    "apps.connections.open",
    "auth.test",
    "chat.delete",
    "chat.postMessage",
    "chat.update",
    "conversations.history",
    "conversations.info",
    "conversations.join",
    "conversations.list",
    // Who is in a mirrored channel.
    "conversations.members",
    "conversations.replies",
    "download",
    "emoji.list",
    "files.completeUploadExternal",
    "files.getUploadURLExternal",
    "pins.list",
    "reactions.add",
    "team.info",
    "upload",
    "usergroups.list",
    // One person who speaks or is in a mirrored channel.
    "users.info",
];
/// What is asked of Teams, by operation of the stand-in.
const OF_TEAMS: [&str; 28] = [
    "connector.attachment",
    "connector.create",
    "connector.delete",
    "connector.edit",
    // Who is in a mirrored channel, and one of them.
    "connector.member",
    "connector.members",
    "connector.react",
    "connector.reply",
    "connector.team",
    "connector.team_channels",
    "files.upload",
    "graph.channel",
    "graph.channels",
    "graph.delta",
    "graph.folder",
    "graph.message",
    "graph.messages",
    // Of one person who speaks.
    "graph.photo",
    "graph.replies",
    "graph.subscriptions",
    "graph.team",
    // Which teams there are, to find the one that is configured by its name.
    "graph.teams",
    "graph.upload",
    "login.keys",
    "login.metadata",
    "login.token",
    "openid.keys",
    "openid.metadata",
];

fn strange<'a>(called: &'a BTreeSet<String>, known: &[&str]) -> Vec<&'a String> {
    called.iter().filter(|name| !known.contains(&name.as_str())).collect()
}

/// What was written to a peer, in order.
fn written(reached: &[Reach], peer: SocketAddr) -> Vec<&str> {
    let to = reached.iter().filter(|reach| reach.peer == peer && !reach.connects());
    to.map(|reach| reach.call.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn s14_nobody_is_asked_for_a_list_of_people() -> anyhow::Result<()> {
    let Some(trace) = available(Trace::new())? else {
        return Ok(());
    };
    let Some(prosody) = available(Prosody::start().await)? else {
        return Ok(());
    };
    let (slack, teams) = (SlackStandIn::start().await?, TeamsStandIn::start().await?);
    slack.set_limits(slack::Limits::none());
    teams.set_limits(teams::Limits::none());
    let of_slack = slack.add_channel("project", slack::Kind::Public);
    slack.join(&of_slack, &slack.app().bot_user);
    let of_teams = teams.add_channel("project", teams::Kind::Standard);
    let endpoint = SocketAddr::from(([127, 0, 0, 1], free_port()?));
    teams.set_endpoint(Some(&teams_endpoint(endpoint)));
    let (app, muc) = (slack.app(), XmppServer::room("project"));
    let sections = [
        ("xmpp", xmpp_section(prosody.components())),
        (
            "slack",
            slack_section(&slack.api_url(), &app.bot_token, &app.app_token, false),
        ),
        ("teams", teams_section(&teams.about(), endpoint, false)),
    ];
    let complete = |mut spec: HubSpec| {
        for (name, section) in sections {
            spec = spec.network(name, section);
        }
        let members = [
            ("irc", CHANNEL),
            ("xmpp", &*muc),
            ("slack", CHANNEL),
            ("teams", "Acme/project"),
        ];
        spec.mirror("project", &made_room("project"), &members)
    };
    let started = World::start_watched(trace, XmppServer::Prosody(prosody), complete).await;
    let Some(mut world) = available(started)? else {
        return Ok(());
    };
    let listen = || slack.sockets() > 0 && !teams.calls("graph.messages").is_empty();
    let waited = wait_until("the hub listening to Slack and Teams", HEARD, listen).await;
    world.hub.process().context("the hub runs")?.explain(waited)?;

    // A day's work: everybody speaks, and what was said is changed, answered, liked and withdrawn; a file goes round.
    let ann = world.matrix_person("ann").await?;
    let room = ann.join(ROOM).await?;
    let igor = world.irc_person("igor", CHANNEL).await?;
    let xena = world.xmpp_person("xena", &muc).await?;
    let sue = SlackPerson::new(slack.url(), "sue").await?;
    sue.join(&of_slack).await?;
    let tess = TeamsPerson::new(teams.url(), "Tess Miller").await?;
    ann.say(&room, "good morning").await?;
    igor.hears(CHANNEL, "good morning").await?;
    xena.hears(&muc, "good morning").await?;
    sue.hears(&of_slack, "good morning").await?;
    tess.hears(&of_teams, "good morning").await?;
    igor.say(CHANNEL, "from IRC").await?;
    xena.utter(&muc, "from XMPP").await?;
    sue.say(&of_slack, "from Slack").await?;
    tess.say(&of_teams, "from Teams").await?;
    for network in ["IRC", "XMPP", "Slack", "Teams"] {
        ann.hears(&room, &format!("from {network}")).await?;
    }
    let said = ann.say(&room, "to all").await?;
    ann.edit(&room, &said, "to everybody").await?;
    ann.reply(&room, &said, "and an answer").await?;
    ann.react(&room, &said, "👍").await?;
    let wrong = ann.say(&room, "withdrawn").await?;
    ann.redact(&room, &wrong).await?;
    ann.send_file(&room, "minutes.txt", b"we agreed").await?;
    ann.say(&room, "good night").await?;
    igor.hears(CHANNEL, "good night").await?;
    xena.hears(&muc, "good night").await?;
    sue.hears(&of_slack, "good night").await?;
    tess.hears(&of_teams, "good night").await?;
    ensure!(world.hub.stop(), "it ends by itself when asked to");

    let methods: BTreeSet<String> = slack.calls("").into_iter().map(|call| call.method).collect();
    let operations: BTreeSet<String> = teams.calls("").into_iter().map(|call| call.operation).collect();
    let (more, others) = (strange(&methods, &OF_SLACK), strange(&operations, &OF_TEAMS));
    ensure!(
        more.is_empty() && others.is_empty(),
        "Slack: {more:?}; Teams: {others:?}"
    );
    for (called, wanted) in [(&methods, "chat.postMessage"), (&operations, "connector.reply")] {
        ensure!(called.contains(wanted), "it was watched at work: {called:?}");
    }

    let xmpp = world.xmpp.as_ref().context("an XMPP server")?.components();
    let irc = world.irc.address();
    let reached = world.hub.trace().context("it was watched")?.reached().await?;
    let stanzas = written(&reached, xmpp);
    ensure!(
        stanzas.iter().any(|call| call.contains("good night")),
        "it was watched at work"
    );
    for listing in ["jabber:iq:search", "jabber:iq:roster", "vcard-temp:x:update:list"] {
        ensure!(!stanzas.iter().any(|call| call.contains(listing)), "{listing}");
    }
    let lines = written(&reached, irc);
    ensure!(
        lines.iter().any(|call| call.contains("good night")),
        "it was watched at work"
    );
    // The commands of IRC that tell who or what is on a server: of a channel that is mirrored, `WHO` may ask.
    for listing in [
        "LIST", "NAMES\\r", "LUSERS", "USERS", "WHO *", "WHO 0", "WHO\\r", "STATS",
    ] {
        let asked = |call: &&&str| call.contains(&format!("\"{listing}")) || call.contains(&format!("\\n{listing}"));
        let found: Vec<_> = lines.iter().filter(asked).collect();
        ensure!(found.is_empty(), "{listing}: {found:?}");
    }
    Ok(())
}
