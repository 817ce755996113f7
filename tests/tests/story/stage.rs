//! The stage: one homeserver, three partners on three networks, a virus scanner, and a hub with agreements, policies and a
//! ledger.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rustix::process::Signal;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use viaduct_tests::launch::{
    Clamd, Hub, HubSpec, Ngircd, Prosody, Synapse, XmppServer, agreement, irc_section, slack_section, xmpp_section,
};
use viaduct_tests::organisation::Organisation;
use viaduct_tests::people::{IrcPerson, MatrixPerson, PASSWORD, XmppPerson};
use viaduct_tests::slack::{Kind, Limits, SlackStandIn};
use viaduct_tests::world::made_room;

use super::office::Office;

/// What the hub calls itself everywhere.
pub const HUB: &str = "viaduct";
/// Releases what is held; neither sends nor writes rules here.
pub const BOSS: &str = "@boss:localhost";
/// Wrote the rule that holds.
pub const AUTHOR: &str = "@rita:localhost";
/// Whoever may decide something here, and as what. Each shows a token of their own.
const DECIDE: [(&str, &[&str]); 3] = [
    (BOSS, &["approver", "compliance", "dpo"]),
    (AUTHOR, &["approver"]),
    ("@ann:localhost", &["approver"]),
];
/// The Matrix side of every sub-project.
pub const PROJECTS: [&str; 3] = ["p1", "p2", "p3"];

/// The XMPP room of a sub-project.
pub fn muc(project: &str) -> String {
    XmppServer::room(project)
}

/// The fields are dropped in this order: the hub goes first, as an operator would stop it.
pub struct Stage {
    pub office: Office,
    pub irc: Ngircd,
    pub xmpp: Prosody,
    pub slack: SlackStandIn,
    /// The Slack channel of the third sub-project.
    pub channel: String,
    pub synapse: Synapse,
    _clamd: Clamd,
    folder: TempDir,
}

impl Stage {
    /// Starts everything.
    pub async fn start() -> anyhow::Result<Self> {
        Hub::binary()?;
        Synapse::python()?;
        XmppPerson::python()?;
        let (irc, xmpp, clamd) = (Ngircd::start().await?, Prosody::start().await?, Clamd::start().await?);
        let slack = SlackStandIn::start().await?;
        slack.set_limits(Limits::none());
        let channel = slack.add_channel("p3", Kind::Public);
        slack.join(&channel, &slack.app().bot_user);

        let app = slack.app();
        let sections = [
            ("irc", irc_section(irc.address(), true)),
            ("xmpp", xmpp_section(xmpp.components())),
            (
                "slack",
                slack_section(&slack.api_url(), &app.bot_token, &app.app_token, false),
            ),
        ];
        let folder = tempfile::tempdir()?;
        let people = people(folder.path())?;
        let complete = |mut spec: HubSpec| {
            for (name, mut section) in sections {
                section["policy"] = json!({ "in": format!("from-{name}"), "out": format!("to-{name}") });
                spec.networks.insert(name.to_owned(), section);
            }
            spec.policies.extend(policies());
            spec.mirrors = mirrors(&channel);
            spec.ledger = true;
            spec.with("admin", json!({ "people": people }))
                .with("partners", partners())
                .with(
                    "files",
                    json!({ "scanner": { "address": clamd.address().to_string() } }),
                )
        };
        let Organisation { hub, synapse } = Organisation::start(Synapse::DOMAIN, None, complete).await?;
        slack.connected(1, viaduct_tests::launch::READY).await?;
        Ok(Self {
            office: Office::new(hub, folder.path().to_owned()),
            irc,
            xmpp,
            slack,
            channel,
            synapse,
            _clamd: clamd,
            folder,
        })
    }

    /// A folder of the story's own.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the mirrors anew and has the hub read them.
    pub fn reload(&mut self, change: impl FnOnce(&mut Vec<Value>)) -> anyhow::Result<()> {
        let mut mirrors = mirrors(&self.channel);
        change(&mut mirrors);
        self.office
            .hub
            .configure(|config| drop(config.insert("mirrors".to_owned(), Value::Array(mirrors))))?;
        self.office.hub.process().context("the hub runs")?.signal(Signal::HUP);
        Ok(())
    }

    /// Creates a Matrix person who is in the rooms of these sub-projects; with the rooms' ids.
    pub async fn matrix_person(&self, name: &str, projects: &[&str]) -> anyhow::Result<(MatrixPerson, Vec<String>)> {
        let person = MatrixPerson::new(&self.synapse, name).await?;
        let mut rooms = Vec::new();
        for project in projects {
            rooms.push(person.join(&format!("#{project}:{}", Synapse::DOMAIN)).await?);
        }
        Ok((person, rooms))
    }

    /// Connects an IRC person who meets the hub in these channels.
    pub async fn irc_person(&self, nick: &str, channels: &[&str]) -> anyhow::Result<IrcPerson> {
        let person = IrcPerson::connect(self.irc.address(), nick).await?;
        for channel in channels {
            person.join(channel).await?;
            let meets = |line: &viaduct_tests::people::IrcLine| match line.command.as_str() {
                "JOIN" => line.nick() == HUB && line.param(0) == *channel,
                "353" => line.param(2) == *channel && line.text().contains(HUB),
                _ => false,
            };
            person.expect("the hub in the channel", meets).await?;
        }
        Ok(person)
    }

    /// Creates an XMPP person who meets the hub in the rooms of these sub-projects.
    pub async fn xmpp_person(&self, name: &str, projects: &[&str]) -> anyhow::Result<XmppPerson> {
        self.xmpp.register(name, PASSWORD)?;
        let person = XmppPerson::login(self.xmpp.clients(), name, PASSWORD).await?;
        for project in projects {
            person.join(&muc(project), name).await?;
            person.meets(&muc(project), HUB).await?;
        }
        Ok(person)
    }

    /// Copies the ledger's files into a folder of this name.
    pub fn copy_of_ledger(&self, name: &str) -> anyhow::Result<PathBuf> {
        let copy = self.folder(name);
        fs::create_dir(&copy)?;
        for file in fs::read_dir(self.office.hub.ledger())? {
            let file = file?;
            if file.file_type()?.is_file() {
                fs::copy(file.path(), copy.join(file.file_name()))?;
            }
        }
        Ok(copy)
    }
}

/// A is in the first two sub-projects, B in the last two, C in the third and there only heard.
fn mirrors(slack: &str) -> Vec<Value> {
    let member = |network: &str, channel: &str, direction: &str| json!({ "network": network, "channel": channel, "direction": direction });
    let members = [
        vec![member("irc", "#p1", "both")],
        vec![member("irc", "#p2", "both"), member("xmpp", &muc("p2"), "both")],
        vec![member("xmpp", &muc("p3"), "both"), member("slack", slack, "in")],
    ];
    let mirror =
        |(name, members): (&str, Vec<Value>)| json!({ "name": name, "room": made_room(name), "members": members });
    PROJECTS.into_iter().zip(members).map(mirror).collect()
}

/// Gives everybody who may decide something a token, in a file named after them; with how the configuration says it.
fn people(folder: &Path) -> anyhow::Result<Value> {
    let mut people = Map::new();
    for (person, roles) in DECIDE {
        let file = folder.join(person);
        fs::write(&file, format!("token-of-{person}"))?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        people.insert(person.to_owned(), json!({ "roles": roles, "token_file": file }));
    }
    Ok(people.into())
}

fn partners() -> Value {
    let mut all = json!({
        "alpha": agreement("Alpha Bau GmbH", &["irc"], "internal"),
        "beta": agreement("Beta Statik GmbH", &["xmpp"], "internal"),
        "gamma": agreement("Gamma Inc.", &["slack"], "internal"),
    });
    all["beta"]["people"] = json!(["xena@localhost"]);
    all["gamma"]["people"] = json!([]);
    all["gamma"]["organisations"] = json!(["Acme"]);
    all["gamma"]["third_country_basis"] = json!("standard contractual clauses, file 4711");
    all
}

/// By network and direction. Account numbers are unreadable to A alone; calculations wait for a second person on their way
/// to A; secrets and what is classified cross nowhere.
fn policies() -> Vec<(String, Value)> {
    let strict = || {
        vec![
            json!({
                "name": "classified", "patterns": ["(?i)vs-nfd"], "action": "label", "label": "vs-nfd",
                "examples": { "match": ["VS-NfD: drawing 7"], "pass": ["drawing 7"] },
            }),
            json!({
                "name": "no-secrets", "detectors": ["secret", "private_key"], "action": "refuse",
                "reason": "Keys do not leave the house.",
                "examples": { "match": ["ghp_0123456789abcdefghijABCDEFGHIJ012345"], "pass": ["the key is in the safe"] },
            }),
        ]
    };
    let mut to_alpha = strict();
    to_alpha.push(json!({
        "name": "accounts", "detectors": ["iban"], "action": "mask", "reason": "Account numbers stay inside.",
        "examples": { "match": ["DE89 3704 0044 0532 0130 00"], "pass": ["account 12"] },
    }));
    to_alpha.push(json!({
        "name": "calculations", "words": { "terms": ["Kalkulation"] }, "action": "hold", "author": AUTHOR,
        "reason": "Calculations are looked at by a second person.",
        "examples": { "match": ["die Kalkulation"], "pass": ["die Rechnung"] },
    }));
    let policy = |rules: Vec<Value>| json!({ "rules": rules });
    [
        ("from-irc", strict()),
        ("to-irc", to_alpha),
        ("from-xmpp", strict()),
        ("to-xmpp", strict()),
        ("from-slack", strict()),
        ("to-slack", strict()),
    ]
    .into_iter()
    .map(|(name, rules)| (name.to_owned(), policy(rules)))
    .collect()
}
