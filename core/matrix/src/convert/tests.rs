use serde_json::{Value, json};
use viaduct_model::document::{Mention, MentionTarget};
use viaduct_model::{
    AttachmentKind, Block, Content, Document, Inline, MediaRef, Membership, Message, MessageId, MessageStyle,
    NetworkName, PersonId, Reaction, Role,
};

use super::inbound::{Skip, convert};
use super::raw::RoomEvent;
use super::render::render;
use super::world::world;
use super::{html, outbound};

#[expect(clippy::needless_pass_by_value, reason = "a test gives it a literal")]
pub(super) fn event(kind: &str, content: Value, more: Value) -> RoomEvent {
    let mut event = json!({
        "type": kind, "room_id": "!room", "event_id": "$event", "sender": "@alice:example.org",
        "origin_server_ts": 1_600_000_000_000_u64, "content": content,
    });
    event
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().cloned().unwrap_or_default());
    serde_json::from_value(event).unwrap()
}

fn contents(kind: &str, content: Value, more: Value) -> Vec<Content> {
    convert(&event(kind, content, more), &world())
        .unwrap()
        .into_iter()
        .map(|event| event.content)
        .collect()
}

fn message(content: Value) -> Message {
    match contents("m.room.message", content, json!({})).as_slice() {
        [Content::Message(message)] => message.clone(),
        other => panic!("{other:?}"),
    }
}

fn id(text: &str) -> MessageId {
    MessageId::new(text).unwrap()
}

pub(super) fn read(text: &str) -> Document {
    html::parse(text, &world()).unwrap()
}

#[test]
fn texts_are_read() {
    let read = message(json!({ "msgtype": "m.emote", "body": "waves\n\nand goes" }));
    assert_eq!(read.style, MessageStyle::Action);
    assert_eq!(read.body, Document::plain("waves\n\nand goes"));
    let read = message(json!({
        "msgtype": "m.text", "body": "hi", "format": "org.matrix.custom.html",
        "formatted_body": "<p>hi <a href=\"https://matrix.to/#/@_via_irc_bob:example.org\">Bob</a></p>\n<p>and <em>you</em></p>\n",
    }));
    let irc = NetworkName::new("irc").unwrap();
    let target = MentionTarget::Person {
        network: irc,
        id: PersonId::new("bob").unwrap(),
    };
    assert_eq!(
        read.body.blocks,
        vec![
            Block::Paragraph(vec![
                Inline::Text("hi ".into()),
                Inline::Mention(Mention {
                    label: "Bob".into(),
                    target
                })
            ]),
            Block::Paragraph(vec![
                Inline::Text("and ".into()),
                Inline::Emphasis(vec![Inline::Text("you".into())])
            ]),
        ]
    );
}

#[test]
fn people_named_in_the_event_are_addressed_in_plain_text_too() {
    let content = json!({ "msgtype": "m.text", "body": "hello alice, malice and @room",
        "m.mentions": { "user_ids": ["@alice:example.org"], "room": true } });
    let body = message(content).body;
    let targets: Vec<_> = body
        .mentions()
        .into_iter()
        .map(|mention| mention.target.clone())
        .collect();
    let alice = MentionTarget::Person {
        network: NetworkName::matrix(),
        id: PersonId::new("@alice:example.org").unwrap(),
    };
    assert_eq!(targets, [alice, MentionTarget::Everyone]);
    assert_eq!(body.to_plain(), "hello alice, malice and @room");
}

#[test]
fn replies_and_threads_are_read() {
    let reply = message(json!({ "msgtype": "m.text", "body": "> <@a:b> one\n> two\n\nthree",
        "m.relates_to": { "m.in_reply_to": { "event_id": "$other" } } }));
    assert_eq!(
        (reply.body.to_plain().as_str(), reply.reply_to, reply.thread),
        ("three", Some(id("$other")), None)
    );
    let quote = message(json!({ "msgtype": "m.text", "body": "> no reply\n\nthree" }));
    assert_eq!(quote.body.to_plain(), "> no reply\n\nthree");
    let thread = |fallback: bool| {
        message(
            json!({ "msgtype": "m.text", "body": "x", "m.relates_to": { "rel_type": "m.thread", "event_id": "$root",
            "is_falling_back": fallback, "m.in_reply_to": { "event_id": "$last" } } }),
        )
    };
    assert_eq!((thread(true).reply_to, thread(true).thread), (None, Some(id("$root"))));
    assert_eq!(
        (thread(false).reply_to, thread(false).thread),
        (Some(id("$last")), Some(id("$root")))
    );
    let rich = message(
        json!({ "msgtype": "m.text", "body": "> q\n\nx", "format": "org.matrix.custom.html",
        "formatted_body": "<mx-reply><blockquote>q</blockquote></mx-reply>x",
        "m.relates_to": { "m.in_reply_to": { "event_id": "$other" } } }),
    );
    assert_eq!(rich.body, Document::plain("x"));
}

#[test]
fn edits_deletions_and_reactions_are_read() {
    let edit = contents(
        "m.room.message",
        json!({ "msgtype": "m.text", "body": "* new", "m.new_content": { "msgtype": "m.text", "body": "new" },
            "m.relates_to": { "rel_type": "m.replace", "event_id": "$old" } }),
        json!({}),
    );
    assert_eq!(
        edit,
        [Content::Edit {
            target: id("$old"),
            message: Message::plain("new")
        }]
    );
    let deleted = Content::Delete {
        target: id("$old"),
        reason: Some("spam".into()),
    };
    // Room versions up to 10, and 11 and later.
    for (content, more) in [
        (json!({ "reason": "spam" }), json!({ "redacts": "$old" })),
        (json!({ "redacts": "$old", "reason": "spam" }), json!({})),
    ] {
        assert_eq!(
            contents("m.room.redaction", content, more),
            std::slice::from_ref(&deleted)
        );
    }
    let relation = |key: &str| json!({ "rel_type": "m.annotation", "event_id": "$old", "key": key });
    let react = contents("m.reaction", json!({ "m.relates_to": relation("👍") }), json!({}));
    assert_eq!(
        react,
        [Content::React {
            target: id("$old"),
            reaction: Reaction {
                key: "👍".into(),
                image: None
            }
        }]
    );
    let custom = contents(
        "m.reaction",
        json!({ "m.relates_to": relation("mxc://a/b"), "com.beeper.reaction.shortcode": ":blob:" }),
        json!({}),
    );
    let image = Some(MediaRef {
        network: NetworkName::matrix(),
        locator: "mxc://a/b".into(),
    });
    assert_eq!(
        custom,
        [Content::React {
            target: id("$old"),
            reaction: Reaction {
                key: ":blob:".into(),
                image
            }
        }]
    );
}

#[test]
fn files_are_read() {
    let file = |content: Value| {
        let mut whole = json!({ "msgtype": "m.image", "url": "mxc://example.org/abc",
            "info": { "mimetype": "image/png", "size": 7, "w": 3, "h": 4 } });
        whole
            .as_object_mut()
            .unwrap()
            .extend(content.as_object().unwrap().clone());
        message(whole)
    };
    let plain = file(json!({ "body": "../../etc/cat.png" }));
    let attachment = plain.attachments.first().unwrap();
    assert!(plain.body.is_empty());
    assert_eq!(
        (attachment.name.as_str(), attachment.size, attachment.dimensions),
        ("cat.png", Some(7), Some((3, 4)))
    );
    let captioned = file(json!({ "body": "my cat", "filename": "cat.png" }));
    assert_eq!(
        (captioned.body.to_plain().as_str(), captioned.attachments.len()),
        ("my cat", 1)
    );
    let same = file(json!({ "body": "cat.png", "filename": "cat.png" }));
    assert!(same.body.is_empty());
    let voice = file(json!({ "msgtype": "m.audio", "body": "v.ogg", "org.matrix.msc3245.voice": {} }));
    assert_eq!(voice.attachments.first().unwrap().kind, AttachmentKind::Voice);
    let stranger = file(json!({ "body": "cat.png", "url": "http://127.0.0.1/cat.png" }));
    assert_eq!(
        (stranger.attachments.len(), stranger.body.to_plain().as_str()),
        (0, "[cat.png]")
    );
}

#[test]
fn memberships_are_read() {
    let change = |sender: &str, whom: &str, now: &str, before: Option<&str>| {
        let unsigned = before.map_or(
            json!({}),
            |before| json!({ "prev_content": { "membership": before, "displayname": "Old" } }),
        );
        let more = json!({ "state_key": whom, "sender": sender, "unsigned": unsigned });
        contents(
            "m.room.member",
            json!({ "membership": now, "displayname": "New" }),
            more,
        )
        .into_iter()
        .map(|content| match content {
            Content::Membership { person, change, .. } => (person.network.to_string(), person.name, change),
            other => panic!("{other:?}"),
        })
        .next()
    };
    let (alice, ghost) = ("@alice:example.org", "@_via_irc_bob:example.org");
    let matrix = |change| Some(("matrix".to_owned(), "New".to_owned(), change));
    assert_eq!(change(alice, alice, "join", None), matrix(Membership::Join));
    assert_eq!(
        change(alice, alice, "join", Some("join")),
        matrix(Membership::Rename { from: "Old".into() })
    );
    assert_eq!(change(alice, alice, "leave", Some("join")), matrix(Membership::Leave));
    assert_eq!(
        change(alice, "@b:example.org", "leave", Some("join")),
        matrix(Membership::Kick)
    );
    assert_eq!(
        change(alice, "@b:example.org", "leave", Some("ban")),
        matrix(Membership::Unban)
    );
    assert_eq!(change(alice, "@b:example.org", "leave", Some("invite")), None);
    assert_eq!(
        change(alice, ghost, "ban", Some("join")),
        Some(("irc".to_owned(), "New".to_owned(), Membership::Ban))
    );
}

#[test]
fn role_changes_are_read_and_numbered() {
    let more =
        json!({ "state_key": "", "unsigned": { "prev_content": { "users": { "@a:b": 100, "@c:d": 50, "@e:f": 3 } } } });
    let content = json!({ "users": { "@a:b": 100, "@c:d": "0", "@_via_irc_bob:example.org": 50, "@e:f": 4 } });
    let events = convert(&event("m.room.power_levels", content, more), &world()).unwrap();
    let seen: Vec<_> = events
        .iter()
        .map(|event| match &event.content {
            Content::Role { person, role } => (event.id.as_str(), person.id.as_str(), *role),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        seen,
        [("$event", "bob", Role::Moderator), ("$event/1", "@c:d", Role::Member)]
    );
    assert!(
        contents(
            "m.room.power_levels",
            json!({ "users": { "@a:b": 100 } }),
            json!({ "state_key": "" })
        )
        .is_empty()
    );
}

#[test]
fn what_is_not_understood_is_told_apart() {
    let skip = |kind: &str, content: Value| convert(&event(kind, content, json!({})), &world()).unwrap_err();
    assert_eq!(skip("m.room.encrypted", json!({})), Skip::Encrypted);
    assert_eq!(skip("org.example.thing", json!({})), Skip::Unknown);
    assert_eq!(skip("m.room.message", json!({})), Skip::Malformed);
    assert_eq!(skip("m.room.message", json!([1])), Skip::Malformed);
    assert_eq!(
        skip("m.room.message", json!({ "msgtype": "m.text", "body": 7 })),
        Skip::Malformed
    );
    assert_eq!(skip("m.reaction", json!({ "m.relates_to": "x" })), Skip::Malformed);
    // State events without a state key are none.
    assert_eq!(skip("m.room.topic", json!({ "topic": "x" })), Skip::Unknown);
}

#[test]
fn html_is_read_as_people_see_it() {
    let plain = |text: &str| read(text).to_plain();
    assert_eq!(plain("a\n  b<br>\n c &amp; &lt;d&gt;"), "a b\nc & <d>");
    assert_eq!(
        plain("<ul>\n<li>one</li>\n<li>two<ol><li>x</ol></ul>"),
        "- one\n- two\n  \n  1. x"
    );
    assert_eq!(plain("<table><tr><th>a<th>b<tr><td>1<td>2</table>"), "a | b\n\n1 | 2");
    assert_eq!(plain("<script>alert(1)</script><style>x</style>ok"), "ok");
    assert_eq!(plain("<b>never <i>closed"), "never closed");
    assert_eq!(plain("</p></b>stray"), "stray");
    assert_eq!(plain("<a href=\"javascript:x\">y</a>"), "y");
    assert_eq!(plain("<b><p>one</p><p>two</p></b>"), "one\n\ntwo");
    assert_eq!(
        read("<pre><code class=\"language-rust\">\n fn x() {}\n</code></pre>").blocks,
        [Block::Code {
            language: Some("rust".into()),
            text: "\n fn x() {}".into()
        }]
    );
    let spoiler = read("<span data-mx-spoiler=\"plot\">he dies</span>");
    assert!(matches!(spoiler.blocks.as_slice(), [Block::Paragraph(run)]
        if matches!(run.as_slice(), [Inline::Spoiler { reason: Some(reason), .. }] if reason == "plot")));
    assert!(html::parse(&"x".repeat(html::HTML_BOUND + 1), &world()).is_none());
}

#[test]
fn hostile_html_is_read_in_bounded_time_and_depth() {
    for piece in [
        "<b>",
        "<blockquote>",
        "<ul><li>",
        "<b a=1><p>",
        "<table><tr><td>",
        "</b>",
        "<a ",
        "&",
        "<span data-mx-color=#ffffff>",
    ] {
        let text = piece.repeat(html::HTML_BOUND / piece.len());
        let document = read(&text);
        assert!(render(&document, &world()).len() < 8 * html::HTML_BOUND, "{piece}");
    }
}

#[test]
fn nothing_in_a_text_becomes_markup() {
    let body = Document::paragraph(vec![
        Inline::Strong(vec![Inline::Text("<script>&\"'".into())]),
        Inline::Link {
            url: "javascript:alert(1)".into(),
            content: vec![Inline::Text("x".into())],
        },
        Inline::Link {
            url: "https://a/\"><b>".into(),
            content: vec![],
        },
    ]);
    insta::assert_snapshot!(render(&body, &world()), @r#"<strong>&lt;script&gt;&amp;&quot;&#39;</strong>x<a href="https://a/&quot;&gt;&lt;b&gt;">https://a/&quot;&gt;&lt;b&gt;</a>"#);
}

#[test]
fn long_texts_become_several_events() {
    let text = "word ".repeat(20_000);
    let message = Message {
        reply_to: Some(id("$r")),
        thread: Some(id("$t")),
        ..Message::plain(&text)
    };
    let parts = outbound::texts(&message, &world());
    assert!(parts.len() > 5);
    let mut joined = String::new();
    for (number, part) in parts.iter().enumerate() {
        assert!(serde_json::to_vec(part).unwrap().len() < 60_000);
        assert_eq!(part["m.relates_to"]["is_falling_back"], number > 0);
        joined.push_str(part["body"].as_str().unwrap());
        joined.push(' ');
    }
    assert_eq!(joined.split_whitespace().count(), 20_000);
    let edit = outbound::edit(&id("$e"), &message, &world());
    assert!(serde_json::to_vec(&edit).unwrap().len() < 60_000);
}
