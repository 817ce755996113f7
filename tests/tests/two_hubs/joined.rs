//! They meet in a channel between them: everything crosses both hubs once, and neither brings back what is its own.

use anyhow::{Context as _, ensure};
use serde_json::json;
use viaduct_tests::launch::{Hub, HubSpec, Ngircd, Prosody, XmppServer, available, irc_section, xmpp_section};
use viaduct_tests::organisation::Organisation;
use viaduct_tests::people::{MatrixPerson, Seen, XmppPerson, fetch};
use viaduct_tests::world::made_room_at;

/// What is in the files that are sent.
const MINUTES: &[u8] = b"we agreed on everything";
const CHANNEL: &str = "#project";

/// One of the organisations, and its person in the mirrored room.
struct Office {
    person: MatrixPerson,
    room: String,
    organisation: Organisation,
    /// What it is called, and with it the organisation.
    name: &'static str,
}

impl Office {
    /// None where a server is missing.
    async fn open(name: &'static str, complete: impl FnOnce(HubSpec) -> HubSpec) -> anyhow::Result<Option<Self>> {
        let domain = format!("{name}.localhost");
        let Some(organisation) = available(Organisation::start(&domain, None, complete).await)? else {
            return Ok(None);
        };
        let person = MatrixPerson::new(&organisation.synapse, &format!("of_{name}")).await?;
        let room = person.join(&format!("#project:{domain}")).await?;
        Ok(Some(Self {
            person,
            room,
            organisation,
            name,
        }))
    }

    async fn says(&self, words: &str) -> anyhow::Result<String> {
        self.person.say(&self.room, words).await
    }

    async fn hears(&self, words: &str) -> anyhow::Result<Seen> {
        let hub = self.organisation.hub.log();
        let heard = self.person.hears(&self.room, words).await;
        let lines: Vec<&str> = hub.lines().rev().take(20).collect();
        heard.with_context(|| format!("the hub of {} said last, latest first: {lines:#?}", self.name))
    }

    async fn expects(&self, what: &str, like: impl Fn(&Seen) -> bool) -> anyhow::Result<Seen> {
        self.person.expect(what, &self.room, like).await
    }

    /// How many events of a kind there are in the room; the hub's own words are none.
    fn count(&self, kind: &str) -> usize {
        let bot = format!("@viaduct:{}.localhost", self.name);
        let counts = |seen: &Seen| seen.kind() == kind && seen.sender() != bot;
        self.person.count_of(&self.room, counts)
    }

    /// Messages, reactions and redactions in the room.
    fn tally(&self) -> [usize; 3] {
        ["m.room.message", "m.reaction", "m.room.redaction"].map(|kind| self.count(kind))
    }

    /// Each of these is in the room once.
    async fn check_once(&self, words: &[String]) -> anyhow::Result<()> {
        for words in words {
            // What they say themselves may be shown to them last.
            self.hears(words).await?;
            let says = |seen: &Seen| seen.kind() == "m.room.message" && seen.body().contains(words);
            let times = self.person.count_of(&self.room, says);
            ensure!(times == 1, "{times} times at {}: {words}", self.name);
        }
        Ok(())
    }

    /// Nobody of the own organisation has a ghost in the room: their way over the other hub ends there.
    async fn check_ghosts(&self) -> anyhow::Result<()> {
        let ghosts = self.person.members(&self.room).await?;
        let own = format!("of_{}", self.name);
        let own: Vec<&String> = ghosts
            .iter()
            .filter(|member| member.starts_with("@_via_") && member.contains(&own))
            .collect();
        ensure!(own.is_empty(), "ghosts of the organisation's own people: {own:?}");
        Ok(())
    }
}

/// Which mirror each hub has: the room of its organisation with the channel between them.
fn mirrored(spec: HubSpec, name: &str, section: serde_json::Value, channel: &str) -> HubSpec {
    let room = made_room_at(&format!("{name}.localhost"), "project");
    spec.network("between", section)
        .mirror("project", &room, &[("between", channel)])
}

/// Says a few things on both sides while one of the hubs is killed, and waits until all of it is everywhere.
async fn both_speak_while_one_is_killed(
    stays: &Office,
    killed: &mut Office,
    round: &str,
) -> anyhow::Result<Vec<String>> {
    let words = |of: &str| -> Vec<String> { (0..4).map(|number| format!("{round} {number} by {of}")).collect() };
    let (theirs, own) = (words(killed.name), words(stays.name));
    killed.organisation.hub.kill();
    for (theirs, own) in theirs.iter().zip(&own) {
        killed.says(theirs).await?;
        stays.says(own).await?;
    }
    killed.organisation.hub.start().await?;
    stays.hears(&theirs[3]).await?;
    killed.hears(&own[3]).await?;
    Ok([theirs, own].concat())
}

async fn over_xmpp() -> anyhow::Result<Option<(Office, Office, Prosody)>> {
    let Some(_) = available(Hub::binary())? else {
        return Ok(None);
    };
    let Some(prosody) = available(Prosody::start().await)? else {
        return Ok(None);
    };
    let muc = XmppServer::room("project");
    let section = |nick: &str, domain: &str| {
        let mut section = xmpp_section(prosody.components());
        section["nick"] = nick.into();
        section["component"]["domain"] = domain.into();
        section
    };
    let one = |spec| mirrored(spec, "one", section("viaduct", XmppServer::COMPONENT), &muc);
    let two = |spec| mirrored(spec, "two", section("bridge", XmppServer::OTHER_COMPONENT), &muc);
    let Some(one) = Office::open("one", one).await? else {
        return Ok(None);
    };
    let Some(two) = Office::open("two", two).await? else {
        return Ok(None);
    };
    Ok(Some((one, two, prosody)))
}

/// Somebody speaks, corrects, is answered and liked, sends a file, and takes something back.
async fn all_kinds_cross(here: &Office, there: &Office) -> anyhow::Result<Vec<String>> {
    let words = |what: &str| format!("{what} by {}", here.name);
    let [nine, ten, answer, secret] = ["meet at nine", "meet at ten", "good, asked", "forget this"].map(words);
    let said = here.says(&nine).await?;
    let seen = there.hears(&nine).await?;
    ensure!(seen.sender().starts_with("@_via_between_"), "{}", seen.sender());
    here.person.edit(&here.room, &said, &ten).await?;
    there
        .expects("the edit", |other| other.rewords(seen.id(), &ten))
        .await?;

    there.person.react(&there.room, seen.id(), "👍").await?;
    here.expects("👍", |other| other.reacts(&said, "👍")).await?;
    there.person.reply(&there.room, seen.id(), &answer).await?;
    let answered = here.hears(&answer).await?;
    assert_eq!(
        answered.text("/content/m.relates_to/m.in_reply_to/event_id"),
        said,
        "{}",
        answered.event
    );

    let minutes = format!("minutes-{}.txt", here.name);
    here.person.send_file(&here.room, &minutes, MINUTES).await?;
    let file = there.person.receives_file(&there.room, "between", &minutes).await?;
    assert_eq!(file, MINUTES);

    let taken_back = here.says(&secret).await?;
    let seen = there.hears(&secret).await?;
    here.person.redact(&here.room, &taken_back).await?;
    there.expects("the deletion", |other| other.redacts(seen.id())).await?;
    Ok(vec![nine, answer, minutes, secret])
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_two_hubs_over_a_room_on_xmpp_carry_everything_once_and_back_again_nothing() -> anyhow::Result<()> {
    let Some((mut one, mut two, _prosody)) = over_xmpp().await? else {
        return Ok(());
    };
    let mut words = all_kinds_cross(&one, &two).await?;
    words.extend(all_kinds_cross(&two, &one).await?);
    // Five messages from each side, one of them an edit, and one answer to each.
    let expected = [10, 2, 2];
    assert_eq!((one.tally(), two.tally()), (expected, expected));

    words.extend(both_speak_while_one_is_killed(&one, &mut two, "without two").await?);
    words.extend(both_speak_while_one_is_killed(&two, &mut one, "without one").await?);
    // What comes after shows that whatever was brought back would be there by now.
    for (here, there) in [(&one, &two), (&two, &one)] {
        let last = format!("at last by {}", here.name);
        here.says(&last).await?;
        there.hears(&last).await?;
        words.push(last);
    }
    for office in [&one, &two] {
        office.check_once(&words).await?;
        office.check_ghosts().await?;
    }
    let expected = [10 + 16 + 2, 2, 2];
    assert_eq!((one.tally(), two.tally()), (expected, expected));
    Ok(())
}

async fn over_irc() -> anyhow::Result<Option<(Office, Office, Ngircd)>> {
    let Some(ngircd) = available(Ngircd::start().await)? else {
        return Ok(None);
    };
    let section = |nick: &str| {
        let mut section = irc_section(ngircd.address(), true);
        section["nick"] = nick.into();
        section["puppets"] = json!({ "enabled": true, "nick": format!("{{name}}[{nick}]") });
        section
    };
    let one = |spec| mirrored(spec, "one", section("viaduct"), CHANNEL);
    let two = |spec| mirrored(spec, "two", section("bridge"), CHANNEL);
    let Some(one) = Office::open("one", one).await? else {
        return Ok(None);
    };
    let Some(two) = Office::open("two", two).await? else {
        return Ok(None);
    };
    Ok(Some((one, two, ngircd)))
}

/// The same as far as IRC can say it: in words.
async fn all_kinds_cross_in_words(here: &Office, there: &Office) -> anyhow::Result<Vec<String>> {
    let words = |what: &str| format!("{what} by {}", here.name);
    let [nine, ten, answer] = ["meet at nine", "meet at ten", "good, asked"].map(words);
    let said = here.says(&nine).await?;
    let seen = there.hears(&nine).await?;
    ensure!(seen.sender().starts_with("@_via_between_"), "{}", seen.sender());
    here.person.edit(&here.room, &said, &ten).await?;
    let corrected = there.hears(&ten).await?;
    ensure!(corrected.body() != ten, "a correction is told from a new message");

    there.person.react(&there.room, seen.id(), "👍").await?;
    here.hears("👍").await?;
    there.person.reply(&there.room, seen.id(), &answer).await?;
    here.hears(&answer).await?;

    let minutes = format!("minutes-{}.txt", here.name);
    here.person.send_file(&here.room, &minutes, MINUTES).await?;
    let shared = there.hears(&minutes).await?;
    let link = shared
        .body()
        .split_whitespace()
        .find(|word| word.starts_with("http://"));
    assert_eq!(fetch(link.with_context(|| shared.event.to_string())?).await?, MINUTES);
    Ok(vec![ten, answer, minutes])
}

/// IRC keeps nothing: what somebody says while the other's hub is away reaches only those who are there. So it is the speaker's
/// own hub that is killed.
async fn one_speaks_while_its_hub_is_killed(
    here: &mut Office,
    there: &Office,
    round: &str,
) -> anyhow::Result<[String; 2]> {
    let [before, meanwhile] = ["before", "meanwhile"].map(|when| format!("{round} {when} by {}", here.name));
    here.says(&before).await?;
    there.hears(&before).await?;
    here.organisation.hub.kill();
    here.says(&meanwhile).await?;
    here.organisation.hub.start().await?;
    there.hears(&meanwhile).await?;
    Ok([before, meanwhile])
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_two_hubs_over_a_channel_on_irc_carry_everything_once_and_back_again_nothing() -> anyhow::Result<()> {
    let Some((mut one, mut two, _ngircd)) = over_irc().await? else {
        return Ok(());
    };
    let mut words = all_kinds_cross_in_words(&one, &two).await?;
    words.extend(all_kinds_cross_in_words(&two, &one).await?);
    for round in ["first", "second"] {
        words.extend(one_speaks_while_its_hub_is_killed(&mut one, &two, round).await?);
        words.extend(one_speaks_while_its_hub_is_killed(&mut two, &one, round).await?);
    }
    for office in [&one, &two] {
        office.check_once(&words).await?;
        office.check_ghosts().await?;
    }
    Ok(())
}

/// A room of XMPP's own people between two hubs: they are heard on both sides, once.
#[tokio::test(flavor = "multi_thread")]
async fn s3_people_of_the_channel_itself_are_heard_by_both_organisations_once() -> anyhow::Result<()> {
    let Some(_) = available(XmppPerson::python())? else {
        return Ok(());
    };
    let Some((one, two, prosody)) = over_xmpp().await? else {
        return Ok(());
    };
    let muc = XmppServer::room("project");
    prosody.register("xena", viaduct_tests::people::PASSWORD)?;
    let xena = XmppPerson::login(prosody.clients(), "xena", viaduct_tests::people::PASSWORD).await?;
    xena.join(&muc, "xena").await?;
    for hub in ["viaduct", "bridge"] {
        xena.meets(&muc, hub).await?;
    }
    xena.utter(&muc, "greetings to both").await?;
    let mut words = vec!["greetings to both".to_owned()];
    for (here, there) in [(&one, &two), (&two, &one)] {
        here.hears("greetings to both").await?;
        let last = format!("at last by {}", here.name);
        here.says(&last).await?;
        there.hears(&last).await?;
        xena.hears(&muc, &last).await?;
        words.push(last);
    }
    one.check_once(&words).await?;
    two.check_once(&words).await?;
    for words in &words {
        assert_eq!(xena.count_of(|message| message.says(&muc, words)), 1, "{words}");
    }
    Ok(())
}
