//! Slack by way of a company's network: its proxy, and its own certificate authority.

use std::sync::atomic::Ordering;

use futures_util::TryStreamExt;
use serde_json::{Value, json};
use viaduct_bridge::Connection;
use viaduct_bridge::testing::{Hub, PATIENCE, Running};
use viaduct_model::{Attachment, AttachmentKind, Content, MediaRef, Message, NetworkName};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::SlackStandIn;

use crate::common::stage::{NAME, no_violations, section, workspace};
use crate::office::{Proxy, Tls};

/// `via:p@ss:word`, encoded; and as it stands in an address.
const LOGIN: (&str, &str) = ("dmlhOnBAc3M6d29yZA==", "via:p%40ss%3Aword");

fn through(slack: &SlackStandIn, tls: &Tls) -> Value {
    slack.behind(&tls.url);
    let mut section = section(slack);
    section["base_url"] = json!(format!("{}/api", tls.url));
    section["ca_file"] = json!(tls.ca);
    section
}

/// What goes each way that there is: events, calls, files up and down.
async fn all_ways_are_good(slack: &SlackStandIn, channel: &str, sue: &str, hub: &Hub, running: &Running) {
    slack.say(channel, sue, "over a socket");
    hub.hear("over a socket").await;
    running.say(NAME, "by a call").await;
    slack.upload(channel, sue, "plan.txt", b"the plan", false);
    let media = hub
        .until("the file", |events, _| {
            let mut messages = events.iter().filter_map(|event| event.content.message());
            messages.find_map(|message| Some(message.attachments.first()?.media.clone()))
        })
        .await;
    let opened = running.session.open_media(&media.locator).await.unwrap();
    let pieces: Vec<bytes::Bytes> = opened.stream.try_collect().await.unwrap();
    assert_eq!(pieces.concat(), b"the plan");
    let file = Attachment {
        media: MediaRef {
            network: NetworkName::matrix(),
            locator: "mxc://example.org/answer".to_owned(),
        },
        name: "answer.txt".to_owned(),
        mime: Some("text/plain".to_owned()),
        size: Some(24),
        kind: AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    };
    let message = Message {
        attachments: vec![file],
        ..Message::default()
    };
    let sent = running
        .deliver(hub.outbound(NAME, Content::Message(message)))
        .await
        .unwrap();
    let posted = slack.message(channel, sent.ids[0].as_str().parse().unwrap()).unwrap();
    let id = posted["files"][0]["id"].as_str().unwrap();
    assert_eq!(slack.file(id).unwrap(), "mxc://example.org/answer");
}

/// Why the session is down.
async fn down(hub: &Hub) -> String {
    hub.until("the session is down", |_, reports| {
        reports.iter().find_map(|(channel, connection)| match connection {
            Connection::Down(reason) if channel.is_none() => Some(reason.clone()),
            _ => None,
        })
    })
    .await
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_where_it_is_named() {
    let (slack, channel, sue) = workspace().await;
    let tls = Tls::before(slack.url()).await;
    let section = through(&slack, &tls);
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME]).await;
    slack.connected(2, PATIENCE).await.unwrap();
    all_ways_are_good(&slack, &channel, &sue, &hub, &running).await;
    running.stop().await;

    let mut strange = section;
    strange.as_object_mut().unwrap().remove("ca_file");
    let running = hub.open(&SlackFactory, &strange, &[NAME]).await;
    let reason = down(&hub).await;
    assert!(reason.contains("certificate"), "{reason}");
    running.stop().await;
    no_violations(&slack);
}

#[tokio::test]
async fn all_goes_through_the_proxy() {
    let (slack, channel, sue) = workspace().await;
    let tls = Tls::before(slack.url()).await;
    let proxy = Proxy::start(LOGIN.0).await;
    let mut section = through(&slack, &tls);
    section["proxy"] = json!(format!("http://{}@{}", LOGIN.1, proxy.address));
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME]).await;
    slack.connected(2, PATIENCE).await.unwrap();
    all_ways_are_good(&slack, &channel, &sue, &hub, &running).await;
    running.stop().await;
    let carried = proxy.carried.lock().unwrap().clone();
    let host = tls.url.trim_start_matches("https://");
    assert!(
        carried.len() >= 3 && carried.iter().all(|target| target == host),
        "{carried:?}"
    );
    assert_eq!(
        tls.connections.load(Ordering::SeqCst),
        carried.len(),
        "none went past it"
    );

    section["proxy"] = json!(format!("http://via:wrong@{}", proxy.address));
    let running = hub.open(&SlackFactory, &section, &[NAME]).await;
    let reason = down(&hub).await;
    assert!(reason.contains("proxy") && !reason.contains("wrong"), "{reason}");
    running.stop().await;
    no_violations(&slack);
}
