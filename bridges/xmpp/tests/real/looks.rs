//! Pictures and names, as servers keep them and as the hub writes them.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::json;
use viaduct_bridge::{Failure, Session};
use viaduct_model::{Content, MediaRef, NetworkName};

use crate::common::Server;
use crate::common::ejabberd::Ejabberd;
use crate::common::hub::{Memory, network};
use crate::common::person::Person;
use crate::common::prosody::Prosody;
use crate::support::{ROOM, bytes_of, configure, let_the_hub_rule, scene_on, text};

/// The SHA-1 of `abc`, and `abc` in base64.
const DIGEST: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";
const BASE64: &str = "YWJj";
/// The question what a room is.
const ABOUT: &str = "<query xmlns='http://jabber.org/protocol/disco#info'/>";

/// Publishes something that everybody may read.
async fn publish(person: &mut Person, node: &str, payload: &str) {
    let option = |name: &str, value: &str| format!("<field var='{name}'><value>{value}</value></field>");
    let options = [
        option("FORM_TYPE", "http://jabber.org/protocol/pubsub#publish-options"),
        option("pubsub#access_model", "open"),
    ];
    let publication = format!(
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item id='{DIGEST}'>{payload}</item></publish>\
         <publish-options><x xmlns='jabber:x:data' type='submit'>{}</x></publish-options></pubsub>",
        options.concat()
    );
    let answer = person.ask_of("dora@localhost", "set", &publication).await;
    assert!(answer.contains("type='result'"), "{answer}");
}

async fn a_published_picture_is_found_on(server: &dyn Server) {
    let (mut bob, hub) = scene_on(server, Memory::default(), json!({})).await;
    configure(&mut bob, &[("muc#roomconfig_whois", "anyone")]).await;
    let mut dora = Person::login(server, "dora", ROOM, "Dora").await;
    publish(
        &mut dora,
        "urn:xmpp:avatar:data",
        &format!("<data xmlns='urn:xmpp:avatar:data'>{BASE64}</data>"),
    )
    .await;
    publish(
        &mut dora,
        "urn:xmpp:avatar:metadata",
        &format!(
            "<metadata xmlns='urn:xmpp:avatar:metadata'><info bytes='3' id='{DIGEST}' type='image/png'/></metadata>"
        ),
    )
    .await;
    dora.enter().await;
    let mut number = 0;
    let avatar = loop {
        number += 1;
        assert!(number < 200, "her picture was not found");
        let said = format!("look {number}");
        dora.say(&said.replace(' ', "-"), &format!("<body>{said}</body>")).await;
        let event = hub.message(&said).await;
        assert_eq!(event.sender.id.as_str(), "dora@localhost");
        if let Some(avatar) = event.sender.avatar {
            break avatar;
        }
    };
    assert_eq!(avatar.network, network());
    let media = hub.session.open_media(&avatar.locator).await.unwrap();
    assert_eq!(bytes_of(media).await, b"abc");
    hub.stop().await;
}

/// Prosody announces it in the room, too (XEP-0398).
#[tokio::test]
async fn a_published_picture_is_found_on_prosody() {
    if let Some(server) = Prosody::start().await {
        a_published_picture_is_found_on(&server).await;
    }
}

/// Without its avatar module ejabberd announces nothing: only who looks finds it.
#[tokio::test]
async fn a_published_picture_is_found_on_ejabberd() {
    if let Some(server) = Ejabberd::start().await {
        a_published_picture_is_found_on(&server).await;
    }
}

/// A picture of more than servers take at once.
fn large_picture() -> Vec<u8> {
    let pixel = |x: u32, y: u32| {
        let [a, b, c, _] = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).to_le_bytes();
        Rgb([a, b, c])
    };
    let image = DynamicImage::ImageRgb8(RgbImage::from_fn(500, 500, pixel));
    let mut bytes = Vec::new();
    image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
    assert!(bytes.len() > 256 * 1024);
    bytes
}

#[tokio::test]
async fn a_large_picture_of_a_puppet_is_made_smaller() {
    let Some(server) = Prosody::start().await else { return };
    let memory = Memory::default();
    memory.files.lock().unwrap().insert("large".into(), large_picture());
    let (mut bob, hub) = scene_on(&server, memory, json!({})).await;
    let mut outbound = hub.outbound("Alice", "$1", text("hello"));
    outbound.author.person.avatar = Some(MediaRef {
        network: NetworkName::matrix(),
        locator: "large".into(),
    });
    hub.try_deliver(outbound).await.unwrap();
    let presence = bob
        .until("a presence with a picture", |xml| {
            xml.contains("/Alice'") && xml.contains("<photo>")
        })
        .await;
    let (_, rest) = presence.split_once("<photo>").unwrap();
    let digest = rest.split_once('<').unwrap().0.to_owned();
    let alice = "alice\\3ahs.example@bridge.localhost";
    let vcard = bob.ask_of(alice, "get", "<vCard xmlns='vcard-temp'/>").await;
    assert!(
        vcard.contains("<TYPE>image/jpeg</TYPE>") && vcard.len() < 64 * 1024,
        "{}",
        vcard.len()
    );
    let node = "<pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='urn:xmpp:avatar:metadata'/></pubsub>";
    let metadata = bob.ask_of(alice, "get", node).await;
    assert!(
        metadata.contains(&digest) && metadata.contains("type='image/jpeg'"),
        "{metadata}"
    );
    hub.stop().await;
}

async fn names_and_pictures_are_written_on(server: &dyn Server) {
    let (mut bob, hub) = scene_on(server, Memory::default(), json!({"rename_rooms": true})).await;
    configure(&mut bob, &[("muc#roomconfig_roomdesc", "what it is about")]).await;
    let name = || Content::Name {
        name: "The <Project>".into(),
    };
    let error = hub.try_deliver(hub.outbound("Alice", "$1", name())).await.unwrap_err();
    assert_eq!(error.failure, Failure::Permanent, "only owners may: {error:?}");
    let features = |about: &str| {
        let found = about
            .split("<feature var='")
            .skip(1)
            .filter_map(|rest| rest.split('\'').next());
        found.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    let before = features(&bob.ask("get", ABOUT).await);
    assert!(before.contains("muc_semianonymous"), "{before:?}");
    let_the_hub_rule(&mut bob).await;
    assert_eq!(
        hub.session.capabilities(&hub.channel).name,
        viaduct_model::Support::Native
    );
    hub.deliver("Alice", "$2", name()).await;
    let about = bob.ask("get", ABOUT).await;
    assert!(about.contains("name='The &lt;Project&gt;'"), "{about}");
    assert!(about.contains("what it is about"), "the rest stays: {about}");
    assert_eq!(features(&about), before, "the rest stays");

    let picture = |locator: &str| Content::Picture {
        picture: Some(MediaRef {
            network: NetworkName::matrix(),
            locator: locator.into(),
        }),
    };
    hub.deliver("Alice", "$3", picture("abc")).await;
    let vcard = bob.ask("get", "<vCard xmlns='vcard-temp'/>").await;
    assert!(vcard.contains(BASE64), "{vcard}");
    hub.deliver("Alice", "$4", Content::Picture { picture: None }).await;
    let vcard = bob.ask("get", "<vCard xmlns='vcard-temp'/>").await;
    assert!(!vcard.contains(BASE64), "{vcard}");

    // Nothing of it comes back as news; what others change does.
    configure(&mut bob, &[("muc#roomconfig_roomname", "Another Name")]).await;
    hub.event(
        "the other name",
        |event| matches!(&event.content, Content::Name { name } if name == "Another Name"),
    )
    .await;
    let told = {
        let events = hub.memory.events.lock().unwrap();
        let told = |content: &&Content| matches!(content, Content::Name { .. } | Content::Picture { .. });
        events.iter().map(|event| &event.content).filter(told).count()
    };
    assert_eq!(told, 1);
    hub.stop().await;
}

#[tokio::test]
async fn names_and_pictures_are_written_on_prosody() {
    if let Some(server) = Prosody::start().await {
        names_and_pictures_are_written_on(&server).await;
    }
}

#[tokio::test]
async fn names_and_pictures_are_written_on_ejabberd() {
    if let Some(server) = Ejabberd::start().await {
        names_and_pictures_are_written_on(&server).await;
    }
}

#[tokio::test]
async fn names_are_not_written_unless_the_operator_says_so() {
    let Some(server) = Prosody::start().await else { return };
    let (mut bob, hub) = scene_on(&server, Memory::default(), json!({})).await;
    let_the_hub_rule(&mut bob).await;
    let name = Content::Name { name: "Mine".into() };
    let error = hub.try_deliver(hub.outbound("Alice", "$1", name)).await.unwrap_err();
    assert_eq!(error.failure, Failure::Unsupported);
    hub.stop().await;
}
