//! People on real XMPP servers and people on a real homeserver talk to each other through the hub; where a room is mirrored
//! with an IRC channel too, all three.

use viaduct_tests::launch::{Ejabberd, Prosody, XmppServer, available, xmpp_section};
use viaduct_tests::people::{HEARD, MatrixPerson, Seen, XmppMessage, XmppPerson, fetch, numbered};
use viaduct_tests::wait::wait_for;
use viaduct_tests::world::{World, made_room};

const ROOM: &str = "#project:localhost";

/// The XMPP room of the mirror `project`.
fn muc() -> String {
    XmppServer::room("project")
}

/// A world with one person on each side, both in the mirror `project`.
struct Talk {
    ann: MatrixPerson,
    xena: XmppPerson,
    room: String,
    world: World,
}

impl Talk {
    /// On Prosody; none where a server is missing.
    async fn start() -> anyhow::Result<Option<Self>> {
        let Some(server) = available(Prosody::start().await)? else {
            return Ok(None);
        };
        Self::start_on(XmppServer::Prosody(server)).await
    }

    async fn start_on(server: XmppServer) -> anyhow::Result<Option<Self>> {
        let started = World::start_with_xmpp(server, |spec| {
            spec.mirror("project", &made_room("project"), &[("xmpp", &muc())])
        });
        let Some(world) = available(started.await)? else {
            return Ok(None);
        };
        let ann = world.matrix_person("ann").await?;
        let room = ann.join(ROOM).await?;
        let xena = world.xmpp_person("xena", &muc()).await?;
        Ok(Some(Self { ann, xena, room, world }))
    }

    /// Says something on XMPP, and gives both how XMPP shows it and how Matrix does.
    async fn xena_says(&self, text: &str) -> anyhow::Result<(XmppMessage, Seen)> {
        let said = self.xena.say(&muc(), text).await?;
        Ok((said, self.ann.hears(&self.room, text).await?))
    }

    /// Says something on Matrix, and gives both how Matrix calls it and how XMPP shows it.
    async fn ann_says(&self, text: &str) -> anyhow::Result<(String, XmppMessage)> {
        let said = self.ann.say(&self.room, text).await?;
        Ok((said, self.xena.hears(&muc(), text).await?))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_side_says_reaches_the_other_once_and_in_order() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.world.assert_loopback_only()?;
    for (here, there) in numbered("Matrix").iter().zip(&numbered("XMPP")) {
        talk.ann.say(&talk.room, here).await?;
        talk.xena.utter(&muc(), there).await?;
    }
    let line = talk.xena.hears(&muc(), "from Matrix 9").await?;
    assert_eq!(line.nick(), "ann", "Matrix people speak under their own nick");
    let seen = talk.ann.hears(&talk.room, "from XMPP 9").await?;
    assert!(seen.sender().starts_with("@_via_xmpp_"), "{}", seen.sender());

    let heard = talk.xena.messages();
    let heard = heard.iter().filter(|message| message.says(&muc(), "from Matrix"));
    assert_eq!(heard.map(XmppMessage::text).collect::<Vec<_>>(), numbered("Matrix"));
    talk.ann.check_numbered(&talk.room, "XMPP")?;
    talk.ann.check_numbered(&talk.room, "Matrix")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn formatting_and_signs_cross() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann
        .say_html(&talk.room, "very bold 🌉", "very <strong>bold</strong> 🌉")
        .await?;
    talk.xena.hears(&muc(), "very *bold* 🌉").await?;
    talk.xena
        .utter(&muc(), "quite _slanted_ and <b>not bold</b> & 🌉")
        .await?;
    let seen = talk.ann.hears(&talk.room, "and <b>not bold</b> & 🌉").await?;
    let html = seen.text("/content/formatted_body");
    assert!(html.contains("<em>slanted</em>"), "{html}");
    assert!(
        html.contains("&lt;b&gt;not bold&lt;/b&gt;"),
        "what somebody typed is never markup: {html}"
    );
    talk.xena.utter(&muc(), "/me waves").await?;
    let wave = talk.ann.hears(&talk.room, "waves").await?;
    assert_eq!(wave.text("/content/msgtype"), "m.emote");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_replies_reactions_and_retractions_from_matrix_are_real_ones() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    tell_from_matrix(&talk).await
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_replies_reactions_and_retractions_from_xmpp_are_real_ones() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    tell_from_xmpp(&talk).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_occupant_ids_carries_the_same() -> anyhow::Result<()> {
    let Some(server) = available(Ejabberd::start().await)? else {
        return Ok(());
    };
    let Some(talk) = Talk::start_on(XmppServer::Ejabberd(server)).await? else {
        return Ok(());
    };
    tell_from_matrix(&talk).await?;
    tell_from_xmpp(&talk).await
}

async fn tell_from_matrix(talk: &Talk) -> anyhow::Result<()> {
    let (event, said) = talk.ann_says("the meeting is at nine").await?;
    talk.ann.edit(&talk.room, &event, "the meeting is at ten").await?;
    let edit = talk.xena.hears(&muc(), "the meeting is at ten").await?;
    assert_eq!(edit.replaces.as_deref(), Some(said.id.as_str()));

    let (question, seen) = talk.xena_says("which room?").await?;
    talk.ann.reply(&talk.room, seen.id(), "the small one").await?;
    let answer = talk.xena.hears(&muc(), "the small one").await?;
    assert_eq!(answer.answers.as_deref(), Some(question.name()));

    talk.ann.react(&talk.room, seen.id(), "👍").await?;
    talk.ann.react(&talk.room, seen.id(), "🎉").await?;
    let both = talk
        .xena
        .expect("both reactions", |message| message.reactions.len() == 2)
        .await?;
    assert_eq!(both.reacts_to.as_deref(), Some(question.name()));
    assert!(
        ["👍", "🎉"]
            .iter()
            .all(|emoji| both.reactions.iter().any(|one| one == emoji))
    );

    let (secret, said) = talk.ann_says("forget what I said").await?;
    talk.ann.redact(&talk.room, &secret).await?;
    talk.xena
        .expect("the retraction", |message| {
            message
                .retracts
                .as_deref()
                .is_some_and(|id| id == said.name() || id == said.id)
        })
        .await?;
    Ok(())
}

async fn tell_from_xmpp(talk: &Talk) -> anyhow::Result<()> {
    let (said, seen) = talk.xena_says("we meet at nine").await?;
    talk.xena.edit(&muc(), &said, "we meet at ten").await?;
    talk.ann
        .expect("the edit", &talk.room, |other| {
            other.rewords(seen.id(), "we meet at ten")
        })
        .await?;

    let (question, shown) = talk.ann_says("in which room?").await?;
    talk.xena.reply(&muc(), &shown, "in the large one").await?;
    let answer = talk.ann.hears(&talk.room, "in the large one").await?;
    assert_eq!(answer.text("/content/m.relates_to/m.in_reply_to/event_id"), question);
    assert_eq!(
        answer.body(),
        "in the large one",
        "the quotation for old clients is left out"
    );

    talk.xena.react(&muc(), &shown, &["👍", "🎉"]).await?;
    let party = talk
        .ann
        .expect("🎉", &talk.room, |seen| seen.reacts(&question, "🎉"))
        .await?;
    talk.ann
        .expect("👍", &talk.room, |seen| seen.reacts(&question, "👍"))
        .await?;
    // Whoever sends fewer reactions than before takes some back.
    talk.xena.react(&muc(), &shown, &["👍"]).await?;
    talk.ann
        .expect("🎉 taken back", &talk.room, |seen| seen.redacts(party.id()))
        .await?;

    let (secret, seen) = talk.xena_says("forget that").await?;
    talk.xena.retract(&muc(), &secret).await?;
    talk.ann
        .expect("the retraction", &talk.room, |other| other.redacts(seen.id()))
        .await?;
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
    let shared = talk.xena.expect("a file", |message| message.link.is_some()).await?;
    let minutes = fetch(&shared.link.unwrap_or_default()).await?;
    assert_eq!(minutes, b"we agreed on everything");

    talk.xena.share(&muc(), "notes.txt", "and wrote it down", None).await?;
    let notes = talk.ann.receives_file(&talk.room, "xmpp", "notes.txt").await?;
    assert_eq!(notes, b"and wrote it down");

    // Offered in all ways there are, it crosses once, under the name it was given, and without the address.
    let (named, text) = ("What was said.txt", "word for word");
    let address = talk.xena.share(&muc(), "f.txt", text, Some(named)).await?;
    let words = talk.ann.receives_file(&talk.room, "xmpp", named).await?;
    assert_eq!(words, text.as_bytes());
    talk.xena_says("did you get both?").await?;
    let files = |seen: &Seen| seen.text("/content/url").starts_with("mxc://") && seen.body() != "minutes.txt";
    assert_eq!(talk.ann.count_of(&talk.room, files), 2);
    assert_eq!(talk.ann.count_of(&talk.room, |seen| seen.body().contains(&address)), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subject_set_on_xmpp_becomes_the_topic() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    // Whoever came first made the room and rules it; the hub's people and everybody else may set the subject as well.
    talk.xena.set_subject(&muc(), "set on XMPP").await.ok();
    let (event, _) = talk.ann_says("is there a subject?").await?;
    assert!(!event.is_empty());
    let refused = talk
        .xena
        .count_of(|message| message.kind == "error" && message.bare() == muc());
    if refused == 0 {
        talk.ann
            .expect("the topic", &talk.room, |seen| {
                seen.kind() == "m.room.topic" && seen.text("/content/topic") == "set on XMPP"
            })
            .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn people_come_and_go() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let (_, seen) = talk.xena_says("here I am").await?;
    assert!(talk.ann.is_joined(&talk.room, seen.sender()).await?);
    talk.xena.leave(&muc()).await?;
    wait_for("xena out of the room", HEARD, || async {
        (!talk.ann.is_joined(&talk.room, seen.sender()).await.ok()?).then_some(())
    })
    .await?;
    talk.xena.join(&muc(), "xena").await?;

    let ben = talk.world.matrix_person("ben").await?;
    ben.join(ROOM).await?;
    ben.say(&talk.room, "I am Ben").await?;
    talk.xena.hears(&muc(), "I am Ben").await?;
    talk.xena.meets(&muc(), "ben").await?;
    ben.leave(&talk.room).await?;
    wait_for("ben out of the XMPP room", HEARD, || async {
        (!talk.xena.sees(&muc(), "ben")).then_some(())
    })
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn private_messages_go_both_ways_whoever_begins() -> anyhow::Result<()> {
    let Some(talk) = Talk::start().await? else {
        return Ok(());
    };
    let ann = format!("ann\\3alocalhost@{}", XmppServer::COMPONENT);
    talk.xena.chat(&ann, "between you and me").await?;
    let private = talk.ann.accept_any_invitation().await?;
    let seen = talk.ann.hears(&private, "between you and me").await?;
    talk.ann.say(&private, "I will not tell").await?;
    let answer = talk.xena.hears(&ann, "I will not tell").await?;
    assert_eq!(answer.kind, "chat");
    assert_eq!(
        talk.xena.count_of(|message| message.says(&muc(), "I will not tell")),
        0,
        "nothing private in public"
    );

    // Another person on Matrix writes to the same one.
    let ben = talk.world.matrix_person("ben").await?;
    let chat = ben.direct(seen.sender()).await?;
    wait_for("xena's ghost in the chat", HEARD, || async {
        ben.is_joined(&chat, seen.sender()).await.ok()?.then_some(())
    })
    .await?;
    ben.say(&chat, "I am Ben, may I?").await?;
    let asked = talk
        .xena
        .expect("Ben's question", |message| message.text().contains("may I?"))
        .await?;
    assert_eq!(
        (asked.kind.as_str(), asked.bare()),
        ("chat", format!("ben\\3alocalhost@{}", XmppServer::COMPONENT).as_str())
    );
    talk.xena.chat(asked.bare(), "you may").await?;
    ben.hears(&chat, "you may").await?;
    Ok(())
}

/// Where people have no addresses of their own, the hub speaks for them, and finds out whom an answer is for.
#[tokio::test(flavor = "multi_thread")]
async fn private_messages_find_their_people_without_puppets() -> anyhow::Result<()> {
    let Some(server) = available(Prosody::start().await)? else {
        return Ok(());
    };
    let mut section = xmpp_section(server.components());
    section["puppets"] = false.into();
    let started = World::start_with_xmpp(XmppServer::Prosody(server), |spec| {
        spec.network("xmpp", section)
            .mirror("project", &made_room("project"), &[("xmpp", &muc())])
    });
    let Some(world) = available(started.await)? else {
        return Ok(());
    };
    let hub = format!("viaduct@{}", XmppServer::COMPONENT);
    let ann = world.matrix_person("ann").await?;
    let room = ann.join(ROOM).await?;
    let xena = world.xmpp_person("xena", &muc()).await?;
    // The room does not show her address: only who begins herself can be written to.
    xena.say(&muc(), "here I am").await?;
    ann.hears(&room, "here I am").await?;
    xena.chat(&hub, "@ann:localhost between you and me").await?;
    let private = ann.accept_any_invitation().await?;
    ann.hears(&private, "between you and me").await?;
    ann.say(&private, "I will not tell").await?;
    let answer = xena.hears(&hub, "I will not tell").await?;
    assert_eq!(answer.kind, "chat");
    assert!(answer.text().starts_with("ann: "), "{}", answer.text());
    xena.chat(&hub, "thank you").await?;
    ann.hears(&private, "thank you").await?;

    let ben = world.matrix_person("ben").await?;
    xena.chat(&hub, "@ben:localhost: good morning").await?;
    let chat = ben.accept_any_invitation().await?;
    ben.hears(&chat, "good morning").await?;
    ann.say(&private, "are you there?").await?;
    xena.hears(&hub, "are you there?").await?;
    // Now it may be for either of them.
    xena.chat(&hub, "a secret").await?;
    xena.hears(&hub, "not delivered").await?;
    xena.chat(&hub, "ann: a surprise").await?;
    ann.hears(&private, "a surprise").await?;
    for (person, place) in [(&ann, &private), (&ben, &chat), (&ann, &room)] {
        assert_eq!(person.count_of(place, |seen| seen.body().contains("a secret")), 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_while_the_hub_is_away_arrives_when_it_is_back() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start().await? else {
        return Ok(());
    };
    talk.ann_says("before").await?;
    talk.xena_says("earlier").await?;
    assert!(talk.world.hub.stop(), "it ends by itself when asked to");
    for number in 0..5 {
        talk.ann
            .say(&talk.room, &format!("meanwhile on Matrix {number}"))
            .await?;
        talk.xena.say(&muc(), &format!("meanwhile on XMPP {number}")).await?;
    }
    talk.world.hub.start().await?;
    talk.xena.hears(&muc(), "meanwhile on Matrix 4").await?;
    talk.ann.hears(&talk.room, "meanwhile on XMPP 4").await?;
    for number in 0..5 {
        let (there, here) = (
            format!("meanwhile on Matrix {number}"),
            format!("meanwhile on XMPP {number}"),
        );
        assert_eq!(talk.xena.count_of(|message| message.says(&muc(), &there)), 1, "{there}");
        assert_eq!(talk.ann.count_of(&talk.room, |seen| seen.body() == here), 1, "{here}");
    }
    assert_eq!(talk.xena.count_of(|message| message.says(&muc(), "before")), 1);
    assert_eq!(talk.ann.count_of(&talk.room, |seen| seen.body() == "earlier"), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_a_channel_and_a_muc_are_one_conversation() -> anyhow::Result<()> {
    const CHANNEL: &str = "#project";
    let Some(server) = available(Prosody::start().await)? else {
        return Ok(());
    };
    let started = World::start_with_xmpp(XmppServer::Prosody(server), |spec| {
        spec.mirror("project", &made_room("project"), &[("irc", CHANNEL), ("xmpp", &muc())])
    });
    let Some(world) = available(started.await)? else {
        return Ok(());
    };
    let ann = world.matrix_person("ann").await?;
    let room = ann.join(ROOM).await?;
    let igor = world.irc_person("igor", CHANNEL).await?;
    let xena = world.xmpp_person("xena", &muc()).await?;

    ann.say(&room, "said on Matrix").await?;
    igor.hears(CHANNEL, "said on Matrix").await?;
    xena.hears(&muc(), "said on Matrix").await?;
    igor.say(CHANNEL, "said on IRC").await?;
    let seen = ann.hears(&room, "said on IRC").await?;
    let heard = xena.hears(&muc(), "said on IRC").await?;
    assert_eq!(
        heard.nick(),
        "igor",
        "people of other networks speak under their own nick too"
    );
    xena.utter(&muc(), "said on XMPP").await?;
    ann.hears(&room, "said on XMPP").await?;
    let line = igor.hears(CHANNEL, "said on XMPP").await?;
    assert!(line.nick().contains("xena") || line.text().contains("xena"), "{line:?}");

    // What points at a message of one network is understood on the other.
    xena.reply(&muc(), &heard, "I read you").await?;
    let answer = ann.hears(&room, "I read you").await?;
    assert_eq!(answer.text("/content/m.relates_to/m.in_reply_to/event_id"), seen.id());
    let line = igor.hears(CHANNEL, "I read you").await?;
    assert!(line.text().contains("igor"), "an answer says to whom: {}", line.text());

    for text in ["said on Matrix", "said on IRC", "said on XMPP", "I read you"] {
        assert_eq!(ann.count_of(&room, |seen| seen.body().contains(text)), 1, "{text}");
        // What she answers she quotes as well, before the answer.
        let times = xena.count_of(|message| message.says(&muc(), text) && message.text().ends_with(text));
        assert_eq!(times, 1, "{text}");
    }
    let echoes = igor.count_of(|line| line.says(CHANNEL, "said on IRC") && !line.text().contains("I read you"));
    assert_eq!(echoes, 0, "no echo");
    assert_eq!(igor.count_of(|line| line.says(CHANNEL, "said on XMPP")), 1);
    Ok(())
}
