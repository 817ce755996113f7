//! The stand-in against the published descriptions: methods, answers and events.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::{Value, json};
use viaduct_tests::launch::project_root;
use viaduct_tests::slack::{Kind, described};

use super::super::{BOUND, Listener, bot, call, ready};

/// Where the published descriptions are; none, with the reason printed, if this checkout has none beside it.
#[expect(clippy::print_stderr, reason = "the test runner shows why a test was skipped")]
fn specs() -> Option<PathBuf> {
    let specs = project_root().join("../shared/specs/slack");
    if specs.is_dir() {
        return Some(specs);
    }
    eprintln!("skipped: the published descriptions are not at {}", specs.display());
    None
}

fn read(path: &std::path::Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Parameters and methods that are newer than the published description (2021); today's documentation has them.
const NEWER: &[(&str, &[&str])] = &[
    ("apps.connections.open", &[]),
    ("auth.teams.list", &[]),
    ("bots.info", &["team_id"]),
    ("chat.postEphemeral", &["markdown_text"]),
    ("chat.postMessage", &["markdown_text", "metadata"]),
    (
        "chat.update",
        &["markdown_text", "metadata", "reply_broadcast", "file_ids"],
    ),
    ("conversations.history", &["include_all_metadata"]),
    ("conversations.list", &["team_id"]),
    ("conversations.open", &["prevent_creation"]),
    ("conversations.replies", &["include_all_metadata"]),
    ("emoji.list", &["include_categories"]),
    ("files.completeUploadExternal", &[]),
    ("files.getUploadURLExternal", &[]),
    ("oauth.v2.access", &["grant_type", "refresh_token"]),
    ("team.info", &["domain"]),
    ("usergroups.list", &["team_id"]),
    ("users.conversations", &["team_id"]),
    ("users.list", &["team_id"]),
];

#[test]
fn the_table_of_methods_is_the_published_one() {
    let Some(specs) = specs() else { return };
    let published = read(&specs.join("web-api.openapi.json")).unwrap();
    for method in described() {
        let newer = NEWER
            .iter()
            .find(|(name, _)| *name == method.name)
            .map_or(&[] as &[&str], |(_, newer)| newer);
        let Some(path) = published["paths"].get(format!("/{}", method.name)) else {
            assert!(
                NEWER.iter().any(|(name, _)| *name == method.name),
                "{} is published nowhere",
                method.name
            );
            continue;
        };
        let operation = path.as_object().unwrap().values().next().unwrap();
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        let named = |name: &str| parameters.iter().find(|parameter| parameter["name"] == name);
        for (name, required) in &method.parameters {
            let known = named(name);
            assert!(
                known.is_some() || newer.contains(name),
                "{} has no parameter {name}",
                method.name
            );
            // The description often leaves out that something is required; never the other way round.
            let published = known.is_some_and(|parameter| parameter["required"] == true);
            assert!(!published || *required, "{} requires {name}", method.name);
        }
        for parameter in &parameters {
            let name = parameter["name"].as_str().unwrap();
            let ours = method.parameters.iter().any(|(ours, _)| *ours == name);
            assert!(ours || name == "token", "{} has a parameter {name}", method.name);
        }
    }
}

/// What `value` has that `sample` has not, or has in another form. Samples hold every field that may occur.
fn strays(path: &str, value: &Value, sample: &Value, strays_found: &mut Vec<String>) {
    match (value, sample) {
        (Value::Object(fields), Value::Object(known)) => {
            // A map by identifiers (emoji, shares) has other keys each time; any of the sample's stands for all.
            let map = ["emoji", "public", "private", "event_payload", "args"]
                .iter()
                .any(|end| path.ends_with(end));
            for (name, field) in fields {
                match known.get(name).or_else(|| known.values().next().filter(|_| map)) {
                    Some(sample) => strays(&format!("{path}/{name}"), field, sample, strays_found),
                    None if map || known.is_empty() => {}
                    None => strays_found.push(format!("{path}/{name}")),
                }
            }
        }
        (Value::Array(items), Value::Array(known)) => {
            for item in items {
                // Lists of alternatives (blocks, elements): the sample of the same type.
                let sample = known
                    .iter()
                    .find(|sample| !item["type"].is_null() && sample["type"] == item["type"])
                    .or(known.first());
                if let Some(sample) = sample.filter(|_| !path.ends_with("blocks")) {
                    strays(&format!("{path}[]"), item, sample, strays_found);
                }
            }
        }
        (Value::Null, _)
        | (_, Value::Null)
        | (Value::String(_), Value::String(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::Bool(_), Value::Bool(_)) => {}
        _ => strays_found.push(format!("{path} is {value}, not like {sample}")),
    }
}

/// Fields of events that today's Slack sends and the samples lack, by the end of their path.
const BEYOND: &[&str] = &[
    "/event/app_id",
    "/event/user_team",
    "/event/source_team",
    "/event/team",
    "/event/parent_user_id",
    "/event/event_ts",
    "/context_team_id",
    "/context_enterprise_id",
    "message/app_id",
    "message/metadata",
    "message/reply_users",
    "root/blocks",
    "root/client_msg_id",
    "root/reply_users",
    "root/is_locked",
    "message/blocks",
    "message/client_msg_id",
    "message/reply_count",
    "message/reply_users_count",
    "message/latest_reply",
    "message/is_locked",
    "message/subscribed",
    "message/thread_ts",
    "message/edited",
    "metadata/event_payload",
    "root/attachments",
    "message/attachments",
];

/// The same of answers.
const BEYOND_ANSWERS: &[&str] = &[
    "conversations.replies/messages[]/client_msg_id",
    "conversations.replies/messages[]/subtype",
];

/// What remains of `found` without what is known to be `beyond` the samples. None of that may be superfluous.
fn unexplained(mut found: Vec<String>, beyond: &[&str]) -> Vec<String> {
    let unused: Vec<_> = beyond
        .iter()
        .filter(|end| !found.iter().any(|stray| stray.ends_with(**end)))
        .collect();
    assert!(unused.is_empty(), "no event has these: {unused:?}");
    found.retain(|stray| !beyond.iter().any(|end| stray.ends_with(end)));
    found.sort();
    found.dedup();
    found
}

fn sample_of(event: &Value) -> Option<String> {
    let word = event["type"].as_str()?;
    let name = match (word, event["subtype"].as_str()) {
        ("message", None) => "Message".to_owned(),
        ("message", Some("bot_message")) => "MessageBot".to_owned(),
        ("message", Some("me_message")) => "MessageMe".to_owned(),
        ("message", Some(subtype)) => {
            let short = subtype.strip_prefix("message_").unwrap_or(subtype);
            format!("Message{}", camel(short))
        }
        (word, _) => camel(word),
    };
    Some(format!("{name}Payload.json"))
}

fn camel(word: &str) -> String {
    word.split('_')
        .map(|part| {
            part.chars()
                .take(1)
                .flat_map(char::to_uppercase)
                .chain(part.chars().skip(1))
                .collect::<String>()
        })
        .collect()
}

/// Does everything that can be done.
async fn everything() -> anyhow::Result<(viaduct_tests::slack::SlackStandIn, Vec<Value>)> {
    let (slack, channel, sue) = ready().await?;
    let listener = Listener::connect(&slack, true).await?;
    let said = slack.say(&channel, &sue, "hey <@U1> :wave: <https://x.test|x>");
    slack.edit(&channel, said, &sue, "new");
    slack.unfurl(&channel, said, "a page");
    slack.reply(&channel, &sue, said, "answer", false);
    slack.reply(&channel, &sue, said, "to all", true);
    slack.say_me(&channel, &sue, "waves");
    slack.react(&channel, said, &sue, "wave", true);
    slack.react(&channel, said, &sue, "wave", false);
    slack.pin(&channel, said, &sue, true);
    slack.pin(&channel, said, &sue, false);
    slack.upload(&channel, &sue, "a.png", b"x", false);
    let gone = slack.say(&channel, &sue, "gone");
    slack.delete(&channel, gone);
    slack.delete(&channel, said);
    slack.set_topic(&channel, &sue, "t");
    slack.set_purpose(&channel, &sue, "p");
    slack.rename_channel(&channel, &sue, "renamed");
    let tom = slack.add_user("tom");
    slack.join(&channel, &tom);
    slack.leave(&channel, &tom, &sue);
    slack.rename_user(&tom, "Thomas");
    slack.deactivate_user(&tom);
    slack.add_emoji("parrot", None);
    slack.add_group("team", &[&sue]);
    slack.add_channel("other", Kind::Public);
    let private = slack.add_channel("private", Kind::Private);
    slack.join(&private, &slack.app().bot_user);
    slack.say(&private, &sue, "psst");
    slack.rename_channel(&private, &sue, "hidden");
    slack.set_topic(&private, &sue, "t");
    let direct = slack.direct(&sue);
    slack.say(&direct, &sue, "just us");
    bot(
        &slack,
        "chat.postMessage",
        json!({ "channel": channel, "text": "a", "username": "Ann", "icon_emoji": ":x:" }),
    )
    .await?;
    let own = bot(
        &slack,
        "chat.postMessage",
        json!({ "channel": channel, "text": "b", "metadata": { "event_type": "e", "event_payload": {} } }),
    )
    .await?;
    bot(
        &slack,
        "chat.update",
        json!({ "channel": channel, "ts": own["ts"], "text": "c" }),
    )
    .await?;
    let team = slack.add_team("Partner");
    slack.share(&channel, &team);
    let paul = slack.add_user_to(&team, "paul");
    slack.say(&channel, &paul, "from afar");
    slack.unshare(&channel, &team);
    slack.set_archived(&channel, &sue, true);
    slack.set_archived(&channel, &sue, false);
    let channel = slack.renumber_channel(&channel).context("the channel is gone")?;
    slack.leave(&channel, &slack.app().bot_user, &sue);
    slack.leave(&private, &slack.app().bot_user, &sue);
    slack.settled(BOUND).await?;
    slack.uninstall();
    viaduct_tests::wait::wait_until("the end", BOUND, || {
        listener.heard().iter().any(|value| value["reason"] == "link_disabled")
    })
    .await?;
    let events = listener
        .envelopes()
        .into_iter()
        .map(|mut envelope| envelope["payload"].take())
        .collect();
    Ok((slack, events))
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_as_published() -> anyhow::Result<()> {
    let Some(specs) = specs() else { return Ok(()) };
    let schema = read(&specs.join("event-wrapper.schema.json")).unwrap();
    let (_slack, events) = everything().await?;
    let mut kinds = std::collections::BTreeSet::new();
    let mut found = Vec::new();
    for payload in &events {
        let event = &payload["event"];
        for required in schema["required"].as_array().unwrap() {
            let name = required.as_str().unwrap();
            // `authorizations` took the place of `authed_users` in 2021.
            let name = if name == "authed_users" { "authorizations" } else { name };
            assert!(!payload[name].is_null(), "{name} is missing: {payload}");
        }
        // The schema wants it of every event, the samples show some without.
        if !["team_join", "user_change"].contains(&event["type"].as_str().unwrap()) {
            assert!(event["event_ts"].is_string(), "{event}");
        }
        let name = sample_of(event).unwrap();
        if let Some(sample) = read(&specs.join("events").join(&name)) {
            strays(&name, payload, &sample, &mut found);
            kinds.insert(name);
        } else {
            assert!(
                ["group_name", "group_join", "group_leave"]
                    .iter()
                    .any(|word| event["subtype"] == *word)
                    || event["type"] == "subteam_created",
                "no sample: {name}"
            );
        }
    }
    assert_eq!(unexplained(found, BEYOND), Vec::<String>::new());
    println!("{} events of {} kinds", events.len(), kinds.len());
    assert!(kinds.len() >= 30, "{kinds:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_published() -> anyhow::Result<()> {
    let Some(specs) = specs() else { return Ok(()) };
    let (slack, channel, sue) = ready().await?;
    let said = slack.say(&channel, &sue, "hello").to_string();
    slack.add_emoji("parrot", None);
    slack.add_group("team", &[&sue]);
    let (file, _) = slack.upload(&channel, &sue, "a.png", b"x", false);
    slack.react(&channel, said.parse()?, &sue, "wave", true);
    slack.reply(&channel, &sue, said.parse()?, "answer", true);
    let own = bot(&slack, "chat.postMessage", json!({ "channel": channel, "text": "a" })).await?["ts"].clone();
    let calls = [
        ("auth.test", json!({})),
        ("bots.info", json!({ "bot": slack.app().bot_id })),
        (
            "chat.postMessage",
            json!({ "channel": channel, "text": "a", "username": "Ann" }),
        ),
        ("chat.update", json!({ "channel": channel, "ts": own, "text": "b" })),
        ("chat.delete", json!({ "channel": channel, "ts": own })),
        ("conversations.history", json!({ "channel": channel })),
        (
            "conversations.info",
            json!({ "channel": channel, "include_num_members": true }),
        ),
        ("conversations.join", json!({ "channel": channel })),
        ("conversations.list", json!({ "types": "public_channel,im" })),
        ("conversations.members", json!({ "channel": channel })),
        ("conversations.replies", json!({ "channel": channel, "ts": said })),
        ("emoji.list", json!({})),
        ("files.getUploadURLExternal", json!({ "filename": "a", "length": 1 })),
        ("files.info", json!({ "file": file })),
        (
            "reactions.add",
            json!({ "channel": channel, "timestamp": said, "name": "wave" }),
        ),
        (
            "reactions.remove",
            json!({ "channel": channel, "timestamp": said, "name": "wave" }),
        ),
        ("team.info", json!({})),
        ("usergroups.list", json!({ "include_users": true })),
        ("users.info", json!({ "user": sue })),
        ("users.list", json!({})),
    ];
    let mut found = Vec::new();
    for (method, arguments) in calls {
        let answer = bot(&slack, method, arguments).await?;
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        let sample = read(&specs.join(format!("api/{method}.json"))).unwrap();
        strays(method, &answer, &sample, &mut found);
    }
    let opened = call(&slack, &slack.app().app_token, "apps.connections.open", json!({})).await?;
    strays(
        "apps.connections.open",
        &opened,
        &read(&specs.join("api/apps.connections.open.json")).unwrap(),
        &mut found,
    );
    assert_eq!(unexplained(found, BEYOND_ANSWERS), Vec::<String>::new());
    assert_eq!(slack.violations(), []);
    Ok(())
}
