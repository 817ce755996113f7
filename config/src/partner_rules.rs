//! What has to hold between partners, networks and mirrors.

use viaduct_governance::{FOREIGN_KINDS, PartnerName, Region};

use crate::problem::{Position, Report, suggest};
use crate::tree::{Data, Node};

pub(crate) fn check(tree: &Node, report: &mut Report) {
    let networks: Vec<Network<'_>> = entries(tree, "networks")
        .map(|entry| Network::of(&entry.key, &entry.node))
        .collect();
    for entry in entries(tree, "partners") {
        let key = format!("partners.{}", entry.key);
        if let Err(error) = PartnerName::new(&entry.key) {
            let fix = "use lower-case letters, digits and -, starting with a letter";
            let what = format!("this cannot be a partner's name: {error}");
            report.error(entry.key_at, &key, what, fix);
        }
        if entry.key == PartnerName::OWN {
            let what = "`own` stands for the own organisation";
            report.error(entry.key_at, &key, what, "choose another name");
        }
        partner(&entry.node, entry.key_at, &key, &networks, report);
    }
    coverage(tree, &networks, report);
}

/// What matters of a network here.
struct Network<'a> {
    name: &'a str,
    kind: &'a str,
    own: bool,
}

impl<'a> Network<'a> {
    fn of(name: &'a str, node: &'a Node) -> Self {
        let own = node
            .get("own")
            .is_some_and(|own| matches!(&own.data, Data::Scalar(serde_json::Value::Bool(true))));
        let kind = node.text_of("kind").map_or("", |(kind, _)| kind);
        Self { name, kind, own }
    }
}

fn entries<'a>(tree: &'a Node, section: &str) -> impl Iterator<Item = &'a crate::tree::Entry> {
    tree.get(section).map(Node::entries).unwrap_or_default().iter()
}

fn texts<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = (&'a str, Position)> {
    let items = node.get(key).map(Node::items).unwrap_or_default().iter();
    items.filter_map(|item| Some((item.text()?, item.at)))
}

fn partner(node: &Node, at: Position, key: &str, networks: &[Network<'_>], report: &mut Report) {
    let mut foreign = false;
    let named: Vec<&str> = texts(node, "networks").map(|(name, _)| name).collect();
    for (number, (name, at)) in texts(node, "networks").enumerate() {
        let key = format!("{key}.networks[{number}]");
        match networks.iter().find(|network| network.name == name) {
            None => {
                let known: Vec<&str> = networks.iter().map(|network| network.name).collect();
                let fix = suggest(name, &known, "describe it under `networks`");
                report.error(at, &key, format!("there is no network `{name}`"), fix);
            }
            Some(network) if network.own => {
                let what = format!("network `{name}` belongs to the own organisation (`own: true`)");
                report.error(at, &key, what, "remove it here, or remove `own` there");
            }
            Some(network) => foreign |= FOREIGN_KINDS.contains(&network.kind),
        }
    }
    for (number, (channel, at)) in texts(node, "channels").enumerate() {
        let network = channel.split_once('/').map(|(network, _)| network);
        if !network.is_some_and(|network| named.contains(&network)) {
            let what = format!("`{channel}` is no channel of this partner's networks");
            let fix = "write network/channel, with one of its `networks`";
            report.error(at, &format!("{key}.channels[{number}]"), what, fix);
        }
    }
    ceiling(node, key, report);
    let dates = node.text_of("valid_from").zip(node.text_of("valid_until"));
    if let Some(((_, _), (_, at))) = dates.filter(|((from, _), (until, _))| until < from) {
        let what = "the last day is before the first";
        report.error(at, &format!("{key}.valid_until"), what, "exchange them");
    }
    drafts(node, at, key, foreign, report);
}

fn ceiling(node: &Node, key: &str, report: &mut Report) {
    let Some((ceiling, at)) = node.text_of("ceiling") else {
        return;
    };
    let labels: Vec<&str> = match node.get("labels") {
        Some(_) => texts(node, "labels").map(|(label, _)| label).collect(),
        None => vec!["public", "internal", "confidential"],
    };
    if let Some((floor, at)) = node
        .text_of("encrypted_from")
        .filter(|(floor, _)| !labels.contains(floor))
    {
        let what = format!("`{floor}` is not one of the labels");
        let fix = suggest(floor, &labels, "list it under `labels`");
        report.error(at, &format!("{key}.encrypted_from"), what, fix);
    }
    if !labels.contains(&ceiling) {
        let what = format!("`{ceiling}` is not one of the labels");
        report.error(
            at,
            &format!("{key}.ceiling"),
            what,
            suggest(ceiling, &labels, "list it under `labels`"),
        );
    }
}

/// What is still missing before anything crosses. The hub starts all the same; the partner's mirrors rest.
fn drafts(node: &Node, at: Position, key: &str, foreign: bool, report: &mut Report) {
    let mut missing = |what: &str, fix: &str| {
        report.warning(at, key, format!("nothing crosses yet: {what}"), fix);
    };
    let region = node.text_of("region");
    let within = region.is_none_or(|(region, _)| Region::parse(region).is_ok_and(|region| region.is_eea()));
    let basis = node
        .text_of("third_country_basis")
        .map_or("", |(basis, _)| basis.trim());
    if (foreign || !within) && matches!(basis, "" | "unset") {
        let fix = "record the `third_country_basis`, such as the contractual clauses with their file number";
        missing("data leaves the European Economic Area and no basis is recorded", fix);
    }
    if texts(node, "organisations").next().is_none() && texts(node, "people").next().is_none() {
        missing(
            "nobody may speak",
            "list `organisations`, or `people`; `people: [\"*\"]` is everybody there",
        );
    }
    if node.get("contract").is_none() {
        missing(
            "there is no processing contract",
            "give `contract`, with reference, sha256 and valid_until",
        );
    }
    if node.get("contacts").is_none_or(|contacts| contacts.items().is_empty()) {
        missing(
            "there is nobody to ask",
            "list `contacts`, the data protection officer first",
        );
    }
    for office in ["it", "dpo", "management"] {
        let signed = node.get("sign_offs").and_then(|all| all.get(office));
        if signed.is_none() {
            let fix = format!("have it signed: `sign_offs: {{{office}: {{by: NAME, on: DAY}}}}`");
            missing(&format!("`{office}` has not signed"), &fix);
        }
    }
}

/// No mirror without an agreement: every member's network is the own organisation's, or a partner's.
/// Not an error: the agreement may be one that was made by command, and is in the store. At work the hub lets nothing cross
/// without one.
fn coverage(tree: &Node, networks: &[Network<'_>], report: &mut Report) {
    let mirrors = tree.get("mirrors").map(Node::items).unwrap_or_default();
    for (number, mirror) in mirrors.iter().enumerate() {
        let members = mirror.get("members").map(Node::items).unwrap_or_default();
        for (member_number, member) in members.iter().enumerate() {
            let (Some((name, at)), Some((channel, _))) = (member.text_of("network"), member.text_of("channel")) else {
                continue;
            };
            let Some(network) = networks.iter().find(|network| network.name == name) else {
                continue;
            };
            if network.own || entries(tree, "partners").any(|partner| covers(&partner.node, name, channel)) {
                continue;
            }
            let key = format!("mirrors[{number}].members[{member_number}].network");
            let what = format!("no agreement covers `{channel}` of `{name}`, so nothing crosses there");
            let fix = format!(
                "describe the partner under `partners` or with `viaduct partner add`, or set `own: true` at `networks.{name}` if it belongs to your organisation"
            );
            report.warning(at, &key, what, fix);
        }
    }
}

fn covers(partner: &Node, network: &str, channel: &str) -> bool {
    let place = format!("{network}/{channel}");
    let mut channels = texts(partner, "channels").peekable();
    texts(partner, "networks").any(|(name, _)| name == network)
        && (channels.peek().is_none() || channels.any(|(listed, _)| listed == place))
}
