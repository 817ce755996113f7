//! Who is who: one person is not two.

use serde_json::json;

use super::*;

const ANN: &str = "@ann:example.org";
const BOB: &str = "@bob:example.org";

/// Two approvers, a data protection officer, somebody for compliance until the end of June, and a token that is nobody's.
fn staff() -> Directory {
    let mut carl = grant("@carl:example.org", &[Role::Compliance], Some("carl-token"));
    carl.until = Some(day("2026-06-30"));
    Directory {
        people: vec![
            grant(ANN, &[Role::Approver], Some("ann-token")),
            grant(BOB, &[Role::Approver], Some("bob-token")),
            grant("@dora:example.org", &[Role::Dpo], Some("dora-token")),
            grant("@olga:example.org", &[Role::Operator, Role::Approver], None),
            carl,
        ],
        shared: Some(Secret::new("shared-token")),
        oidc: None,
    }
}

#[tokio::test]
async fn s33_a_second_person_is_another_person_with_a_token_of_their_own() {
    let office = office(staff());
    let release = json!({"order": "release_held", "id": "00-01", "reason": "agreed"});
    let as_bob = json!({"order": "release_held", "id": "00-01", "reason": "agreed", "by": BOB});
    // Ann sent it. She can neither release it in her own name nor in Bob's.
    assert_snapshot!(office.order("ann-token", &release).await.1, @r#"{"error":"whoever sent it cannot release it"}"#);
    assert_snapshot!(office.order("ann-token", &as_bob).await.1, @r#"{"error":"the order says that @bob:example.org gives it, but it is given by @ann:example.org"}"#);
    // The token that is nobody's can be nobody.
    for order in [&release, &as_bob] {
        let (code, told) = office.order("shared-token", order).await;
        assert_eq!(code, 403, "{told}");
    }
    // The tokens of others, and no token at all.
    assert_eq!(office.order("dora-token", &release).await.0, 403);
    assert_eq!(office.order("bob-token2", &release).await.0, 401);
    assert_eq!(office.order("", &release).await.0, 401);
    let given: Vec<Order> = office.wood.orders.lock().unwrap().drain(..).collect();
    assert_eq!(given.len(), 1, "only Ann's own was asked about: {given:?}");

    assert_eq!(office.order("bob-token", &release).await.0, 200);
    assert_eq!(office.order("bob-token", &as_bob).await.0, 200);
    let given = office.wood.orders.lock().unwrap().clone();
    for order in given {
        assert_eq!(serde_json::to_value(order).unwrap()["by"], BOB);
    }
    // The ledger has what was refused, and no names.
    assert_snapshot!(office.notes().join("\n"), @"
    access: release_held was refused: it named another person than the one who gave it
    access: release_held was refused: this is done by a person, and the token that was shown is nobody's: use a token of your own (admin.people, --token-file), or tell the bot
    access: release_held was refused: this is done by a person, and the token that was shown is nobody's: use a token of your own (admin.people, --token-file), or tell the bot
    access: release_held was refused: this needs the role approver, and whoever asks is dpo
    ");
}

#[tokio::test]
async fn the_shared_token_looks_and_operates() {
    let office = office(staff());
    for path in ["status", "probe", "deliveries"] {
        let (code, _) = office.ask(get(&format!("/api/v1/{path}"), Some("shared-token"))).await;
        assert_eq!(code, StatusCode::OK, "{path}");
    }
    for order in ["held", "partners", "holds"] {
        assert_eq!(
            office.order("shared-token", &json!({"order": order})).await.0,
            200,
            "{order}"
        );
    }
    let sign = json!({"order": "sign_partner", "name": "acme", "office": "it"});
    let (code, told) = office.order("shared-token", &sign).await;
    assert_eq!(code, 403);
    assert_snapshot!(told, @r#"{"error":"this is done by a person, and the token that was shown is nobody's: use a token of your own (admin.people, --token-file), or tell the bot"}"#);
}

#[tokio::test]
async fn rights_end_with_their_last_day_everywhere() {
    let office = office(staff());
    let retain = json!({"order": "retain"});
    let say = |text: &'static str| answer(text, "@carl:example.org", &office.desk, Language::German);
    office.set("2026-06-30");
    assert_eq!(office.order("carl-token", &retain).await.0, 200);
    assert_eq!(say("partner resume acme").await, "Erledigt.");
    office.set("2026-07-01");
    let (code, told) = office.order("carl-token", &retain).await;
    assert_eq!(code, 403);
    assert_snapshot!(told, @r#"{"error":"the rights of this person ended with 2026-06-30: see admin.people"}"#);
    assert_snapshot!(say("partner resume acme").await, @"die Rechte dieser Person endeten mit dem 30.06.2026: siehe admin.people");
    assert_snapshot!(say("status").await, @"die Rechte dieser Person endeten mit dem 30.06.2026: siehe admin.people");
}

#[tokio::test]
async fn whoever_is_taken_out_may_do_nothing_from_then_on() {
    let office = office(staff());
    let release = json!({"order": "release_held", "id": "00-01", "reason": "agreed"});
    assert_eq!(office.order("bob-token", &release).await.0, 200);
    let mut directory = staff();
    directory.people.retain(|grant| grant.user != BOB);
    office.desk.access().replace(directory);
    assert_eq!(office.order("bob-token", &release).await.0, 401);
    let told = answer("status", BOB, &office.desk, Language::English).await;
    assert_eq!(told, "Only this bridge's operators may command me.");
}

#[tokio::test]
async fn the_bot_knows_people_by_their_homeserver_and_without_a_token() {
    let office = office(staff());
    let release = "quarantine release 00-01 agreed";
    assert_eq!(
        answer(release, "@olga:example.org", &office.desk, Language::English).await,
        "Done."
    );
    let told = answer(release, ANN, &office.desk, Language::English).await;
    assert_eq!(told, "whoever sent it cannot release it");
    let told = answer(release, "@dora:example.org", &office.desk, Language::English).await;
    assert_snapshot!(told, @"this needs the role approver, and whoever asks is dpo");
    assert!(
        office.order("", &json!({"order": "held"})).await.0 == 401,
        "nobody without a token is Olga"
    );
}

#[tokio::test]
async fn a_pseudonym_is_lifted_by_two_once_and_within_a_day() {
    let office = office(staff());
    let ask = json!({"order": "unmask", "tag": "own.1:00", "reason": "incident 12"});
    let grant = |to: &str| json!({"order": "grant_unmask", "tag": "own.1:00", "to": to, "reason": "see the report"});
    let (code, told) = office.order("carl-token", &ask).await;
    assert_eq!(code, 422);
    assert_snapshot!(told, @r#"{"error":"nobody has granted it: a data protection officer grants it with `viaduct subject grant own.1:00 --to @carl:example.org`"}"#);
    // Those who may ask do not grant, and nobody grants it to themselves.
    assert_eq!(office.order("carl-token", &grant("@carl:example.org")).await.0, 403);
    assert_eq!(office.order("dora-token", &grant("@dora:example.org")).await.0, 422);
    assert_eq!(office.order("dora-token", &grant(BOB)).await.0, 200);
    assert_eq!(
        office.order("carl-token", &ask).await.0,
        422,
        "it was granted to somebody else"
    );

    assert_eq!(office.order("dora-token", &grant("@carl:example.org")).await.0, 200);
    assert_eq!(office.order("carl-token", &ask).await.0, 200);
    let given = office.wood.orders.lock().unwrap().clone();
    let [
        Order::Unmask {
            by, granted_by, reason, ..
        },
    ] = given.as_slice()
    else {
        panic!("{given:?}");
    };
    assert_eq!(
        (by.as_str(), granted_by.as_str()),
        ("@carl:example.org", "@dora:example.org")
    );
    assert_eq!(reason, "incident 12; granted: see the report");
    assert_eq!(office.order("carl-token", &ask).await.0, 422, "once");
    assert_eq!(office.order("dora-token", &grant("@carl:example.org")).await.0, 200);
    office.set("2026-06-02");
    assert_eq!(office.order("carl-token", &ask).await.0, 422, "within a day");
}

#[tokio::test]
async fn nobody_fills_the_ledger_by_asking() {
    let office = office(staff());
    for _ in 0..500 {
        assert_eq!(office.order("dora-token", &json!({"order": "retain"})).await.0, 403);
    }
    assert_eq!(office.notes().len(), 60);
    office.set("2026-06-02");
    assert_eq!(office.order("dora-token", &json!({"order": "retain"})).await.0, 403);
    assert_eq!(office.notes().len(), 61);
}
