use proptest::prelude::*;
use serde_json::json;
use viaduct_model::document::{Inline, MentionTarget};
use viaduct_model::{Document, NetworkName, PersonId, arbitrary};

use super::html::{Mentions, read};
use super::render::{Dialect, World, render};
use super::said::{People, Said, Who};
use super::split::split;

struct Sample(NetworkName);

impl World for Sample {
    fn network(&self) -> &NetworkName {
        &self.0
    }
    fn address(&self, person: &str) -> Option<String> {
        (person == "megan").then(|| "29:1abc".to_owned())
    }
}

impl People for Sample {
    fn network(&self) -> &NetworkName {
        &self.0
    }
    fn person(&self, who: &Who) -> Option<(NetworkName, PersonId)> {
        Some((self.0.clone(), who.id()?))
    }
}

struct Nobody;

impl Mentions for Nobody {
    fn target(&self, _: Option<&str>, _: &str) -> Option<MentionTarget> {
        None
    }
}

fn sample() -> Sample {
    Sample(NetworkName::new("acme-teams").unwrap())
}

/// What can be seen of a text.
fn visible(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && !c.is_control()).collect()
}

fn plain(html: &str) -> String {
    read(html, &Nobody).body.to_plain()
}

#[test]
fn html_of_teams_is_read() {
    let html = "<div><p>Hello <b>big</b>&nbsp;<i>world</i></p>\n<p>a<br>b &lt;c&gt;</p></div>\
                <ul><li>one</li><li>two</li></ul><blockquote>said</blockquote>\
                <codeblock class=\"Rust\"><code>let x;<br>y</code></codeblock>\
                <table><tr><td>1</td><td>2</td></tr></table><emoji id=\"smile\" alt=\"🙂\" title=\"Smile\"></emoji>";
    let document = read(html, &Nobody).body;
    insta::assert_snapshot!(document.to_plain(), @"
    Hello big world

    a
    b <c>

    - one
    - two

    > said

    let x;
    y

    1 | 2

    🙂
    ");
}

#[test]
fn pictures_files_and_answers_are_found() {
    let html = "<blockquote itemscope itemtype=\"http://schema.skype.com/Reply\" itemid=\"17\"><p>before</p></blockquote>\
                <p>yes</p><img src=\"https://graph.microsoft.com/v1.0/x/$value\" alt=\"a cat\">\
                <attachment id=\"f1\"></attachment><img src=\"javascript:x\" alt=\"bad\">";
    let found = read(html, &Nobody);
    assert_eq!(found.answers.as_deref(), Some("17"));
    assert_eq!(
        found.pictures,
        [(
            "https://graph.microsoft.com/v1.0/x/$value".to_owned(),
            "a cat".to_owned()
        )]
    );
    assert_eq!(found.attachments, ["f1"]);
    assert_eq!(visible(&found.body.to_plain()), "yesbad");
}

#[test]
fn an_activity_becomes_a_message() {
    let activity = json!({
        "type": "message", "id": "18", "timestamp": "2026-11-23T10:20:46.077Z",
        "from": {"id": "29:x", "name": "Megan\u{7} Bowen", "aadObjectId": "C33AAFC4-0000-0000-0000-000000000000"},
        "conversation": {"id": "19:c@thread.tacv2;messageid=17"},
        "text": "ignored",
        "attachments": [
            {"contentType": "text/html",
             "content": "<p><span itemtype=\"http://schema.skype.com/Mention\" itemscope itemid=\"0\">Adele</span> hi</p>"},
            {"contentType": "application/vnd.microsoft.card.adaptive",
             "content": {"type": "AdaptiveCard", "body": [{"type": "TextBlock", "text": "on a card"}]}},
            {"contentType": "image/png", "contentUrl": "https://smba.trafficmanager.net/v3/attachments/1/views/original"},
        ],
        "entities": [{"type": "mention", "text": "<at>Adele</at>", "mentioned": {"id": "29:adele", "name": "Adele"}}],
    });
    let said = Said::of_activity(&activity).unwrap();
    assert_eq!(said.message_id().unwrap().as_str(), "17/18");
    assert_eq!(said.who.name.as_deref(), Some("Megan Bowen"));
    assert_eq!(said.who.id().unwrap().as_str(), "c33aafc4-0000-0000-0000-000000000000");
    let message = said.message(&sample());
    assert_eq!(message.thread.as_ref().unwrap().as_str(), "17");
    assert_eq!(message.body.to_plain(), "Adele hi\n\non a card");
    assert_eq!(message.attachments.len(), 1);
    let mentions = message.body.mentions();
    assert!(matches!(&mentions[0].target, MentionTarget::Person { id, .. } if id.as_str() == "29:adele"));
}

#[test]
fn both_feeds_tell_the_same() {
    let activity = json!({
        "type": "message", "id": "17", "conversation": {"id": "19:c@thread.tacv2;messageid=17"},
        "from": {"id": "29:x", "aadObjectId": "u1"}, "text": "<at>Adele</at> a < b",
        "entities": [{"type": "mention", "mentioned": {"id": "29:adele", "name": "Adele", "aadObjectId": "u2"}}],
    });
    let graph = json!({
        "id": "17", "messageType": "message", "createdDateTime": "1970-01-01T00:00:00.017Z",
        "from": {"user": {"id": "u1"}},
        "body": {"contentType": "html", "content": "<p><at id=\"0\">Adele</at> a &lt; b</p>"},
        "mentions": [{"id": 0, "mentionText": "Adele", "mentioned": {"user": {"id": "u2"}}}],
    });
    let (one, other) = (Said::of_activity(&activity).unwrap(), Said::of_graph(&graph).unwrap());
    assert_eq!(one.message(&sample()), other.message(&sample()));
    assert_eq!((one.at, one.who.id()), (other.at, other.who.id()));
    assert_eq!(one.message_id(), other.message_id());
}

#[test]
fn mentions_of_teams_people_become_entities_and_nothing_else_does() {
    let network = NetworkName::new("acme-teams").unwrap();
    let person = |id: &str, label: &str| {
        Inline::Mention(viaduct_model::document::Mention {
            label: label.to_owned(),
            target: MentionTarget::Person {
                network: network.clone(),
                id: PersonId::new(id).unwrap(),
            },
        })
    };
    let content = vec![
        person("megan", "@Meg <b>"),
        person("nobody", "@Bob"),
        Inline::Text("<at>channel</at>".to_owned()),
    ];
    let rendered = render(&Document::paragraph(content), Dialect::Bot, &sample());
    insta::assert_snapshot!(rendered.text, @"<p><at>Meg &lt;b&gt;</at>@Bob&lt;at&gt;channel&lt;/at&gt;</p>");
    assert_eq!(rendered.entities.len(), 1);
    assert_eq!(rendered.entities[0]["text"], "<at>Meg &lt;b&gt;</at>");
    assert_eq!(rendered.entities[0]["mentioned"]["id"], "29:1abc");
}

#[test]
fn words_are_not_glued_where_a_long_text_is_cut() {
    let words: Vec<String> = (0..5_000).map(|number| format!("word{number}")).collect();
    let size = |document: &Document| render(document, Dialect::Bot, &sample()).text.len();
    let pieces = split(Document::plain(&words.join(" ")), 8_000, &size);
    let text: Vec<String> = pieces.iter().map(Document::to_plain).collect();
    let found: Vec<&str> = text.iter().flat_map(|piece| piece.split_whitespace()).collect();
    assert_eq!(found, words);
    assert!(pieces.len() < 10, "{}", pieces.len());
    assert!(pieces.iter().all(|piece| size(piece) <= 8_000));
}

#[test]
fn text_stays_text() {
    for text in ["a  b   c", "<b>x</b> &amp; \"y\"", " lead", "tabs\there", "a\nb"] {
        let rendered = render(&Document::plain(text), Dialect::Bot, &sample());
        let back = plain(&rendered.text);
        assert_eq!(back.replace('\t', " "), text.replace('\t', " "), "{}", rendered.text);
    }
}

proptest! {
    #[test]
    fn any_html_is_read(html in any::<String>()) {
        drop(read(&html, &Nobody));
    }

    #[test]
    fn any_markup_is_read(html in arbitrary::text()) {
        drop(read(&html, &Nobody));
    }

    #[test]
    fn any_json_is_read(html in any::<String>(), id in "[0-9]{1,30}") {
        let activity = json!({"type": "message", "id": id, "conversation": {"id": html}, "text": html,
                              "attachments": [html, {"contentType": "text/html", "content": html}], "entities": {"a": html}});
        if let Some(said) = Said::of_activity(&activity) {
            drop(said.message(&sample()));
        }
        if let Some(said) = Said::of_graph(&json!({"id": id, "body": {"contentType": "html", "content": html}})) {
            drop(said.message(&sample()));
        }
    }

    #[test]
    fn text_is_never_lost_and_never_markup(text in arbitrary::text()) {
        let document = Document::plain(&text);
        let rendered = render(&document, Dialect::Bot, &sample());
        prop_assert!(rendered.entities.is_empty());
        prop_assert_eq!(visible(&plain(&rendered.text)), visible(&text));
    }

    #[test]
    fn a_document_says_the_same_after_its_way(document in arbitrary::document()) {
        let document = document.normal();
        let once = read(&render(&document, Dialect::Bot, &sample()).text, &Nobody).body;
        let twice = read(&render(&once, Dialect::Bot, &sample()).text, &Nobody).body;
        prop_assert_eq!(twice, once);
    }

    #[test]
    fn pieces_fit_and_hold_everything(document in arbitrary::document(), bound in 200_usize..600) {
        let document = document.normal();
        let size = |document: &Document| render(document, Dialect::Bot, &sample()).text.len();
        let pieces = split(document.clone(), bound, &size);
        for piece in &pieces {
            prop_assert!(!piece.blocks.is_empty() || document.blocks.is_empty());
        }
        let letters = |document: &Document| {
            let mut letters: Vec<char> = visible(&document.to_plain()).chars().filter(|c| c.is_alphabetic()).collect();
            letters.sort_unstable();
            letters.dedup();
            letters
        };
        let mut all: Vec<char> = pieces.iter().flat_map(letters).collect();
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(all, letters(&document));
    }
}
