//! `viaduct audit`: checks, searches and hands out the ledger, from its files.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use viaduct_admin::Order;
use viaduct_audit::note::Verifier;
use viaduct_audit::{Action, Entry, KeyRing, Query, Reader, Record, Tag, export, find, verify};
use viaduct_config::Config;
use viaduct_governance::Day;
pub use viaduct_governance::second as time;
use viaduct_model::{Clock as _, MessageId, MirrorName, NetworkName, PersonId};

use crate::args::{Audit, Entries, Format};
use crate::capabilities::columns;
use crate::hub::{Hub, Shown};
use crate::load;
use crate::registry::Registry;
use crate::settings;
use crate::system::{SystemClock, SystemEntropy};
use crate::trouble::Trouble;

/// Does what was asked; the text to show, and whether all is well.
///
/// # Errors
///
/// If the ledger, its key or the configuration cannot be read.
pub async fn run(path: &Path, shown: &Shown, action: Audit, registry: &Registry) -> anyhow::Result<(String, bool)> {
    let config = || Ok::<Config, anyhow::Error>(load::load(path, registry)?.config);
    match action {
        Audit::Verify {
            folder: Some(folder),
            key: Some(key),
            checkpoint,
        } => check(&folder, &Verifier::parse(&key)?, &checkpoint),
        Audit::Verify { checkpoint, .. } => {
            let config = config()?;
            check(&folder(&config)?, &settings::signer(&config)?.verifier(), &checkpoint)
        }
        Audit::Find { which, limit, json } => {
            let config = config()?;
            let found = records(&config, &query(&config, &which)?, limit)?;
            Ok((if json { lines(&found)? } else { table(&found) }, true))
        }
        Audit::Export { which, format, out } => {
            let config = config()?;
            Ok((hand_out(&config, shown, &which, format, &out).await?, true))
        }
        Audit::Key { folder, origin } => {
            let origin = match origin {
                Some(origin) => origin,
                None => format!("{}/viaduct", config().context("give --origin")?.homeserver.domain),
            };
            Ok((make_keys(&folder, &origin)?, true))
        }
        Audit::Verifier => Ok((settings::signer(&config()?)?.verifier().to_string(), true)),
    }
}

fn folder(config: &Config) -> anyhow::Result<PathBuf> {
    let audit = config.audit.as_ref().ok_or_else(settings::no_ledger)?;
    Ok(audit.folder.clone())
}

fn check(folder: &Path, verifier: &Verifier, checkpoints: &[PathBuf]) -> anyhow::Result<(String, bool)> {
    let kept: Vec<String> = checkpoints
        .iter()
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display())))
        .collect::<anyhow::Result<_>>()?;
    let found = verify(folder, verifier, &kept)?;
    let mut told: Vec<String> = found
        .problems
        .iter()
        .map(|problem| format!("error: {problem}"))
        .collect();
    if let Some(checkpoint) = &found.checkpoint {
        told.push(format!("signed checkpoint:\n{}", checkpoint.to_string().trim_end()));
    }
    told.push(if found.is_good() {
        format!("{} entries, every byte as it was signed", found.records)
    } else {
        format!("{} entries; the ledger is NOT as it was signed", found.records)
    });
    Ok((told.join("\n"), found.is_good()))
}

/// The records that are wanted, oldest first.
///
/// # Errors
///
/// If no ledger is kept, or it cannot be read.
pub fn records(config: &Config, query: &Query, limit: usize) -> anyhow::Result<Vec<Record>> {
    let reader = Reader::open(&folder(config)?, &settings::signer(config)?.verifier())?;
    Ok(find(reader, query, limit)?)
}

fn query(config: &Config, which: &Entries) -> anyhow::Result<Query> {
    let actions = which
        .action
        .iter()
        .map(|name| action(name))
        .collect::<anyhow::Result<_>>()?;
    let tags = match &which.person {
        Some(person) => tags(config, person)?,
        None => Vec::new(),
    };
    Ok(Query {
        since: which.since.as_deref().map(day).transpose()?.map(Day::start),
        until: which.until.as_deref().map(day).transpose()?.map(Day::end),
        actions,
        partner: which.partner.clone(),
        mirror: which.mirror.as_ref().map(MirrorName::new).transpose()?,
        network: which.network.as_ref().map(NetworkName::new).transpose()?,
        event: which.event.as_ref().map(MessageId::new).transpose()?,
        tags,
        rule: which.rule.clone(),
    })
}

/// Reads a day.
///
/// # Errors
///
/// What to write instead.
pub fn day(text: &str) -> anyhow::Result<Day> {
    Day::parse(text).map_err(|what| Trouble::error(what, "", "write it like 2026-01-31"))
}

fn action(name: &str) -> anyhow::Result<Action> {
    let known = Action::ALL.into_iter().find(|action| action.as_str() == name);
    known.ok_or_else(|| {
        let all: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
        Trouble::error(format!("there is no action {name:?}"), "--action", all.join(", "))
    })
}

/// The pseudonyms of a person under the keys of all partners, and of the own organisation.
fn tags(config: &Config, person: &str) -> anyhow::Result<Vec<Tag>> {
    let wrong = || {
        Trouble::error(
            format!("{person:?} is not network/id"),
            "--person",
            "such as acme-xmpp/ann@acme.example",
        )
    };
    let (network, id) = person.split_once('/').ok_or_else(wrong)?;
    let (network, id) = (NetworkName::new(network)?, PersonId::new(id)?);
    let audit = config.audit.as_ref().ok_or_else(settings::no_ledger)?;
    let ring = KeyRing::open(&audit.keys.join("pseudonyms"))?;
    let own = viaduct_governance::PartnerName::OWN;
    let owners = std::iter::once(own).chain(config.partners.keys().map(viaduct_governance::PartnerName::as_str));
    let tags: Vec<Tag> = owners
        .filter_map(|owner| ring.person(owner, &network, &id).ok())
        .collect();
    if tags.is_empty() {
        let fix = "keys that were destroyed cannot be searched with; that is their purpose";
        return Err(Trouble::error(
            "there are no keys for pseudonyms",
            audit.keys.display(),
            fix,
        ));
    }
    Ok(tags)
}

async fn hand_out(
    config: &Config,
    shown: &Shown,
    which: &Entries,
    format: Format,
    out: &Path,
) -> anyhow::Result<String> {
    let signer = settings::signer(config)?;
    let reader = Reader::open(&folder(config)?, &signer.verifier())?;
    let beside = PathBuf::from(format!("{}.manifest", out.display()));
    let mut file = BufWriter::new(fresh(out)?);
    let form = match format {
        Format::Jsonl => viaduct_audit::Format::Jsonl,
        Format::Csv => viaduct_audit::Format::Csv,
        Format::Eml => viaduct_audit::Format::Eml,
    };
    let query = query(config, which)?;
    let manifest = export(reader, &query, form, &mut file, &signer, SystemClock.now())?;
    file.flush()
        .with_context(|| format!("{} cannot be written", out.display()))?;
    fresh(&beside)?.write_all(manifest.as_bytes())?;
    let count = manifest
        .lines()
        .find(|line| line.starts_with("records "))
        .unwrap_or_default();
    let mut told = vec![format!("{count}: {} and {}", out.display(), beside.display())];
    let what = format!("{count} as {form}, {which:?}");
    match Hub::find(config, shown).await? {
        Some(hub) => drop(hub.order(&Order::NoteExport { what }).await?),
        None => told.push("warning: no hub is running, so the ledger does not note this export".to_owned()),
    }
    Ok(told.join("\n"))
}

/// A new file that only its owner reads.
///
/// # Errors
///
/// If it is there already, or cannot be made.
pub fn fresh(path: &Path) -> anyhow::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| {
        Trouble::error(
            format!("this cannot be written: {error}"),
            path.display(),
            "name another file with --out",
        )
    })
}

fn make_keys(folder: &Path, origin: &str) -> anyhow::Result<String> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let verifier = crate::init::keys(folder, origin, &SystemEntropy)?;
    Ok(format!(
        "Written: {0}/ledger_key, which signs, and {0}/seal_key, which seals. Keep both secret, and a copy of both.\n\
         Others check signatures with:\n{verifier}\n\n\
         In the configuration:\n\naudit:\n  key_file: {0}/ledger_key\n  seal_key_file: {0}/seal_key",
        folder.display()
    ))
}

fn lines(found: &[Record]) -> anyhow::Result<String> {
    let lines: Vec<String> = found.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
    Ok(lines.join("\n"))
}

/// Records as a table.
pub fn table(found: &[Record]) -> String {
    if found.is_empty() {
        return "there are no such entries".to_owned();
    }
    let head = [
        "SEQ", "TIME", "ACTION", "PARTNER", "MIRROR", "FROM", "TO", "EVENT", "WHY",
    ]
    .map(str::to_owned);
    let rows = found.iter().map(|record| {
        let entry = &record.entry;
        vec![
            record.seq.to_string(),
            time(entry.at),
            entry.action.as_str().to_owned(),
            entry.partner.clone().unwrap_or_default(),
            entry.mirror.as_ref().map(ToString::to_string).unwrap_or_default(),
            entry.from.as_ref().map(ToString::to_string).unwrap_or_default(),
            entry.to.as_ref().map(ToString::to_string).unwrap_or_default(),
            entry.event.as_ref().map(ToString::to_string).unwrap_or_default(),
            why(entry),
        ]
    });
    columns(&std::iter::once(head.to_vec()).chain(rows).collect::<Vec<_>>())
}

fn why(entry: &Entry) -> String {
    let rule = entry.rule.clone().unwrap_or_default();
    let reason = entry.reason.clone().unwrap_or_default();
    let told = if rule.is_empty() || reason.starts_with(&rule) {
        reason
    } else {
        format!("{rule}: {reason}")
    };
    told.chars().filter(|c| !c.is_control()).collect()
}
