//! Socket Mode and the people behind it: what an app is told, and how that goes wrong.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use viaduct_tests::slack::{Kind, Patience, SlackStandIn, Which};
use viaduct_tests::wait::wait_until;

use super::super::{BOUND, Listener, bot, call, client, ready};

#[tokio::test(flavor = "multi_thread")]
async fn events_are_shared_out_and_come_again_until_acknowledged() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let (one, two) = (
        Listener::connect(&slack, true).await?,
        Listener::connect(&slack, true).await?,
    );
    assert_eq!(two.heard()[0]["num_connections"], 2);
    for number in 0..10 {
        slack.say(&channel, &sue, &format!("m{number}"));
    }
    slack.settled(BOUND).await?;
    assert_eq!((one.envelopes().len(), two.envelopes().len()), (5, 5));

    slack.set_patience(Patience {
        ack: Duration::from_millis(50),
        retries: vec![Duration::ZERO; 3],
    });
    slack.ignore_acks(2);
    slack.say(&channel, &sue, "stubborn");
    slack.settled(BOUND).await?;
    let again: Vec<Value> = [one.envelopes(), two.envelopes()].concat();
    let mut again: Vec<&Value> = again
        .iter()
        .filter(|value| value["payload"]["event"]["text"] == "stubborn")
        .collect();
    again.sort_by_key(|value| value["retry_attempt"].as_u64());
    assert_eq!(
        again
            .iter()
            .map(|value| value["retry_attempt"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        [0, 1, 2]
    );
    assert_eq!(again[1]["retry_reason"], "timeout");
    assert_eq!(again[0]["payload"], again[2]["payload"], "the same event");

    slack.set_patience(Patience::default());
    slack.break_sockets(Which::Oldest);
    wait_until("one socket less", BOUND, || slack.sockets() == 1).await?;
    slack.refresh(Which::All, Duration::ZERO);
    two.hears("the farewell", |value| value["reason"] == "refresh_requested")
        .await?;
    wait_until("no socket", BOUND, || slack.sockets() == 0).await?;
    let before = slack.delivered().lost;
    slack.say(&channel, &sue, "unheard");
    assert_eq!(slack.delivered().lost, before + 1);
    assert_eq!(slack.history(&channel).last().unwrap()["text"], "unheard");
    assert_eq!(slack.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn events_can_double_vanish_and_turn_around() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let listener = Listener::connect(&slack, true).await?;
    slack.duplicate_next(1);
    slack.say(&channel, &sue, "twice");
    slack.lose_next(1);
    slack.say(&channel, &sue, "never");
    slack.shuffle_next(3);
    for text in ["a", "b", "c", "d"] {
        slack.say(&channel, &sue, text);
    }
    slack.settled(BOUND).await?;
    assert_eq!(listener.texts(), ["twice", "twice", "c", "b", "a", "d"]);
    let envelopes = listener.envelopes();
    assert_eq!(envelopes[0]["payload"]["event_id"], envelopes[1]["payload"]["event_id"]);
    assert_ne!(envelopes[0]["envelope_id"], envelopes[1]["envelope_id"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_socket_is_told_three_times_more_and_then_no_longer() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let silent = Listener::connect(&slack, false).await?;
    slack.set_patience(Patience {
        ack: Duration::from_millis(30),
        retries: vec![Duration::ZERO; 3],
    });
    let before = slack.delivered().lost;
    slack.say(&channel, &sue, "hello?");
    slack.settled(BOUND).await?;
    assert_eq!(silent.envelopes().len(), 4);
    assert_eq!(slack.delivered().lost, before + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_in_shared_channels_carry_their_workspace() -> anyhow::Result<()> {
    let (slack, channel, _) = ready().await?;
    let listener = Listener::connect(&slack, true).await?;
    let team = slack.add_team("Partner");
    let paul = slack.add_user_to(&team, "paul");
    assert_eq!(
        bot(&slack, "users.info", json!({ "user": paul })).await?["error"],
        "user_not_visible"
    );
    slack.share(&channel, &team);
    slack.say(&channel, &paul, "hello from afar");
    slack.settled(BOUND).await?;
    let envelopes = listener.envelopes();
    let said = &envelopes.last().unwrap()["payload"];
    assert_eq!(
        (
            &said["is_ext_shared_channel"],
            &said["event"]["user_team"],
            &said["team_id"]
        ),
        (&json!(true), &json!(team), &json!(slack.team()))
    );
    let user = bot(&slack, "users.info", json!({ "user": paul })).await?;
    assert_eq!(
        (&user["user"]["team_id"], &user["user"]["is_stranger"]),
        (&json!(team), &json!(false))
    );
    let info = bot(&slack, "conversations.info", json!({ "channel": channel })).await?;
    assert_eq!(info["channel"]["connected_team_ids"], json!([team]));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_as_fast_as_its_acknowledgements() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let listeners = [
        Listener::connect(&slack, true).await?,
        Listener::connect(&slack, true).await?,
    ];
    let count = 5_000;
    let flood = slack.flood(&channel, &[&sue], "flood", count, 512).await?;
    println!("flood: {} events, {:.0} a second", flood.events, flood.rate());
    let heard: usize = listeners.iter().map(|listener| listener.texts().len()).sum();
    assert_eq!(u64::try_from(heard)?, count);
    assert_eq!(slack.delivered().acked, count);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_control_interface_does_the_same() -> anyhow::Result<()> {
    let slack = SlackStandIn::start().await?;
    let http = client()?;
    let url = format!("{}/control", slack.url());
    let command = |body: Value| {
        let request = http.post(&url).json(&body);
        async move { anyhow::Ok(request.send().await?.json::<Value>().await?) }
    };
    let channel = command(json!({ "do": "add_channel", "name": "demo" })).await?["channel"].clone();
    let user = command(json!({ "do": "add_user", "name": "sue" })).await?["user"].clone();
    let said = command(json!({ "do": "say", "channel": channel, "user": user, "text": "hello" })).await?;
    command(json!({ "do": "react", "channel": channel, "ts": said["ts"], "user": user, "name": "wave" })).await?;
    let history = command(json!({ "do": "history", "channel": channel })).await?;
    assert_eq!(history["messages"][0]["reactions"][0]["name"], "wave");
    assert_eq!(
        command(json!({ "do": "show" })).await?["app"]["app_id"],
        json!(slack.app().app_id)
    );
    assert!(command(json!({ "do": "dance" })).await?["error"].is_string());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_eleventh_socket_is_sent_away_and_a_ticket_is_good_once() -> anyhow::Result<()> {
    let (slack, _, _) = ready().await?;
    let mut ten = Vec::new();
    for _ in 0..10 {
        ten.push(Listener::connect(&slack, true).await?);
    }
    let eleventh = Listener::connect(&slack, true).await?;
    assert_eq!(eleventh.heard()[0]["reason"], "too_many_websockets");
    assert_eq!(slack.sockets(), 10);

    let opened = call(&slack, &slack.app().app_token, "apps.connections.open", json!({})).await?;
    let url = opened["url"].as_str().unwrap();
    let (first, second) = (connect_async(url).await, connect_async(url).await);
    assert!(first.is_ok() && second.is_err());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_hears_what_its_membership_scopes_and_subscriptions_allow() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let listener = Listener::connect(&slack, true).await?;
    let elsewhere = slack.add_channel("elsewhere", Kind::Private);
    slack.say(&elsewhere, &sue, "not in there");
    slack.set_scopes(&["channels:history"]);
    let said = slack.say(&channel, &sue, "heard");
    slack.react(&channel, said, &sue, "wave", true);
    slack.subscribe(&["message.groups"]);
    slack.say(&channel, &sue, "not asked for");
    slack.emit_payload(&json!({ "type": "app_rate_limited" }));
    slack.settled(BOUND).await?;
    assert_eq!(listener.texts(), ["heard"]);
    let payloads: Vec<Value> = listener
        .envelopes()
        .iter()
        .map(|envelope| envelope["payload"].clone())
        .collect();
    assert!(
        payloads
            .iter()
            .all(|payload| payload["event"]["type"] != "reaction_added")
    );
    assert_eq!(payloads.last().unwrap()["type"], "app_rate_limited");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_frozen_socket_keeps_comes_to_another() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let frozen = Listener::connect(&slack, true).await?;
    let lively = Listener::connect(&slack, true).await?;
    slack.set_patience(Patience {
        ack: Duration::from_millis(50),
        retries: vec![Duration::ZERO; 3],
    });
    slack.freeze_sockets(Which::Oldest);
    for text in ["a", "b", "c", "d"] {
        slack.say(&channel, &sue, text);
    }
    wait_until("all four", BOUND, || {
        ["a", "b", "c", "d"]
            .iter()
            .all(|text| lively.texts().iter().any(|heard| heard == text))
    })
    .await?;
    assert_eq!(frozen.envelopes(), Vec::<Value>::new());
    Ok(())
}
