//! Who comes and goes, and what they look like.

use serde_json::json;
use viaduct_bridge::Session;
use viaduct_model::{Content, Event, MediaRef, Membership, NetworkName, Role};

use crate::common::person::Person;
use crate::support::{ROOM, scene, text};

#[tokio::test]
async fn nicks_collide_and_people_come_and_go() {
    let Some((server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    hub.deliver("Bob", "$1", text("the other Bob")).await;
    bob.until("another nick", |xml| {
        xml.contains("the other Bob") && xml.contains("/Bob (2)'")
    })
    .await;
    let dora = Person::join_from(&server, "others.localhost", ROOM, "dora", "Dora").await;
    let joined = |event: &Event, name: &str, wanted: &Membership| matches!(&event.content, Content::Membership { person, change, .. } if person.name == name && change == wanted);
    hub.event("a join", |event| joined(event, "Dora", &Membership::Join))
        .await;
    dora.send(&format!("<presence from='{}' to='{ROOM}/Theodora'/>", dora.address))
        .await;
    hub.event("a rename", |event| {
        joined(event, "Theodora", &Membership::Rename { from: "Dora".into() })
    })
    .await;
    let kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Theodora' role='none'><reason>spam</reason></item></query>";
    assert!(bob.ask("set", kick).await.contains("type='result'"));
    hub.event("a kick", |event| joined(event, "Theodora", &Membership::Kick))
        .await;
    // The puppets' own coming is nobody's news.
    assert!(
        !hub.memory
            .events
            .lock()
            .unwrap()
            .iter()
            .any(|event| joined(event, "Bob (2)", &Membership::Join))
    );
    // A kicked puppet is told to the other side, and comes back with its next message.
    let kick = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Bob (2)' role='none'/></query>";
    assert!(bob.ask("set", kick).await.contains("type='result'"));
    let kicked = hub
        .event("the puppet's kick", |event| joined(event, "Bob (2)", &Membership::Kick))
        .await;
    assert!(matches!(&kicked.content, Content::Membership { person, .. }
        if person.network == NetworkName::matrix() && person.id.as_str() == "@bob:hs.example"));
    hub.deliver("Bob", "$2", text("back again")).await;
    hub.stop().await;
}

/// The SHA-1 of `abc`, and `abc` in base64.
const DIGEST: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
const BASE64: &str = "YWJj";

#[tokio::test]
async fn pictures_of_people_are_announced_and_fetched() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let update = format!("<x xmlns='vcard-temp:x:update'><photo>{DIGEST}</photo></x>");
    let (from, to) = (bob.address.clone(), format!("{ROOM}/Bob"));
    bob.send(&format!("<presence from='{from}' to='{to}'>{update}</presence>"))
        .await;
    bob.say("m", "<body>look at me</body>").await;
    let event = hub.message("look at me").await;
    let avatar = event.sender.avatar.unwrap();
    let session = std::sync::Arc::clone(&hub.session);
    let opening = tokio::spawn(async move { session.open_media(&avatar.locator).await });
    let asked = bob
        .until("a question for the picture", |xml| xml.contains("vcard-temp'"))
        .await;
    let attribute = |name: &str| {
        let (_, after) = asked.split_once(&format!(" {name}='")).unwrap();
        after.split_once('\'').unwrap().0.to_owned()
    };
    let photo = format!("<PHOTO><TYPE>image/png</TYPE><BINVAL>{BASE64}</BINVAL></PHOTO>");
    let (id, back) = (attribute("id"), attribute("from"));
    bob.send(&format!(
        "<iq type='result' id='{id}' from='{from}' to='{back}'><vCard xmlns='vcard-temp'>{photo}</vCard></iq>"
    ))
    .await;
    let media = opening.await.unwrap().unwrap();
    assert_eq!(media.mime.as_deref(), Some("image/png"));
    let pieces: Vec<_> = futures_util::StreamExt::collect(media.stream).await;
    assert_eq!(pieces[0].as_ref().unwrap().as_ref(), b"abc");
    hub.stop().await;
}

#[tokio::test]
async fn puppets_have_the_names_and_pictures_of_their_people() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let mut outbound = hub.outbound("Alice", "$1", text("hello"));
    outbound.author.person.avatar = Some(MediaRef {
        network: NetworkName::matrix(),
        locator: "abc".into(),
    });
    hub.try_deliver(outbound.clone()).await.unwrap();
    bob.until("a presence with a picture", |xml| {
        xml.contains("/Alice'") && xml.contains(&format!("<photo>{DIGEST}</photo>"))
    })
    .await;
    let alice = "alice\\3ahs.example@bridge.localhost";
    let vcard = bob.ask_of(alice, "get", "<vCard xmlns='vcard-temp'/>").await;
    assert!(vcard.contains("<FN>Alice</FN>") && vcard.contains(BASE64), "{vcard}");
    let items = format!("<items node='urn:xmpp:avatar:data'><item id='{DIGEST}'/></items>");
    let published = format!("<pubsub xmlns='http://jabber.org/protocol/pubsub'>{items}</pubsub>");
    let published = bob.ask_of(alice, "get", &published).await;
    assert!(published.contains(BASE64) && published.contains(DIGEST), "{published}");

    // Whoever is renamed has another nick, and stays the same person.
    let (mut renamed, before) = (outbound.author.person.clone(), outbound.author.person.name.clone());
    renamed.name = "Alicia".into();
    let mut rename = hub.outbound("Alice", "$2", text(""));
    rename.content = Content::Membership {
        person: renamed,
        change: Membership::Rename { from: before },
        reason: None,
    };
    hub.try_deliver(rename).await.unwrap();
    bob.until("another nick", |xml| {
        xml.contains("nick='Alicia'") && xml.contains("code='303'")
    })
    .await;
    hub.stop().await;
}

#[tokio::test]
async fn roles_follow_both_ways() {
    let Some((server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    let admin = "<query xmlns='http://jabber.org/protocol/muc#admin'>\
        <item jid='viaduct@bridge.localhost' affiliation='owner'/></query>";
    assert!(bob.ask("set", admin).await.contains("type='result'"));
    let _dora = Person::join_from(&server, "others.localhost", ROOM, "dora", "Dora").await;
    let joined = hub
        .event(
            "a join",
            |event| matches!(&event.content, Content::Membership { person, .. } if person.name == "Dora"),
        )
        .await;
    let mut outbound = hub.outbound("Alice", "$1", text(""));
    outbound.content = Content::Role {
        person: joined.sender.clone(),
        role: Role::Moderator,
    };
    hub.try_deliver(outbound).await.unwrap();
    bob.until("a moderator", |xml| {
        xml.contains("/Dora'") && xml.contains("role='moderator'")
    })
    .await;
    // The hub's own doing is not told back; what the room's owner does is.
    let visitor = "<query xmlns='http://jabber.org/protocol/muc#admin'><item nick='Dora' role='visitor'/></query>";
    assert!(bob.ask("set", visitor).await.contains("type='result'"));
    hub.event("a visitor", |event| {
        matches!(
            event.content,
            Content::Role {
                role: Role::Visitor,
                ..
            }
        )
    })
    .await;
    let roles: Vec<Role> = {
        let events = hub.memory.events.lock().unwrap();
        let roles = events.iter().filter_map(|event| match &event.content {
            Content::Role { person, role } if person.name == "Dora" => Some(*role),
            _ => None,
        });
        roles.collect()
    };
    assert_eq!(roles, [Role::Visitor]);
    hub.stop().await;
}
