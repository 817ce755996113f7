//! Who may talk to whom: every choice of barriers between four parties, and every pair of these in each direction.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::decided;
use viaduct_compliance::{Barrier, Filter, Group, Policy};
use viaduct_model::{ChannelId, NetworkName, Outbound, PersonId, Place};

/// Two partners, and two projects of the own organisation: known by network, by organisation and by place.
const PARTIES: [&str; 4] = ["acme", "beta", "sales", "research"];

fn group(party: &str) -> Group {
    match party {
        "acme" => Group {
            networks: vec!["acme-slack".to_owned()],
            ..Group::default()
        },
        "beta" => Group {
            organisations: vec!["beta.example".to_owned()],
            places: vec!["beta-xmpp/*".to_owned()],
            ..Group::default()
        },
        _ => Group {
            places: vec![format!("matrix/!{party}:*")],
            ..Group::default()
        },
    }
}

fn place(party: &str) -> Place {
    let (network, channel) = match party {
        "acme" => ("acme-slack", "C1".to_owned()),
        "beta" => ("beta-xmpp", "room".to_owned()),
        _ => ("matrix", format!("!{party}:example.org")),
    };
    Place::new(NetworkName::new(network).unwrap(), ChannelId::new(&channel).unwrap())
}

/// Somebody of one party says something that is on its way to another.
fn said(from: &str, to: &str) -> Outbound {
    let mut outbound = common::said("good morning");
    (outbound.from, outbound.to) = (place(from), place(to));
    let person = &mut outbound.author.person;
    person.network = outbound.from.network.clone();
    person.id = PersonId::new(format!("somebody@{from}")).unwrap();
    person.organisation = Some(format!("{from}.example"));
    outbound
}

fn filter(barriers: &BTreeSet<(&str, &str)>) -> Filter {
    let groups: BTreeMap<String, Group> = PARTIES.map(|party| (party.to_owned(), group(party))).into();
    let barrier = |(one, other): &(&str, &str)| Barrier {
        name: format!("{one} and {other}"),
        between: vec![(*one).to_owned()],
        and: vec![(*other).to_owned()],
    };
    let policy = Policy {
        groups,
        barriers: barriers.iter().map(barrier).collect(),
        ..Policy::default()
    };
    Filter::compile(policy).unwrap()
}

#[test]
fn s39_exactly_those_pairs_are_apart_that_a_barrier_names_and_in_both_directions() {
    let pairs: Vec<(&str, &str)> = (0..PARTIES.len())
        .flat_map(|one| (one + 1..PARTIES.len()).map(move |other| (PARTIES[one], PARTIES[other])))
        .collect();
    for choice in 0..1_u32 << pairs.len() {
        let chosen = |number: &usize| choice & (1 << number) != 0;
        let barriers: BTreeSet<_> = (0..pairs.len()).filter(chosen).map(|number| pairs[number]).collect();
        let filter = filter(&barriers);
        for from in PARTIES {
            for to in PARTIES.into_iter().filter(|to| *to != from) {
                let apart = barriers.contains(&(from, to)) || barriers.contains(&(to, from));
                let wanted = if apart { "refuse" } else { "pass" };
                assert_eq!(
                    decided(&filter, said(from, to)),
                    wanted,
                    "{from} to {to} with {barriers:?}"
                );
                let stands = filter.barrier_between(&place(from), &place(to));
                assert_eq!(
                    stands.is_some(),
                    apart,
                    "{from} and {to} cannot be one mirror with {barriers:?}"
                );
            }
        }
    }
}

#[test]
fn s25_a_rule_that_allows_does_not_open_a_barrier() {
    let mut policy = filter(&BTreeSet::from([("acme", "research")])).policy().clone();
    policy.rules = common::policy("rules: [{ name: everything, action: allow }]").rules;
    let filter = Filter::compile(policy).unwrap();
    assert_eq!(decided(&filter, said("acme", "research")), "refuse");
    assert_eq!(decided(&filter, said("acme", "sales")), "pass");
}
