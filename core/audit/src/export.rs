//! Finding records, and giving them to others with a signed manifest.

use std::fmt;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};
use viaduct_model::{MessageId, MirrorName, NetworkName, Timestamp};

use crate::keys::Tag;
use crate::note::{Signer, Verifier};
use crate::text::{hex, rfc3339};
use crate::{Action, Entry, LedgerError, Reader, Record, eml};

/// Which records are wanted. A condition left out always matches.
#[derive(Debug, Clone, Default)]
pub struct Query {
    /// At this time or later.
    pub since: Option<Timestamp>,
    /// Before this time.
    pub until: Option<Timestamp>,
    /// One of these actions.
    pub actions: Vec<Action>,
    /// Of this partner.
    pub partner: Option<String>,
    /// Of this mirror.
    pub mirror: Option<MirrorName>,
    /// From or to this network.
    pub network: Option<NetworkName>,
    /// Of the event with this id, at its source or its destination.
    pub event: Option<MessageId>,
    /// With one of these pseudonyms or content hashes.
    pub tags: Vec<Tag>,
    /// Decided, or found, by this rule.
    pub rule: Option<String>,
}

impl Query {
    /// Whether an entry is wanted.
    pub fn matches(&self, entry: &Entry) -> bool {
        let place = |name: &NetworkName| {
            [&entry.from, &entry.to]
                .into_iter()
                .flatten()
                .any(|at| at.network == *name)
        };
        let id = |id: &MessageId| entry.event.as_ref() == Some(id) || entry.ids.contains(id);
        let tagged = |tag: &Tag| entry.actor.as_ref() == Some(tag) || entry.content.as_ref() == Some(tag);
        let rule = |rule: &String| entry.rule.as_ref() == Some(rule) || entry.findings.contains_key(rule);
        self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at < until)
            && (self.actions.is_empty() || self.actions.contains(&entry.action))
            && self
                .partner
                .as_ref()
                .is_none_or(|partner| entry.partner.as_ref() == Some(partner))
            && self
                .mirror
                .as_ref()
                .is_none_or(|mirror| entry.mirror.as_ref() == Some(mirror))
            && self.network.as_ref().is_none_or(place)
            && self.event.as_ref().is_none_or(id)
            && (self.tags.is_empty() || self.tags.iter().any(tagged))
            && self.rule.as_ref().is_none_or(rule)
    }
}

/// The records that are wanted, oldest first, so many at most.
pub fn find(reader: Reader, query: &Query, limit: usize) -> Result<Vec<Record>, LedgerError> {
    let wanted =
        |found: &Result<Record, LedgerError>| found.as_ref().map_or(true, |record| query.matches(&record.entry));
    reader.filter(wanted).take(limit).collect()
}

/// How records are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The ledger's own lines, byte by byte: their leaf hashes can be checked against the tree.
    Jsonl,
    /// One row a record, for spreadsheets. Cells that a spreadsheet could take for a formula begin with an apostrophe.
    Csv,
    /// One e-mail (RFC 5322) with a message for each record in it (`multipart/digest`), for archives and mail programs. Each
    /// has the record's time as its date, its action and partner as subject, its pseudonym as sender, and its JSON as text.
    Eml,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jsonl => "jsonl",
            Self::Csv => "csv",
            Self::Eml => "eml",
        })
    }
}

/// Counts and hashes what is written.
struct Counted<'w> {
    out: &'w mut dyn Write,
    hash: Sha256,
}

impl Counted<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), LedgerError> {
        self.hash.update(bytes);
        let failed = |error: io::Error| LedgerError::Io {
            path: "export".to_owned(),
            reason: error.to_string(),
        };
        self.out.write_all(bytes).map_err(failed)
    }
}

/// Writes the records that are wanted, and gives a manifest: a note, signed by the ledger's key, of what was written and from
/// which state of the ledger. Record the export itself as well ([`Action::Exported`]).
pub fn export(
    mut reader: Reader,
    query: &Query,
    format: Format,
    out: &mut dyn Write,
    signer: &Signer,
    now: Timestamp,
) -> Result<String, LedgerError> {
    let mut out = Counted {
        out,
        hash: Sha256::new(),
    };
    let mut count: u64 = 0;
    let origin = reader.checkpoint().origin.clone();
    match format {
        Format::Jsonl => {}
        Format::Csv => {
            out.put(COLUMNS.join(",").as_bytes())?;
            out.put(b"\r\n")?;
        }
        Format::Eml => out.put(eml::head(&origin, now).as_bytes())?,
    }
    while let Some((record, line)) = reader.record()? {
        if !query.matches(&record.entry) {
            continue;
        }
        count += 1;
        match format {
            Format::Jsonl => {
                out.put(&line)?;
                out.put(b"\n")?;
            }
            Format::Csv => out.put(row(&record).as_bytes())?,
            Format::Eml => out.put(eml::part(&record, &line, &origin).as_bytes())?,
        }
    }
    if format == Format::Eml {
        out.put(eml::END.as_bytes())?;
    }
    let text = format!(
        "viaduct ledger export\nformat {format}\nrecords {count}\nsha256 {}\nmade {}\nledger:\n{}",
        hex(&out.hash.finalize()),
        rfc3339(now),
        reader.checkpoint()
    );
    signer.sign(&text)
}

/// Checks that an export is what its manifest says, and gives the manifest's text.
pub fn check_export<'m>(export: &mut dyn Read, manifest: &'m str, key: &Verifier) -> Result<&'m str, LedgerError> {
    let text = key.open(manifest)?;
    let mut hash = Sha256::new();
    let mut buffer = [0; 8192];
    loop {
        let read = export.read(&mut buffer);
        let read = read.map_err(|error| LedgerError::Io {
            path: "export".to_owned(),
            reason: error.to_string(),
        })?;
        match buffer.get(..read) {
            Some([]) | None => break,
            Some(bytes) => hash.update(bytes),
        }
    }
    let wanted = format!("sha256 {}", hex(&hash.finalize()));
    if text.lines().any(|line| line == wanted) {
        Ok(text)
    } else {
        Err(LedgerError::note(
            "the export is not the one that the manifest was made for",
        ))
    }
}

const COLUMNS: [&str; 15] = [
    "seq", "time", "action", "actor", "partner", "mirror", "from", "to", "event", "ids", "kind", "policy", "rule",
    "findings", "reason",
];

fn row(record: &Record) -> String {
    let Record { seq, entry, .. } = record;
    let text = |value: Option<String>| value.unwrap_or_default();
    let findings: Vec<String> = entry
        .findings
        .iter()
        .map(|(rule, count)| format!("{rule}={count}"))
        .collect();
    let ids: Vec<&str> = entry.ids.iter().map(MessageId::as_str).collect();
    let cells = [
        seq.to_string(),
        rfc3339(entry.at),
        entry.action.as_str().to_owned(),
        text(entry.actor.as_ref().map(ToString::to_string)),
        text(entry.partner.clone()),
        text(entry.mirror.as_ref().map(ToString::to_string)),
        text(entry.from.as_ref().map(ToString::to_string)),
        text(entry.to.as_ref().map(ToString::to_string)),
        text(entry.event.as_ref().map(ToString::to_string)),
        ids.join(" "),
        text(entry.kind.map(|kind| kind.as_str().to_owned())),
        text(entry.policy.clone()),
        text(entry.rule.clone()),
        findings.join(" "),
        text(entry.reason.clone()),
    ];
    format!("{}\r\n", cells.map(|cell| quoted(&cell)).join(","))
}

/// A cell as RFC 4180 wants it, and no formula.
fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        "'"
    } else {
        ""
    };
    if guard.is_empty() && !cell.contains(['"', ',', '\r', '\n']) {
        return cell.to_owned();
    }
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::delivered;

    #[test]
    fn cells_are_data() {
        assert_eq!(quoted("plain"), "plain");
        assert_eq!(quoted("a,\"b\"\nc"), "\"a,\"\"b\"\"\nc\"");
        assert_eq!(quoted("=cmd()"), "\"'=cmd()\"");
        assert_eq!(quoted("@room"), "\"'@room\"");
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let row = row(&Record {
            seq: 4,
            number: 4,
            entry: delivered(4),
        });
        insta::assert_snapshot!(row.trim_end(), @r#"4,2026-07-02T00:00:00.127Z,delivered,,acme,project,matrix/!room:example.org,acme-irc/#project,$event4,m4,message,,,,"#);
        assert_eq!(row.split(',').count(), COLUMNS.len());
    }

    #[test]
    fn every_condition_counts() {
        let entry = delivered(4);
        assert!(Query::default().matches(&entry));
        let other = NetworkName::new("other").unwrap();
        let no = [
            Query {
                since: Some(entry.at.plus_millis(1)),
                ..Query::default()
            },
            Query {
                until: Some(entry.at),
                ..Query::default()
            },
            Query {
                actions: vec![Action::Held],
                ..Query::default()
            },
            Query {
                partner: Some("else".to_owned()),
                ..Query::default()
            },
            Query {
                mirror: Some(MirrorName::new("else").unwrap()),
                ..Query::default()
            },
            Query {
                network: Some(other),
                ..Query::default()
            },
            Query {
                event: Some(MessageId::new("else").unwrap()),
                ..Query::default()
            },
            Query {
                tags: vec![Tag::from_text("acme.1:00")],
                ..Query::default()
            },
            Query {
                rule: Some("else".to_owned()),
                ..Query::default()
            },
        ];
        for query in no {
            assert!(!query.matches(&entry), "{query:?}");
        }
        let yes = Query {
            event: Some(MessageId::new("m4").unwrap()),
            since: Some(entry.at),
            ..Query::default()
        };
        assert!(yes.matches(&entry));
    }
}
