//! What events become at destinations of several abilities.

use super::*;
use viaduct_model::NetworkName;

struct Published(bool);
impl Links for Published {
    fn file(&self, media: &MediaRef, _name: &str) -> Option<String> {
        self.0.then(|| format!("https://hub/{}", media.locator))
    }
    fn text(&self) -> Option<MediaRef> {
        Some(MediaRef {
            network: NetworkName::new("journal").unwrap(),
            locator: "m/1".to_owned(),
        })
    }
}

fn id(value: &str) -> MessageId {
    MessageId::new(value).unwrap()
}

fn poor() -> Capabilities {
    Capabilities {
        file: Support::Fallback,
        line_limit: Some(2),
        ..Capabilities::default()
    }
}

fn all() -> Capabilities {
    Capabilities {
        edit: Support::Native,
        delete: Support::Native,
        reply: Support::Native,
        thread: Support::Native,
        reaction: Support::Native,
        file: Support::Native,
        ..Capabilities::default()
    }
}

fn referred(ids: &[&str]) -> Referred {
    Referred {
        ids: ids.iter().map(|value| id(value)).collect(),
        name: Some("Ann".to_owned()),
        message: Some(Message::plain("hello {name}")),
        ..Referred::default()
    }
}

fn text_of(plan: &Plan) -> String {
    match plan {
        Plan::Send(content, _) => content.message().map(|m| m.body.to_plain()).unwrap_or_default(),
        Plan::Skip(reason) => format!("skip: {reason}"),
    }
}

fn run(content: &Content, resolved: &Resolved, caps: &Capabilities) -> Plan {
    plan(content, resolved, caps, &Forms::default(), &Published(true))
}

#[test]
fn an_edit_is_native_or_a_corrected_line() {
    let edit = Content::Edit {
        target: id("a"),
        message: Message::plain("new"),
    };
    let resolved = Resolved {
        target: Some(referred(&["x", "y"])),
        ..Resolved::default()
    };
    let Plan::Send(Content::Edit { target, .. }, parts) = run(&edit, &resolved, &all()) else {
        panic!()
    };
    assert_eq!((target, parts.len()), (id("x"), 2));
    assert_eq!(text_of(&run(&edit, &resolved, &poor())), "* new");
    // Too old, or never arrived: the new wording is said again rather than lost.
    let late = Capabilities {
        edit_window: Some(10),
        ..all()
    };
    let old = Resolved {
        target: Some(Referred {
            age: 11,
            ..referred(&["x"])
        }),
        ..Resolved::default()
    };
    assert_eq!(text_of(&run(&edit, &old, &late)), "* new");
    assert_eq!(text_of(&run(&edit, &Resolved::default(), &all())), "* new");
}

#[test]
fn an_answer_is_native_or_addressed() {
    let mut message = Message::plain("yes");
    message.reply_to = Some(id("a"));
    let content = Content::Message(message);
    let resolved = Resolved {
        reply: Some(referred(&["x"])),
        ..Resolved::default()
    };
    let Plan::Send(Content::Message(sent), _) = run(&content, &resolved, &all()) else {
        panic!()
    };
    assert_eq!(sent.reply_to, Some(id("x")));
    assert_eq!(text_of(&run(&content, &resolved, &poor())), "Ann: yes");
    let Plan::Send(Content::Message(sent), _) = run(&content, &Resolved::default(), &all()) else {
        panic!()
    };
    assert_eq!((sent.reply_to.clone(), sent.body.to_plain()), (None, "yes".to_owned()));
}

#[test]
fn a_thread_becomes_an_answer_where_there_are_none() {
    let content = Content::Message(Message {
        thread: Some(id("a")),
        ..Message::plain("yes")
    });
    let resolved = Resolved {
        thread: Some(referred(&["x"])),
        ..Resolved::default()
    };
    let flat = Capabilities {
        thread: Support::None,
        ..all()
    };
    let Plan::Send(Content::Message(sent), _) = run(&content, &resolved, &flat) else {
        panic!()
    };
    assert_eq!((sent.thread, sent.reply_to), (None, Some(id("x"))));
    let Plan::Send(Content::Message(sent), _) = run(&content, &resolved, &all()) else {
        panic!()
    };
    assert_eq!((sent.thread, sent.reply_to), (Some(id("x")), None));
}

#[test]
fn what_cannot_be_expressed_is_left_out_and_a_side_that_has_words_gets_it() {
    let react = Content::React {
        target: id("a"),
        reaction: Reaction {
            key: "👍".to_owned(),
            image: None,
        },
    };
    let delete = Content::Delete {
        target: id("a"),
        reason: None,
    };
    let resolved = Resolved {
        target: Some(referred(&["x", "y"])),
        ..Resolved::default()
    };
    let worded = Capabilities {
        delete: Support::Fallback,
        reaction: Support::Fallback,
        ..poor()
    };
    for content in [&react, &delete] {
        assert!(text_of(&run(content, &resolved, &poor())).starts_with("skip"));
        assert!(text_of(&run(content, &Resolved::default(), &worded)).starts_with("skip"));
        let Plan::Send(sent, parts) = run(content, &resolved, &worded) else {
            panic!()
        };
        assert_eq!((sent.target(), parts.len()), (Some(&id("x")), 2));
    }
}

#[test]
fn pins_are_those_that_are_there() {
    let pins = Content::Pins {
        pinned: vec![id("a"), id("b")],
    };
    let able = Capabilities {
        pins: Support::Native,
        ..all()
    };
    let resolved = Resolved {
        pins: vec![id("x")],
        ..Resolved::default()
    };
    let sent = |pinned| Plan::Send(Content::Pins { pinned }, Vec::new());
    assert_eq!(run(&pins, &resolved, &able), sent(vec![id("x")]));
    assert!(text_of(&run(&pins, &resolved, &all())).starts_with("skip"));
    // Nothing of it is there: what is pinned there stays. Nothing is pinned any more: nothing there either.
    assert!(text_of(&run(&pins, &Resolved::default(), &able)).starts_with("skip"));
    let none = Content::Pins { pinned: Vec::new() };
    assert_eq!(run(&none, &Resolved::default(), &able), sent(Vec::new()));
}

#[test]
fn names_and_quotes_cannot_steer_a_form() {
    assert_eq!(
        fill("{name}: {quote}", &[("name", "{quote}"), ("quote", "x")]),
        "{quote}: x"
    );
    assert_eq!(fill("{other} {", &[("name", "n")]), "{other} {");
}

#[test]
fn taking_back_a_reaction_names_the_reaction() {
    let delete = Content::Delete {
        target: id("r"),
        reason: None,
    };
    let reaction = Reaction {
        key: "👍".to_owned(),
        image: None,
    };
    let target = Referred {
        reaction: Some(reaction),
        ..referred(&["x"])
    };
    let resolved = Resolved {
        target: Some(target),
        reaction_ids: vec![id("rx")],
        ..Resolved::default()
    };
    let Plan::Send(Content::Unreact { target, .. }, parts) = run(&delete, &resolved, &all()) else {
        panic!()
    };
    assert_eq!((target, parts), (id("x"), vec![id("rx")]));
}

#[test]
fn files_become_links_and_long_texts_too() {
    let file = Attachment {
        media: MediaRef {
            network: NetworkName::matrix(),
            locator: "f".to_owned(),
        },
        name: "plan.pdf".to_owned(),
        mime: None,
        size: Some(3_400_000),
        kind: viaduct_model::AttachmentKind::File,
        dimensions: None,
        duration: None,
        spoiler: false,
    };
    let content = Content::Message(Message {
        attachments: vec![file],
        ..Message::default()
    });
    assert_eq!(
        text_of(&run(&content, &Resolved::default(), &poor())),
        "plan.pdf (3.4 MB) https://hub/f"
    );
    let plan_without = plan(
        &content,
        &Resolved::default(),
        &poor(),
        &Forms::default(),
        &Published(false),
    );
    assert_eq!(text_of(&plan_without), "[plan.pdf, 3.4 MB, not transferred]");
    let long = Content::Message(Message::plain("1\n2\n3"));
    assert_eq!(
        text_of(&run(&long, &Resolved::default(), &poor())),
        "1 2 3 … https://hub/m/1"
    );
}
