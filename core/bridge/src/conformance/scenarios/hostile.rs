//! Input that means harm.

use viaduct_model::{Content, Message};

use crate::conformance::stage::{Stage, person, shown};
use crate::conformance::{RemoteError, Seen, Step, What, check};

/// Texts that are commands or markup somewhere. `WORD` becomes a unique word.
const TEXTS: [&str; 14] = [
    "one\r\nQUIT :WORD\r\nPRIVMSG #elsewhere :WORD",
    "one\rKICK #x y\nMODE +o WORD",
    "nul \0 and \u{1}ACTION WORD\u{1} and \u{2}heavy \u{3}4,5red\u{f}",
    "</body></message><message to='x'><body>WORD",
    "<b>WORD</b> &lt; &amp; &#10; <img src=x onerror=alert(1)>",
    "<!channel> <!everyone> <@U0000001> <https://x.invalid|WORD>",
    "@room @channel @everyone @here WORD",
    "*WORD* _under_ ~gone~ `code` ```block``` > quote",
    "**WORD** [text](javascript:alert(1)) ![x](https://x.invalid/x.png) ||spoiler||",
    "/quit WORD",
    "/me kicks WORD",
    "!viaduct help WORD",
    "{{WORD}} ${WORD} %WORD% $(WORD) `WORD`",
    "WORD \u{202e}drow\u{202c} and \u{2028}line\u{2029}separators",
];

/// Bytes that break careless parsers of any network.
const RAW: [&[u8]; 8] = [
    b"",
    b"\xff\xfe\x00\x01",
    b":",
    b"@@@ ::: !!!",
    b"<a><b><c>",
    b"{\"type\":",
    b"\x01VERSION\x01",
    b"caf\xe9 latin one",
];

/// What counts of a text: its characters without space, control and invisible ones, which a bridge may drop or add.
fn essence(text: &str) -> String {
    let invisible =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    text.chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !invisible(*c))
        .collect()
}

/// Whether it is more than something said, or a puppet coming to say it.
fn did_something(seen: &Seen) -> bool {
    matches!(
        seen.what,
        What::Edit | What::Delete | What::Topic | What::Leave | What::Kick
    )
}

/// No text becomes a command, another line's command, markup or a call to everybody; and all of it can be read.
pub(super) async fn outwards(stage: &mut Stage<'_>) -> Step {
    for text in TEXTS {
        let word = stage.word();
        let text = text.replace("WORD", &word);
        stage.say_out(&text).await?;
        let seen = stage.seen_by_now().await?;
        check(!seen.iter().any(did_something), || {
            format!("{text:?} did something: {}", shown(&seen))
        })?;
        check(!seen.iter().any(|seen| seen.mentions_everyone), || {
            format!("{text:?} called everybody")
        })?;
        check(!seen.iter().any(|seen| seen.bold), || {
            format!("{text:?} became formatting")
        })?;
        let joined: String = seen.iter().map(|seen| essence(&seen.text)).collect();
        check(joined.contains(&essence(&text)), || {
            format!("{text:?} cannot be read as it was said; seen was {}", shown(&seen))
        })?;
    }
    Ok(())
}

/// Names and topics are data as well.
pub(super) async fn names(stage: &mut Stage<'_>) -> Step {
    for name in [
        "Eve\r\nQUIT :gone",
        "<b>Eve</b>",
        "Eve\0\u{1}\u{3}",
        "\u{202e}evE",
        "@everyone",
        "👩‍💻",
        " ",
    ] {
        let mut author = person("Eve")?;
        name.clone_into(&mut author.display);
        name.clone_into(&mut author.person.name);
        let word = stage.word();
        stage
            .send_as(
                &author,
                Content::Message(Message::plain(&format!("good day {word}"))),
                &[],
            )
            .await?;
        let seen = stage.seen_by_now().await?;
        check(seen.iter().any(|seen| seen.text.contains(&word)), || {
            format!("what {name:?} said did not arrive; seen was {}", shown(&seen))
        })?;
        check(
            !seen.iter().any(|seen| seen.mentions_everyone || did_something(seen)),
            || format!("the name {name:?} did something: {}", shown(&seen)),
        )?;
        check(!seen.iter().any(|seen| seen.author.contains(char::is_control)), || {
            format!("control characters of the name {name:?} arrived")
        })?;
    }
    Ok(())
}

/// Whatever comes from the network, the session lives, and what comes after it is heard.
pub(super) async fn inwards(stage: &mut Stage<'_>) -> Step {
    for text in [
        "<b>bold?</b> &amp; </body>",
        "@room !viaduct help",
        "https://x.invalid/?a=1&b=<c>",
    ] {
        let word = stage.word();
        let text = format!("{text} {word}");
        stage.remote.say(&text).await?;
        let event = stage.hear_text(&word).await?;
        let plain = event
            .content
            .message()
            .map(|message| message.body.to_plain())
            .unwrap_or_default();
        check(essence(&plain) == essence(&text), || {
            format!("{text:?} was pushed as {plain:?}")
        })?;
    }
    let own = stage.remote.hostile();
    for bytes in RAW.iter().map(|bytes| bytes.to_vec()).chain(own) {
        match stage.remote.say_raw(&bytes).await {
            // The network itself may refuse such bytes.
            Ok(()) | Err(RemoteError::Failed(_)) => {}
            Err(other) => return Err(other.into()),
        }
        let word = stage.word();
        stage.remote.say(&format!("after that {word}")).await?;
        stage.hear_text(&word).await?;
    }
    Ok(())
}
