//! People in a Teams tenant and people on a real homeserver talk to each other through the hub.
//!
//! Microsoft is the stand-in of this crate: login, connector and Graph refuse what Microsoft refuses, and what was asked of
//! them that Microsoft does not offer is a violation.

mod teams {
    mod files;
    mod people;
    mod places;
    pub mod talk;
    mod trouble;
}

use serde_json::json;
use viaduct_tests::people::{TeamsMessage, numbered};
use viaduct_tests::teams::Draft;

use teams::talk::Talk;

#[tokio::test(flavor = "multi_thread")]
async fn what_either_side_says_reaches_the_other_once_and_in_order() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.world.assert_loopback_only()?;
    for (here, there) in numbered("Matrix").iter().zip(&numbered("Teams")) {
        talk.ann.say(&talk.room, here).await?;
        talk.sue.say(&talk.channel, there).await?;
    }
    let said = talk.sue.hears(&talk.channel, "from Matrix 9").await?;
    assert_eq!(said.name(), "ann", "Matrix people are named in front: {}", said.html());
    let seen = talk.ann.hears(&talk.room, "from Teams 9").await?;
    assert!(seen.sender().starts_with("@_via_teams_"), "{}", seen.sender());

    let history = talk.sue.history(&talk.channel).await?;
    let of_app = history.iter().filter(|said| said.is_of_app());
    assert_eq!(of_app.map(TeamsMessage::text).collect::<Vec<_>>(), numbered("Matrix"));
    talk.ann.check_numbered(&talk.room, "Teams")?;
    talk.ann.check_numbered(&talk.room, "Matrix")?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn formatting_and_signs_cross() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let html = "very <strong>bold</strong> 🌉 &amp; &lt;b&gt;\
                <table><tr><th>pier</th><th>ton</th></tr><tr><td>left</td><td>12</td></tr></table>\
                <pre><code>if a &lt; b\n  stop</code></pre>";
    talk.ann.say_html(&talk.room, "very bold 🌉 & <b>", html).await?;
    let said = talk.sue.hears(&talk.channel, "🌉").await?;
    assert!(said.html().contains("<b>bold</b>"), "{}", said.html());
    for shown in ["& <b>", "pier", "12", "if a < b\n  stop"] {
        assert!(said.text().contains(shown), "{shown} in {:?}", said.text());
    }

    let draft = Draft {
        html: "<p>quite <em>slanted</em> and &lt;b&gt;not bold&lt;/b&gt; &amp; 🌉</p><ul><li>one</li><li>two</li></ul>"
            .to_owned(),
        subject: Some("The bridge".to_owned()),
        ..Draft::default()
    };
    talk.teams.say_with(&talk.channel, talk.sue.id(), draft);
    let seen = talk.ann.hears(&talk.room, "and <b>not bold</b> & 🌉").await?;
    let html = seen.text("/content/formatted_body");
    for shown in ["<em>slanted</em>", "&lt;b&gt;not bold&lt;/b&gt;", "<li>two</li>"] {
        assert!(html.contains(shown), "{shown} in {html}");
    }

    let card = json!({ "type": "AdaptiveCard", "version": "1.5", "body": [
        { "type": "TextBlock", "text": "Inspection of the pier" },
        { "type": "FactSet", "facts": [{ "title": "When", "value": "Monday" }] },
    ] });
    let draft = Draft {
        html: "<p>see the card</p>".to_owned(),
        attachments: vec![json!({
            "id": "c1", "contentType": "application/vnd.microsoft.card.adaptive", "content": card.to_string(),
            "contentUrl": null, "name": null, "thumbnailUrl": null,
        })],
        ..Draft::default()
    };
    talk.teams.say_with(&talk.channel, talk.sue.id(), draft);
    let seen = talk.ann.hears(&talk.room, "Inspection of the pier").await?;
    assert!(seen.body().contains("Monday"), "{}", seen.body());
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_long_for_one_message_is_split_and_whole() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let words: Vec<String> = (0..8_000).map(|number| format!("w{number}")).collect();
    talk.ann.say(&talk.room, &words.join(" ")).await?;
    talk.sue.hears(&talk.channel, "w7999").await?;
    let history = talk.sue.history(&talk.channel).await?;
    assert!(history.len() > 1, "{} messages", history.len());
    let whole: Vec<String> = history.iter().map(TeamsMessage::text).collect();
    let whole: Vec<&str> = whole.iter().flat_map(|text| text.split_whitespace()).collect();
    assert_eq!(whole, words, "nothing is lost or doubled");
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_replies_reactions_and_deletions_from_matrix_are_real_ones() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (event, said) = talk.ann_says("the meeting is at nine").await?;
    talk.ann.edit(&talk.room, &event, "the meeting is at ten").await?;
    let edited = talk
        .in_teams("the edit", said.id(), |said| said.text() == "the meeting is at ten")
        .await?;
    assert!(edited.is_edited());
    assert_eq!(edited.name(), "ann");

    let (root, seen) = talk.sue_says("which room?").await?;
    let in_thread = json!({
        "msgtype": "m.text", "body": "the small one",
        "m.relates_to": { "rel_type": "m.thread", "event_id": seen.id(), "is_falling_back": true,
                          "m.in_reply_to": { "event_id": seen.id() } },
    });
    talk.ann.send(&talk.room, "m.room.message", in_thread).await?;
    assert_eq!(talk.sue.hears(&talk.channel, "the small one").await?.root(), root);
    talk.ann.reply(&talk.room, seen.id(), "or the large one").await?;
    assert_eq!(talk.sue.hears(&talk.channel, "or the large one").await?.root(), root);

    talk.ann.react(&talk.room, seen.id(), "👍").await?;
    talk.in_teams("👍", root, |said| said.reactions("like") == 1).await?;
    let heart = talk.ann.react(&talk.room, seen.id(), "❤️").await?;
    talk.in_teams("❤️", root, |said| said.reactions("heart") == 1).await?;
    talk.ann.redact(&talk.room, &heart).await?;
    let left = talk
        .in_teams("❤️ taken back", root, |said| said.reactions("heart") == 0)
        .await?;
    assert_eq!(left.reactions("like"), 1);

    let (secret, said) = talk.ann_says("forget what I said").await?;
    talk.ann.redact(&talk.room, &secret).await?;
    talk.in_teams("the deletion", said.id(), TeamsMessage::is_deleted)
        .await?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_replies_reactions_and_deletions_from_teams_are_real_ones() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (said, seen) = talk.sue_says("we meet at nine").await?;
    talk.sue.edit(&talk.channel, said, "we meet at ten").await?;
    talk.ann
        .expect("the edit", &talk.room, |other| {
            other.rewords(seen.id(), "we meet at ten")
        })
        .await?;

    let (question, shown) = talk.ann_says("in which room?").await?;
    talk.sue.reply(&talk.channel, shown.id(), "in the large one").await?;
    let answer = talk.ann.hears(&talk.room, "in the large one").await?;
    assert_eq!(answer.thread(), question, "{}", answer.event);

    talk.sue.react(&talk.channel, shown.id(), "heart", true).await?;
    talk.sue.react(&talk.channel, shown.id(), "like", true).await?;
    let heart = talk
        .ann
        .expect("❤️", &talk.room, |seen| seen.reacts(&question, "❤️"))
        .await?;
    talk.ann
        .expect("👍", &talk.room, |seen| seen.reacts(&question, "👍"))
        .await?;
    talk.sue.react(&talk.channel, shown.id(), "heart", false).await?;
    talk.ann
        .expect("❤️ taken back", &talk.room, |seen| seen.redacts(heart.id()))
        .await?;
    // Bots are not told of what people think of each other: this comes by Graph's notification.
    talk.sue.react(&talk.channel, said, "laugh", true).await?;
    talk.ann
        .expect("😆", &talk.room, |other| other.reacts(seen.id(), "😆"))
        .await?;

    let (secret, seen) = talk.sue_says("forget that").await?;
    talk.sue.delete(&talk.channel, secret).await?;
    talk.ann
        .expect("the deletion", &talk.room, |other| other.redacts(seen.id()))
        .await?;
    assert!(talk.teams.undelete(&talk.channel, secret));
    talk.ann
        .expect("what was taken back, after all", &talk.room, |other| {
            other.body() == "forget that" && other.id() != seen.id()
        })
        .await?;
    talk.check_manners();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_quotes_a_message_in_teams_answers_it_on_matrix() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (root, first) = talk.sue_says("the left pier is ready").await?;
    let draft = Draft {
        html: "<p>and the right one?</p>".to_owned(),
        thread: Some(root),
        quotes: Some(root),
        ..Draft::default()
    };
    talk.teams.say_with(&talk.channel, talk.sue.id(), draft);
    let answer = talk.ann.hears(&talk.room, "and the right one?").await?;
    let relation = answer.event.pointer("/content/m.relates_to").map(ToString::to_string);
    assert!(
        relation.is_some_and(|relation| relation.contains(first.id())),
        "{}",
        answer.event
    );
    let quoted = answer.body().contains("the left pier is ready");
    assert!(!quoted, "what is answered is not repeated: {}", answer.body());
    talk.check_manners();
    Ok(())
}
