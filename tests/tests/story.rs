//! The reference story: an organisation and three partners on three networks share three sub-projects with different rights,
//! what must not cross does not, something is held and released, a partner leaves, a project closes; and then the ledger is
//! reconciled, entry by entry, with what every server has.

use std::fs;

use anyhow::{Context as _, ensure};
use serde_json::Value;
use viaduct_tests::launch::{Clamd, available};
use viaduct_tests::people::XmppMessage;
use viaduct_tests::wait::{wait_for, wait_until};

use story::books::{Seen, Steps, ids, places};
use story::cast::Cast;
use story::office::signed_text;
use story::stage::{AUTHOR, BOSS, HUB, PROJECTS, Stage, muc};

mod story {
    pub mod books;
    pub mod cast;
    pub mod office;
    pub mod stage;
}

const BOUND: std::time::Duration = viaduct_tests::people::HEARD;
/// Who is in B's rooms without the hub.
const NATIVES: [&str; 2] = ["xena", "mallory"];
const IBAN: &str = "DE89370400440532013000";

#[tokio::test(flavor = "multi_thread")]
async fn three_partners_three_projects_and_the_end_of_one_of_each() -> anyhow::Result<()> {
    let Some(stage) = available(Stage::start().await)? else {
        return Ok(());
    };
    let mut cast = Cast::gather(stage).await?;
    everybody_talks_where_they_may(&cast).await?;
    what_must_not_cross_does_not(&cast).await?;
    what_is_held_is_released_by_a_second_person(&cast).await?;
    one_person_sees_all_records_of_their_own(&cast).await?;
    let archives = a_partner_leaves(&mut cast).await?;
    a_project_closes(&mut cast).await?;
    cast.stage.office.hub.stop();
    let seen = seen(&cast, &archives);
    the_ledger_is_what_the_servers_have(&cast, &seen)?;
    a_changed_ledger_is_found_out(&cast)
}

async fn everybody_talks_where_they_may(cast: &Cast) -> anyhow::Result<()> {
    let (p2, p3) = (muc("p2"), muc("p3"));
    cast.ann_says(1, "tern01 good morning").await?;
    cast.igor.hears("#p1", "tern01").await?;
    cast.igor.say("#p1", "tern02 good morning").await?;
    cast.ann_hears(1, "tern02").await?;

    let first = cast.ann_says(2, "tern03 the plan for the pier").await?;
    cast.igor.hears("#p2", "tern03").await?;
    cast.xena.hears(&p2, "tern03").await?;
    cast.igor.say("#p2", "tern04 from A").await?;
    cast.xena.hears(&p2, "tern04").await?;
    cast.xena.utter(&p2, "tern05 from B").await?;
    cast.igor.hears("#p2", "tern05").await?;
    cast.ann_hears(2, "tern05").await?;
    cast.ann
        .edit(cast.room(2), &first, "tern06 the plan for both piers")
        .await?;
    cast.igor.hears("#p2", "tern06").await?;
    cast.xena.hears(&p2, "tern06").await?;

    cast.ann_says(3, "tern07 the abutment").await?;
    cast.xena.hears(&p3, "tern07").await?;
    cast.xena.utter(&p3, "tern08 from B").await?;
    cast.ann_hears(3, "tern08").await?;
    cast.sue_says("tern09 from C");
    cast.xena.hears(&p3, "tern09").await?;
    cast.ann_hears(3, "tern09").await?;
    Ok(())
}

async fn what_must_not_cross_does_not(cast: &Cast) -> anyhow::Result<()> {
    let p2 = muc("p2");
    cast.ann_says(2, &format!("tern10 pay to {IBAN}")).await?;
    cast.xena.hears(&p2, &format!("tern10 pay to {IBAN}")).await?;
    let masked = cast.igor.hears("#p2", "tern10").await?;
    ensure!(!masked.text().contains("0532013000"), "{}", masked.text());

    let secret = "ghp_0123456789abcdefghijABCDEFGHIJ012345";
    let event = cast.ann_says(2, &format!("tern11 use {secret}")).await?;
    cast.ann_is_told(2, &event, secret).await?;
    let event = cast.ann_says(2, "tern12 VS-NfD: drawing 7").await?;
    cast.ann_is_told(2, &event, "drawing").await?;
    cast.ann
        .send_file(cast.room(2), "tern13.txt", b"a clean list\n")
        .await?;
    cast.igor.hears("#p2", "tern13").await?;
    cast.xena.hears(&p2, "tern13").await?;
    let infected = format!("a list {}\n", Clamd::MARKER);
    let event = cast
        .ann
        .send_file(cast.room(2), "tern14.txt", infected.as_bytes())
        .await?;
    cast.ann_is_told(2, &event, Clamd::MARKER).await?;
    // Nobody agreed on anything with Mallory, and nobody of C may send keys.
    cast.mallory.utter(&p2, "tern15 let me in").await?;
    cast.xena.hears(&p2, "tern15").await?;
    cast.sue_says(&format!("tern16 {secret}"));
    // What comes after it shows that it would have come by now.
    cast.xena.utter(&p2, "tern17 anything else?").await?;
    cast.igor.hears("#p2", "tern17").await?;
    cast.ann_hears(2, "tern17").await?;
    cast.sue_says("tern18 anything else?");
    cast.ann_hears(3, "tern18").await?;
    cast.xena.hears(&muc("p3"), "tern18").await?;
    Ok(())
}

async fn what_is_held_is_released_by_a_second_person(cast: &Cast) -> anyhow::Result<()> {
    let held = cast.ann_says(1, "tern19 die Kalkulation ist fertig").await?;
    cast.ann.reply(cast.room(1), &held, "tern20 with two options").await?;
    cast.ann_says(1, "tern21 lunch?").await?;
    cast.igor.hears("#p1", "tern21").await?;
    for word in ["tern19", "tern20"] {
        ensure!(cast.igor.count_of(|line| line.says("#p1", word)) == 0, "{word} is held");
    }
    let waiting = cast.waiting()?;
    let [id] = waiting.as_slice() else {
        anyhow::bail!("one event waits for a release: {waiting:?}");
    };
    let release = |by: &str| {
        let office = &cast.stage.office;
        office.try_order_by(by, &["quarantine", "release", id, "--reason", "agreed"])
    };
    for person in [cast.ann.id().as_str(), AUTHOR] {
        let (released, told) = release(person)?;
        ensure!(!released, "{person} released it: {told}");
        let elsewise = ["needs the role", "token"].iter().any(|why| told.contains(why));
        ensure!(!elsewise, "{person} may release, but not this: {told}");
    }
    ensure!(cast.waiting()? == waiting, "it still waits");
    let (released, told) = release(BOSS)?;
    ensure!(released, "{told}");
    cast.igor.hears("#p1", "tern20").await?;
    let lines = cast.igor.lines();
    let place = |word: &str| {
        lines
            .iter()
            .position(|line| line.says("#p1", word) && story::books::word(line.text()).as_deref() == Some(word))
    };
    let order = ["tern21", "tern19", "tern20"].map(place);
    ensure!(order.is_sorted() && !order.contains(&None), "{order:?}");
    Ok(())
}

/// Waits until each of these messages of Ann's has arrived, or was refused, wherever it was going.
async fn are_settled(cast: &Cast, said: &[(String, usize)]) -> anyhow::Result<()> {
    let settled = || async {
        let options = ["--action", "delivered", "--action", "refused"];
        let entries = cast.stage.office.entries(&options).ok()?;
        let count = |id: &str| {
            let about = entries
                .iter()
                .filter(|entry| entry.get("event").and_then(Value::as_str) == Some(id));
            about.count()
        };
        said.iter().all(|(id, ways)| count(id) == *ways).then_some(())
    };
    wait_for("everything Ann said has its end in the ledger", BOUND, settled).await
}

/// What the hub says about Ann is everything she sent, and every entry of the ledger about it.
async fn one_person_sees_all_records_of_their_own(cast: &Cast) -> anyhow::Result<()> {
    let (office, out) = (&cast.stage.office, cast.stage.folder("ann.json"));
    let (me, out) = (format!("matrix/{}", cast.ann.id()), out.to_string_lossy().into_owned());
    let mut ends = Vec::new();
    // The second project has two other sides that listen, the others one.
    for (room, ways) in cast.rooms.iter().zip([1, 2, 1]) {
        let seen = cast.ann.seen(room).into_iter();
        let hers = seen.filter(|seen| seen.kind() == "m.room.message" && seen.sender() == cast.ann.id());
        ends.extend(hers.map(|seen| (seen.id().to_owned(), ways)));
    }
    are_settled(cast, &ends).await?;
    let mut said: Vec<String> = ends.into_iter().map(|(id, _)| id).collect();
    said.sort();
    let before = office.entries(&[])?;
    office.order_by(
        BOSS,
        &["subject", "export", &me, "--reason", "her letter", "--out", &out],
    )?;
    let export: Value = serde_json::from_slice(&fs::read(out)?)?;
    ensure!(export.get("complete") == Some(&Value::Bool(true)), "{export}");
    let texts = |of: &Value, key: &str| -> Vec<String> {
        let list = of.as_array().into_iter().flatten();
        let mut texts: Vec<String> = list
            .filter_map(|one| Some(one.get(key)?.as_str()?.to_owned()))
            .collect();
        texts.sort();
        texts
    };
    let journal = export.get("journal").context("a journal")?;
    let told: Vec<Value> = journal.as_array().into_iter().flatten().cloned().collect();
    let told = told.into_iter().filter(|record| {
        record.get("role").and_then(Value::as_str) == Some("sender")
            && said
                .iter()
                .any(|id| record.get("id").and_then(Value::as_str) == Some(id))
    });
    assert_eq!(
        texts(&Value::Array(told.collect()), "id"),
        said,
        "all she said is in the export"
    );
    let numbers = |entries: &[Value]| -> Vec<u64> {
        let about_hers = entries.iter().filter(|entry| {
            let event = entry.get("event").and_then(Value::as_str);
            event.is_some_and(|event| said.iter().any(|id| id == event))
        });
        about_hers.filter_map(|entry| entry.get("seq")?.as_u64()).collect()
    };
    let ledger = export.get("ledger").and_then(Value::as_array).context("the ledger")?;
    // A release has an entry, too, but that one is its approver's.
    let by_her: Vec<Value> = before
        .into_iter()
        .filter(|entry| entry.get("action").and_then(Value::as_str) != Some("released"))
        .collect();
    assert_eq!(numbers(ledger), numbers(&by_her), "and every entry about it");
    ensure!(
        numbers(ledger).len() > said.len(),
        "each was accepted, and went somewhere or not"
    );
    Ok(())
}

/// B leaves; what B's rooms had until then.
async fn a_partner_leaves(cast: &mut Cast) -> anyhow::Result<[Vec<XmppMessage>; 2]> {
    let office = &cast.stage.office;
    let (p2, p3) = (muc("p2"), muc("p3"));
    let preview = office.order_by(BOSS, &["partner", "offboard", "beta", "--preview"])?;
    for said in ["xmpp/p2@", "xmpp/p3@", "destroy the keys", "sign the certificate"] {
        ensure!(preview.contains(said), "{said} is not in the preview: {preview}");
    }
    cast.xena.utter(&p2, "tern22 a preview changes nothing").await?;
    cast.igor.hears("#p2", "tern22").await?;
    let ghost = cast.ann_hears(2, "tern22").await?.sender().to_owned();
    let archives = cast.archives().await?;
    let left = cast.hub_left("#p2");
    let sockets = cast.stage.slack.calls("apps.connections.open").len();

    let folder = cast.stage.folder("certificates");
    office.order_by(
        BOSS,
        &["partner", "offboard", "beta", "--out", &folder.to_string_lossy()],
    )?;
    let key = office.order(&["audit", "verifier"])?;
    for (language, says) in [("de", "gelöscht"), ("en", "deleted")] {
        let certificate = folder.join(format!("beta.certificate.{language}.txt"));
        let text = signed_text(&certificate, &key)?;
        ensure!(text.contains("Beta Statik GmbH") && text.contains(says), "{text}");
        for room in [&p2, &p3] {
            ensure!(text.contains(&format!("xmpp/{room}")), "what became of {room}: {text}");
        }
        let forged = fs::read_to_string(&certificate)?.replacen("Beta", "Zeta", 1);
        fs::write(folder.join("forged"), forged)?;
        ensure!(
            signed_text(&folder.join("forged"), &key).is_err(),
            "a forged certificate is found out"
        );
    }
    for room in [&p2, &p3] {
        cast.xena.hears(room, "Beta Statik GmbH").await?;
    }
    // On their side what came from others is gone, and nobody stands for others there; on ours their ghosts are gone.
    for (before, room) in archives.iter().zip([&p2, &p3]) {
        let now = cast.xena.archive(room).await?;
        let carried = before.iter().filter(|message| is_carried(message));
        let left: Vec<&XmppMessage> = carried.filter(|message| is_there(&now, message)).collect();
        ensure!(left.is_empty(), "this is still at B: {left:#?}");
    }
    for room in [&p2, &p3] {
        for nick in [HUB, "ann"] {
            wait_until(format!("{nick} has left {room}"), BOUND, || !cast.xena.sees(room, nick)).await?;
        }
    }
    for project in [2, 3] {
        ensure!(
            !cast.ann.is_joined(cast.room(project), &ghost).await?,
            "{ghost} is still there"
        );
    }
    let standing: Vec<Value> = office.ask(&["partner", "list", "--json"])?;
    let beta = standing
        .iter()
        .find(|partner| partner.get("name").and_then(Value::as_str) == Some("beta"));
    let beta = beta.and_then(|beta| beta.get("standing")?.as_str());
    ensure!(beta == Some("offboarded"), "{standing:?}");

    // The others go on, and B hears nothing of it; nor is B heard.
    cast.xena.utter(&p2, "tern23 is anybody there?").await?;
    cast.ann_says(2, "tern24 without B").await?;
    cast.igor.hears("#p2", "tern24").await?;
    cast.sue_says("tern25 without B");
    cast.ann_hears(3, "tern25").await?;
    let now = cast.archives().await?;
    for word in ["tern24", "tern25"] {
        ensure!(
            !now.iter().flatten().any(|message| message.text().contains(word)),
            "{word} reached B"
        );
    }
    cast.stage.reload(|mirrors| without_b(mirrors))?;
    cast.igor.say("#p2", "tern26 after the reload").await?;
    cast.ann_hears(2, "tern26").await?;
    assert_eq!(
        cast.stage.slack.calls("apps.connections.open").len(),
        sockets,
        "C was not reconnected"
    );
    assert_eq!(cast.hub_left("#p2"), left, "A was not reconnected");
    Ok(archives)
}

/// Whether the hub put a message into one of B's rooms.
fn is_carried(message: &XmppMessage) -> bool {
    message.body.is_some() && !NATIVES.contains(&message.nick())
}

/// Whether a room still has a message: neither emptied by a moderator nor withdrawn by whoever sent it.
fn is_there(archive: &[XmppMessage], message: &XmppMessage) -> bool {
    let is_it = |other: &&XmppMessage| other.stanza_id == message.stanza_id && other.body.is_some();
    let withdrawn = |other: &XmppMessage| {
        let target = other.retracts.as_deref();
        target.is_some_and(|target| target == message.id || Some(target) == message.stanza_id.as_deref())
    };
    archive.iter().any(|other| is_it(&other)) && !archive.iter().any(withdrawn)
}

/// The mirrors as they are without B.
fn without_b(mirrors: &mut [Value]) {
    for members in mirrors
        .iter_mut()
        .filter_map(|mirror| mirror.get_mut("members")?.as_array_mut())
    {
        members.retain(|member| member.get("network").and_then(Value::as_str) != Some("xmpp"));
    }
}

/// The first sub-project ends: the hub leaves it, and with it whoever stands for people there; the second goes on, and does
/// not notice.
async fn a_project_closes(cast: &mut Cast) -> anyhow::Result<()> {
    let (gone, stayed) = (cast.hub_left("#p1"), cast.hub_left("#p2"));
    cast.stage.reload(|mirrors| {
        without_b(mirrors);
        mirrors.remove(0);
    })?;
    wait_until("the hub leaves #p1", BOUND, || cast.hub_left("#p1") > gone).await?;
    wait_until("Ann's puppet leaves #p1", BOUND, || cast.ann_left("#p1")).await?;
    cast.ann_says(1, "tern27 too late").await?;
    cast.igor.say("#p1", "tern28 too late").await?;
    cast.ann_says(2, "tern29 goes on").await?;
    cast.igor.hears("#p2", "tern29").await?;
    cast.igor.say("#p2", "tern30 goes on").await?;
    cast.ann_hears(2, "tern30").await?;
    ensure!(!cast.hub_is_in("#p1"), "the hub came back to #p1");
    assert_eq!(cast.hub_left("#p2"), stayed, "IRC was not reconnected");
    Ok(())
}

/// What every server has.
fn seen(cast: &Cast, archives: &[Vec<XmppMessage>; 2]) -> Seen {
    let mut seen = Seen::default();
    for (project, room) in PROJECTS.into_iter().zip(&cast.rooms) {
        seen.matrix(&cast.ann, project, room);
    }
    seen.irc(&cast.igor, "p1", &["tern02"]);
    seen.irc(&cast.igor, "p2", &["tern04", "tern26", "tern30"]);
    for (project, archive) in ["p2", "p3"].into_iter().zip(archives) {
        seen.xmpp(archive, project, &NATIVES);
    }
    let history = cast.stage.slack.history(&cast.stage.channel);
    seen.slack(&history, "p3", &[&cast.sue]);
    seen
}

fn the_ledger_is_what_the_servers_have(cast: &Cast, seen: &Seen) -> anyhow::Result<()> {
    let office = &cast.stage.office;
    let verified = office.order(&["audit", "verify"])?;
    ensure!(verified.contains("every byte as it was signed"), "{verified}");
    let steps = Steps::of(&office.entries(&[])?, seen)?;

    // Every message that the hub put anywhere has its entry, and every entry its message; nothing is there twice.
    assert_eq!(steps.to("delivered"), places(&seen.carried));
    for network in ["matrix", "xmpp"] {
        let (told, there) = ids(&steps, seen, network)?;
        assert_eq!(told, there, "the ids of {network}");
    }
    assert!(
        !seen.carried.iter().any(|sight| sight.network == "slack"),
        "C is only heard"
    );
    // What the hub said of its own in a partner's room is about the agreement.
    assert!(
        seen.wordless.iter().all(|text| text.contains("Beta")),
        "{:?}",
        seen.wordless
    );
    // Everything that anybody said was accepted, but for what was said where nothing is mirrored any more.
    let mut said = places(&seen.said);
    said.retain(|(_, _, word)| word != "tern27");
    assert_eq!(steps.accepted(), said);

    let refused = ["tern11", "tern12", "tern14"]
        .into_iter()
        .flat_map(|word| [(word, "irc"), (word, "xmpp")]);
    let refused = refused.chain([
        ("tern15", "irc"),
        ("tern15", "matrix"),
        ("tern16", "matrix"),
        ("tern16", "xmpp"),
    ]);
    for (word, to) in refused {
        assert_eq!(steps.fate(word, to), ["refused"], "{word} to {to}");
        let there = |sight: &&story::books::Sight| sight.word == word && sight.network == to;
        assert_eq!(seen.carried.iter().find(there), None);
    }
    assert_eq!(steps.fate("tern10", "irc"), ["changed", "delivered"]);
    assert_eq!(steps.fate("tern10", "xmpp"), ["delivered"]);
    assert_eq!(steps.fate("tern19", "irc"), ["held", "released", "delivered"]);
    assert_eq!(steps.fate("tern20", "irc"), ["held", "delivered"]);
    let offboarded = office.entries(&["--partner", "beta"])?;
    let did = |action: &str| {
        offboarded
            .iter()
            .any(|entry| entry.get("action").and_then(Value::as_str) == Some(action))
    };
    for action in ["agreement", "erased", "key_destroyed", "notified"] {
        assert!(did(action), "{action} of B");
    }
    Ok(())
}

/// One byte in any of its files. (The frontier is a note from which the hub goes on faster, if it fits what was signed; it
/// is no part of the ledger.)
fn a_changed_ledger_is_found_out(cast: &Cast) -> anyhow::Result<()> {
    let office = &cast.stage.office;
    let key = office.order(&["audit", "verifier"])?;
    let copy = cast.stage.copy_of_ledger("copy")?;
    let verify = || {
        office.try_order(&[
            "audit",
            "verify",
            "--folder",
            &copy.to_string_lossy(),
            "--key",
            key.trim(),
        ])
    };
    let (good, told) = verify()?;
    ensure!(good, "{told}");
    let files: Vec<_> = fs::read_dir(&copy)?.collect::<Result<_, _>>()?;
    let files = files.into_iter().filter(|file| file.file_name() != "frontier");
    let files: Vec<_> = files.collect();
    ensure!(files.len() >= 2, "entries and a checkpoint");
    for file in files {
        let original = fs::read(file.path())?;
        for place in [
            0,
            original.len() / 3,
            original.len() / 2,
            original.len().saturating_sub(2),
        ] {
            let mut changed = original.clone();
            let Some(byte) = changed.get_mut(place) else { continue };
            *byte ^= 1;
            fs::write(file.path(), changed)?;
            let (good, told) = verify()?;
            ensure!(!good, "{} changed at byte {place}: {told}", file.path().display());
        }
        fs::write(file.path(), original)?;
    }
    let (good, told) = verify()?;
    ensure!(good, "{told}");
    Ok(())
}
