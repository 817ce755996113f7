//! The demonstration behind `deploy/demo`: a homeserver, an IRC server, an XMPP server, stand-ins for Slack and Teams and the
//! hub on loopback, and a conversation in one mirror of all five that one can watch and then join.
#![expect(clippy::print_stdout, reason = "the demonstration is what it prints")]
#![recursion_limit = "256"]

use std::net::TcpListener;

use anyhow::{Context as _, ensure};
use viaduct_tests::launch::{HubSpec, Prosody, SlackProgram, TeamsProgram, XmppServer, assert_loopback_only};
use viaduct_tests::people::{IrcPerson, MatrixPerson, PASSWORD, SlackPerson, TeamsPerson, XmppPerson};
use viaduct_tests::world::{Ports, World, made_room};

const CHANNEL: &str = "#viaduct";
const ROOM: &str = "#viaduct:localhost";
/// For whoever wants to join by hand.
const VISITOR: &str = "you";

/// A side of the mirror.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Matrix,
    Irc,
    Xmpp,
    Slack,
    Teams,
}

const SIDES: [Side; 5] = [Side::Matrix, Side::Irc, Side::Xmpp, Side::Slack, Side::Teams];

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Matrix => "Matrix",
            Self::Irc => "IRC",
            Self::Xmpp => "XMPP",
            Self::Slack => "Slack",
            Self::Teams => "Teams",
        }
    }
}

/// Who says what, in turn. The people of each side are in [`Stage`].
const CONVERSATION: [(Side, usize, &str); 16] = [
    (
        Side::Matrix,
        0,
        "Good morning from Matrix! Is anybody on IRC, on XMPP, in Slack or in Teams?",
    ),
    (Side::Irc, 0, "Good morning. I am on plain old IRC, and I read you."),
    (Side::Xmpp, 0, "And I am on XMPP: I read you both."),
    (
        Side::Slack,
        0,
        "Hello from Slack, where you all have names of your own.",
    ),
    (
        Side::Teams,
        0,
        "And from Teams, where your names stand in front of what you say.",
    ),
    (Side::Matrix, 1, "I am a second person on Matrix."),
    (Side::Irc, 1, "I see everybody, each under a nick of their own."),
    (Side::Xmpp, 0, "So do I; the room is the same for all of us."),
    (Side::Matrix, 0, "Grüße, 你好, 🌉 — letters and signs cross as well."),
    (Side::Irc, 0, "They do: ✓ ä ö ü ß"),
    (Side::Slack, 0, "Here too: ✓ ä ö ü ß & <nothing is taken for markup>"),
    (Side::Teams, 0, "And here: ✓ ä ö ü ß & <b>this is not bold</b>"),
    (Side::Matrix, 1, "Two lines\nin one message."),
    (Side::Xmpp, 0, "That is all from XMPP."),
    (Side::Slack, 0, "And that is all from Slack."),
    (Side::Teams, 0, "And from Teams."),
];

/// Everybody and everything on stage.
struct Stage {
    people: [MatrixPerson; 2],
    chatters: [IrcPerson; 2],
    xmpp: XmppPerson,
    slacker: SlackPerson,
    teamster: TeamsPerson,
    room: String,
    muc: String,
    /// What Slack calls its channel.
    slack_channel: String,
    /// What Teams calls its channel.
    teams_channel: String,
    // Last: the servers go after the people.
    world: World,
    slack: SlackProgram,
    teams: TeamsProgram,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let once = std::env::args().any(|argument| argument == "--once");
    println!(
        "Starting a homeserver, an IRC server, an XMPP server, stand-ins for Slack and Teams and the hub between them …"
    );
    let stage = Stage::set().await?;
    println!("All six are up, on loopback only.\n");
    for (side, speaker, text) in CONVERSATION {
        stage
            .carry(side, speaker, text)
            .await
            .with_context(|| format!("what was said on {} did not arrive: {text}", side.name()))?;
    }
    stage.check_once().await?;
    println!("\nEvery line arrived on all four other sides, once.");
    if once {
        return Ok(());
    }
    stage.invite();
    tokio::signal::ctrl_c().await?;
    println!("\nStopping.");
    Ok(())
}

/// A port that people know by heart, if nobody has it.
fn free(port: u16) -> Option<u16> {
    TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(port)
}

impl Stage {
    async fn set() -> anyhow::Result<Self> {
        let ports = Ports {
            homeserver: free(8008),
            irc: free(6667),
        };
        let prosody = match free(5222) {
            Some(port) => Prosody::start_at(port).await?,
            None => Prosody::start().await?,
        };
        let muc = XmppServer::room("viaduct");
        let slack = SlackProgram::start(free(4300)).await?;
        let slacker = SlackPerson::new(slack.url(), "sue").await?;
        let slack_channel = slacker.make_channel("viaduct", &[slack.bot_user()]).await?;
        let teams = TeamsProgram::start(free(4400)).await?;
        let teamster = TeamsPerson::new(teams.url(), "Tom Teichmann").await?;
        let teams_channel = teamster.make_channel("viaduct").await?;
        let members = [
            ("irc", CHANNEL),
            ("xmpp", muc.as_str()),
            ("slack", "#viaduct"),
            ("teams", "Acme/viaduct"),
        ];
        let complete = |spec: HubSpec| {
            spec.slack("slack", slack.api_url(), slack.bot_token(), slack.app_token())
                .teams("teams", teams.about(), teams.endpoint())
                .mirror("viaduct", &made_room("viaduct"), &members)
        };
        let mut world = World::start_at(ports, Some(XmppServer::Prosody(prosody)), None, complete).await?;
        world.assert_loopback_only()?;
        assert_loopback_only(&[slack.process(), teams.process()])?;
        slack.connected().await?;
        teams.connected().await?;
        let people = [world.matrix_person("ann").await?, world.matrix_person("ben").await?];
        world.synapse.register(VISITOR, PASSWORD).await?;
        let [first, second] = &people;
        let room = first.join(ROOM).await?;
        second.join(ROOM).await?;
        let chatters = [
            world.irc_person("igor", CHANNEL).await?,
            world.irc_person("iris", CHANNEL).await?,
        ];
        let xmpp = world.xmpp_person("xena", &muc).await?;
        if let Some(server) = &world.xmpp {
            server.register(VISITOR, PASSWORD)?;
        }
        Ok(Self {
            people,
            chatters,
            xmpp,
            slacker,
            teamster,
            room,
            muc,
            slack_channel,
            teams_channel,
            world,
            slack,
            teams,
        })
    }

    /// Lets somebody say something, and shows how it comes to the other sides.
    async fn carry(&self, side: Side, speaker: usize, text: &str) -> anyhow::Result<()> {
        let missing = "there is no such person on stage";
        match side {
            Side::Matrix => {
                let person = self.people.get(speaker).context(missing)?;
                person.say(&self.room, text).await?;
            }
            Side::Irc => self.chatters.get(speaker).context(missing)?.say(CHANNEL, text).await?,
            Side::Xmpp => drop(self.xmpp.say(&self.muc, text).await?),
            Side::Slack => drop(self.slacker.say(&self.slack_channel, text).await?),
            Side::Teams => drop(self.teamster.say(&self.teams_channel, text).await?),
        }
        for other in SIDES.into_iter().filter(|other| *other != side) {
            let way = format!("{} → {}", side.name(), other.name());
            for (name, line) in self.arrival(other, text).await? {
                println!("  {way:<15}  <{name}> {line}");
            }
        }
        Ok(())
    }

    /// Waits until something is heard on a side; gives the names and lines it came as.
    async fn arrival(&self, side: Side, text: &str) -> anyhow::Result<Vec<(String, String)>> {
        match side {
            Side::Matrix => {
                let [ann, _] = &self.people;
                let seen = ann.hears(&self.room, text).await?;
                Ok(vec![(seen.sender().to_owned(), seen.body().replace('\n', " ⏎ "))])
            }
            Side::Irc => {
                let [igor, _] = &self.chatters;
                let mut lines = Vec::new();
                for line in text.lines() {
                    let heard = igor.hears(CHANNEL, line).await?;
                    lines.push((heard.nick().to_owned(), heard.text().to_owned()));
                }
                Ok(lines)
            }
            Side::Xmpp => {
                let heard = self.xmpp.hears(&self.muc, text).await?;
                Ok(vec![(heard.nick().to_owned(), heard.text().replace('\n', " ⏎ "))])
            }
            Side::Slack => {
                let heard = self.slacker.hears(&self.slack_channel, text).await?;
                Ok(vec![(heard.name().to_owned(), heard.text().replace('\n', " ⏎ "))])
            }
            Side::Teams => {
                let heard = self.teamster.hears(&self.teams_channel, text).await?;
                Ok(vec![(heard.name(), heard.text().replace('\n', " ⏎ "))])
            }
        }
    }

    /// Every line is on every side once; one's own line only where one said it.
    async fn check_once(&self) -> anyhow::Result<()> {
        let [ann, _] = &self.people;
        let [igor, iris] = &self.chatters;
        for (side, speaker, text) in CONVERSATION {
            // On IRC nobody is shown what they say themselves.
            let listener = if side == Side::Irc && speaker == 0 { iris } else { igor };
            for line in text.lines() {
                let times = listener.count_of(|heard| heard.says(CHANNEL, line));
                ensure!(times == 1, "on IRC {times} times: {line}");
            }
            let times = ann.count_of(&self.room, |seen| seen.body() == text);
            ensure!(times == 1, "on Matrix {times} times: {text}");
            let times = self.xmpp.count_of(|heard| heard.says(&self.muc, text));
            ensure!(times == 1, "on XMPP {times} times: {text}");
            let times = self.slacker.count_of(&self.slack_channel, |said| said.text() == text);
            let times = times.await?;
            ensure!(times == 1, "in Slack {times} times: {text}");
            let times = self.teamster.count_of(&self.teams_channel, |said| said.text() == text);
            let times = times.await?;
            ensure!(times == 1, "in Teams {times} times: {text}");
        }
        Ok(())
    }

    fn invite(&self) {
        let clients = self.world.xmpp.as_ref().map(XmppServer::clients);
        let (port, host) = clients.map_or((0, String::new()), |clients| (clients.port(), clients.ip().to_string()));
        let (homeserver, irc) = (self.world.synapse.url(), self.world.irc.address());
        let (admin, muc) = (self.world.hub.admin_url(), &self.muc);
        let (slack, channel, slacker) = (self.slack.url(), &self.slack_channel, self.slacker.id());
        let (teams, teams_channel, teamster) = (self.teams.url(), &self.teams_channel, self.teamster.id());
        println!(
            "\nJoin it:\n\
             \n  with Element   homeserver {homeserver}   user {VISITOR}   password \"{PASSWORD}\"   room {ROOM}\
             \n  on IRC         server {irc} (no TLS)   channel {CHANNEL}\
             \n  on XMPP        account {VISITOR}@{}   password \"{PASSWORD}\"   server {host}, port {port} (no TLS)   room {muc}\
             \n                 such as with profanity:   /connect {VISITOR}@{} server {host} port {port} tls disable\
             \n                                           /join {muc}\
             \n  in Slack       there is no client for the stand-in; to say something as {slacker}:\
             \n                 curl -d '{{\"do\":\"say\",\"channel\":\"{channel}\",\"user\":\"{slacker}\",\"text\":\"hello\"}}' {slack}/control\
             \n                 and to read:\
             \n                 curl -d '{{\"do\":\"history\",\"channel\":\"{channel}\"}}' {slack}/control\
             \n  in Teams       likewise:\
             \n                 curl -d '{{\"do\":\"say\",\"channel\":\"{teams_channel}\",\"user\":\"{teamster}\",\"text\":\"hello\"}}' {teams}/control\
             \n                 curl -d '{{\"do\":\"history\",\"channel\":\"{teams_channel}\"}}' {teams}/control\n\
             \nThe hub's state is at {admin}/api/v1/status, its figures at {admin}/metrics.\
             \nCtrl-C ends everything and leaves nothing behind.",
            XmppServer::DOMAIN,
            XmppServer::DOMAIN,
        );
    }
}
