//! `viaduct deliveries`: looks after what did not simply arrive, through the running hub or in the store of a stopped one.

use anyhow::Context as _;
use serde_json::{Value, json};
use viaduct_config::Config;
use viaduct_model::{ChannelId, MirrorName, NetworkName, Place};
use viaduct_store::{Batch, Delivery, DeliveryFilter, DeliveryState, Lane, Op, Seq, SledStore, Store};

use crate::args::{Chosen, Deliveries, State, Which};
use crate::capabilities::columns;
use crate::hub::{Hub, Shown};
use crate::trouble::Trouble;

/// Does what was asked and tells the outcome.
///
/// # Errors
///
/// If neither the hub nor the store can be reached, or what was named is not there.
pub async fn run(config: &Config, shown: &Shown, action: Deliveries) -> anyhow::Result<String> {
    let door = Door::find(config, shown).await?;
    let told = act(&door, action).await;
    door.close().await?;
    told
}

async fn act(door: &Door, action: Deliveries) -> anyhow::Result<String> {
    match action {
        Deliveries::List { which, json } => {
            let found = door.list(&filter(&which)?).await?;
            if json {
                Ok(serde_json::to_string_pretty(&found)?)
            } else {
                Ok(table(&found))
            }
        }
        Deliveries::Retry(chosen) => each(door, &chosen, Verb::Retry).await,
        Deliveries::Drop(chosen) => each(door, &chosen, Verb::Drop).await,
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Verb {
    Retry,
    Drop,
}

async fn each(door: &Door, chosen: &Chosen, verb: Verb) -> anyhow::Result<String> {
    let named = if let (Some(mirror), Some(network), Some(channel), Some(seq)) =
        (&chosen.which.mirror, &chosen.network, &chosen.channel, chosen.seq)
    {
        let to = Place::new(NetworkName::new(network)?, ChannelId::new(channel)?);
        vec![(
            Lane {
                mirror: MirrorName::new(mirror)?,
                to,
            },
            Seq(seq),
        )]
    } else {
        let found = door.list(&filter(&chosen.which)?).await?;
        found
            .into_iter()
            .map(|delivery| (delivery.lane, delivery.seq))
            .collect()
    };
    let mut lines = Vec::new();
    for (lane, seq) in &named {
        let outcome = match verb {
            Verb::Retry => door.retry(lane, *seq).await,
            Verb::Drop => door.drop_one(lane, *seq).await.map(|()| "dropped".to_owned()),
        };
        match outcome {
            // One that cannot be done does not keep the others waiting; a single one is the command's own failure.
            Err(error) if named.len() > 1 => lines.push(format!("{} {seq} to {}: {error:#}", lane.mirror, lane.to)),
            Err(error) => return Err(error),
            Ok(outcome) => lines.push(format!("{} {seq} to {}: {outcome}", lane.mirror, lane.to)),
        }
    }
    if lines.is_empty() {
        lines.push("there are none".to_owned());
    }
    Ok(lines.join("\n"))
}

fn filter(which: &Which) -> anyhow::Result<DeliveryFilter> {
    let mirror = which
        .mirror
        .as_ref()
        .map(MirrorName::new)
        .transpose()
        .context("--mirror is not a mirror's name")?;
    let state = which.state.map(|state| match state {
        State::Held => DeliveryState::Held,
        State::Refused => DeliveryState::Refused,
        State::Failed => DeliveryState::Failed,
        State::Unknown => DeliveryState::Unknown,
    });
    Ok(DeliveryFilter {
        mirror,
        state,
        limit: 0,
    })
}

fn table(found: &[Delivery]) -> String {
    if found.is_empty() {
        return "there are none: everything arrived".to_owned();
    }
    let head = ["MIRROR", "SEQ", "TO", "STATE", "REASON"].map(str::to_owned).to_vec();
    let rows = found.iter().map(|delivery| {
        vec![
            delivery.lane.mirror.to_string(),
            delivery.seq.to_string(),
            delivery.lane.to.to_string(),
            state_word(delivery.state).to_owned(),
            delivery.reason.chars().filter(|c| !c.is_control()).collect(),
        ]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn state_word(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Held => "held",
        DeliveryState::Refused => "refused",
        DeliveryState::Failed => "failed",
        DeliveryState::Unknown => "unknown",
    }
}

/// The store of a hub that is not running.
///
/// # Errors
///
/// If there is none, or it cannot be opened.
pub async fn open_store(config: &Config) -> anyhow::Result<SledStore> {
    let (path, options) = (config.store.path.clone(), crate::run::store_options(config.store.cache));
    if !path.exists() {
        let fix = "run viaduct first, or look at store.path";
        return Err(Trouble::error(
            "there is no hub running, and no store",
            path.display(),
            fix,
        ));
    }
    let store = tokio::task::spawn_blocking(move || SledStore::open(path, &options)).await?;
    store.context("no hub answers, and its store cannot be opened")
}

/// The way to the deliveries: the running hub's API, or the store of a stopped one.
enum Door {
    Api(Hub),
    Store(SledStore),
}

impl Door {
    async fn find(config: &Config, shown: &Shown) -> anyhow::Result<Self> {
        if let Some(hub) = Hub::find(config, shown).await? {
            return Ok(Self::Api(hub));
        }
        Ok(Self::Store(open_store(config).await?))
    }

    async fn list(&self, filter: &DeliveryFilter) -> anyhow::Result<Vec<Delivery>> {
        match self {
            Self::Store(store) => Ok(store.deliveries(filter).await?),
            Self::Api(hub) => {
                let state = filter.state.map(|state| ("state", state_word(state).to_owned()));
                let mirror = filter.mirror.as_ref().map(|mirror| ("mirror", mirror.to_string()));
                let query: Vec<_> = state.into_iter().chain(mirror).collect();
                Ok(serde_json::from_value(hub.get("deliveries", &query).await?)?)
            }
        }
    }

    async fn retry(&self, lane: &Lane, seq: Seq) -> anyhow::Result<String> {
        match self {
            Self::Store(_) => Err(Trouble::error(
                "no hub is running, so nothing can be sent",
                "",
                "start it with `viaduct run`",
            )),
            Self::Api(hub) => {
                let answer = hub.post("deliveries/retry", &named(lane, seq)).await?;
                Ok(answer
                    .get("outcome")
                    .and_then(Value::as_str)
                    .unwrap_or("done")
                    .to_owned())
            }
        }
    }

    async fn drop_one(&self, lane: &Lane, seq: Seq) -> anyhow::Result<()> {
        match self {
            Self::Store(store) => {
                if store.delivery(lane, seq).await?.is_none() {
                    let fix = "see `viaduct deliveries list`";
                    return Err(Trouble::error("there is no record of such a delivery", "", fix));
                }
                let op = Op::Forget {
                    lane: lane.clone(),
                    seq,
                };
                Ok(store.submit(Batch::of(op)).await?.await.map(drop)?)
            }
            Self::Api(hub) => hub.post("deliveries/drop", &named(lane, seq)).await.map(drop),
        }
    }

    async fn close(self) -> anyhow::Result<()> {
        match self {
            Self::Store(store) => Ok(store.close().await?),
            Self::Api(_) => Ok(()),
        }
    }
}

/// A delivery's name, as the API takes it.
fn named(lane: &Lane, seq: Seq) -> Value {
    json!({ "mirror": lane.mirror, "network": lane.to.network, "channel": lane.to.channel, "seq": seq })
}
