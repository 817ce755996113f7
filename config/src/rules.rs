//! What has to hold between several keys, which no schema says.
//!
//! The rules read the tree, not the typed configuration, so that they also run when something else is wrong.

use std::collections::HashMap;

use serde_json::Value;
use viaduct_model::NetworkName;

use crate::Kinds;
use crate::problem::{Position, Report, suggest};
use crate::tree::{Data, Node};

pub(crate) fn check(tree: &Node, value: &Value, kinds: &dyn Kinds, report: &mut Report) {
    appservice(tree, report);
    audit(tree, report);
    encryption(tree, report);
    files(tree, value, report);
    networks(tree, value, kinds, report);
    mirrors(tree, report);
}

/// The deepest part of the tree that a key like `mirrors[0].room` leads to, and whether all of the key led there.
pub(crate) fn find(tree: &Node, key: &str) -> (Position, bool) {
    let (mut node, mut at) = (tree, tree.at);
    for part in key.split(['.', '[']).filter(|part| !part.is_empty()) {
        let next = match (&node.data, part.trim_end_matches(']').parse::<usize>()) {
            (Data::List(items), Ok(number)) => items.get(number).map(|item| (item, item.at)),
            _ => node
                .entries()
                .iter()
                .find(|entry| entry.key == part)
                .map(|entry| (&entry.node, entry.key_at)),
        };
        match next {
            Some((inner, position)) => (node, at) = (inner, position),
            None => return (at, false),
        }
    }
    (at, true)
}

fn appservice(tree: &Node, report: &mut Report) {
    let Some(section) = tree.get("appservice") else { return };
    let (at, _) = find(tree, "appservice");
    for token in ["as_token", "hs_token"] {
        if ["", "_file", "_env"]
            .iter()
            .all(|suffix| section.get(&format!("{token}{suffix}")).is_none())
        {
            let fix = format!("give `{token}_file`; `viaduct init` makes both tokens");
            report.error(at, "appservice", format!("`{token}` is missing"), fix);
        }
    }
    let prefix = section.text_of("ghost_prefix").map_or("_via_", |(prefix, _)| prefix);
    if let Some((bot, at)) = section.text_of("bot").filter(|(bot, _)| bot.starts_with(prefix)) {
        let what = format!("the bot's name `{bot}` looks like a ghost's, which start with `{prefix}`");
        report.error(at, "appservice.bot", what, "choose another name for the bot");
    }
    speak_for(tree, section, prefix, report);
}

/// Only its own people can be spoken for, and the registration has to say so.
fn speak_for(tree: &Node, section: &Node, prefix: &str, report: &mut Report) {
    let domain = tree.get("homeserver").and_then(|home| home.text_of("domain"));
    if let Some((_, at)) = section.text_of("speak_for").filter(|(word, _)| *word == "own-users") {
        let what = "the homeserver will show viaduct every room in which one of its people is, mirrored or not";
        let fix = "list the users who have a login of their own on a network instead";
        report.warning(at, "appservice.speak_for", what, fix);
    }
    let users = section.get("speak_for").map(Node::items).unwrap_or_default();
    for (number, user) in users.iter().enumerate() {
        let Data::Scalar(Value::String(mxid)) = &user.data else {
            continue;
        };
        let Some((local, server)) = mxid.strip_prefix('@').and_then(|rest| rest.split_once(':')) else {
            continue;
        };
        let key = format!("appservice.speak_for[{number}]");
        if domain.is_some_and(|(domain, _)| domain != server) {
            let what = format!("`{mxid}` is not on this homeserver");
            report.error(
                user.at,
                &key,
                what,
                "only the homeserver's own people can be spoken for",
            );
        } else if local.starts_with(prefix) {
            let what = format!("`{mxid}` is a ghost");
            report.error(user.at, &key, what, "ghosts are spoken for anyway: remove it");
        }
    }
}

/// The keys need something to be encrypted with, and an encrypted mirror needs the keys.
fn encryption(tree: &Node, report: &mut Report) {
    let section = tree.get("homeserver").and_then(|home| home.get("encryption"));
    if let Some(section) = section
        && ["", "_file", "_env"]
            .iter()
            .all(|suffix| section.get(&format!("passphrase{suffix}")).is_none())
    {
        let fix = "give `passphrase_file`, a file with a long random text";
        report.error(section.at, "homeserver.encryption", "`passphrase` is missing", fix);
    }
    let mirrors = tree.get("mirrors").map(Node::items).unwrap_or_default();
    for (number, mirror) in mirrors.iter().enumerate() {
        let wanted = mirror
            .get("encrypted")
            .filter(|node| matches!(node.data, Data::Scalar(Value::Bool(true))));
        if let (Some(wanted), None) = (wanted, section) {
            let what = "the mirror is to be encrypted, and viaduct has no device to do that with";
            let fix = "describe one under `homeserver.encryption`";
            report.error(wanted.at, &format!("mirrors[{number}].encrypted"), what, fix);
        }
        if let (Some(wanted), None) = (wanted, tree.get("audit")) {
            let what = "what is decrypted has to be told and recorded, and no ledger is kept";
            let fix = "describe one under `audit`; `viaduct audit key` makes its keys";
            report.error(wanted.at, &format!("mirrors[{number}].encrypted"), what, fix);
        }
    }
}

fn audit(tree: &Node, report: &mut Report) {
    let Some(section) = tree.get("audit") else { return };
    let (at, _) = find(tree, "audit");
    for (key, what) in [
        ("key", "the key that signs the ledger is missing"),
        ("seal_key", "the key that wraps the partners' keys is missing"),
    ] {
        let given = ["", "_file", "_env"]
            .iter()
            .any(|suffix| section.get(&format!("{key}{suffix}")).is_some());
        if !given {
            let fix = format!("give `{key}_file`; `viaduct audit key` makes one");
            report.error(at, "audit", what, fix);
        }
    }
    if let Some((_, at)) = section
        .text_of("origin")
        .filter(|(origin, _)| origin.is_empty() || origin.contains(|c: char| c.is_whitespace() || c == '+'))
    {
        let fix = "choose a name without spaces and +, such as example.org/viaduct";
        report.error(at, "audit.origin", "this cannot be a ledger's name", fix);
    }
}

fn files(tree: &Node, value: &Value, report: &mut Report) {
    let section = value.get("files").cloned().unwrap_or_default();
    let Ok(section) = serde_json::from_value::<viaduct_inspect::Files>(section) else {
        return;
    };
    for (path, what) in section.problems() {
        let key = format!("files.{path}");
        report.error(find(tree, &key).0, &key, what, "see the reference of this key");
    }
}

fn networks(tree: &Node, value: &Value, kinds: &dyn Kinds, report: &mut Report) {
    let policies = names(tree, "policies");
    for entry in tree.get("networks").map(Node::entries).unwrap_or_default() {
        let key = format!("networks.{}", entry.key);
        match NetworkName::new(&entry.key) {
            Ok(name) if name.is_matrix() => {
                report.error(
                    entry.key_at,
                    &key,
                    "`matrix` is the homeserver itself",
                    "choose another name",
                );
            }
            Ok(_) => {}
            Err(error) => {
                let fix = "use lower-case letters, digits and -, starting with a letter";
                report.error(
                    entry.key_at,
                    &key,
                    format!("this cannot be a network's name: {error}"),
                    fix,
                );
            }
        }
        policy(&entry.node, &key, &policies, report);
        let Some((kind, _)) = entry.node.text_of("kind") else {
            continue;
        };
        let Some(mut section) = value.get("networks").and_then(|all| all.get(&entry.key)).cloned() else {
            continue;
        };
        if let Some(section) = section.as_object_mut() {
            section.remove("kind");
            section.remove("own");
            section.remove("policy");
        }
        for (path, what) in kinds.check(kind, &section) {
            let inner = if path.is_empty() {
                key.clone()
            } else {
                format!("{key}.{path}")
            };
            let (at, found) = find(tree, &inner);
            // What a bridge says about a key that is there is said beside it; the walk has already told what is missing.
            report.error(
                at,
                if found { &inner } else { &key },
                what,
                "see the reference of this kind of network",
            );
        }
    }
}

fn mirrors(tree: &Node, report: &mut Report) {
    let (networks, policies) = (names(tree, "networks"), names(tree, "policies"));
    let mut seen: HashMap<(&'static str, String), (String, usize)> = HashMap::new();
    let mut once = |what: &'static str, value: String, key: String, at: Position, fix: &str, report: &mut Report| {
        if let Some((first, line)) = seen.get(&(what, value.clone())) {
            report.error(
                at,
                &key,
                format!("{what} {value} is already used by {first} in line {line}"),
                fix,
            );
        } else {
            seen.insert((what, value), (key, at.line));
        }
    };
    for (number, mirror) in tree
        .get("mirrors")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .enumerate()
    {
        let key = format!("mirrors[{number}]");
        if let Some((name, at)) = mirror.text_of("name") {
            once(
                "the name",
                format!("`{name}`"),
                format!("{key}.name"),
                at,
                "give each mirror its own name",
                report,
            );
        }
        let room = mirror.get("room");
        if let Some((room, at)) = mirror
            .text_of("room")
            .or_else(|| room.and_then(|room| room.text_of("alias")))
        {
            once(
                "the room",
                format!("`{room}`"),
                format!("{key}.room"),
                at,
                "put all its channels into one mirror",
                report,
            );
        }
        let members = mirror.get("members").map(Node::items).unwrap_or_default();
        if mirror
            .get("members")
            .is_some_and(|node| matches!(&node.data, Data::List(items) if items.is_empty()))
        {
            report.warning(
                mirror.at,
                &key,
                "this mirror has no channels",
                "list them under `members`",
            );
        }
        for (number, member) in members.iter().enumerate() {
            let key = format!("{key}.members[{number}]");
            policy(member, &key, &policies, report);
            let Some((network, at)) = member.text_of("network") else {
                continue;
            };
            if !networks.contains(&network) {
                let fix = suggest(network, &networks, "describe it under `networks`");
                report.error(
                    at,
                    &format!("{key}.network"),
                    format!("there is no network `{network}`"),
                    fix,
                );
            }
            let paused = member
                .text_of("direction")
                .is_some_and(|(direction, _)| direction == "paused");
            if let Some((channel, at)) = member.text_of("channel").filter(|_| !paused) {
                let fix = "a channel belongs to one mirror: remove it here, or set `direction: paused`";
                once(
                    "the channel",
                    format!("`{channel}` of `{network}`"),
                    format!("{key}.channel"),
                    at,
                    fix,
                    report,
                );
            }
        }
    }
}

fn policy(node: &Node, key: &str, known: &[&str], report: &mut Report) {
    for way in ["in", "out"] {
        if let Some((name, at)) = node
            .get("policy")
            .and_then(|policy| policy.text_of(way))
            .filter(|(name, _)| !known.contains(name))
        {
            let fix = suggest(name, known, "describe it under `policies`");
            report.error(
                at,
                &format!("{key}.policy.{way}"),
                format!("there is no policy `{name}`"),
                fix,
            );
        }
    }
}

fn names<'a>(tree: &'a Node, section: &str) -> Vec<&'a str> {
    tree.get(section)
        .map(Node::entries)
        .unwrap_or_default()
        .iter()
        .map(|entry| entry.key.as_str())
        .collect()
}
