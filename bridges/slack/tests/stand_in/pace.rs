//! How often Slack is called.

use std::time::{Duration, Instant};

use serde_json::json;
use viaduct_bridge::testing::{Hub, Running};
use viaduct_model::{Content, Message, MessageId, Reaction};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::{Kind, Limits, SlackStandIn};

use crate::common::stage::{NAME, section, workspace};

/// The strictest Slack: no message before its second, no call beyond its minute.
fn strictest() -> Limits {
    Limits {
        channel_burst: 1,
        ..Limits::default()
    }
}

/// What the app was refused.
fn limited(slack: &SlackStandIn) -> Vec<String> {
    let calls = slack.calls("").into_iter().filter(|call| call.status == 429);
    calls.map(|call| call.method).collect()
}

/// Posts so often, as fast as it goes; each message is reacted to, and every other one is edited.
async fn talk(running: &Running, channel: &str, times: usize) {
    for number in 0..times {
        let id = running.say(channel, &format!("paced {number}")).await;
        let reaction = Content::React {
            target: MessageId::new(id.as_str()).unwrap(),
            reaction: Reaction {
                key: "👍".to_owned(),
                image: None,
            },
        };
        running.deliver(running.hub.outbound(channel, reaction)).await.unwrap();
        if number % 2 == 0 {
            let edit = Content::Edit {
                target: id,
                message: Message::plain(&format!("edited {number}")),
            };
            running.deliver(running.hub.outbound(channel, edit)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_refused_and_no_channel_waits_for_another() {
    let (slack, channel, sue) = workspace().await;
    slack.set_limits(strictest());
    let other = slack.add_channel("other", Kind::Private);
    for user in [&sue, &slack.app().bot_user] {
        slack.join(&other, user);
    }
    let mut section = section(&slack);
    section["limits"] = json!({});
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &[NAME, "#other"]).await;
    let begun = Instant::now();
    tokio::join!(talk(&running, NAME, 6), talk(&running, "#other", 6));
    let took = begun.elapsed();
    println!("6 posts into each of 2 channels in {} ms", took.as_millis());
    // One after the other they would take eleven.
    assert!((5..9).contains(&took.as_secs()), "{took:?}");
    assert_eq!(limited(&slack), [""; 0]);
    assert_eq!((slack.posted(&channel), slack.posted(&other)), (6, 6));
    running.stop().await;
}

/// Beyond several minutes of every kind of call. `cargo test … -- --ignored --nocapture steady`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes four minutes"]
async fn nothing_is_refused_in_a_steady_state() {
    let (slack, _, sue) = workspace().await;
    slack.set_limits(strictest());
    let channels: Vec<String> = (0..3).map(|number| format!("#more{number}")).collect();
    for name in &channels {
        let channel = slack.add_channel(name.trim_start_matches('#'), Kind::Private);
        for user in [&sue, &slack.app().bot_user] {
            slack.join(&channel, user);
        }
    }
    let mut section = section(&slack);
    section["limits"] = json!({});
    let hub = Hub::new("acme-slack");
    let names: Vec<&str> = channels.iter().map(String::as_str).collect();
    let running = hub.start(&SlackFactory, &section, &names).await;
    let begun = Instant::now();
    tokio::join!(talk(&running, names[0], 70), talk(&running, names[1], 70), async {
        for number in 0..200 {
            running.say(names[2], &format!("only posted {number}")).await;
        }
    });
    println!("{} calls in {:?}", slack.calls("").len(), begun.elapsed());
    assert!(begun.elapsed() > Duration::from_secs(199));
    assert_eq!(limited(&slack), [""; 0]);
    running.stop().await;
}
