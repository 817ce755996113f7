//! What a hub gives account of: `viaduct partner report`, `record` and `incident`, and `viaduct policy reports`.

use serde_json::Value;
use viaduct_admin::Order;
use viaduct_config::Config;
use viaduct_governance::{Disputed, Incident, Month, PartnerName, PartnerReport, processing_record};
use viaduct_model::{Clock as _, Language};

use crate::args::{Form, Tongue};
use crate::audit;
use crate::capabilities::columns;
use crate::hub::{Hub, Shown};
use crate::office::{configured, running};
use crate::system::SystemClock;
use crate::trouble::Trouble;

fn language(config: &Config, wanted: Option<Tongue>) -> Language {
    match wanted {
        Some(Tongue::De) => Language::German,
        Some(Tongue::En) => Language::English,
        None => config.appservice.language,
    }
}

/// A month with a partner.
///
/// # Errors
///
/// If no hub is running, or it says no.
pub async fn report(
    config: &Config,
    shown: &Shown,
    name: PartnerName,
    month: &str,
    form: &Form,
) -> anyhow::Result<String> {
    let month = Month::parse(month).map_err(|what| Trouble::error(what, "--month", "write it like 2026-11"))?;
    let order = Order::PartnerReport { name, month };
    let answer = running(config, shown).await?.order(&order).await?;
    if form.json {
        return Ok(serde_json::to_string_pretty(&answer)?);
    }
    let report: PartnerReport = serde_json::from_value(answer)?;
    Ok(report.text(language(config, form.language)))
}

/// What a breach concerns, as `order` asks for it.
///
/// # Errors
///
/// If no hub is running, or it says no.
pub async fn incident(config: &Config, shown: &Shown, order: &Order, form: &Form) -> anyhow::Result<String> {
    let answer = running(config, shown).await?.order(order).await?;
    if form.json {
        return Ok(serde_json::to_string_pretty(&answer)?);
    }
    let incident: Incident = serde_json::from_value(answer)?;
    Ok(incident.text(language(config, form.language)))
}

/// The record of processing activities: of the running hub, which knows the agreements that were made by command, or else of
/// the configuration.
///
/// # Errors
///
/// If the running hub says no.
pub async fn record(config: &Config, shown: &Shown, wanted: Option<Tongue>) -> anyhow::Result<String> {
    let language = language(config, wanted);
    let Some(hub) = Hub::find(config, shown).await? else {
        return Ok(processing_record(&configured(config), SystemClock.now(), language));
    };
    let answer = hub.order(&Order::ProcessingRecord { language }).await?;
    let text = answer.get("text").and_then(Value::as_str);
    Ok(text.unwrap_or_default().to_owned())
}

/// The rules that senders call wrong.
///
/// # Errors
///
/// If no hub is running, or it says no.
pub async fn disputed(config: &Config, shown: &Shown, since: Option<&str>, json: bool) -> anyhow::Result<String> {
    let since = since.map(audit::day).transpose()?;
    let answer = running(config, shown).await?.order(&Order::Disputed { since }).await?;
    if json {
        return Ok(serde_json::to_string_pretty(&answer)?);
    }
    let rules: Vec<Disputed> = serde_json::from_value(answer)?;
    if rules.is_empty() {
        return Ok("no rule was reported as a false alarm".to_owned());
    }
    let head = ["RULE", "REPORTED", "LAST", "EVENTS"].map(str::to_owned).to_vec();
    let rows = rules.iter().map(|rule| {
        let events: Vec<&str> = rule.events.iter().map(viaduct_model::MessageId::as_str).collect();
        vec![
            rule.rule.clone(),
            rule.count.to_string(),
            audit::time(rule.last),
            events.join(" "),
        ]
    });
    Ok(columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>()))
}
