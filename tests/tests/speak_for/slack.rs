//! With a login of their own in Slack.

use serde_json::{Value, json};
use viaduct_tests::launch::{HubSpec, available};
use viaduct_tests::people::{HEARD, MatrixPerson, Seen, SlackMessage, SlackPerson};
use viaduct_tests::slack::{Limits, SlackStandIn};
use viaduct_tests::wait::wait_for;
use viaduct_tests::world::{World, made_room};

use super::{ANN, ROOM};

const IRC_CHANNEL: &str = "#viaduct";

/// Ann on Matrix, herself in Slack, and others on all sides of one mirror.
struct Talk {
    ann: MatrixPerson,
    ben: MatrixPerson,
    /// Ann as she is in Slack.
    herself: SlackPerson,
    sue: SlackPerson,
    /// Ann's own token in Slack.
    token: String,
    /// What Slack calls the channel.
    channel: String,
    room: String,
    world: World,
    slack: SlackStandIn,
}

impl Talk {
    /// None where a server is missing. The homeserver's operator allows the hub to speak for these.
    async fn start(speak_for: &[&str]) -> anyhow::Result<Option<Self>> {
        let slack = SlackStandIn::start().await?;
        slack.set_limits(Limits::none());
        let app = slack.app();
        let herself = SlackPerson::new(slack.url(), "ann.at.acme").await?;
        let sue = SlackPerson::new(slack.url(), "sue").await?;
        let channel = sue.make_channel("project", &[&app.bot_user, herself.id()]).await?;
        let token = slack.user_token(herself.id());
        let complete = |spec: HubSpec| {
            let mut spec = spec
                .slack("slack", &slack.api_url(), &app.bot_token, &app.app_token)
                .with("appservice", json!({ "speak_for": speak_for }))
                .mirror(
                    "project",
                    &made_room("project"),
                    &[("slack", "#project"), ("irc", IRC_CHANNEL)],
                );
            if let Some(section) = spec.networks.get_mut("slack").and_then(Value::as_object_mut) {
                section.insert("people".to_owned(), json!({ ANN: { "token": token } }));
            }
            spec
        };
        let Some(mut world) = available(World::start_with(complete).await)? else {
            return Ok(None);
        };
        let connected = slack.connected(1, HEARD).await;
        match world.hub.process() {
            Some(process) => process.explain(connected)?,
            None => connected?,
        }
        let ann = world.matrix_person("ann").await?;
        let ben = world.matrix_person("ben").await?;
        let room = ann.join(ROOM).await?;
        ben.join(ROOM).await?;
        Ok(Some(Self {
            ann,
            ben,
            herself,
            sue,
            token,
            channel,
            room,
            world,
            slack,
        }))
    }

    /// Waits for a message in Slack that Ann wrote as herself.
    async fn written_by_ann(&self, words: &str) -> anyhow::Result<SlackMessage> {
        let like = |said: &SlackMessage| said.user() == self.herself.id() && said.text() == words;
        self.sue.expect(words, &self.channel, like).await
    }

    /// Waits until Ann says something on Matrix, whichever way she said it.
    async fn said_by_ann(&self, words: &str) -> anyhow::Result<Seen> {
        let like = |seen: &Seen| seen.sender() == ANN && seen.body() == words;
        self.ben.expect(words, &self.room, like).await
    }

    /// These words are on both sides once, whoever said them.
    async fn check_once(&self, words: &[&str]) -> anyhow::Result<()> {
        for words in words {
            let there = |said: &SlackMessage| said.text() == *words;
            self.sue.expect(words, &self.channel, there).await?;
            assert_eq!(self.sue.count_of(&self.channel, there).await?, 1, "in Slack: {words}");
            let here = |seen: &Seen| seen.body() == *words;
            self.ben.expect(words, &self.room, here).await?;
            assert_eq!(self.ben.count_of(&self.room, here), 1, "on Matrix: {words}");
        }
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_login_of_their_own_is_themselves_on_both_sides() -> anyhow::Result<()> {
    let Some(talk) = Talk::start(&[ANN]).await? else {
        return Ok(());
    };
    let igor = talk.world.irc_person("igor", IRC_CHANNEL).await?;
    // From Matrix into Slack: as herself, and not once more by way of Slack.
    let event = talk.ann.say(&talk.room, "I am at my desk").await?;
    let said = talk.written_by_ann("I am at my desk").await?;
    talk.ann.edit(&talk.room, &event, "I am at home").await?;
    talk.sue
        .expect("the edit", &talk.channel, |other| {
            other.ts() == said.ts() && other.is_edited() && other.text() == "I am at home"
        })
        .await?;
    igor.hears(IRC_CHANNEL, "I am at my desk").await?;

    // From Slack into Matrix: as herself again, and on IRC as whom people know there.
    let said = talk.herself.say(&talk.channel, "I am on my way").await?;
    let seen = talk.said_by_ann("I am on my way").await?;
    let line = igor.hears(IRC_CHANNEL, "I am on my way").await?;
    assert!(
        line.nick().starts_with("ann") || line.text().contains("ann"),
        "{line:?}"
    );
    talk.herself.edit(&talk.channel, &said, "I am nearly there").await?;
    talk.ben
        .expect("the edit", &talk.room, |other| {
            other.sender() == ANN && other.rewords(seen.id(), "I am nearly there")
        })
        .await?;

    // What others said, she answers and likes from Slack.
    let question = talk.ben.say(&talk.room, "who has the key?").await?;
    let shown = talk.sue.hears(&talk.channel, "who has the key?").await?;
    talk.herself.react(&talk.channel, shown.ts(), "eyes", true).await?;
    let liked = talk
        .ben
        .expect("👀", &talk.room, |other| {
            other.sender() == ANN && other.reacts(&question, "👀")
        })
        .await?;
    talk.herself.react(&talk.channel, shown.ts(), "eyes", false).await?;
    talk.ben
        .expect("👀 taken back", &talk.room, |other| {
            other.sender() == ANN && other.redacts(liked.id())
        })
        .await?;
    talk.herself
        .reply(&talk.channel, shown.ts(), "I have it", false)
        .await?;
    let answer = talk.said_by_ann("I have it").await?;
    assert_eq!(answer.thread(), question, "{}", answer.event);

    let secret = talk.herself.say(&talk.channel, "forget that").await?;
    let seen = talk.said_by_ann("forget that").await?;
    talk.herself.delete(&talk.channel, &secret).await?;
    talk.ben
        .expect("the deletion", &talk.room, |other| {
            other.sender() == ANN && other.redacts(seen.id())
        })
        .await?;

    // Everybody else is who they were.
    talk.sue.say(&talk.channel, "good morning").await?;
    let seen = talk.ben.hears(&talk.room, "good morning").await?;
    assert!(seen.sender().starts_with("@_via_slack_"), "{}", seen.sender());
    talk.check_once(&["who has the key?", "I have it", "good morning"])
        .await?;
    let echoes = igor.count_of(|line| line.says(IRC_CHANNEL, "I am on my way"));
    assert_eq!(echoes, 1, "on IRC once");
    let ghosts = |seen: &Seen| seen.sender().starts_with("@_via_") && seen.body().contains("I am");
    assert_eq!(talk.ben.count_of(&talk.room, ghosts), 0, "no ghost of hers spoke");
    assert_eq!(talk.slack.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_they_say_while_the_hub_is_away_is_theirs_too() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start(&[ANN]).await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "before").await?;
    talk.written_by_ann("before").await?;
    talk.world.hub.kill();
    talk.herself.say(&talk.channel, "meanwhile in Slack").await?;
    talk.ann.say(&talk.room, "meanwhile on Matrix").await?;
    talk.world.hub.start().await?;
    talk.said_by_ann("meanwhile in Slack").await?;
    talk.written_by_ann("meanwhile on Matrix").await?;
    talk.herself.say(&talk.channel, "after").await?;
    talk.said_by_ann("after").await?;
    talk.check_once(&["before", "meanwhile in Slack", "meanwhile on Matrix", "after"])
        .await?;
    assert_eq!(talk.slack.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_operators_leave_a_ghost_speaks_for_them_on_matrix() -> anyhow::Result<()> {
    let Some(talk) = Talk::start(&[]).await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "I am at my desk").await?;
    talk.written_by_ann("I am at my desk").await?;
    talk.herself.say(&talk.channel, "I am on my way").await?;
    let seen = talk.ben.hears(&talk.room, "I am on my way").await?;
    assert!(seen.sender().starts_with("@_via_slack_"), "{}", seen.sender());
    talk.check_once(&["I am at my desk", "I am on my way"]).await?;
    assert_eq!(talk.slack.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_withdrawn_is_shown_and_the_app_speaks_for_them() -> anyhow::Result<()> {
    let Some(talk) = Talk::start(&[ANN]).await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "as myself").await?;
    talk.written_by_ann("as myself").await?;
    talk.slack.revoke(&talk.token);
    talk.ann.say(&talk.room, "as the app").await?;
    let said = talk.sue.hears(&talk.channel, "as the app").await?;
    assert_eq!(said.name(), "ann", "under her name: {}", said.0);
    let told = wait_for("doctor telling of her login", HEARD, || async {
        let doctor = tokio::task::block_in_place(|| talk.world.hub.doctor());
        doctor.ok().map(|(_, told)| told).filter(|told| told.contains(ANN))
    })
    .await?;
    assert!(!told.contains(&talk.token), "a token is told to nobody");
    talk.check_once(&["as myself", "as the app"]).await?;
    Ok(())
}
