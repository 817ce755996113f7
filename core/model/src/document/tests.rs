use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::arbitrary;
use crate::event::{Content, Event, Message};

fn visible(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

/// Everything a tree says, outside of lists' numbers and without spacing.
fn said(document: &Document) -> String {
    fn of(blocks: &[Block], out: &mut String) {
        for block in blocks {
            match block {
                Block::Paragraph(content) | Block::Heading { content, .. } => out.push_str(&inline_text(content)),
                Block::Quote(inner) => of(inner, out),
                Block::List { items, .. } => items.iter().for_each(|item| of(item, out)),
                Block::Code { text, .. } => out.push_str(text),
                Block::Rule => {}
            }
        }
    }
    let mut out = String::new();
    of(&document.blocks, &mut out);
    visible(&out)
}

fn inline_depth(content: &[Inline]) -> usize {
    content
        .iter()
        .map(|inline| 1 + inline_depth(children(inline)))
        .max()
        .unwrap_or(0)
}

fn depths(blocks: &[Block]) -> (usize, usize) {
    blocks.iter().fold((0, 0), |(deepest, widest), block| {
        let (inner, inlines) = match block {
            Block::Paragraph(content) | Block::Heading { content, .. } => (0, inline_depth(content)),
            Block::Quote(inner) => depths(inner),
            Block::List { items, .. } => items
                .iter()
                .map(|item| depths(item))
                .fold((0, 0), |sum, item| (sum.0.max(item.0), sum.1.max(item.1))),
            Block::Code { .. } | Block::Rule => (0, 0),
        };
        (deepest.max(inner + 1), widest.max(inlines))
    })
}

/// Wraps what `core` gives in so many levels, of a kind each.
fn nested(core: Vec<Inline>, inlines: &[u8], blocks: &[u8]) -> Document {
    let mut content = core;
    for kind in inlines {
        content = vec![match kind % 4 {
            0 => Inline::Strong(content),
            1 => Inline::Emphasis(content),
            2 => Inline::Colour {
                foreground: Some(Rgb(1, 2, 3)),
                background: None,
                content,
            },
            _ => Inline::Spoiler { reason: None, content },
        }];
    }
    let mut list = vec![Block::Paragraph(content)];
    for kind in blocks {
        list = vec![if kind % 2 == 0 {
            Block::Quote(list)
        } else {
            Block::List {
                start: None,
                items: vec![list],
            }
        }];
    }
    Document { blocks: list }
}

proptest! {
    #[test]
    fn the_normal_form_is_final(document in arbitrary::document()) {
        let normal = document.normal();
        prop_assert_eq!(normal.clone().normal(), normal);
    }

    #[test]
    fn the_normal_form_says_the_same(document in arbitrary::document()) {
        let before = said(&document);
        prop_assert_eq!(said(&document.normal()), before);
    }

    #[test]
    fn the_normal_form_of_deep_trees_is_bounded_final_and_readable(
        core in vec(arbitrary::inline(3), 0..3),
        inlines in vec(any::<u8>(), 0..40),
        blocks in vec(any::<u8>(), 0..40),
    ) {
        let deep = nested(core, &inlines, &blocks);
        let letters = |text: String| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        let before = letters(deep.to_plain());
        let normal = deep.normal();
        let (blocks, inlines) = depths(&normal.blocks);
        // The paragraph itself is a level, and so is the text in a run.
        prop_assert!(blocks <= DEPTH_BOUND + 1, "{} blocks deep", blocks);
        prop_assert!(inlines <= DEPTH_BOUND + 1, "{} inlines deep", inlines);
        prop_assert_eq!(letters(normal.to_plain()), before);
        prop_assert_eq!(normal.clone().normal(), normal);
    }

    #[test]
    fn normal_texts_are_joined_and_without_line_feeds(document in arbitrary::document()) {
        let normal = document.normal();
        let mut good = true;
        normal.each_inline(&mut |inline| {
            good &= !matches!(inline, Inline::Text(text) if text.is_empty() || text.contains('\n'));
            let content = children(inline);
            good &= !content.windows(2).any(|pair| matches!(pair, [Inline::Text(_), Inline::Text(_)]));
            good &= !content.iter().any(|inner| matches!(
                (inline, inner),
                (Inline::Strong(_), Inline::Strong(_)) | (Inline::Emphasis(_), Inline::Emphasis(_))
            ));
        });
        prop_assert!(good, "{:?}", normal);
    }

    #[test]
    fn plain_text_comes_back(text in arbitrary::text()) {
        prop_assert_eq!(visible(&Document::plain(&text).to_plain()), visible(&text));
    }

    #[test]
    fn documents_survive_json(document in arbitrary::document()) {
        let json = serde_json::to_string(&document).unwrap();
        prop_assert_eq!(serde_json::from_str::<Document>(&json).unwrap(), document);
    }

    #[test]
    fn pieces_fit_and_lose_one_separator_at_most(text in arbitrary::text(), bytes in 0_usize..80) {
        let bound = bytes.max(4);
        let pieces = split_text(&text, bytes);
        let mut rest = text.as_str();
        for (number, piece) in pieces.iter().enumerate() {
            prop_assert!(piece.len() <= bound, "{:?} has more than {} bytes", piece, bound);
            prop_assert!(!piece.is_empty() || pieces.len() == 1 || number + 1 == pieces.len());
            let at = piece.as_ptr() as usize - text.as_ptr() as usize;
            let gap = at - (text.len() - rest.len());
            prop_assert!(gap == 0 || (gap == 1 && number > 0 && rest.starts_with(['\n', ' '])));
            rest = text.split_at(at + piece.len()).1;
        }
        prop_assert_eq!(rest, "");
    }

    #[test]
    fn graphemes_that_fit_are_not_broken(text in arbitrary::text()) {
        let mut borders: Vec<usize> =
            unicode_segmentation::UnicodeSegmentation::grapheme_indices(text.as_str(), true).map(|(at, _)| at).collect();
        borders.push(text.len());
        for piece in split_text(&text, 40) {
            let end = piece.as_ptr() as usize - text.as_ptr() as usize + piece.len();
            let separator = text.split_at(end).1.starts_with(['\n', ' ']);
            prop_assert!(borders.contains(&end) || separator, "{:?} ends within a grapheme", piece);
        }
    }
}

#[test]
fn a_normal_tree_of_greatest_depth_survives_json_in_its_envelopes() {
    let core = vec![Inline::Mention(Mention {
        label: "x".to_owned(),
        target: MentionTarget::Group("y".to_owned()),
    })];
    let body = nested(core, &[2; 60], &[1; 60]).normal();
    assert_eq!(
        depths(&body.blocks),
        (DEPTH_BOUND + 1, 1),
        "the innermost blocks are flattened"
    );
    let core = vec![Inline::Emoji {
        code: "x".to_owned(),
        image: Some(crate::event::MediaRef {
            network: NetworkName::matrix(),
            locator: "y".to_owned(),
        }),
    }];
    let body = nested(core, &[2; DEPTH_BOUND - 1], &[1; DEPTH_BOUND - 1]).normal();
    let content = Content::Message(Message {
        body,
        ..Message::default()
    });
    let event = Event {
        place: Place::new(NetworkName::matrix(), crate::ids::ChannelId::new("!r").unwrap()),
        id: crate::ids::MessageId::new("$e").unwrap(),
        sender: crate::event::Person {
            network: NetworkName::matrix(),
            id: PersonId::new("@a:b").unwrap(),
            name: String::new(),
            avatar: None,
            organisation: None,
            bot: false,
        },
        at: crate::time::Timestamp(0),
        content,
        cursor: None,
        echo_of: None,
        direct_to: None,
    };
    // A record around the event, and a list of records.
    let json = serde_json::to_string(&vec![("record", vec![&event])]).unwrap();
    let back: Vec<(String, Vec<Event>)> = serde_json::from_str(&json).unwrap();
    assert_eq!(back, vec![("record".to_owned(), vec![event])]);
}

#[test]
fn many_neighbours_are_joined_in_one_go() {
    let many = (0..50_000)
        .map(|_| Inline::Strong(vec![Inline::Text("x".to_owned())]))
        .collect();
    let normal = Document::paragraph(many).normal();
    assert_eq!(
        normal,
        Document::paragraph(vec![Inline::Strong(vec![Inline::Text("x".repeat(50_000))])])
    );
}

#[test]
fn a_style_within_itself_is_opened() {
    let inner = Inline::Strong(vec![Inline::Text("b".to_owned())]);
    let outer = Inline::Strong(vec![Inline::Text("a".to_owned()), inner, Inline::Text("c".to_owned())]);
    let wanted = Inline::Strong(vec![Inline::Text("abc".to_owned())]);
    assert_eq!(
        Document::paragraph(vec![outer]).normal(),
        Document::paragraph(vec![wanted])
    );
}

#[test]
fn text_is_cut_at_the_best_border() {
    assert_eq!(split_text("one two three", 8), ["one two", "three"]);
    assert_eq!(split_text("one\nfour five", 8), ["one", "four", "five"]);
    assert_eq!(split_text("12345678\nx", 8), ["12345678", "x"]);
    assert_eq!(split_text("aaaaaae\u{301}b", 7), ["aaaaaa", "e\u{301}b"]);
    assert_eq!(split_text("", 8), [""]);
}

#[test]
fn links_are_judged_by_their_scheme() {
    assert!(is_safe_link("HTTPS://example.org"));
    assert!(!is_safe_link("javascript:alert(1)"));
    assert!(!is_safe_link("https://example.org/\n"));
    assert!(!is_safe_link("example.org"));
}
