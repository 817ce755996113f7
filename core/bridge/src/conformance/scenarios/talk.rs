//! Texts, both ways.

use viaduct_model::{Block, Content, Document, Inline, Message, Support};

use crate::conformance::stage::{Stage, person, said, shown};
use crate::conformance::{Seen, Step, What, check, fail, same};

/// Texts that a careless hand breaks.
const TEXTS: [&str; 8] = [
    "Grüße aus Köln, ß und ſ",
    "family 👨‍👩‍👧‍👦 and flag 🏳️‍🌈 and skin 👍🏽",
    "עברית משמאל לימין",
    "العربية من اليمين 123 إلى اليسار",
    "cafe\u{301} and n\u{303} and Z\u{351}\u{36b}\u{343}algo",
    "日本語とカタカナ、한국어",
    "beyond the plane: 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𐍈",
    "quotes \u{201c}\u{2019}\u{201d} dashes \u{2013}\u{2014} dots \u{2026}",
];
/// How long a long text is where the session declares no bound, in bytes.
const LONG: u64 = 6_000;
/// No text of this kit is longer, in bytes.
const LONGEST: u64 = 60_000;

/// One text each way, and who said it.
pub(super) async fn text(stage: &mut Stage<'_>) -> Step {
    let word = stage.word();
    let text = format!("Good morning, {word}.");
    stage.remote.say(&text).await?;
    let event = stage.hear_text(&word).await?;
    same("the place of the event", &event.place, &stage.hub.place())?;
    same("the network of its sender", &event.sender.network, &event.place.network)?;
    check(!event.sender.name.is_empty(), || "the sender has no name".to_owned())?;
    same("the text pushed", plain(&event.content).trim(), &text)?;

    for name in ["Alice", "Bob"] {
        let word = stage.word();
        let text = format!("Good evening, {word}.");
        stage
            .send_as(&person(name)?, Content::Message(Message::plain(&text)), &[])
            .await?;
        let seen = stage.see_text(&word).await?;
        same("the text seen", seen.text.trim(), &text)?;
        check(seen.author.to_lowercase().contains(&name.to_lowercase()), || {
            format!("{name} is not recognisable in the author seen, {:?}", seen.author)
        })?;
    }
    Ok(())
}

/// What the session sent is not pushed as something new.
pub(super) async fn echo(stage: &mut Stage<'_>) -> Step {
    let words: Vec<String> = (0..3).map(|_| stage.word()).collect();
    for word in &words {
        stage.say_out(&format!("one's own {word}")).await?;
        stage.see_text(word).await?;
    }
    let heard = stage.heard_by_now(&words).await?;
    check(heard.is_empty(), || {
        format!("the session pushed what it had sent itself: {heard:?}")
    })
}

/// A burst each way, in order and each once.
pub(super) async fn order(stage: &mut Stage<'_>) -> Step {
    let words: Vec<String> = (0..stage.options.burst).map(|_| stage.word()).collect();
    for word in &words {
        stage.remote.say(&format!("burst {word}")).await?;
    }
    same("what was pushed of a burst", &stage.heard_by_now(&words).await?, &words)?;

    let words: Vec<String> = (0..stage.options.burst).map(|_| stage.word()).collect();
    let authors = [person("Alice")?, person("Bob")?];
    for (word, author) in words.iter().zip(authors.iter().cycle()) {
        stage
            .send_as(author, Content::Message(Message::plain(&format!("burst {word}"))), &[])
            .await?;
    }
    let seen = stage.seen_by_now().await?;
    let found: Vec<String> = seen
        .iter()
        .filter_map(|seen| words.iter().find(|word| seen.text.contains(*word)))
        .cloned()
        .collect();
    same("what was seen of a burst", &found, &words)
}

/// Characters beyond ASCII arrive as they are.
pub(super) async fn unicode(stage: &mut Stage<'_>) -> Step {
    for text in TEXTS {
        let word = stage.word();
        let text = format!("{word} {text}");
        stage.remote.say(&text).await?;
        same(
            "the text pushed",
            plain(&stage.hear_text(&word).await?.content).trim(),
            &text,
        )?;
        stage.say_out(&text).await?;
        same("the text seen", stage.see_text(&word).await?.text.trim(), &text)?;
    }
    Ok(())
}

/// A text beyond the bound arrives whole, in order, in as many pieces as need be.
pub(super) async fn long_text(stage: &mut Stage<'_>) -> Step {
    let limit = stage.capabilities()?.text_limit;
    let length = limit
        .map_or(LONG, |limit| limit.saturating_mul(2).saturating_add(300))
        .min(LONGEST);
    let length = usize::try_from(length).map_err(|error| fail(error.to_string()))?;

    let word = stage.word();
    let tokens: Vec<String> = (0..)
        .map(|number| format!("{word}{number}"))
        .take(length.div_ceil(word.len() + 5))
        .collect();
    stage.say_out(&tokens.join(" ")).await?;
    let seen = stage.seen_by_now().await?;
    check(
        messages(&seen).all(|piece| limit.is_none_or(|limit| piece.len() as u64 <= limit)),
        || format!("a piece is longer than the declared bound of {limit:?} bytes"),
    )?;
    let joined = messages(&seen).collect::<Vec<_>>().join(" ");
    let found: Vec<&str> = joined
        .split_whitespace()
        .filter(|token| token.starts_with(&word))
        .collect();
    check(found == tokens, || {
        let first = tokens.iter().zip(&found).position(|(wanted, found)| wanted != found);
        format!(
            "of a text of {} words {} arrived; the first that is wrong is number {first:?}",
            tokens.len(),
            found.len()
        )
    })?;

    let word = stage.word();
    let unbroken = format!("{word}{}{word}", "ä€😀".repeat(length / 9));
    stage.say_out(&unbroken).await?;
    let seen = stage.seen_by_now().await?;
    let joined: String = messages(&seen)
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    check(joined.contains(&unbroken), || {
        format!(
            "a long text without spaces did not arrive whole: {} bytes",
            joined.len()
        )
    })
}

/// Formatting is shown where it can be, and never costs text.
pub(super) async fn formatting(stage: &mut Stage<'_>) -> Step {
    let native = stage.capabilities()?.formatting == Support::Native;
    let words: Vec<String> = (0..9).map(|_| stage.word()).collect();
    let [bold, slanted, struck, code, link, quoted, first, second, block] = words.as_slice() else {
        return Err(fail("the kit has lost its words"));
    };
    let text = |word: &String| vec![Inline::Text(word.clone())];
    let paragraph = |word: &String| vec![Block::Paragraph(text(word))];
    let body = Document {
        blocks: vec![
            Block::Paragraph(vec![
                Inline::Strong(text(bold)),
                Inline::Text(" ".to_owned()),
                Inline::Emphasis(vec![Inline::Strike(text(struck)), Inline::Text(format!(" {slanted}"))]),
                Inline::Break,
                Inline::Code(format!("{code} < & >")),
                Inline::Text(" ".to_owned()),
                Inline::Link {
                    url: "https://example.org/?a=b&c".to_owned(),
                    content: text(link),
                },
            ]),
            Block::Quote(paragraph(quoted)),
            Block::List {
                start: None,
                items: vec![paragraph(first), paragraph(second)],
            },
            Block::Code {
                language: None,
                text: format!("{block}\n  indented"),
            },
        ],
    };
    stage
        .send(
            Content::Message(Message {
                body,
                ..Message::default()
            }),
            &[],
        )
        .await?;
    let seen = stage.seen_by_now().await?;
    let joined = messages(&seen).collect::<Vec<_>>().join("\n");
    for word in &words {
        check(joined.contains(word), || {
            format!("{word:?} of a formatted text was lost; seen was {}", shown(&seen))
        })?;
    }
    check(joined.contains(&format!("{code} < & >")), || {
        "the characters of a piece of code were changed".to_owned()
    })?;
    if !native {
        return Ok(());
    }
    check(seen.iter().any(|seen| seen.bold), || {
        "nothing was shown bold".to_owned()
    })?;

    let word = stage.word();
    stage.remote.say_bold(&word).await?;
    let event = stage.hear_text(&word).await?;
    let mut found = false;
    if let Some(message) = event.content.message() {
        message.body.each_inline(&mut |inline| {
            found |= matches!(inline, Inline::Strong(inner) if viaduct_model::document::inline_text(inner).contains(&word));
        });
    }
    check(found, || {
        "what the remote person said in bold is not strong in the event".to_owned()
    })?;
    check(said(&[event], &word).is_some(), || {
        "the bold text is no message".to_owned()
    })
}

/// The text of a content.
pub(super) fn plain(content: &Content) -> String {
    content
        .message()
        .map(|message| message.body.to_plain())
        .unwrap_or_default()
}

/// The texts of the messages among what was seen.
pub(super) fn messages(seen: &[Seen]) -> impl Iterator<Item = &str> {
    seen.iter()
        .filter(|seen| seen.what == What::Message)
        .map(|seen| seen.text.as_str())
}
