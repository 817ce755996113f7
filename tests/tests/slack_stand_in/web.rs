//! The Web API: what an app does, what it is refused, and how calls fail.

use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use viaduct_tests::slack::{Fault, Kind, Limits, Ts};

use super::super::{Listener, bot, call, client, ready};

#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_posts_is_in_history_with_its_metadata() -> anyhow::Result<()> {
    let (slack, channel, _) = ready().await?;
    let listener = Listener::connect(&slack, true).await?;
    let metadata = json!({ "event_type": "viaduct", "event_payload": { "key": "k1" } });
    let posted = bot(
        &slack,
        "chat.postMessage",
        json!({ "channel": channel, "text": "a & b", "username": "Ann", "icon_url": "https://x.test/a.png", "metadata": metadata }),
    )
    .await?;
    assert_eq!(posted["ok"], true, "{posted}");
    assert_eq!(posted["message"]["subtype"], "bot_message");
    assert_eq!(posted["message"]["username"], "Ann");
    assert_eq!(posted["message"]["text"], "a &amp; b");

    let ask = |all: bool| {
        bot(
            &slack,
            "conversations.history",
            json!({ "channel": channel, "limit": 1, "include_all_metadata": all }),
        )
    };
    assert_eq!(ask(true).await?["messages"][0]["metadata"], metadata);
    listener
        .hears("its own message", |value| {
            value["payload"]["event"]["metadata"] == metadata
        })
        .await?;

    let ts = posted["ts"].as_str().unwrap();
    let reply = bot(
        &slack,
        "chat.postMessage",
        json!({ "channel": channel, "text": "r", "thread_ts": ts, "reply_broadcast": true }),
    )
    .await?;
    assert_eq!(reply["message"]["subtype"], "thread_broadcast");
    bot(
        &slack,
        "chat.postMessage",
        json!({ "channel": channel, "text": "quiet", "thread_ts": ts }),
    )
    .await?;
    let replies = bot(&slack, "conversations.replies", json!({ "channel": channel, "ts": ts })).await?;
    let texts: Vec<&str> = replies["messages"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|message| message["text"].as_str())
        .collect();
    assert_eq!(texts, ["a &amp; b", "r", "quiet"]);
    assert_eq!(replies["messages"][0]["reply_count"], 2);

    let updated = bot(
        &slack,
        "chat.update",
        json!({ "channel": channel, "ts": ts, "text": "new" }),
    )
    .await?;
    assert_eq!(
        (&updated["ok"], &updated["message"]["edited"]["user"]),
        (&json!(true), &json!(slack.app().bot_user))
    );
    listener
        .hears("the edit", |value| {
            value["payload"]["event"]["subtype"] == "message_changed"
        })
        .await?;
    // With answers it becomes a tombstone; an answer itself goes.
    bot(&slack, "chat.delete", json!({ "channel": channel, "ts": ts })).await?;
    assert_eq!(slack.message(&channel, ts.parse()?).unwrap()["subtype"], "tombstone");
    bot(&slack, "chat.delete", json!({ "channel": channel, "ts": reply["ts"] })).await?;
    listener
        .hears("the removal", |value| {
            value["payload"]["event"]["deleted_ts"] == reply["ts"]
        })
        .await?;
    assert_eq!(slack.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_use_slacks_words() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let ts = slack.say(&channel, &sue, "hers").to_string();
    let private = slack.add_channel("secret", Kind::Private);
    let public = slack.add_channel("elsewhere", Kind::Public);
    let long = json!([{ "type": "section", "text": { "type": "mrkdwn", "text": "x".repeat(3001) } }]);
    let cases = [
        (
            "chat.postMessage",
            json!({ "channel": "C0", "text": "x" }),
            "channel_not_found",
        ),
        (
            "chat.postMessage",
            json!({ "channel": private, "text": "x" }),
            "channel_not_found",
        ),
        (
            "chat.postMessage",
            json!({ "channel": public, "text": "x" }),
            "not_in_channel",
        ),
        (
            "chat.postMessage",
            json!({ "channel": channel, "text": " " }),
            "no_text",
        ),
        (
            "chat.postMessage",
            json!({ "channel": channel, "blocks": vec![json!({ "type": "divider" }); 51] }),
            "invalid_blocks",
        ),
        (
            "chat.postMessage",
            json!({ "channel": channel, "blocks": long }),
            "invalid_blocks",
        ),
        (
            "chat.postMessage",
            json!({ "channel": channel, "text": "x", "markdown_text": "y" }),
            "markdown_text_conflict",
        ),
        (
            "chat.postMessage",
            json!({ "channel": channel, "text": "x", "metadata": { "event_type": "" } }),
            "invalid_metadata_format",
        ),
        (
            "chat.update",
            json!({ "channel": channel, "ts": ts, "text": "mine" }),
            "cant_update_message",
        ),
        (
            "chat.delete",
            json!({ "channel": channel, "ts": ts }),
            "cant_delete_message",
        ),
        (
            "chat.delete",
            json!({ "channel": channel, "ts": "1.000000" }),
            "message_not_found",
        ),
        ("conversations.history", json!({ "channel": public }), "not_in_channel"),
        (
            "conversations.history",
            json!({ "channel": channel, "cursor": "nonsense" }),
            "invalid_cursor",
        ),
        (
            "reactions.remove",
            json!({ "channel": channel, "timestamp": ts, "name": "wave" }),
            "no_reaction",
        ),
        (
            "reactions.add",
            json!({ "channel": channel, "timestamp": ts, "name": "👋" }),
            "invalid_name",
        ),
        ("users.info", json!({ "user": "U0" }), "user_not_found"),
        ("files.info", json!({ "file": "F0" }), "file_not_found"),
    ];
    for (method, arguments, error) in cases {
        let answer = bot(&slack, method, arguments.clone()).await?;
        assert_eq!(answer["error"], error, "{method} {arguments}: {answer}");
    }
    slack.set_archived(&channel, &sue, true);
    assert_eq!(
        bot(&slack, "chat.postMessage", json!({ "channel": channel, "text": "x" })).await?["error"],
        "is_archived"
    );
    assert_eq!(slack.violations(), []);

    assert_eq!(
        bot(&slack, "chat.postMessage", json!({ "text": "x", "colour": "red" })).await?["error"],
        "invalid_arguments"
    );
    assert_eq!(
        call(&slack, "xoxb-wrong", "auth.test", json!({})).await?["error"],
        "invalid_auth"
    );
    assert_eq!(bot(&slack, "chat.shout", json!({})).await?["error"], "unknown_method");
    let wrong: Vec<String> = slack.violations().into_iter().map(|violation| violation.what).collect();
    assert_eq!(
        wrong,
        [
            "unknown parameter colour",
            "[ERROR] missing required field: channel",
            "there is no such method here"
        ]
    );

    slack.set_scopes(&["chat:write"]);
    let refused = bot(&slack, "users.list", json!({})).await?;
    assert_eq!(
        (&refused["error"], &refused["needed"], &refused["provided"]),
        (&json!("missing_scope"), &json!("users:read"), &json!("chat:write"))
    );
    slack.revoke(&slack.app().bot_token);
    assert_eq!(bot(&slack, "auth.test", json!({})).await?["error"], "token_revoked");
    slack.uninstall();
    assert_eq!(bot(&slack, "auth.test", json!({})).await?["error"], "account_inactive");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_come_in_pages() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let said: Vec<Ts> = (0..25)
        .map(|number| slack.say(&channel, &sue, &format!("m{number}")))
        .collect();
    let (mut cursor, mut seen) = (String::new(), Vec::new());
    loop {
        let page = bot(
            &slack,
            "conversations.history",
            json!({ "channel": channel, "limit": 10, "oldest": said[0].to_string(), "cursor": cursor }),
        )
        .await?;
        seen.extend(
            page["messages"]
                .as_array()
                .unwrap()
                .iter()
                .map(|message| message["text"].as_str().unwrap().to_owned()),
        );
        assert!(seen.len() <= 24);
        assert_eq!(
            page["has_more"],
            json!(page["response_metadata"]["next_cursor"].is_string())
        );
        match page["response_metadata"]["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let expected: Vec<String> = (1..25).rev().map(|number| format!("m{number}")).collect();
    assert_eq!(seen, expected);
    let all =
        json!({ "channel": channel, "oldest": said[0].to_string(), "latest": said[2].to_string(), "inclusive": true });
    assert_eq!(
        bot(&slack, "conversations.history", all).await?["messages"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    slack.set_limits(Limits {
        commercial: true,
        enforce: false,
        ..Limits::default()
    });
    let short = bot(
        &slack,
        "conversations.history",
        json!({ "channel": channel, "limit": 999 }),
    )
    .await?;
    assert_eq!(short["messages"].as_array().unwrap().len(), 15);

    let mut members = Vec::new();
    let mut cursor = String::new();
    for number in 0..5 {
        slack.add_user(&format!("u{number}"));
    }
    loop {
        let page = bot(&slack, "users.list", json!({ "limit": 3, "cursor": cursor })).await?;
        members.extend(page["members"].as_array().unwrap().clone());
        cursor = page["response_metadata"]["next_cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(members.len(), 8, "owner, bot, sue and five");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_limited_and_fail_as_asked() -> anyhow::Result<()> {
    let (slack, channel, _) = ready().await?;
    slack.set_limits(Limits::default());
    let post = |text: &'static str| bot(&slack, "chat.postMessage", json!({ "channel": channel, "text": text }));
    for _ in 0..3 {
        assert_eq!(post("burst").await?["ok"], true);
    }
    let url = format!("{}/chat.postMessage", slack.api_url());
    let form = [("channel", channel.as_str()), ("text", "too early")];
    let response = client()?
        .post(&url)
        .bearer_auth(&slack.app().bot_token)
        .form(&form)
        .send()
        .await?;
    assert_eq!(
        (response.status().as_u16(), response.headers()["retry-after"].to_str()?),
        (429, "1")
    );
    assert_eq!(slack.limited(), 1);

    slack.set_limits(Limits::none());
    slack.fail_next("chat.postMessage", Fault::Status(503), 1);
    slack.fail_next("chat.postMessage", Fault::Error("internal_error".to_owned()), 1);
    slack.fail_next("chat.postMessage", Fault::LoseAnswer, 1);
    slack.fail_next("chat.postMessage", Fault::CutAnswer, 1);
    assert!(post("unavailable").await.is_err());
    assert_eq!(post("internal").await?["error"], "internal_error");
    let lost = client()?
        .post(&url)
        .bearer_auth(&slack.app().bot_token)
        .form(&[("channel", channel.as_str()), ("text", "lost answer")]);
    assert!(lost.timeout(Duration::from_millis(300)).send().await.is_err());
    assert!(post("cut answer").await.is_err());
    assert_eq!(post("fine").await?["ok"], true);
    let texts: Vec<Value> = slack
        .history(&channel)
        .into_iter()
        .map(|message| message["text"].clone())
        .collect();
    assert_eq!(
        texts.iter().rev().take(4).rev().collect::<Vec<_>>(),
        ["burst", "lost answer", "cut answer", "fine"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_up_in_three_steps_and_comes_down_for_those_who_may() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let listener = Listener::connect(&slack, true).await?;
    let step = bot(
        &slack,
        "files.getUploadURLExternal",
        json!({ "filename": "a b.txt", "length": 5 }),
    )
    .await?;
    let http = client()?;
    let url = step["upload_url"].as_str().unwrap();
    assert_eq!(http.post(url).body("too long").send().await?.status(), 400);
    let early = bot(
        &slack,
        "files.completeUploadExternal",
        json!({ "files": [{ "id": step["file_id"] }], "channel_id": channel }),
    )
    .await?;
    assert_eq!(early["error"], "file_not_found");
    slack.fail_next("upload", Fault::Status(502), 1);
    assert_eq!(http.post(url).body("hello").send().await?.status(), 502);
    assert_eq!(http.post(url).body("hello").send().await?.text().await?, "OK - 5");
    let complete =
        json!({ "files": [{ "id": step["file_id"], "title": "T" }], "channel_id": channel, "initial_comment": "see" });
    let complete = bot(&slack, "files.completeUploadExternal", complete).await?;
    assert_eq!(complete["files"][0]["title"], "T");
    listener
        .hears("the file", |value| {
            value["payload"]["event"]["files"][0]["id"] == step["file_id"]
        })
        .await?;

    let place = complete["files"][0]["url_private_download"].as_str().unwrap();
    let get = |token: &str| http.get(place).bearer_auth(token).send();
    assert_eq!(get(&slack.app().bot_token).await?.text().await?, "hello");
    let stranger = get("xoxb-wrong").await?;
    assert!(
        stranger.headers()["content-type"].to_str()?.starts_with("text/html"),
        "the page to sign in"
    );
    slack.expire_addresses();
    assert_eq!(get(&slack.app().bot_token).await?.status(), 403);

    let (id, ts) = slack.upload(&channel, &sue, "secret.png", b"png", true);
    assert_eq!(
        slack.message(&channel, ts).unwrap()["files"][0]["file_access"],
        "check_file_info"
    );
    let whole = bot(&slack, "files.info", json!({ "file": id })).await?;
    assert_eq!(
        (
            &whole["file"]["mimetype"],
            &whole["file"]["shares"]["public"][&channel][0]["ts"]
        ),
        (&json!("image/png"), &json!(ts.to_string()))
    );
    assert_eq!(slack.violations(), []);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_lend_the_app_their_voice() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let app = slack.app().clone();
    let consent =
        json!({ "code": slack.consent(&sue), "client_id": app.client_id, "client_secret": app.client_secret });
    let granted = call(&slack, "", "oauth.v2.access", consent).await?;
    let token = granted["authed_user"]["access_token"].as_str().context("no token")?;
    let posted = call(
        &slack,
        token,
        "chat.postMessage",
        json!({ "channel": channel, "text": "it is me" }),
    )
    .await?;
    assert_eq!(
        (&posted["message"]["user"], &posted["message"]["bot_id"]),
        (&json!(sue), &json!(app.bot_id)),
        "hers, by way of the app"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_are_named_and_asides_stay_aside() -> anyhow::Result<()> {
    let (slack, channel, sue) = ready().await?;
    let url = format!("{}/conversations.info?channel={channel}", slack.api_url());
    let response = client()?.get(&url).bearer_auth(&slack.app().bot_token).send().await?;
    let scopes = response.headers()["x-oauth-scopes"].to_str()?.to_owned();
    assert!(
        scopes.split(',').any(|scope| scope == "chat:write.customize"),
        "{scopes}"
    );

    let aside = json!({ "channel": channel, "user": sue, "text": "psst" });
    assert_eq!(bot(&slack, "chat.postEphemeral", aside).await?["ok"], true);
    assert!(slack.history(&channel).iter().all(|message| message["text"] != "psst"));
    let topic = bot(
        &slack,
        "conversations.setTopic",
        json!({ "channel": channel, "topic": "new" }),
    )
    .await?;
    assert_eq!(topic["channel"]["topic"]["value"], "new");
    slack.add_channel("elsewhere", Kind::Public);
    let joined = bot(&slack, "users.conversations", json!({})).await?;
    assert_eq!(joined["channels"].as_array().context("no list")?.len(), 1);
    // JSON where Slack takes only forms loses its arguments, and is noticed.
    let json = client()?
        .post(format!("{}/users.info", slack.api_url()))
        .bearer_auth(&slack.app().bot_token);
    let answer: Value = json.json(&json!({ "user": sue })).send().await?.json().await?;
    assert_eq!(
        (&answer["error"], &answer["warning"]),
        (&json!("invalid_arguments"), &json!("missing_charset"))
    );
    assert_eq!(slack.violations()[0].what, "the method takes no JSON");
    Ok(())
}
