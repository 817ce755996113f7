//! The two books that are reconciled: what every server has, and what the ledger says.
//!
//! Everything that is said in the story carries a word of its own, such as `tern07`: by it the same message is known on every
//! side, whatever it became on the way.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use serde_json::Value;
use viaduct_tests::people::{IrcPerson, MatrixPerson, XmppMessage};

use super::stage::HUB;

/// The word of a message: the last one in it, since an answer may quote what it answers first.
pub fn word(text: &str) -> Option<String> {
    let (_, after) = text.rsplit_once("tern")?;
    let digits: String = after.chars().take(2).collect();
    (digits.len() == 2 && digits.chars().all(|c| c.is_ascii_digit())).then(|| format!("tern{digits}"))
}

/// One message at one server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sight {
    /// The network.
    pub network: &'static str,
    /// The sub-project.
    pub project: &'static str,
    /// Its word.
    pub word: String,
    /// Its id there, where the network has such.
    pub id: Option<String>,
}

/// What the servers have: said there by people, and put there by the hub.
#[derive(Debug, Default)]
pub struct Seen {
    pub said: Vec<Sight>,
    pub carried: Vec<Sight>,
    /// What the hub put there and has no word: it has to be the hub's own.
    pub wordless: Vec<String>,
}

impl Seen {
    fn note(&mut self, by_hub: bool, sight: Option<Sight>, text: &str) {
        match (by_hub, sight) {
            (true, Some(sight)) => self.carried.push(sight),
            (true, None) => self.wordless.push(text.to_owned()),
            (false, Some(sight)) => self.said.push(sight),
            (false, None) => {}
        }
    }

    /// A room's timeline, as the homeserver showed it.
    pub fn matrix(&mut self, person: &MatrixPerson, project: &'static str, room: &str) {
        for seen in person.seen(room) {
            // What the bot itself says is never a message that was carried.
            if seen.kind() != "m.room.message" || seen.sender() == format!("@{HUB}:localhost") {
                continue;
            }
            let sight = word(seen.body()).map(|word| Sight {
                network: "matrix",
                project,
                word,
                id: Some(seen.id().to_owned()),
            });
            self.note(seen.sender().starts_with("@_via_"), sight, seen.body());
        }
    }

    /// A channel as an IRC person heard it; `own` is what they said there.
    pub fn irc(&mut self, person: &IrcPerson, project: &'static str, own: &[&str]) {
        let channel = format!("#{project}");
        for line in person.lines().iter().filter(|line| line.says(&channel, "")) {
            let sight = word(line.text()).map(|word| Sight {
                network: "irc",
                project,
                word,
                id: None,
            });
            self.note(true, sight, line.text());
        }
        self.said.extend(own.iter().map(|word| Sight {
            network: "irc",
            project,
            word: (*word).to_owned(),
            id: None,
        }));
    }

    /// A room's archive; `people` are the nicks of those who are there without the hub.
    pub fn xmpp(&mut self, archive: &[XmppMessage], project: &'static str, people: &[&str]) {
        for message in archive.iter().filter(|message| message.body.is_some()) {
            let sight = word(message.text()).map(|word| Sight {
                network: "xmpp",
                project,
                word,
                id: Some(message.name().to_owned()),
            });
            self.note(!people.contains(&message.nick()), sight, message.text());
        }
    }

    /// A channel's history; `people` are the ids of those who are there without the hub.
    pub fn slack(&mut self, history: &[Value], project: &'static str, people: &[&str]) {
        let text = |message: &Value, key: &str| message.get(key).and_then(Value::as_str).map(str::to_owned);
        for message in history.iter().filter(|message| message.get("subtype").is_none()) {
            let said = text(message, "text").unwrap_or_default();
            let sight = word(&said).map(|word| Sight {
                network: "slack",
                project,
                word,
                id: text(message, "ts"),
            });
            let by_hub = !text(message, "user").is_some_and(|user| people.contains(&user.as_str()));
            self.note(by_hub, sight, &said);
        }
    }
}

/// One step of a message, as the ledger has it.
#[derive(Debug, Clone)]
pub struct Step {
    pub action: String,
    pub project: String,
    pub from: String,
    /// Empty for what was accepted.
    pub to: String,
    pub event: String,
    pub ids: Vec<String>,
    /// Its word; none for what is not said.
    pub word: Option<String>,
}

/// The ledger's steps of what was said.
#[derive(Debug)]
pub struct Steps(pub Vec<Step>);

impl Steps {
    /// Takes entries as `audit find --json` prints them, and finds out what each is about by what the servers have.
    pub fn of(entries: &[Value], seen: &Seen) -> anyhow::Result<Self> {
        let mut steps = Vec::new();
        for entry in entries {
            let text = |pointer: &str| {
                entry
                    .pointer(pointer)
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned()
            };
            if !matches!(text("/kind").as_str(), "message" | "edit") || text("/event").is_empty() {
                continue;
            }
            let ids = entry.get("ids").and_then(Value::as_array).into_iter().flatten();
            steps.push(Step {
                action: text("/action"),
                project: text("/mirror"),
                from: text("/from/network"),
                to: text("/to/network"),
                event: text("/event"),
                ids: ids.filter_map(Value::as_str).map(str::to_owned).collect(),
                word: None,
            });
        }
        let known: BTreeMap<(&str, &str), &str> = seen
            .said
            .iter()
            .chain(&seen.carried)
            .filter_map(|sight| Some(((sight.network, sight.id.as_deref()?), sight.word.as_str())))
            .collect();
        // IRC names nothing: what was said there is known by what it became in the room.
        let mut became: BTreeMap<(String, String), String> = BTreeMap::new();
        for step in steps.iter().filter(|step| step.from == "irc" && step.to == "matrix") {
            let word = step.ids.iter().find_map(|id| known.get(&("matrix", id.as_str())));
            if let Some(word) = word {
                became.insert((step.from.clone(), step.event.clone()), (*word).to_owned());
            }
        }
        for step in &mut steps {
            let itself = known
                .get(&(step.from.as_str(), step.event.as_str()))
                .map(|word| (*word).to_owned());
            step.word = itself.or_else(|| became.get(&(step.from.clone(), step.event.clone())).cloned());
        }
        let unknown: Vec<&Step> = steps.iter().filter(|step| step.word.is_none()).collect();
        anyhow::ensure!(
            unknown.is_empty(),
            "nobody said what these entries are about: {unknown:#?}"
        );
        Ok(Self(steps))
    }

    /// Every step of this action, as `(network it went to, sub-project, word)`, each as often as it is there.
    pub fn to(&self, action: &str) -> Vec<(String, String, String)> {
        let wanted = self.0.iter().filter(|step| step.action == action);
        let mut all: Vec<_> = wanted
            .map(|step| {
                (
                    step.to.clone(),
                    step.project.clone(),
                    step.word.clone().unwrap_or_default(),
                )
            })
            .collect();
        all.sort();
        all
    }

    /// What was accepted, as `(network it came from, sub-project, word)`.
    pub fn accepted(&self) -> Vec<(String, String, String)> {
        let wanted = self.0.iter().filter(|step| step.action == "accepted");
        let mut all: Vec<_> = wanted
            .map(|step| {
                (
                    step.from.clone(),
                    step.project.clone(),
                    step.word.clone().unwrap_or_default(),
                )
            })
            .collect();
        all.sort();
        all
    }

    /// The actions that a word met with on its way to a network.
    pub fn fate(&self, word: &str, to: &str) -> Vec<&str> {
        let wanted = self
            .0
            .iter()
            .filter(|step| step.word.as_deref() == Some(word) && step.to == to);
        wanted.map(|step| step.action.as_str()).collect()
    }
}

/// Sights in the form that [`Steps::to`] and [`Steps::accepted`] have.
pub fn places(sights: &[Sight]) -> Vec<(String, String, String)> {
    let mut all: Vec<_> = sights
        .iter()
        .map(|sight| (sight.network.to_owned(), sight.project.to_owned(), sight.word.clone()))
        .collect();
    all.sort();
    all
}

/// The ids that a delivery has in the ledger and those that the server has, where the network has ids.
pub fn ids(steps: &Steps, seen: &Seen, network: &str) -> anyhow::Result<(BTreeSet<String>, BTreeSet<String>)> {
    let delivered = steps
        .0
        .iter()
        .filter(|step| step.action == "delivered" && step.to == network);
    let told = delivered.flat_map(|step| step.ids.iter().cloned()).collect();
    let there = seen.carried.iter().filter(|sight| sight.network == network);
    let there: Option<BTreeSet<String>> = there.map(|sight| sight.id.clone()).collect();
    Ok((told, there.context("every message there has an id")?))
}
