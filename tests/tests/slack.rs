//! People in a Slack workspace and people on a real homeserver talk to each other through the hub; where a room is mirrored
//! with an IRC channel too, all three.
//!
//! Slack is the stand-in of this crate: its Web API refuses what Slack refuses, and what was asked of it that Slack does not
//! offer is a violation.

use serde_json::json;
use viaduct_tests::launch::{HubSpec, available};
use viaduct_tests::people::{HEARD, MatrixPerson, Seen, SlackMessage, SlackPerson, numbered};
use viaduct_tests::slack::{Call, Kind, Limits, SlackStandIn};
use viaduct_tests::wait::wait_for;
use viaduct_tests::world::{World, made_room};

const ROOM: &str = "#project:localhost";
/// The channel of the mirror, as the configuration spells it.
const CHANNEL: &str = "#project";
/// The channel on IRC, where there is one.
const IRC_CHANNEL: &str = "#viaduct";

/// A world with one person on each side, both in the mirror `project`.
struct Talk {
    ann: MatrixPerson,
    sue: SlackPerson,
    /// What Slack calls the channel.
    channel: String,
    room: String,
    world: World,
    slack: SlackStandIn,
}

impl Talk {
    /// None where a server is missing.
    async fn start() -> anyhow::Result<Option<Self>> {
        Self::start_with(&[("slack", CHANNEL)]).await
    }

    async fn start_with(members: &[(&str, &str)]) -> anyhow::Result<Option<Self>> {
        let slack = SlackStandIn::start().await?;
        slack.set_limits(Limits::none());
        let app = slack.app();
        let sue = SlackPerson::new(slack.url(), "sue").await?;
        let channel = sue.make_channel("project", &[&app.bot_user]).await?;
        let complete = |spec: HubSpec| {
            spec.slack("slack", &slack.api_url(), &app.bot_token, &app.app_token)
                .mirror("project", &made_room("project"), members)
        };
        let Some(mut world) = available(World::start_with(complete).await)? else {
            return Ok(None);
        };
        listening(&mut world, &slack).await?;
        let ann = world.matrix_person("ann").await?;
        let room = ann.join(ROOM).await?;
        Ok(Some(Self {
            ann,
            sue,
            channel,
            room,
            world,
            slack,
        }))
    }

    /// Says something in Slack, and gives both what Slack calls it and how Matrix shows it.
    async fn sue_says(&self, text: &str) -> anyhow::Result<(String, Seen)> {
        let said = self.sue.say(&self.channel, text).await?;
        Ok((said, self.ann.hears(&self.room, text).await?))
    }

    /// Says something on Matrix, and gives both how Matrix calls it and how Slack shows it.
    async fn ann_says(&self, text: &str) -> anyhow::Result<(String, SlackMessage)> {
        let said = self.ann.say(&self.room, text).await?;
        Ok((said, self.sue.hears(&self.channel, text).await?))
    }

    /// Waits until a message of the channel is like this.
    async fn in_slack(
        &self,
        what: &str,
        ts: &str,
        like: impl Fn(&SlackMessage) -> bool,
    ) -> anyhow::Result<SlackMessage> {
        self.sue
            .expect(what, &self.channel, |said| said.ts() == ts && like(said))
            .await
    }

    /// Nothing was asked of Slack that it does not offer.
    fn check_manners(&self) {
        assert_eq!(self.slack.violations(), []);
    }
}

/// Waits until the hub listens to Slack.
async fn listening(world: &mut World, slack: &SlackStandIn) -> anyhow::Result<()> {
    let connected = slack.connected(1, HEARD).await;
    match world.hub.process() {
        Some(process) => process.explain(connected),
        None => connected,
    }
}

/// Whether a call asks for an answer to be sent to the channel too; none if it does not say.
fn broadcast(call: &Call) -> Option<bool> {
    let flag = call.arguments.get("reply_broadcast")?;
    flag.as_bool().or_else(|| flag.as_str()?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_side_says_reaches_the_other_once_and_in_order() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.world.assert_loopback_only()?;
    for (here, there) in numbered("Matrix").iter().zip(&numbered("Slack")) {
        talk.ann.say(&talk.room, here).await?;
        talk.sue.say(&talk.channel, there).await?;
    }
    let said = talk.sue.hears(&talk.channel, "from Matrix 9").await?;
    assert_eq!(said.name(), "ann", "Matrix people speak under their own name");
    let seen = talk.ann.hears(&talk.room, "from Slack 9").await?;
    assert!(seen.sender().starts_with("@_via_slack_"), "{}", seen.sender());

    let history = talk.sue.history(&talk.channel).await?;
    let of_app = history.iter().filter(|said| said.is_of_app());
    assert_eq!(of_app.map(SlackMessage::text).collect::<Vec<_>>(), numbered("Matrix"));
    talk.ann.check_numbered(&talk.room, "Slack")?;
    talk.ann.check_numbered(&talk.room, "Matrix")?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn formatting_and_signs_cross() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann
        .say_html(
            &talk.room,
            "very bold 🌉 & <!channel>",
            "very <strong>bold</strong> 🌉 &amp; &lt;!channel&gt;",
        )
        .await?;
    let said = talk.sue.hears(&talk.channel, "🌉").await?;
    let blocks = said.0.to_string();
    assert!(
        blocks.contains(r#""bold":true"#) || said.text().contains("*bold*"),
        "{blocks}"
    );
    let called = said
        .0
        .get("text")
        .is_none_or(|text| text.to_string().contains("<!channel>"));
    assert!(!called, "nobody is called who was not meant: {blocks}");

    let styled = json!([{ "type": "rich_text", "elements": [{ "type": "rich_text_section", "elements": [
        { "type": "text", "text": "quite " },
        { "type": "text", "text": "slanted", "style": { "italic": true } },
        { "type": "text", "text": " and <b>not bold</b> & 🌉" },
    ] }] }]);
    let more = json!({ "blocks": styled });
    talk.sue
        .say_with(&talk.channel, "quite _slanted_ and <b>not bold</b> & 🌉", &more)
        .await?;
    let seen = talk.ann.hears(&talk.room, "and <b>not bold</b> & 🌉").await?;
    let html = seen.text("/content/formatted_body");
    assert!(html.contains("<em>slanted</em>"), "{html}");
    assert!(
        html.contains("&lt;b&gt;not bold&lt;/b&gt;"),
        "what somebody typed is never markup: {html}"
    );

    talk.slack.say_me(&talk.channel, talk.sue.id(), "waves");
    let wave = talk.ann.hears(&talk.room, "waves").await?;
    assert_eq!(wave.text("/content/msgtype"), "m.emote");
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_threads_reactions_and_deletions_from_matrix_are_real_ones() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (event, said) = talk.ann_says("the meeting is at nine").await?;
    talk.ann.edit(&talk.room, &event, "the meeting is at ten").await?;
    let edited = talk
        .in_slack("the edit", said.ts(), |said| said.text() == "the meeting is at ten")
        .await?;
    assert!(edited.is_edited());

    let (root, seen) = talk.sue_says("which room?").await?;
    let in_thread = json!({
        "msgtype": "m.text", "body": "the small one",
        "m.relates_to": { "rel_type": "m.thread", "event_id": seen.id(), "is_falling_back": true,
                          "m.in_reply_to": { "event_id": seen.id() } },
    });
    talk.ann.send(&talk.room, "m.room.message", in_thread).await?;
    let answer = talk.sue.hears(&talk.channel, "the small one").await?;
    assert_eq!(answer.thread(), root);
    // An answer outside of threads is to be read in the channel as well.
    talk.ann.reply(&talk.room, seen.id(), "or the large one").await?;
    let answer = talk.sue.hears(&talk.channel, "or the large one").await?;
    assert_eq!(answer.thread(), root);
    let calls = talk.slack.calls("chat.postMessage");
    let broadcast: Vec<Option<bool>> = calls.iter().rev().take(2).map(broadcast).collect();
    assert_eq!(broadcast, [Some(true), None], "to the channel too; in the thread only");

    talk.ann.react(&talk.room, seen.id(), "👍").await?;
    talk.in_slack("👍", &root, |said| said.reactions("+1") == 1).await?;
    let party = talk.ann.react(&talk.room, seen.id(), "🎉").await?;
    talk.in_slack("🎉", &root, |said| said.reactions("tada") == 1).await?;
    talk.ann.redact(&talk.room, &party).await?;
    let left = talk
        .in_slack("🎉 taken back", &root, |said| said.reactions("tada") == 0)
        .await?;
    assert_eq!(left.reactions("+1"), 1);

    let (secret, said) = talk.ann_says("forget what I said").await?;
    talk.ann.redact(&talk.room, &secret).await?;
    wait_for("the deletion", HEARD, || async {
        let there = talk.sue.count_of(&talk.channel, |other| other.ts() == said.ts());
        (there.await.ok()? == 0).then_some(())
    })
    .await?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_threads_reactions_and_deletions_from_slack_are_real_ones() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (said, seen) = talk.sue_says("we meet at nine").await?;
    talk.sue.edit(&talk.channel, &said, "we meet at ten").await?;
    talk.ann
        .expect("the edit", &talk.room, |other| {
            other.rewords(seen.id(), "we meet at ten")
        })
        .await?;

    let (question, shown) = talk.ann_says("in which room?").await?;
    talk.sue
        .reply(&talk.channel, shown.ts(), "in the large one", false)
        .await?;
    let answer = talk.ann.hears(&talk.room, "in the large one").await?;
    assert_eq!(answer.thread(), question);
    talk.sue.reply(&talk.channel, shown.ts(), "all hear this", true).await?;
    let broadcast = talk.ann.hears(&talk.room, "all hear this").await?;
    let relation = broadcast
        .event
        .pointer("/content/m.relates_to")
        .map(ToString::to_string);
    assert!(
        relation.is_some_and(|relation| relation.contains(&question)),
        "{}",
        broadcast.event
    );

    talk.sue.react(&talk.channel, shown.ts(), "tada", true).await?;
    talk.sue.react(&talk.channel, shown.ts(), "+1", true).await?;
    let party = talk
        .ann
        .expect("🎉", &talk.room, |seen| seen.reacts(&question, "🎉"))
        .await?;
    talk.ann
        .expect("👍", &talk.room, |seen| seen.reacts(&question, "👍"))
        .await?;
    talk.sue.react(&talk.channel, shown.ts(), "tada", false).await?;
    talk.ann
        .expect("🎉 taken back", &talk.room, |seen| seen.redacts(party.id()))
        .await?;

    let (secret, seen) = talk.sue_says("forget that").await?;
    talk.sue.delete(&talk.channel, &secret).await?;
    talk.ann
        .expect("the deletion", &talk.room, |other| other.redacts(seen.id()))
        .await?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_go_both_ways() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann
        .send_file(&talk.room, "minutes.txt", b"we agreed on everything")
        .await?;
    let shared = talk
        .sue
        .expect("a file", &talk.channel, |said| {
            said.is_of_app() && !said.file().is_empty()
        })
        .await?;
    let content = talk.slack.file(shared.file());
    assert_eq!(content.as_deref(), Some(b"we agreed on everything".as_slice()));

    talk.sue.share(&talk.channel, "notes.txt", "and wrote it down").await?;
    let notes = talk.ann.receives_file(&talk.room, "slack", "notes.txt").await?;
    assert_eq!(notes, b"and wrote it down");
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn private_messages_go_both_ways() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (_, seen) = talk.sue_says("here I am").await?;
    let chat = talk.ann.direct(seen.sender()).await?;
    wait_for("sue's ghost in the chat", HEARD, || async {
        talk.ann.is_joined(&chat, seen.sender()).await.ok()?.then_some(())
    })
    .await?;
    talk.ann.say(&chat, "between you and me").await?;
    let direct = talk.sue.direct().await?;
    talk.sue.hears(&direct, "between you and me").await?;
    talk.sue.say(&direct, "I will not tell").await?;
    talk.ann.hears(&chat, "I will not tell").await?;
    let public = |said: &SlackMessage| said.text().contains("between you and me");
    assert_eq!(
        talk.sue.count_of(&talk.channel, public).await?,
        0,
        "nothing private in public"
    );
    let public = |seen: &Seen| seen.body().contains("I will not tell");
    assert_eq!(talk.ann.count_of(&talk.room, public), 0, "nothing private in public");

    // Another person on Matrix talks with the same one: each answer goes to whom it is for.
    let ben = talk.world.matrix_person("ben").await?;
    let other = ben.direct(seen.sender()).await?;
    wait_for("sue's ghost in Ben's chat", HEARD, || async {
        ben.is_joined(&other, seen.sender()).await.ok()?.then_some(())
    })
    .await?;
    ben.say(&other, "I am Ben, may I?").await?;
    let asked = talk.sue.hears(&direct, "may I?").await?;
    talk.sue.reply(&direct, asked.ts(), "you may", false).await?;
    ben.hears(&other, "you may").await?;
    let misled = |seen: &Seen| seen.body().contains("you may");
    assert_eq!(talk.ann.count_of(&chat, misled), 0, "only Ben is answered");
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_while_the_hub_is_away_arrives_when_it_is_back() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann_says("before").await?;
    let (earlier, seen) = talk.sue_says("earlier").await?;
    assert!(talk.world.hub.stop(), "it ends by itself when asked to");
    for number in 0..5 {
        talk.ann
            .say(&talk.room, &format!("meanwhile on Matrix {number}"))
            .await?;
        talk.sue
            .say(&talk.channel, &format!("meanwhile in Slack {number}"))
            .await?;
    }
    talk.sue.edit(&talk.channel, &earlier, "earlier than that").await?;
    talk.world.hub.start().await?;
    talk.sue.hears(&talk.channel, "meanwhile on Matrix 4").await?;
    talk.ann.hears(&talk.room, "meanwhile in Slack 4").await?;
    talk.ann
        .expect("the edit that was missed", &talk.room, |other| {
            other.rewords(seen.id(), "earlier than that")
        })
        .await?;
    for number in 0..5 {
        let (there, here) = (
            format!("meanwhile on Matrix {number}"),
            format!("meanwhile in Slack {number}"),
        );
        let times = talk.sue.count_of(&talk.channel, |said| said.text() == there).await?;
        assert_eq!(times, 1, "{there}");
        assert_eq!(talk.ann.count_of(&talk.room, |seen| seen.body() == here), 1, "{here}");
    }
    assert_eq!(
        talk.sue.count_of(&talk.channel, |said| said.text() == "before").await?,
        1
    );
    assert_eq!(talk.ann.count_of(&talk.room, |seen| seen.body() == "earlier"), 1);
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_joins_public_channels_and_waits_for_an_invitation_into_private_ones() -> anyhow::Result<()> {
    let slack = SlackStandIn::start().await?;
    slack.set_limits(Limits::none());
    let app = slack.app();
    let sue = SlackPerson::new(slack.url(), "sue").await?;
    let open = sue.make_channel("project", &[]).await?;
    let closed = slack.add_channel("board", Kind::Private);
    sue.join(&closed).await?;
    let complete = |spec: HubSpec| {
        spec.slack("slack", &slack.api_url(), &app.bot_token, &app.app_token)
            .mirror("project", &made_room("project"), &[("slack", CHANNEL)])
            .mirror("board", &made_room("board"), &[("slack", &closed)])
    };
    let Some(mut world) = available(World::start_with(complete).await)? else {
        return Ok(());
    };
    listening(&mut world, &slack).await?;
    let ann = world.matrix_person("ann").await?;
    let project = ann.join(ROOM).await?;
    let board = ann.join("#board:localhost").await?;
    sue.say(&open, "you are in").await?;
    ann.hears(&project, "you are in").await?;
    assert!(slack.members(&open).contains(&app.bot_user));

    ann.say(&board, "knock knock").await?;
    sue.say(&closed, "who is there?").await?;
    assert!(!slack.members(&closed).contains(&app.bot_user));
    slack.join(&closed, &app.bot_user);
    sue.say(&closed, "come in").await?;
    ann.hears(&board, "come in").await?;
    ann.say(&board, "here I am").await?;
    assert_eq!(slack.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_an_irc_channel_and_a_slack_channel_are_one_conversation() -> anyhow::Result<()> {
    let members = [("irc", IRC_CHANNEL), ("slack", CHANNEL)];
    let Some(talk) = Talk::start_with(&members).await? else {
        return Ok(());
    };
    let igor = talk.world.irc_person("igor", IRC_CHANNEL).await?;

    talk.ann_says("said on Matrix").await?;
    igor.hears(IRC_CHANNEL, "said on Matrix").await?;
    igor.say(IRC_CHANNEL, "said on IRC").await?;
    let seen = talk.ann.hears(&talk.room, "said on IRC").await?;
    let heard = talk.sue.hears(&talk.channel, "said on IRC").await?;
    assert!(
        heard.name().starts_with("igor"),
        "people of other networks keep their names: {}",
        heard.0
    );
    talk.sue_says("said in Slack").await?;
    let line = igor.hears(IRC_CHANNEL, "said in Slack").await?;
    assert!(line.nick().contains("sue") || line.text().contains("sue"), "{line:?}");

    // What points at a message of one network is understood on the other.
    talk.sue.reply(&talk.channel, heard.ts(), "I read you", false).await?;
    let answer = talk.ann.hears(&talk.room, "I read you").await?;
    assert_eq!(answer.text("/content/m.relates_to/event_id"), seen.id());
    igor.hears(IRC_CHANNEL, "I read you").await?;

    for text in ["said on Matrix", "said on IRC", "said in Slack", "I read you"] {
        let times = talk.ann.count_of(&talk.room, |seen| seen.body() == text);
        assert_eq!(times, 1, "on Matrix: {text}");
        let times = talk.sue.count_of(&talk.channel, |said| said.text() == text).await?;
        assert_eq!(times, 1, "in Slack: {text}");
    }
    for text in ["said on Matrix", "said in Slack"] {
        assert_eq!(igor.count_of(|line| line.says(IRC_CHANNEL, text)), 1, "on IRC: {text}");
    }
    let echoes = igor.count_of(|line| line.says(IRC_CHANNEL, "said on IRC") && !line.text().contains("I read you"));
    assert_eq!(echoes, 0, "no echo");
    talk.check_manners();
    Ok(())
}
