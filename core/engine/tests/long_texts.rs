//! A text that is too long for a network becomes its beginning and a link: policies judge all of it, and not what is left.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::sync::Arc;

use common::partner::two;
use common::{Hub, settings, start, until};
use viaduct_compliance::Policy;
use viaduct_engine::{NamedPolicy, Policies};
use viaduct_model::{Content, Message};
use viaduct_store::MemoryStore;

/// The secret stands in the last line, which is not among what is quoted.
fn long() -> String {
    let lines: Vec<String> = (0..40).map(|line| format!("line {line} of a report")).collect();
    format!("{}\nthe word is sesame", lines.join("\n"))
}

/// A hub whose right side bears two lines, with this action on the word at its door.
async fn hub(action: Option<&str>) -> Hub {
    let mut sides = two();
    Arc::get_mut(&mut sides[1]).unwrap().caps.line_limit = Some(2);
    let mut wanted = settings(&sides);
    if let Some(action) = action {
        let rule = serde_json::json!({"name": "word", "patterns": ["sesame"], "action": action, "reason": "secret"});
        let policy = Policy {
            rules: vec![serde_json::from_value(rule).unwrap()],
            ..Policy::default()
        };
        wanted.mirrors[0].members[1].policies = Policies {
            inward: None,
            outward: Some(NamedPolicy {
                name: "words".to_owned(),
                policy,
            }),
        };
    }
    start(Arc::new(MemoryStore::new()), sides, wanted).await
}

/// What arrives of it at the right side; none if nothing does before the next message.
async fn arriving(action: Option<&str>) -> Option<String> {
    let hub = hub(action).await;
    let (left, right) = (&hub.sides[0], &hub.sides[1]);
    let text = Content::Message(Message::plain(&long()));
    left.push(vec![left.event("c", "m1", text), left.message("c", "after it")])
        .await;
    // What is held is not waited for by what does not refer to it.
    until(|| right.texts().iter().any(|text| text == "after it")).await;
    right.texts().into_iter().find(|text| text != "after it")
}

#[tokio::test(start_paused = true)]
async fn what_a_policy_takes_out_is_not_behind_the_link() {
    let open = arriving(None).await.unwrap();
    assert!(
        open.starts_with("line 0") && open.contains("https://files.example/"),
        "{open}"
    );
    assert_eq!(arriving(Some("refuse")).await, None);
    assert_eq!(arriving(Some("hold")).await, None);
    let masked = arriving(Some("mask")).await.unwrap();
    assert!(!masked.contains("https://"), "a link would show all of it: {masked}");
    assert!(masked.contains("line 39") && !masked.contains("sesame"), "{masked}");
}
