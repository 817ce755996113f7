//! Every published sample of an event is accepted without error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::needless_pass_by_value,
    clippy::format_push_string,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test says what it sees, and stops at the first surprise"
)]

mod common;

use std::path::PathBuf;

use serde_json::{Value, json};
use viaduct_bridge::testing::{Hub, PATIENCE};
use viaduct_slack::SlackFactory;
use viaduct_tests::slack::{Kind, Limits, SlackStandIn};

fn samples() -> Vec<(String, Value)> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = ["tests/specs/slack/events", "../shared/specs/slack/events"];
    let Some(folder) = folders
        .iter()
        .map(|folder| root.join(folder))
        .find(|folder| folder.is_dir())
    else {
        println!("Skipped: the published samples are not here.");
        return Vec::new();
    };
    let mut found: Vec<(String, Value)> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name()?.to_str()?.to_owned();
            let text = std::fs::read_to_string(&path)
                .ok()
                .filter(|text| text.starts_with('{'))?;
            Some((name, serde_json::from_str(&text).unwrap()))
        })
        .collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

/// Fills in blank ids, so that the sample is about the mirrored channel.
fn fill(value: &mut Value, channel: &str, user: &str, number: usize) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let filled = match key.as_str() {
                    "channel" | "channel_id" => Some(channel.to_owned()),
                    "user" | "user_id" | "item_user" | "inviter" => Some(user.to_owned()),
                    "ts" | "event_ts" | "thread_ts" | "deleted_ts" | "latest_reply" => {
                        Some(format!("1900000000.{number:06}"))
                    }
                    _ => None,
                };
                match (filled, &*field) {
                    (Some(text), Value::String(blank)) if blank.is_empty() => *field = json!(text),
                    _ => fill(field, channel, user, number),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| fill(item, channel, user, number)),
        _ => {}
    }
}

#[tokio::test]
async fn every_sample_is_accepted() {
    let samples = samples();
    if samples.is_empty() {
        return;
    }
    let slack = SlackStandIn::start().await.unwrap();
    slack.set_limits(Limits::none());
    let channel = slack.add_channel("project", Kind::Public);
    let sue = slack.add_user("sue");
    slack.join(&channel, &sue);
    slack.join(&channel, &slack.app().bot_user);
    let section = json!({
        "bot_token": slack.app().bot_token, "app_token": slack.app().app_token, "base_url": slack.api_url(),
        "limits": {"tier_1": 10000, "tier_2": 10000, "tier_3": 10000, "tier_4": 10000, "history": 10000},
    });
    let hub = Hub::new("acme-slack");
    let running = hub.start(&SlackFactory, &section, &["#project"]).await;
    let before = slack.delivered();
    let mut count = 0;
    // These end the session, as they should: see the tests about lost tokens.
    let ending = ["AppUninstalledPayload.json", "TokensRevokedPayload.json"];
    // These say that the app is out of the channel, or that it has another id.
    let moving = [
        "ChannelLeftPayload.json",
        "GroupLeftPayload.json",
        "ChannelIdChangedPayload.json",
    ];
    for (number, (name, sample)) in samples.into_iter().enumerate() {
        if ending.contains(&name.as_str()) {
            continue;
        }
        for filled in [false, true] {
            let mut sample = sample.clone();
            if filled && !moving.contains(&name.as_str()) {
                fill(&mut sample, &channel, &sue, number * 2 + 1);
            }
            sample["event_id"] = json!(format!("Ev{number}{filled}"));
            slack.emit_payload(&sample);
            count += 1;
        }
        let word = format!("after {name}");
        slack.say(&channel, &sue, &word);
        hub.hear(&word).await;
    }
    slack.settled(PATIENCE).await.unwrap();
    let delivered = slack.delivered();
    let (lost, retries) = (delivered.lost - before.lost, delivered.retries - before.retries);
    assert_eq!((lost, retries), (0, 0), "every one was acknowledged at once");
    let unknown: Vec<String> = hub
        .memory
        .lock()
        .unwrap()
        .iter()
        .filter(|(key, _)| key.starts_with("unknown/"))
        .map(|(_, value)| String::from_utf8_lossy(value).chars().take(300).collect())
        .collect();
    println!(
        "{count} samples accepted, {} of them of kinds that are only kept",
        unknown.len()
    );
    running.stop().await;
}
