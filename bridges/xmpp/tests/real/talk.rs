//! What is said, and how it looks.

use serde_json::json;
use viaduct_bridge::{Failure, Session};
use viaduct_model::document::MentionTarget;
use viaduct_model::{Attachment, AttachmentKind, Content, MediaRef, Message, NetworkName};

use crate::common::hub::network;
use crate::support::{ROOM, scene, text};

#[tokio::test]
async fn text_crosses_both_ways_with_puppets() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    bob.say("m1", "<body>hello *there*</body>").await;
    let event = hub.message("hello there").await;
    assert_eq!(event.sender.name, "Bob");
    assert!(event.cursor.is_some());

    let receipt = hub.deliver("Alice", "$1", text("hi Bob")).await;
    assert_eq!(receipt.ids.len(), 1);
    let seen = bob.until("the puppet's message", |xml| xml.contains("hi Bob")).await;
    assert!(seen.contains(&format!("from='{ROOM}/Alice'")), "{seen}");
    assert!(
        seen.contains(&format!("id='{}'", receipt.ids[0])),
        "the receipt has the room's stanza-id: {seen}"
    );
    hub.stop().await;
}

#[tokio::test]
async fn mentions_lead_to_people() {
    let Some((_server, mut bob, hub)) = scene(json!({})).await else {
        return;
    };
    hub.deliver("Alice", "$1", text("here")).await;
    bob.say("m", "<body>Alice: look</body>").await;
    let event = hub.message("Alice: look").await;
    let mentions = event
        .content
        .message()
        .unwrap()
        .body
        .mentions()
        .into_iter()
        .cloned()
        .collect::<Vec<_>>();
    assert!(matches!(&mentions[..], [mention]
        if matches!(&mention.target, MentionTarget::Person { id, .. } if id.as_str() == "@alice:hs.example")));
    bob.until("the message", |xml| xml.contains("here")).await;
    hub.stop().await;
}

#[tokio::test]
async fn files_are_uploaded_and_fetched() {
    let extra = json!({"upload_service": "upload.localhost", "file_hosts": ["127.0.0.1"]});
    let Some((_server, mut bob, hub)) = scene(extra).await else {
        return;
    };
    let attachment = Attachment {
        media: MediaRef {
            network: NetworkName::matrix(),
            locator: "the bytes of the file".into(),
        },
        name: "notes.txt".into(),
        mime: Some("text/plain".into()),
        size: None,
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    };
    let message = Message {
        attachments: vec![attachment],
        ..Message::plain("see here")
    };
    let receipt = hub.deliver("Alice", "$1", Content::Message(message)).await;
    assert_eq!((receipt.ids.len(), receipt.losses.len()), (2, 0));
    let seen = bob.until("the file", |xml| xml.contains("<url>")).await;
    let (_, after) = seen.split_once("<url>").unwrap();
    let (url, _) = after.split_once("</url>").unwrap();

    bob.say(
        "m",
        &format!("<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>"),
    )
    .await;
    let event = hub.event("the file", |event| {
        event.echo_of.is_none()
            && event
                .content
                .message()
                .is_some_and(|message| !message.attachments.is_empty())
    });
    let event = event.await;
    let file = &event.content.message().unwrap().attachments[0];
    assert_eq!(
        (file.name.as_str(), file.media.network.clone()),
        ("notes.txt", network())
    );
    let media = hub.session.open_media(&file.media.locator).await.unwrap();
    let pieces: Vec<_> = futures_util::StreamExt::collect(media.stream).await;
    let bytes: Vec<u8> = pieces.into_iter().flat_map(|piece| piece.unwrap().to_vec()).collect();
    assert_eq!(bytes, b"the bytes of the file");
    assert!(hub.session.open_media("http://169.254.169.254/x").await.is_err());

    // With or without what old clients know, a file is one file, called as its sender says.
    let old = format!("<body>{url}</body><x xmlns='jabber:x:oob'><url>{url}</url></x>");
    for (number, known) in [old.as_str(), ""].into_iter().enumerate() {
        let shared = format!(
            "{known}<file-sharing xmlns='urn:xmpp:sfs:0' disposition='attachment'><file xmlns='urn:xmpp:file:metadata:0'>\
             <media-type>text/plain</media-type><name>Minutes {number}.txt</name><size>21</size></file><sources>\
             <url-data xmlns='http://jabber.org/protocol/url-data' target='{url}'/></sources></file-sharing>\
             <store xmlns='urn:xmpp:hints'/>"
        );
        bob.say(&format!("shared{number}"), &shared).await;
        let name = format!("Minutes {number}.txt");
        let event = hub
            .event("the shared file", |event| {
                let files = event.content.message().map(|message| &message.attachments);
                files.is_some_and(|files| files.iter().any(|file| file.name == name))
            })
            .await;
        let message = event.content.message().unwrap();
        let files = &message.attachments;
        assert!(message.body.is_empty() && files.len() == 1, "{event:?}");
        assert_eq!(
            (files[0].mime.as_deref(), files[0].size, files[0].kind),
            (Some("text/plain"), Some(21), AttachmentKind::File)
        );
    }
    hub.stop().await;
}

#[tokio::test]
async fn without_puppets_the_hub_speaks_for_people() {
    let Some((_server, mut bob, hub)) = scene(json!({"puppets": false})).await else {
        return;
    };
    hub.deliver("Alice", "$1", text("hi")).await;
    bob.until("the relayed message", |xml| {
        xml.contains("/viaduct'") && xml.contains("<body>Alice: hi</body>")
    })
    .await;
    let error = hub
        .try_deliver(hub.outbound("Alice", "$2", Content::Pins { pinned: vec![] }))
        .await
        .unwrap_err();
    assert_eq!(error.failure, Failure::Unsupported);
    hub.stop().await;
}
