//! What a person asked for, as a page that can be read and printed: what the JSON beside it holds, in German and English.

use std::fmt::Write as _;

use serde_json::Value;
use viaduct_model::{Content, Language, Timestamp};

use crate::audit::time;

const STYLE: &str = "body{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;width:100%}th,td{border:1px solid #888;padding:.3rem .5rem;text-align:left;\
vertical-align:top;overflow-wrap:anywhere}caption{text-align:left;font-weight:bold;margin:1.5rem 0 .5rem}";

/// The page of one export (the answer to `ExportSubject`).
pub fn page(export: &Value, language: Language) -> String {
    let say = |english, german| language.pick(english, german);
    let title = say("Your data", "Ihre Daten");
    let made = at(export.get("made"));
    let ids: Vec<String> = list(export.pointer("/subject/ids"))
        .filter_map(|id| Some(format!("{}/{}", id.get(0)?.as_str()?, id.get(1)?.as_str()?)))
        .collect();
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style></head>\n<body>\
         <h1>{title}</h1>\n<p>{} {made}. {}: {}.</p>\n",
        language.pick("en", "de"),
        say(
            "Information under Art. 15 GDPR, as of",
            "Auskunft nach Art. 15 DSGVO, Stand"
        ),
        say("Known as", "Bekannt als"),
        escaped(&ids.join(", ")),
    );
    if export.get("complete") == Some(&Value::Bool(false)) {
        let more = say(
            "There is more than one export holds.",
            "Es gibt mehr, als eine Auskunft fasst.",
        );
        writeln!(page, "<p><strong>{more}</strong></p>").ok();
    }
    said(&mut page, export, language);
    let columns = [
        say("When", "Wann"),
        say("Step", "Schritt"),
        say("Where", "Wo"),
        say("Why", "Warum"),
    ];
    let entries = list(export.get("ledger")).map(|entry| {
        let place = entry.get("to").or_else(|| entry.get("from"));
        [
            at(entry.get("at")),
            text(entry, "action"),
            where_of(place),
            text(entry, "reason"),
        ]
    });
    table(
        &mut page,
        say("What the ledger says of you", "Was das Protokoll über Sie sagt"),
        columns,
        entries,
    );
    let columns = [say("Network", "Netz"), say("What", "Was"), say("It says", "Es lautet")];
    let traces = list(export.get("traces")).map(|trace| ["network", "what", "detail"].map(|key| text(trace, key)));
    let heading = say(
        "What networks hold of you for us",
        "Was Netze für uns über Sie vorhalten",
    );
    table(&mut page, heading, columns, traces);
    let unasked = export.get("unasked").and_then(Value::as_object).into_iter().flatten();
    let unasked = unasked.map(|(network, why)| [network.clone(), why.as_str().unwrap_or_default().to_owned()]);
    let heading = say(
        "Networks that could not be asked",
        "Netze, die nicht gefragt werden konnten",
    );
    table(
        &mut page,
        heading,
        [say("Network", "Netz"), say("Why", "Warum")],
        unasked,
    );
    page.push_str("</body></html>\n");
    page
}

/// What they said, what concerns them, and what of theirs is held.
fn said(page: &mut String, export: &Value, language: Language) {
    let say = |english, german| language.pick(english, german);
    let of = |role: &'static str| {
        let records = list(export.get("journal")).filter(move |record| text(record, "role") == role);
        records.map(|record| {
            let content = record.get("content").unwrap_or(&Value::Null);
            [at(record.get("at")), where_of(record.get("place")), words(content)]
        })
    };
    let columns = [say("When", "Wann"), say("Where", "Wo"), say("What", "Was")];
    table(
        page,
        say("What you said and did", "Was Sie gesagt und getan haben"),
        columns,
        of("sender"),
    );
    let heading = say(
        "What others did that concerns you",
        "Was andere taten, das Sie betrifft",
    );
    table(page, heading, columns, of("concerned"));
    let held = list(export.get("held")).map(|held| {
        let about = held.get("held").unwrap_or(&Value::Null);
        let content = held.get("content").unwrap_or(&Value::Null);
        [at(about.get("since")), text(about, "rule"), words(content)]
    });
    let columns = [say("Since", "Seit"), say("Rule", "Regel"), say("What", "Was")];
    table(
        page,
        say("What is held of yours", "Was von Ihnen angehalten ist"),
        columns,
        held,
    );
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn at(value: Option<&Value>) -> String {
    value
        .and_then(Value::as_u64)
        .map_or_else(String::new, |at| time(Timestamp(at)))
}

fn where_of(place: Option<&Value>) -> String {
    place.map_or_else(String::new, |place| {
        format!("{}/{}", text(place, "network"), text(place, "channel"))
    })
}

/// A content in words: its text and its files' names, or else its kind.
fn words(content: &Value) -> String {
    let kind = text(content, "kind");
    let Ok(read) = serde_json::from_value::<Content>(content.clone()) else {
        return kind;
    };
    let Some(message) = read.message() else { return kind };
    let files = message.attachments.iter().map(|file| file.name.clone());
    let parts: Vec<String> = std::iter::once(message.body.to_plain()).chain(files).collect();
    parts.join(" ").trim().to_owned()
}

/// A table, unless there is nothing in it.
fn table<const N: usize>(
    page: &mut String,
    heading: &str,
    columns: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) {
    let rows: Vec<[String; N]> = rows.collect();
    if rows.is_empty() {
        return;
    }
    let head: String = columns.map(|name| format!("<th scope=\"col\">{name}</th>")).concat();
    writeln!(
        page,
        "<table><caption>{heading} ({})</caption>\n<tr>{head}</tr>",
        rows.len()
    )
    .ok();
    for row in rows {
        let cells: String = row.map(|cell| format!("<td>{}</td>", escaped(&cell))).concat();
        writeln!(page, "<tr>{cells}</tr>").ok();
    }
    page.push_str("</table>\n");
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("<br>"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use viaduct_model::Message;

    use super::*;

    #[test]
    fn a_page_says_what_the_export_says_and_nothing_in_it_is_markup() {
        let content = serde_json::to_value(Content::Message(Message::plain("good <b>morning</b>\nall"))).unwrap();
        let export = json!({
            "made": 1_780_272_000_000_u64, "subject": { "ids": [["matrix", "@ann:hs"]] }, "complete": true,
            "journal": [
                { "place": { "network": "matrix", "channel": "m" }, "at": 1_780_272_001_000_u64, "role": "sender", "content": content },
                { "place": { "network": "irc", "channel": "#p" }, "at": 0, "role": "concerned", "content": { "kind": "reaction" } },
            ],
            "held": [], "ledger": [{ "at": 0, "action": "delivered", "to": { "network": "irc", "channel": "#p" } }],
            "traces": [], "unasked": { "slack": "not \"connected\"" },
        });
        let german = page(&export, Language::German);
        for part in [
            "lang=\"de\"",
            "Bekannt als: matrix/@ann:hs.",
            "<td>good &lt;b&gt;morning&lt;/b&gt;<br>all</td>",
            "Was Sie gesagt und getan haben (1)",
            "Was andere taten, das Sie betrifft (1)",
            "<td>delivered</td><td>irc/#p</td>",
            "not &quot;connected&quot;",
        ] {
            assert!(german.contains(part), "{part}: {german}");
        }
        assert!(!german.contains("angehalten") && !german.contains("<b>"));
        assert!(page(&export, Language::English).contains("What you said and did (1)"));
    }
}
