//! Who may do what, as a whole.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use serde_json::{Value, json};

use super::*;
use crate::obey::{Ordered, ordered};

/// One order of each kind, of those about signatures one for each office.
fn orders() -> Vec<Order> {
    let by = "@a:b";
    let ids = json!([["acme-irc", "ann"]]);
    let agreement = json!({
        "organisation": "ACME", "purpose": "planning", "controller": "Example AG", "networks": ["acme-irc"], "people": ["*"],
        "valid_from": "2026-01-01", "valid_until": "2026-12-31", "region": "eea",
        "retention": {"messages": 1, "files": 1, "versions": 1, "metadata": 1, "quarantine": 1, "ledger": 1},
        "ceiling": "internal",
    });
    let orders = [
        json!({"order": "held"}),
        json!({"order": "show_held", "id": "00-01", "by": by, "reason": "x"}),
        json!({"order": "release_held", "id": "00-01", "by": by, "reason": "x"}),
        json!({"order": "reject_held", "id": "00-01", "by": by, "reason": "x"}),
        json!({"order": "partners"}),
        json!({"order": "add_partner", "name": "acme", "agreement": agreement, "by": by}),
        json!({"order": "renew_partner", "name": "acme", "until": "2027-12-31", "by": by}),
        json!({"order": "suspend_partner", "name": "acme", "by": by, "reason": "x"}),
        json!({"order": "resume_partner", "name": "acme", "by": by}),
        json!({"order": "sign_partner", "name": "acme", "office": "it", "by": by}),
        json!({"order": "sign_partner", "name": "acme", "office": "dpo", "by": by}),
        json!({"order": "sign_partner", "name": "acme", "office": "management", "by": by}),
        json!({"order": "replay", "policy": {"rules": []}, "wanted": {}}),
        json!({"order": "explain", "event": "$e"}),
        json!({"order": "preview_offboarding", "name": "acme"}),
        json!({"order": "offboard", "name": "acme", "by": by}),
        json!({"order": "holds"}),
        json!({"order": "place_hold", "scope": {}, "by": by, "reason": "x"}),
        json!({"order": "lift_hold", "id": "1", "by": by, "reason": "x"}),
        json!({"order": "export_subject", "ids": ids, "by": by, "reason": "x"}),
        json!({"order": "erase_subject", "ids": ids, "by": by, "reason": "x"}),
        json!({"order": "grant_unmask", "tag": "own.1:00", "to": "@c:b", "by": by, "reason": "x"}),
        json!({"order": "unmask", "tag": "own.1:00", "by": by, "reason": "x"}),
        json!({"order": "partner_report", "name": "acme", "month": "2026-11"}),
        json!({"order": "disputed"}),
        json!({"order": "incident", "name": "acme", "since": "2026-11-01", "until": "2026-11-03", "by": by, "reason": "x"}),
        json!({"order": "processing_record", "language": "de"}),
        json!({"order": "retain"}),
        json!({"order": "note_export", "what": "everything"}),
    ];
    orders.map(|order| serde_json::from_value(order).unwrap()).into()
}

/// The name of an order as the table has it.
fn row(order: &Order) -> String {
    let json: Value = serde_json::to_value(order).unwrap();
    let office = json.get("office").and_then(Value::as_str);
    let name = json["order"].as_str().unwrap();
    assert_eq!(name, order.name(), "the name is the one that the API takes");
    office.map_or_else(|| name.to_owned(), |office| format!("{name} {office}"))
}

fn table(acts: &[(String, Act<'_>)]) -> String {
    let line = |(name, act): &(String, Act<'_>)| {
        let cells = Role::ALL.map(|role| if allowed(role, act) { "yes" } else { "-" });
        format!(
            "{name:24} {:9} {:11} {:9} {:8} {}",
            cells[0], cells[1], cells[2], cells[3], cells[4]
        )
    };
    let names = Role::ALL.map(Role::as_str);
    let head = format!(
        "{:24} {:9} {:11} {:9} {:8} {}",
        "", names[0], names[1], names[2], names[3], names[4]
    );
    let lines: Vec<String> = std::iter::once(head).chain(acts.iter().map(line)).collect();
    lines.join("\n")
}

#[test]
fn every_order_is_in_the_table() {
    let known: BTreeSet<String> = orders().iter().map(|order| order.name().to_owned()).collect();
    // The error names all there are.
    let error = serde_json::from_value::<Order>(json!({"order": "?"}))
        .unwrap_err()
        .to_string();
    let all: BTreeSet<String> = error.split('`').skip(3).step_by(2).map(str::to_owned).collect();
    assert_eq!(known, all);
}

#[test]
fn s33_what_each_role_may_do() {
    let orders = orders();
    let mut acts = vec![
        ("GET status".to_owned(), Act::Status),
        ("GET probe".to_owned(), Act::Probe),
        ("GET deliveries".to_owned(), Act::Deliveries),
        ("POST deliveries/…".to_owned(), Act::Settle),
        ("the ledger".to_owned(), Act::Ledger),
    ];
    acts.extend(orders.iter().map(|order| (row(order), Act::Order(order))));
    assert_snapshot!(table(&acts), @"
                             operator  compliance  approver  auditor  dpo
    GET status               yes       yes         yes       yes      yes
    GET probe                yes       -           -         -        -
    GET deliveries           yes       yes         -         yes      -
    POST deliveries/…        yes       -           -         -        -
    the ledger               -         yes         -         yes      yes
    held                     -         yes         yes       yes      -
    show_held                -         -           yes       -        -
    release_held             -         -           yes       -        -
    reject_held              -         -           yes       -        -
    partners                 yes       yes         yes       yes      yes
    add_partner              -         yes         -         -        -
    renew_partner            -         yes         -         -        -
    suspend_partner          -         yes         -         -        -
    resume_partner           -         yes         -         -        -
    sign_partner it          yes       -           -         -        -
    sign_partner dpo         -         -           -         -        yes
    sign_partner management  -         -           yes       -        -
    replay                   -         yes         -         -        -
    explain                  -         yes         -         -        -
    preview_offboarding      -         yes         -         yes      -
    offboard                 -         yes         -         -        -
    holds                    -         yes         -         yes      yes
    place_hold               -         yes         -         -        -
    lift_hold                -         yes         -         -        -
    export_subject           -         -           -         -        yes
    erase_subject            -         -           -         -        yes
    grant_unmask             -         -           -         -        yes
    unmask                   -         yes         -         -        -
    partner_report           -         yes         -         yes      yes
    disputed                 -         yes         -         yes      -
    incident                 -         yes         -         -        yes
    processing_record        -         yes         -         yes      yes
    retain                   -         yes         -         -        -
    note_export              -         yes         -         yes      yes
    ");
}

#[test]
fn s33_what_each_role_may_tell_the_bot() {
    let commands = [
        "quarantine",
        "quarantine list",
        "quarantäne",
        "quarantine release 00-01 agreed",
        "quarantine reject 00-01 no",
        "partner",
        "partner list",
        "partner renew acme 2026-12-31",
        "partner suspend acme why",
        "partner resume acme",
    ];
    let orders: Vec<(String, Order)> = commands
        .iter()
        .map(|text| match ordered(text) {
            Some(Ordered::Order(order)) => ((*text).to_owned(), order),
            other => panic!("{text}: {other:?}"),
        })
        .collect();
    let mut acts: Vec<(String, Act<'_>)> = vec![("status, version, help".to_owned(), Act::Status)];
    acts.extend(orders.iter().map(|(text, order)| {
        let name: Vec<&str> = text.split(' ').take(2).collect();
        (name.join(" "), Act::Order(order))
    }));
    assert_snapshot!(table(&acts), @"
                             operator  compliance  approver  auditor  dpo
    status, version, help    yes       yes         yes       yes      yes
    quarantine               -         yes         yes       yes      -
    quarantine list          -         yes         yes       yes      -
    quarantäne               -         yes         yes       yes      -
    quarantine release       -         -           yes       -        -
    quarantine reject        -         -           yes       -        -
    partner                  yes       yes         yes       yes      yes
    partner list             yes       yes         yes       yes      yes
    partner renew            -         yes         -         -        -
    partner suspend          -         yes         -         -        -
    partner resume           -         yes         -         -        -
    ");
    for other in ["status", "help", "dance", ""] {
        assert_eq!(ordered(other), None, "{other}");
    }
}

/// The table is not only there: the API and the bot ask it, for every role and everything there is.
#[tokio::test]
async fn s33_the_api_and_the_bot_obey_the_table() {
    for role in Role::ALL {
        let office = office(Directory {
            people: vec![grant("@a:b", &[role], Some("token"))],
            ..Directory::default()
        });
        let delivery = r##"{"mirror":"project","network":"acme-irc","channel":"#project","seq":7}"##;
        let routes = [
            (Act::Status, get("/api/v1/status", Some("token"))),
            (Act::Probe, get("/api/v1/probe", Some("token"))),
            (Act::Deliveries, get("/api/v1/deliveries", Some("token"))),
            (Act::Settle, post("/api/v1/deliveries/retry", "token", delivery)),
            (Act::Settle, post("/api/v1/deliveries/drop", "token", delivery)),
        ];
        for (act, request) in routes {
            let refused = office.ask(request).await.0 == StatusCode::FORBIDDEN;
            assert_eq!(refused, !allowed(role, &act), "{role:?} {act:?}");
        }
        for order in orders() {
            let (code, body) = office.order("token", &serde_json::to_value(&order).unwrap()).await;
            let may = allowed(role, &Act::Order(&order));
            assert_eq!(code == 403, !may, "{role:?} {order:?}: {code} {body}");
            let reached = office.wood.orders.lock().unwrap().drain(..).count() > 0;
            // What is granted stays at the desk, and what nobody granted does not get past it.
            let at_desk = matches!(order, Order::GrantUnmask { .. } | Order::Unmask { .. });
            assert_eq!(reached, may && !at_desk, "{role:?} {order:?}");
        }
        for text in [
            "quarantine release 00-01 agreed",
            "partner suspend acme why",
            "quarantine",
        ] {
            let Some(Ordered::Order(order)) = ordered(text) else {
                unreachable!()
            };
            let told = answer(text, "@a:b", &office.desk, Language::German).await;
            let may = allowed(role, &Act::Order(&order));
            assert_eq!(told.contains("das verlangt die Rolle"), !may, "{role:?} {text}: {told}");
        }
    }
}
