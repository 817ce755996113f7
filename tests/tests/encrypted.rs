//! People in end-to-end encrypted rooms and people on a real IRC server talk to each other through the hub.

use std::time::Duration;

use serde_json::{Value, json};
use viaduct_tests::launch::{HubSpec, available};
use viaduct_tests::people::{HEARD, IrcPerson, MatrixPerson, fetch};
use viaduct_tests::wait::{wait_for, wait_until};
use viaduct_tests::world::World;

const CHANNEL: &str = "#project";
const ROOM: &str = "#project:localhost";
/// By when a homeserver that could not reach the hub has tried again.
const AGAIN: Duration = Duration::from_secs(90);

/// A world with an encrypted mirror, and one person on each side of it.
struct Talk {
    ann: MatrixPerson,
    igor: IrcPerson,
    room: String,
    world: World,
}

fn made(alias: &str) -> Value {
    json!({ "alias": alias, "name": "a room", "create": true, "public": true })
}

impl Talk {
    /// None where a server is missing.
    async fn start(more: impl FnOnce(HubSpec) -> HubSpec) -> anyhow::Result<Option<Self>> {
        let started = World::start_with(|mut spec| {
            spec.ledger = true;
            let spec = spec
                .encrypted("correct horse battery staple")
                .mirror("project", &made(ROOM), &[("irc", CHANNEL)])
                .encrypt("project");
            more(spec)
        });
        let Some(world) = available(started.await)? else {
            return Ok(None);
        };
        let ann = world.matrix_person("ann").await?;
        let room = ann.join(ROOM).await?;
        let igor = world.irc_person("igor", CHANNEL).await?;
        Ok(Some(Self { ann, igor, room, world }))
    }

    /// Both sides say something, which reaches the other.
    async fn greet(&self, word: &str) -> anyhow::Result<()> {
        self.ann.say(&self.room, &format!("{word} from Matrix")).await?;
        self.igor.hears(CHANNEL, &format!("{word} from Matrix")).await?;
        self.igor.say(CHANNEL, &format!("{word} from IRC")).await?;
        self.ann.hears(&self.room, &format!("{word} from IRC")).await?;
        Ok(())
    }

    /// How often something was heard on IRC.
    fn heard(&self, text: &str) -> usize {
        self.igor.count_of(|line| line.says(CHANNEL, text))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s15_s48_people_in_an_encrypted_room_are_told_and_then_talk_as_in_any_other() -> anyhow::Result<()> {
    let Some(talk) = Talk::start(|spec| spec).await? else {
        return Ok(());
    };
    let (ann, igor, room) = (&talk.ann, &talk.igor, &talk.room);
    talk.greet("sealed").await?;
    // Told before the first message crossed, in words that everybody can read, whoever comes when.
    let told = ann.hears(room, "decrypt").await?;
    assert_eq!(told.sender(), "@viaduct:localhost");
    assert_eq!(ann.as_kept(room, told.id()).await?["type"], "m.room.message");
    let said = ann.hears(room, "sealed from IRC").await?;
    assert_eq!(said.sender(), "@_via_irc_igor:localhost");
    let order: Vec<String> = ann.seen(room).iter().map(|seen| seen.id().to_owned()).collect();
    let place = |id: &str| order.iter().position(|other| other == id);
    assert!(place(told.id()) < place(said.id()));
    let kept = ann.as_kept(room, said.id()).await?;
    assert!(
        kept["type"] == "m.room.encrypted" && !kept.to_string().contains("IRC"),
        "{kept}"
    );
    let bridges = ann.ask_state(room, "m.bridge").await?;
    assert!(
        bridges.iter().any(|content| content["eu.viaduct.decrypts"] == true),
        "{bridges:?}"
    );

    let event = ann.say(room, "the meeting is at nine").await?;
    igor.hears(CHANNEL, "at nine").await?;
    ann.edit(room, &event, "the meeting is at ten").await?;
    igor.hears(CHANNEL, "the meeting is at ten").await?;
    ann.reply(room, said.id(), "the small one").await?;
    assert!(igor.hears(CHANNEL, "the small one").await?.text().contains("igor"));
    ann.react(room, said.id(), "👍").await?;
    igor.hears(CHANNEL, "👍").await?;
    ann.redact(room, &event).await?;
    igor.hears(CHANNEL, "deleted").await?;

    ann.send_file(room, "minutes.txt", b"we agreed on everything").await?;
    let shared = igor.hears(CHANNEL, "minutes.txt").await?;
    let link = shared.text().split_whitespace().find(|word| word.starts_with("http"));
    assert_eq!(fetch(link.unwrap_or_default()).await?, b"we agreed on everything");

    // Whoever comes later reads what is said from then on.
    let bob = talk.world.matrix_person("bob").await?;
    bob.join(ROOM).await?;
    ann.say(room, "welcome, bob").await?;
    igor.hears(CHANNEL, "welcome, bob").await?;
    igor.say(CHANNEL, "hello, bob").await?;
    bob.hears(room, "hello, bob").await?;
    bob.say(room, "thank you all").await?;
    igor.hears(CHANNEL, "thank you all").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "open: passes on a quiet machine, but now and then a key that was sent while the hub was down is not found again"]
async fn a_killed_hub_has_its_keys_and_loses_and_doubles_nothing() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start(|spec| spec).await? else {
        return Ok(());
    };
    talk.greet("before").await?;
    talk.world.hub.kill();
    for word in ["first", "second", "third"] {
        talk.ann.say(&talk.room, &format!("{word} meanwhile")).await?;
    }
    talk.world.hub.start().await?;
    // A homeserver that could not reach the hub tries again after a pause, which doubles each time.
    let all = || talk.heard("third meanwhile") > 0;
    wait_until("what was said meanwhile on IRC", AGAIN, all).await?;
    talk.greet("after").await?;
    for word in [
        "before from Matrix",
        "first meanwhile",
        "second meanwhile",
        "third meanwhile",
    ] {
        assert_eq!(talk.heard(word), 1, "{word}");
    }
    let twice = talk.ann.seen(&talk.room);
    assert_eq!(twice.iter().filter(|seen| seen.body() == "before from IRC").count(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_key_never_comes_is_told_and_delays_only_its_room() -> anyhow::Result<()> {
    let Some(talk) = Talk::start(|spec| spec.mirror("other", &made("#other:localhost"), &[("irc", "#other")])).await?
    else {
        return Ok(());
    };
    let (ann, room) = (&talk.ann, &talk.room);
    talk.greet("sealed").await?;
    let other = ann.join("#other:localhost").await?;
    let olga = talk.world.irc_person("olga", "#other").await?;

    // Encrypted for a room in which the bot is not: it never gets that key.
    let private = ann.create_room("private", &[]).await?;
    ann.encrypt(&private).await?;
    let secret = ann.say(&private, "nobody else reads this").await?;
    let sealed = ann.as_kept(&private, &secret).await?["content"].clone();
    let unread = ann.send_as_is(room, "m.room.encrypted", &sealed).await?;
    ann.say(room, "said behind it").await?;
    ann.say(&other, "elsewhere nobody waits").await?;
    olga.hears("#other", "elsewhere nobody waits").await?;
    assert_eq!(
        talk.heard("said behind it"),
        0,
        "what comes after a message waits for it"
    );

    // It is waited for as long as anything is heard of; that alone is why this is asked for twice.
    talk.igor.hears(CHANNEL, "said behind it").await.ok();
    talk.igor.hears(CHANNEL, "said behind it").await?;
    let told = ann
        .hears(room, "the key of this message did not reach the bridge")
        .await?;
    assert_eq!(told.text("/content/m.relates_to/m.in_reply_to/event_id"), unread);
    // What is not encrypted does not cross, and its sender is told.
    ann.send_as_is(
        room,
        "m.room.message",
        &json!({ "msgtype": "m.text", "body": "in the clear" }),
    )
    .await?;
    ann.hears(room, "this message was not encrypted").await?;
    talk.greet("still").await?;
    assert_eq!(talk.heard("in the clear") + talk.heard("nobody else reads this"), 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn s37_nothing_crosses_where_room_and_mirror_do_not_fit_and_it_is_told() -> anyhow::Result<()> {
    let Some(mut talk) = Talk::start(|spec| {
        spec.mirror("late", &made("#late:localhost"), &[("irc", "#late")])
            .mirror("open", &made("#open:localhost"), &[("irc", "#open")])
    })
    .await?
    else {
        return Ok(());
    };
    let late = talk.ann.join("#late:localhost").await?;
    let open = talk.ann.join("#open:localhost").await?;
    let olga = talk.world.irc_person("olga", "#late").await?;
    olga.join("#open").await?;
    talk.ann.say(&late, "as ever").await?;
    olga.hears("#late", "as ever").await?;
    // A room becomes encrypted, and nobody has opted in.
    talk.world.synapse.encrypt("as-token-of-localhost", &late).await?;
    wait_for("the encrypted room", HEARD, || async {
        let event = talk.ann.say(&late, "for the room alone").await.ok()?;
        let kept = talk.ann.as_kept(&late, &event).await.ok()?;
        (kept["type"] == "m.room.encrypted").then_some(())
    })
    .await?;
    talk.ann.hears(&late, "its mirror is not set up for that").await?;
    olga.say("#late", "from IRC into the sealed room").await?;
    // All of it has reached the hub: it is told things in their order.
    talk.ann.say(&open, "nothing is sealed here").await?;
    olga.hears("#open", "nothing is sealed here").await?;

    // The operators opt in, here and for a room that is not encrypted.
    talk.world.hub.configure(|configuration| {
        for mirror in configuration["mirrors"].as_array_mut().into_iter().flatten() {
            mirror["encrypted"] = json!(true);
        }
    })?;
    talk.world.hub.stop();
    talk.world.hub.start().await?;
    talk.ann.say(&late, "sealed now").await?;
    olga.hears("#late", "sealed now").await?;
    talk.ann.say(&open, "said in the open").await?;
    talk.ann.hears(&open, "this room is not: nothing is passed on").await?;
    for (channel, text) in [("#late", "for the room alone"), ("#open", "said in the open")] {
        assert_eq!(olga.count_of(|line| line.says(channel, text)), 0, "{text}");
    }
    let kept = talk.ann.seen(&late);
    let leaked = kept.iter().any(|seen| seen.body().contains("from IRC into the sealed"));
    assert!(!leaked, "nothing enters an encrypted room in the clear");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_enter_an_encrypted_room_encrypted() -> anyhow::Result<()> {
    let Some(talk) = Talk::start(|spec| {
        spec.network("echo", json!({ "kind": "echo" }))
            .mirror("echoes", &made("#echoes:localhost"), &[("echo", "hall")])
            .encrypt("echoes")
    })
    .await?
    else {
        return Ok(());
    };
    let ann = &talk.ann;
    let room = ann.join("#echoes:localhost").await?;
    // One that is spooled in memory, and one that is not.
    for (name, size) in [("small.txt", 1_000), ("large.txt", 1_000_000)] {
        let bytes: Vec<u8> = (0..size).map(|n: u32| n.to_le_bytes()[1]).collect();
        ann.send_file(&room, name, &bytes).await?;
        let file = ann
            .expect(name, &room, |seen| {
                seen.sender().contains("_via_echo_") && seen.body().contains(name)
            })
            .await?;
        assert_eq!(file.text("/content/url"), "", "{file:?}");
        assert_eq!(ann.decrypt(&file.event["content"]["file"]).await?, bytes, "{name}");
        let kept = ann.download(file.text("/content/file/url")).await?;
        assert_ne!(kept, bytes, "the homeserver has it encrypted");
    }
    Ok(())
}
