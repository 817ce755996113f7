//! `viaduct policy`: tries policies, without sending anything.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use serde::Deserialize;
use serde_json::Value;
use viaduct_admin::Order;
use viaduct_audit::Query;
use viaduct_compliance::{Example, ExampleOutcome, ExampleResult, Filter, Policy};
use viaduct_config::Config;
use viaduct_engine::rehearse::{self, Judged, Replayed, Wanted};
use viaduct_model::{Clock as _, MessageId, MirrorName};
use viaduct_store::Store as _;

use crate::accounts;
use crate::args::Policy as Action;
use crate::audit;
use crate::capabilities::columns;
use crate::deliveries::open_store;
use crate::hub::{Hub, Shown};
use crate::load;
use crate::office;
use crate::protect;
use crate::registry::Registry;
use crate::settings;
use crate::system::SystemClock;
use crate::trouble::Trouble;

/// How many of an event's ledger entries are shown.
const ENTRIES: usize = 100;

/// Does what was asked; the text to show, and whether all is well.
///
/// # Errors
///
/// If a file, the configuration, or neither hub nor store can be read.
pub async fn run(path: &Path, shown: &Shown, action: Action, registry: &Registry) -> anyhow::Result<(String, bool)> {
    match action {
        Action::Test { file: Some(file) } => Ok(test(&policies(&file)?)),
        Action::Test { file: None } => Ok(test(&load::load(path, registry)?.config.policies)),
        Action::Protect { what } => Ok((protect::run(what)?, true)),
        Action::Replay {
            file,
            mirror,
            since,
            json,
        } => {
            let config = load::load(path, registry)?.config;
            let wanted = Wanted {
                mirror: mirror.map(MirrorName::new).transpose()?,
                since: since
                    .as_deref()
                    .map(audit::day)
                    .transpose()?
                    .map(viaduct_governance::Day::start),
            };
            let result = replay(&config, shown, one(&file)?, wanted).await?;
            let text = if json {
                serde_json::to_string_pretty(&result)?
            } else {
                replayed(&result)
            };
            Ok((text, true))
        }
        Action::Reports { since, json } => {
            let config = load::load(path, registry)?.config;
            Ok((accounts::disputed(&config, shown, since.as_deref(), json).await?, true))
        }
        Action::Explain { event, json } => {
            let config = load::load(path, registry)?.config;
            Ok((explain(&config, shown, &event, json).await?, true))
        }
    }
}

/// A file with several policies, like a configuration.
#[derive(Deserialize)]
struct Several {
    policies: BTreeMap<String, Policy>,
}

/// The policies in a file: one by itself, or several under `policies`.
fn policies(file: &Path) -> anyhow::Result<BTreeMap<String, Policy>> {
    let text = read(file)?;
    let tree: Value = serde_norway::from_str(&text).map_err(|error| wrong(file, &error))?;
    if tree.get("policies").is_some() {
        let several: Several = serde_norway::from_str(&text).map_err(|error| wrong(file, &error))?;
        return Ok(several.policies);
    }
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let policy = serde_norway::from_str(&text).map_err(|error| wrong(file, &error))?;
    Ok(BTreeMap::from([(name, policy)]))
}

fn one(file: &Path) -> anyhow::Result<Policy> {
    let mut all = policies(file)?;
    match (all.pop_first(), all.is_empty()) {
        (Some((_, policy)), true) => Ok(policy),
        _ => Err(Trouble::error(
            "one policy is wanted, and there are several or none",
            file.display(),
            "put the candidate into a file of its own",
        )),
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file)
        .map_err(|error| Trouble::error(format!("the policy cannot be read: {error}"), file.display(), ""))
}

fn wrong(file: &Path, error: &serde_norway::Error) -> anyhow::Error {
    Trouble::error(
        format!("this is no policy: {error}"),
        file.display(),
        "`viaduct schema` describes policies, `config/policies` has examples",
    )
}

fn test(policies: &BTreeMap<String, Policy>) -> (String, bool) {
    let (mut told, mut good) = (Vec::new(), true);
    for (name, policy) in policies {
        match policy.test() {
            Ok(results) => {
                let bad: Vec<String> = results.iter().filter_map(|result| problem(name, result)).collect();
                let failed = results.iter().any(|result| !is_fine(result));
                good &= !failed;
                told.extend(bad);
                let fine = results.iter().filter(|result| result.is_good()).count();
                told.push(format!(
                    "{name}: {} rules, {fine} examples as expected",
                    policy.rules.len()
                ));
            }
            Err(errors) => {
                good = false;
                told.extend(errors.iter().map(|error| format!("error: {name}: {error}")));
            }
        }
    }
    if told.is_empty() {
        told.push("there are no policies".to_owned());
    }
    (told.join("\n"), good)
}

/// A rule without examples is worth a warning and no failure.
fn is_fine(result: &ExampleResult) -> bool {
    result.is_good() || result.outcome == ExampleOutcome::Missing
}

fn problem(name: &str, result: &ExampleResult) -> Option<String> {
    let rule = &result.rule;
    let example = match &result.example {
        Some(Example::Text(text)) => format!("{text:?}"),
        Some(Example::Event(event)) => serde_json::to_string(event).unwrap_or_default(),
        None => String::new(),
    };
    match &result.outcome {
        ExampleOutcome::AsExpected => None,
        ExampleOutcome::DoesNotMatch => Some(format!("error: {name}: {rule} should match {example} and does not")),
        ExampleOutcome::Matches => Some(format!("error: {name}: {rule} should pass {example} and matches it")),
        ExampleOutcome::Missing => Some(format!("warning: {name}: {rule} has no example that matches")),
        ExampleOutcome::Invalid(why) => Some(format!("error: {name}: {rule}: {example} cannot be tried: {why}")),
    }
}

async fn replay(config: &Config, shown: &Shown, policy: Policy, wanted: Wanted) -> anyhow::Result<Replayed> {
    if let Some(hub) = Hub::find(config, shown).await? {
        let order = Order::Replay {
            policy: Box::new(policy),
            wanted,
        };
        return Ok(serde_json::from_value(hub.order(&order).await?)?);
    }
    let filter = Filter::compile(policy).map_err(|errors| {
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Trouble::error(told.join("; "), "", "correct the policy")
    })?;
    let store = open_store(config).await?;
    let result = rehearse::replay(&store, &settings::engine(config), &filter, &wanted).await;
    store.close().await?;
    Ok(result?)
}

fn replayed(result: &Replayed) -> String {
    let mut told = vec![format!("{} deliveries judged", result.judged)];
    let counts = |counts: &BTreeMap<String, u64>| {
        counts
            .iter()
            .map(|(name, count)| format!("  {name}: {count}"))
            .collect::<Vec<_>>()
    };
    told.extend(counts(&result.decisions));
    if result.files_unseen > 0 {
        told.push(format!(
            "  {} of them with files, which were not looked into: rules about files count as where nothing is known",
            result.files_unseen
        ));
    }
    if !result.rules.is_empty() {
        told.push("matches by rule".to_owned());
        told.extend(counts(&result.rules));
    }
    if !result.events.is_empty() {
        let head = ["TIME", "MIRROR", "EVENT", "FROM", "TO", "DECISION", "RULES"]
            .map(str::to_owned)
            .to_vec();
        let rows = result.events.iter().map(|judged| {
            vec![
                audit::time(judged.at),
                judged.mirror.to_string(),
                judged.event.to_string(),
                judged.from.to_string(),
                judged.to.to_string(),
                judged.decision.clone(),
                rules(judged),
            ]
        });
        told.push(columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>()));
    }
    told.join("\n")
}

fn rules(judged: &Judged) -> String {
    let names: Vec<&str> = judged.findings.iter().map(|finding| finding.rule.as_str()).collect();
    match (&judged.rule, names.is_empty()) {
        (Some(rule), true) => rule.clone(),
        _ => names.join(", "),
    }
}

async fn explain(config: &Config, shown: &Shown, event: &str, json: bool) -> anyhow::Result<String> {
    let id = MessageId::new(event).context("this is no event's id")?;
    let judged: Vec<Judged> = if let Some(hub) = Hub::find(config, shown).await? {
        serde_json::from_value(hub.order(&Order::Explain { event: id.clone() }).await?)?
    } else {
        let store = open_store(config).await?;
        let register = office::configured(config);
        let agreed = (&register, SystemClock.now());
        let judged = rehearse::explain(&store, &settings::engine(config), agreed, &id).await;
        store.close().await?;
        judged?
    };
    // At a destination it has other ids; the ledger knows it by the one at its source.
    let source = judged.first().map_or(id, |judged| judged.event.clone());
    let query = Query {
        event: Some(source),
        ..Query::default()
    };
    let entries = match &config.audit {
        Some(_) => audit::records(config, &query, ENTRIES)?,
        None => Vec::new(),
    };
    if json {
        let all = serde_json::json!({ "now": judged, "ledger": entries });
        return Ok(serde_json::to_string_pretty(&all)?);
    }
    let mut told = Vec::new();
    if judged.is_empty() {
        told.push("it is not in the journal (any more), so the policies cannot be asked about it again".to_owned());
    } else {
        told.push("what the policies in force make of it now:".to_owned());
        told.extend(judged.iter().map(explained));
    }
    if !entries.is_empty() {
        told.push("what the ledger has of it:".to_owned());
        told.push(audit::table(&entries));
    }
    Ok(told.join("\n"))
}

fn explained(judged: &Judged) -> String {
    let mut told = vec![format!(
        "  {} from {} to {}: {}",
        judged.kind.as_str(),
        judged.from,
        judged.to,
        judged.decision
    )];
    if !judged.policies.is_empty() {
        told.push(format!("    asked: {}", judged.policies.join(", ")));
    }
    if !judged.labels.is_empty() {
        told.push(format!("    labels: {}", judged.labels.join(", ")));
    }
    if judged.files_unseen > 0 {
        told.push(format!(
            "    {} files, not looked into: rules about files count as where nothing is known",
            judged.files_unseen
        ));
    }
    if let Some(rule) = &judged.rule {
        let reason = judged.reason.as_deref().unwrap_or_default();
        told.push(format!("    because of {rule}: {reason}"));
    }
    for finding in &judged.findings {
        let action = serde_json::to_value(finding.action).unwrap_or_default();
        let mode = serde_json::to_value(finding.mode).unwrap_or_default();
        let sorts = if finding.sorts.is_empty() {
            "its conditions".to_owned()
        } else {
            finding.sorts.join(", ")
        };
        told.push(format!(
            "    rule {}: {} of {sorts}, {} ({})",
            finding.rule,
            finding.count,
            action.as_str().unwrap_or_default(),
            mode.as_str().unwrap_or_default()
        ));
    }
    told.join("\n")
}
