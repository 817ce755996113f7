//! Records as an e-mail: one message with a message for each record in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;
use viaduct_model::Timestamp;

use crate::Record;

/// Cannot occur in base64, nor in the headers written here.
const BOUNDARY: &str = "=_viaduct_ledger_export";
/// What ends the message.
pub(crate) const END: &str = "--=_viaduct_ledger_export--\r\n";

/// What begins the message.
pub(crate) fn head(origin: &str, now: Timestamp) -> String {
    let origin = plain(origin);
    format!(
        "From: viaduct <ledger@viaduct.invalid>\r\nDate: {}\r\nSubject: Export of the ledger {origin}\r\n\
         MIME-Version: 1.0\r\nContent-Type: multipart/digest; boundary=\"{BOUNDARY}\"\r\n\r\n",
        date(now)
    )
}

/// The message of one record; `line` is the record as it stands in the ledger.
pub(crate) fn part(record: &Record, line: &[u8], origin: &str) -> String {
    let entry = &record.entry;
    let actor = entry.actor.as_ref().map(ToString::to_string).unwrap_or_default();
    let actor = if actor.is_empty() {
        "viaduct".to_owned()
    } else {
        plain(&actor)
    };
    let about = [
        entry.partner.as_deref(),
        entry.mirror.as_ref().map(viaduct_model::MirrorName::as_str),
        entry.rule.as_deref(),
    ];
    let about: Vec<String> = about.into_iter().flatten().map(plain).collect();
    let mut body = STANDARD.encode(line);
    let mut text = String::new();
    while !body.is_empty() {
        let rest = body.split_off(body.len().min(76));
        text.push_str(&body);
        text.push_str("\r\n");
        body = rest;
    }
    format!(
        "--{BOUNDARY}\r\n\r\nFrom: \"{actor}\" <ledger@viaduct.invalid>\r\nDate: {}\r\nSubject: {} {}\r\n\
         Message-ID: <{}.{}@viaduct.invalid>\r\nX-Viaduct-Ledger: {}\r\nX-Viaduct-Entry: {}\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/json; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n{text}\r\n",
        date(entry.at),
        entry.action.as_str(),
        about.join(" "),
        record.seq,
        plain(origin).replace(['/', ':'], "."),
        plain(origin),
        record.seq,
    )
}

/// What may stand in a header: printable ASCII without what ends a quoted string, at most 200 of them.
fn plain(text: &str) -> String {
    let allowed = |c: &char| (c.is_ascii_graphic() || *c == ' ') && !matches!(c, '"' | '\\' | '<' | '>');
    text.chars().filter(allowed).take(200).collect()
}

/// A date as RFC 5322 wants it, in UTC.
fn date(at: Timestamp) -> String {
    let seconds = i64::try_from(at.as_millis() / 1000).unwrap_or_default();
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let name = |name: String| name.chars().take(3).collect::<String>();
    format!(
        "{}, {} {} {:04} {:02}:{:02}:{:02} +0000",
        name(time.weekday().to_string()),
        time.day(),
        name(time.month().to_string()),
        time.year(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::delivered;

    #[test]
    fn a_record_is_a_message() {
        let mut entry = delivered(4);
        entry.rule = Some("no\r\nBcc: x@example.org".to_owned());
        let record = Record {
            seq: 4,
            number: 4,
            entry,
        };
        let line = record.line().unwrap();
        let text = part(&record, &line, "hub.example.org/ledger");
        let (headers, body) = text.split_once("\r\n\r\n").unwrap().1.split_once("\r\n\r\n").unwrap();
        insta::assert_snapshot!(headers.replace("\r\n", "\n"), @r#"
        From: "viaduct" <ledger@viaduct.invalid>
        Date: Thu, 2 Jul 2026 00:00:00 +0000
        Subject: delivered acme project noBcc: x@example.org
        Message-ID: <4.hub.example.org.ledger@viaduct.invalid>
        X-Viaduct-Ledger: hub.example.org/ledger
        X-Viaduct-Entry: 4
        MIME-Version: 1.0
        Content-Type: application/json; charset=utf-8
        Content-Transfer-Encoding: base64
        "#);
        assert!(text.lines().all(|line| line.len() <= 998));
        assert_eq!(STANDARD.decode(body.replace("\r\n", "")).unwrap(), line);
    }

    #[test]
    fn dates_are_those_of_mail() {
        assert_eq!(date(Timestamp(0)), "Thu, 1 Jan 1970 00:00:00 +0000");
        assert_eq!(date(Timestamp(u64::MAX)), "Thu, 1 Jan 1970 00:00:00 +0000");
    }
}
