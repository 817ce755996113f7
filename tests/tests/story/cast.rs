//! Who is in the story, and what they see.

use anyhow::ensure;
use serde_json::Value;
use viaduct_tests::people::{IrcLine, IrcPerson, MatrixPerson, XmppMessage, XmppPerson};

use super::stage::{HUB, PROJECTS, Stage, muc};

/// Everybody. Ann is the own organisation's, Igor is A's, Xena is B's, Sue is C's; with Mallory nothing was agreed.
pub struct Cast {
    pub ann: MatrixPerson,
    /// The rooms of the sub-projects.
    pub rooms: [String; 3],
    pub igor: IrcPerson,
    pub xena: XmppPerson,
    pub mallory: XmppPerson,
    pub sue: String,
    pub stage: Stage,
}

impl Cast {
    pub async fn gather(stage: Stage) -> anyhow::Result<Self> {
        let (ann, rooms) = stage.matrix_person("ann", &PROJECTS).await?;
        let igor = stage.irc_person("igor", &["#p1", "#p2"]).await?;
        let xena = stage.xmpp_person("xena", &["p2", "p3"]).await?;
        let mallory = stage.xmpp_person("mallory", &["p2"]).await?;
        let sue = stage.slack.add_user("sue");
        stage.slack.join(&stage.channel, &sue);
        Ok(Self {
            ann,
            rooms: rooms.try_into().map_err(|_| anyhow::anyhow!("three rooms"))?,
            igor,
            xena,
            mallory,
            sue,
            stage,
        })
    }

    pub async fn ann_says(&self, project: usize, text: &str) -> anyhow::Result<String> {
        self.ann.say(self.room(project), text).await
    }

    pub async fn ann_hears(&self, project: usize, text: &str) -> anyhow::Result<viaduct_tests::people::Seen> {
        self.ann.hears(self.room(project), text).await
    }

    /// The room of a sub-project, counted from one.
    pub fn room(&self, project: usize) -> &str {
        self.rooms.get(project - 1).map_or("", String::as_str)
    }

    pub fn sue_says(&self, text: &str) {
        self.stage.slack.say(&self.stage.channel, &self.sue, text);
    }

    /// Ann is told that something of hers did not cross, without its being repeated.
    pub async fn ann_is_told(&self, project: usize, event: &str, secret: &str) -> anyhow::Result<()> {
        let about =
            |seen: &viaduct_tests::people::Seen| seen.text("/content/m.relates_to/m.in_reply_to/event_id") == event;
        let told = self.ann.expect("a notice about it", self.room(project), about).await?;
        ensure!(!told.body().contains(secret), "it is repeated: {}", told.body());
        Ok(())
    }

    /// The ids of what is held and waits for a release.
    pub fn waiting(&self) -> anyhow::Result<Vec<String>> {
        let held: Vec<Value> = self.stage.office.ask(&["quarantine", "list", "--json"])?;
        let waiting = held
            .iter()
            .filter(|held| held.pointer("/behind").is_none_or(Value::is_null));
        let ids = waiting.filter_map(|held| held.get("id")?.as_str().map(str::to_owned));
        Ok(ids.collect())
    }

    /// How often Igor saw the hub leave a channel of his, or IRC.
    pub fn hub_left(&self, channel: &str) -> usize {
        self.igor.count_of(|line| line.nick() == HUB && leaves(line, channel))
    }

    /// Whether Igor saw the one who stands for Ann leave a channel of his.
    pub fn ann_left(&self, channel: &str) -> bool {
        self.igor
            .count_of(|line| line.nick().starts_with("ann") && leaves(line, channel))
            > 0
    }

    /// Whether the hub is in a channel of Igor's, by what he saw last.
    pub fn hub_is_in(&self, channel: &str) -> bool {
        let lines = self.igor.lines();
        let came = |line: &IrcLine| match line.command.as_str() {
            "JOIN" => line.nick() == HUB && line.param(0) == channel,
            "353" => line.param(2) == channel && line.text().contains(HUB),
            _ => false,
        };
        let went = lines
            .iter()
            .rposition(|line| line.nick() == HUB && leaves(line, channel));
        lines.iter().rposition(came) > went
    }

    pub async fn archives(&self) -> anyhow::Result<[Vec<XmppMessage>; 2]> {
        Ok([
            self.xena.archive(&muc("p2")).await?,
            self.xena.archive(&muc("p3")).await?,
        ])
    }
}

/// Whether somebody leaves a channel with this line.
fn leaves(line: &IrcLine, channel: &str) -> bool {
    line.command == "QUIT" || (line.command == "PART" && line.param(0) == channel)
}
