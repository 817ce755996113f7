//! People on a real IRC server and people on a real homeserver talk to each other through the hub.

use viaduct_tests::launch::available;
use viaduct_tests::people::{HEARD, IrcLine, IrcPerson, MatrixPerson, fetch, numbered};
use viaduct_tests::wait::wait_for;
use viaduct_tests::world::{World, made_room};

const CHANNEL: &str = "#project";
const ROOM: &str = "#project:localhost";

/// The ghost of somebody on the network `irc`.
fn ghost(nick: &str) -> String {
    format!("@_via_irc_{nick}:localhost")
}

/// A world with one person on each side, both in the mirror `project`.
struct Talk {
    ann: MatrixPerson,
    igor: IrcPerson,
    room: String,
    world: World,
}

impl Talk {
    /// None where a server is missing.
    async fn start() -> anyhow::Result<Option<Self>> {
        let Some(world) = available(World::start().await)? else {
            return Ok(None);
        };
        let ann = world.matrix_person("ann").await?;
        let room = ann.join(ROOM).await?;
        let igor = world.irc_person("igor", CHANNEL).await?;
        Ok(Some(Self { ann, igor, room, world }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_side_says_reaches_the_other_once_and_in_order() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.world.assert_loopback_only()?;
    for (here, there) in numbered("Matrix").iter().zip(&numbered("IRC")) {
        talk.ann.say(&talk.room, here).await?;
        talk.igor.say(CHANNEL, there).await?;
    }
    let line = talk.igor.hears(CHANNEL, "from Matrix 9").await?;
    assert_eq!(line.nick(), "ann[m]", "Matrix people speak under their own nick");
    let seen = talk.ann.hears(&talk.room, "from IRC 9").await?;
    assert_eq!(seen.sender(), ghost("igor"), "IRC people speak as their ghost");

    let heard = talk.igor.lines();
    let heard = heard.iter().filter(|line| line.says(CHANNEL, "from Matrix"));
    assert_eq!(heard.map(IrcLine::text).collect::<Vec<_>>(), numbered("Matrix"));
    talk.ann.check_numbered(&talk.room, "IRC")?;
    talk.ann.check_numbered(&talk.room, "Matrix")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn formatting_and_signs_cross() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann
        .say_html(&talk.room, "very bold", "very <strong>bold</strong>")
        .await?;
    talk.igor.hears(CHANNEL, "very \u{2}bold").await?;
    talk.igor
        .say(CHANNEL, "quite \u{1d}slanted\u{1d} and <b>not bold</b> & 🌉")
        .await?;
    let seen = talk.ann.hears(&talk.room, "slanted and <b>not bold</b> & 🌉").await?;
    let html = seen.text("/content/formatted_body");
    assert!(html.contains("<em>slanted</em>"), "{html}");
    assert!(
        html.contains("&lt;b&gt;not bold&lt;/b&gt;"),
        "what somebody typed is never markup: {html}"
    );

    talk.igor
        .raw(&format!("PRIVMSG {CHANNEL} :\u{1}ACTION waves\u{1}"))
        .await?;
    let wave = talk.ann.hears(&talk.room, "waves").await?;
    assert_eq!(wave.text("/content/msgtype"), "m.emote");
    talk.igor.raw(&format!("NOTICE {CHANNEL} :just so you know")).await?;
    let notice = talk.ann.hears(&talk.room, "just so you know").await?;
    assert_eq!(notice.text("/content/msgtype"), "m.notice");
    // Latin-1, as some clients still send it.
    talk.igor.bytes(b"PRIVMSG #project :Gr\xfc\xdfe\r\n").await?;
    talk.ann.hears(&talk.room, "Grüße").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_replies_reactions_and_deletions_are_put_in_words() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let event = talk.ann.say(&talk.room, "the meeting is at nine").await?;
    talk.igor.hears(CHANNEL, "at nine").await?;
    talk.ann.edit(&talk.room, &event, "the meeting is at ten").await?;
    let edit = talk.igor.hears(CHANNEL, "the meeting is at ten").await?;
    assert_ne!(
        edit.text(),
        "the meeting is at ten",
        "a correction is told from a new message"
    );

    talk.igor.say(CHANNEL, "which room?").await?;
    let question = talk.ann.hears(&talk.room, "which room?").await?;
    talk.ann.reply(&talk.room, question.id(), "the small one").await?;
    let answer = talk.igor.hears(CHANNEL, "the small one").await?;
    assert!(
        answer.text().contains("igor"),
        "an answer says to whom: {}",
        answer.text()
    );

    talk.ann.react(&talk.room, question.id(), "👍").await?;
    talk.igor.hears(CHANNEL, "👍").await?;

    let secret = talk.ann.say(&talk.room, "forget what I said").await?;
    talk.igor.hears(CHANNEL, "forget what").await?;
    talk.ann.redact(&talk.room, &secret).await?;
    talk.igor
        .expect("the deletion", |line| line.says(CHANNEL, "deleted"))
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_becomes_a_link_that_gives_the_file() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann
        .send_file(&talk.room, "minutes.txt", b"we agreed on everything")
        .await?;
    let said = talk.igor.hears(CHANNEL, "minutes.txt").await?;
    let link = said.text().split_whitespace().find(|word| word.starts_with("http://"));
    let link = link.ok_or_else(|| anyhow::anyhow!("no link in {}", said.text()))?;
    assert_eq!(fetch(link).await?, b"we agreed on everything");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_go_and_are_removed() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    // Whoever comes to IRC comes to the room, and goes with a PART.
    let iris = talk.world.irc_person("iris", CHANNEL).await?;
    iris.say(CHANNEL, "here I am").await?;
    talk.ann.hears(&talk.room, "here I am").await?;
    assert!(talk.ann.is_joined(&talk.room, &ghost("iris")).await?);
    iris.raw(&format!("PART {CHANNEL} :good night")).await?;
    wait_for("iris out of the room", HEARD, || async {
        (!talk.ann.is_joined(&talk.room, &ghost("iris")).await.ok()?).then_some(())
    })
    .await?;

    // Whoever leaves the room leaves the channel.
    let ben = talk.world.matrix_person("ben").await?;
    ben.join(ROOM).await?;
    ben.say(&talk.room, "I am Ben").await?;
    talk.igor
        .expect("ben", |line| line.nick() == "ben[m]" && line.command == "PRIVMSG")
        .await?;
    ben.leave(&talk.room).await?;
    talk.igor
        .expect("ben gone", |line| {
            line.nick() == "ben[m]" && ["PART", "QUIT"].contains(&line.command.as_str())
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_puppet_that_is_kicked_takes_its_person_along() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    // The first in a channel rules it: igor comes in while the hub is away.
    talk.world.hub.stop();
    talk.igor.raw(&format!("PART {CHANNEL}")).await?;
    talk.igor
        .expect("igor out", |line| line.command == "PART" && line.nick() == "igor")
        .await?;
    let king = IrcPerson::connect(talk.world.irc.address(), "king").await?;
    king.join(CHANNEL).await?;
    talk.world.hub.start().await?;
    king.expect("the hub back", |line| {
        line.command == "JOIN" && line.nick() == "viaduct"
    })
    .await?;
    talk.ann.say(&talk.room, "hello again").await?;
    king.hears(CHANNEL, "hello again").await?;
    king.raw(&format!("KICK {CHANNEL} ann[m] :enough")).await?;
    talk.ann
        .expect("ann out of the room", &talk.room, |seen| {
            seen.kind() == "m.room.member"
                && seen.text("/state_key") == talk.ann.id()
                && seen.text("/content/membership") == "leave"
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_topic_follows_both_ways() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    // The channel has no +t, so that anybody may set it.
    talk.igor.raw(&format!("TOPIC {CHANNEL} :set on IRC")).await?;
    talk.ann
        .expect("the topic", &talk.room, |seen| {
            seen.kind() == "m.room.topic" && seen.text("/content/topic") == "set on IRC"
        })
        .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn private_messages_go_both_ways() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "I am here").await?;
    talk.igor.hears(CHANNEL, "I am here").await?;
    talk.igor.say("ann[m]", "between you and me").await?;
    let private = talk.ann.accept_invitation(&ghost("igor")).await?;
    let seen = talk.ann.hears(&private, "between you and me").await?;
    assert_eq!(seen.sender(), ghost("igor"));
    talk.ann.say(&private, "I will not tell").await?;
    let line = talk.igor.hears("igor", "I will not tell").await?;
    assert_eq!(line.nick(), "ann[m]");
    assert_eq!(
        talk.igor.count_of(|line| line.says(CHANNEL, "I will not tell")),
        0,
        "nothing private in public"
    );
    assert_eq!(
        talk.ann
            .count_of(&talk.room, |seen| seen.body().contains("between you and me")),
        0
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_opened_on_matrix_reaches_its_person() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.igor.say(CHANNEL, "write to me").await?;
    talk.ann.hears(&talk.room, "write to me").await?;
    let private = talk.ann.direct(&ghost("igor")).await?;
    wait_for("igor's ghost in the chat", HEARD, || async {
        talk.ann.is_joined(&private, &ghost("igor")).await.ok()?.then_some(())
    })
    .await?;
    talk.ann.say(&private, "as you wished").await?;
    talk.igor.hears("igor", "as you wished").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn one_room_and_two_channels_are_one_conversation() -> anyhow::Result<()> {
    let started = World::start_with(|spec| {
        // The same server twice, as two networks: what crosses from one to the other passes the hub.
        let section = spec.networks.get("irc").cloned().unwrap_or_default();
        let mut other = section;
        if let Some(other) = other.as_object_mut() {
            other.insert("nick".to_owned(), "viaduct2".into());
            other.insert(
                "puppets".to_owned(),
                serde_json::json!({ "enabled": true, "nick": "{name}[2]" }),
            );
        }
        spec.network("second", other).mirror(
            "project",
            &made_room("project"),
            &[("irc", "#left"), ("second", "#right")],
        )
    });
    let Some(world) = available(started.await)? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    let room = ann.join(ROOM).await?;
    let left = world.irc_person("lena", "#left").await?;
    let right = world.irc_person("rita", "#right").await?;

    left.say("#left", "said on the left").await?;
    right.hears("#right", "said on the left").await?;
    ann.hears(&room, "said on the left").await?;
    right.say("#right", "said on the right").await?;
    left.hears("#left", "said on the right").await?;
    ann.hears(&room, "said on the right").await?;
    ann.say(&room, "said in the room").await?;
    left.hears("#left", "said in the room").await?;
    right.hears("#right", "said in the room").await?;
    ann.hears(&room, "said in the room").await?;

    for text in ["said on the left", "said on the right", "said in the room"] {
        assert_eq!(ann.count_of(&room, |seen| seen.body().contains(text)), 1, "{text}");
    }
    assert_eq!(left.count_of(|line| line.says("#left", "said on the right")), 1);
    assert_eq!(
        left.count_of(|line| line.says("#left", "said on the left")),
        0,
        "no echo"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_becomes_a_link() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let text: Vec<String> = (0..60).map(|number| format!("line {number} of a long story")).collect();
    talk.ann.say(&talk.room, &text.join("\n")).await?;
    talk.igor
        .expect("a link", |line| {
            line.command == "PRIVMSG" && line.text().contains("http://")
        })
        .await?;
    assert_eq!(
        talk.igor.count_of(|line| line.says(CHANNEL, "line 40 of")),
        0,
        "the channel is not flooded"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_while_the_hub_is_away_arrives_when_it_is_back() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "before").await?;
    talk.igor.hears(CHANNEL, "before").await?;
    assert!(talk.world.hub.stop(), "it ends by itself when asked to");
    for number in 0..5 {
        talk.ann.say(&talk.room, &format!("meanwhile {number}")).await?;
    }
    talk.world.hub.start().await?;
    talk.igor.hears(CHANNEL, "meanwhile 4").await?;
    for text in [
        "before",
        "meanwhile 0",
        "meanwhile 1",
        "meanwhile 2",
        "meanwhile 3",
        "meanwhile 4",
    ] {
        assert_eq!(talk.igor.count_of(|line| line.says(CHANNEL, text)), 1, "{text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn relayed_people_are_named_and_cannot_ping_by_accident() -> anyhow::Result<()> {
    let started = World::start_with(|mut spec| {
        if let Some(section) = spec.networks.get_mut("irc").and_then(|section| section.as_object_mut()) {
            section.insert("puppets".to_owned(), serde_json::json!({ "enabled": false }));
        }
        spec.mirror("project", &made_room("project"), &[("irc", CHANNEL)])
    });
    let Some(world) = available(started.await)? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    let room = ann.join(ROOM).await?;
    let igor = world.irc_person("igor", CHANNEL).await?;
    ann.say(&room, "who am I?").await?;
    let line = igor.hears(CHANNEL, "who am I?").await?;
    assert_eq!(line.nick(), "viaduct");
    assert!(line.text().starts_with('<'), "{}", line.text());
    assert!(
        !line.text().contains("ann"),
        "the name is broken, so that it pings nobody: {}",
        line.text()
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_comes_back_to_an_irc_server_that_was_away() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann.say(&talk.room, "before").await?;
    talk.igor.hears(CHANNEL, "before").await?;
    talk.world.irc.stop();
    talk.world.irc.start_again().await?;
    let igor = talk.world.irc_person("igor", CHANNEL).await?;
    talk.ann.say(&talk.room, "after").await?;
    igor.hears(CHANNEL, "after").await?;
    igor.say(CHANNEL, "and back").await?;
    talk.ann.hears(&talk.room, "and back").await?;
    Ok(())
}
