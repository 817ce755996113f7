//! People whom the organisation's identity provider knows.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use viaduct_token::testing::{Provider, Signer, unsigned};
use viaduct_token::{Issuer, client};

use super::*;

pub(super) fn meaning() -> Meaning {
    let roles = |roles: &[Role]| roles.iter().copied().collect::<Roles>();
    Meaning {
        user_claim: "matrix".to_owned(),
        groups_claim: "groups".to_owned(),
        roles: BTreeMap::from([
            ("bridge-approvers".to_owned(), roles(&[Role::Approver])),
            ("bridge-office".to_owned(), roles(&[Role::Compliance, Role::Auditor])),
        ]),
        domain: "example.org".to_owned(),
    }
}

fn at(provider: &Provider) -> Directory {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let issuer = Issuer::named(client(None).unwrap(), &provider.name()).unwrap();
    Directory {
        people: vec![grant("@olga:example.org", &Role::ALL, Some("olga-token"))],
        shared: Some(Secret::new("shared-token")),
        oidc: Some(Oidc::new(issuer, provider.name(), "viaduct", meaning())),
    }
}

/// What a token of the provider says on the first of June 2026.
fn claims(provider: &Provider, user: &str, groups: &Value) -> Value {
    let now = day("2026-06-01").start().as_millis() / 1000;
    json!({"iss": provider.name(), "aud": "viaduct", "iat": now, "exp": now + 300, "matrix": user, "groups": groups})
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn s23_groups_of_the_central_directory_are_roles() {
    let signer = Signer::curve();
    let provider = Provider::start(&[signer.public("1")]).await;
    let office = office(at(&provider));
    let release = json!({"order": "release_held", "id": "00-01", "reason": "agreed"});
    let retain = json!({"order": "retain"});
    let token = |user: &str, groups: Value| signer.sign("1", &claims(&provider, user, &groups));

    let bob = token("bob", json!(["everybody", "bridge-approvers"]));
    assert_eq!(office.order(&bob, &release).await.0, 200);
    let given = office.wood.orders.lock().unwrap().drain(..).next_back().unwrap();
    assert_eq!(serde_json::to_value(given).unwrap()["by"], "@bob:example.org");
    let (code, told) = office.order(&bob, &retain).await;
    assert_eq!(code, 403);
    assert_snapshot!(told, @r#"{"error":"this needs the role compliance, and whoever asks is approver"}"#);
    assert_eq!(
        office
            .order(&token("@carl:example.org", json!("bridge-office")), &retain)
            .await
            .0,
        200
    );

    // Ann sent it; who she is does not follow from how she comes in.
    let ann = token("ann", json!(["bridge-approvers"]));
    assert_eq!(office.order(&ann, &release).await.0, 422);
    let as_bob = json!({"order": "release_held", "id": "00-01", "reason": "agreed", "by": "@bob:example.org"});
    assert_eq!(office.order(&ann, &as_bob).await.0, 403);

    // Out of the group, out of the role, with the next token.
    let (code, told) = office.order(&token("bob", json!(["everybody"])), &release).await;
    assert_eq!(code, 403);
    assert_snapshot!(told, @r#"{"error":"this needs the role approver, and whoever asks has none"}"#);
    assert!(
        office.notes().iter().all(|note| !note.contains("@bob")),
        "{:?}",
        office.notes()
    );
}

#[tokio::test]
async fn s23_a_token_is_believed_only_if_all_of_it_is_right() {
    let (signer, curve, stranger) = (Signer::rsa(), Signer::curve(), Signer::rsa());
    let provider = Provider::start(&[signer.public("rsa"), curve.public("curve")]).await;
    let office = office(at(&provider));
    let said = claims(&provider, "bob", &json!(["bridge-approvers"]));
    for good in [signer.sign("rsa", &said), curve.sign("curve", &said)] {
        assert_eq!(office.order(&good, &json!({"order": "held"})).await.0, 200);
    }
    let now = said["iat"].as_u64().unwrap();
    let good = signer.sign("rsa", &said);
    let signature = good.rsplit('.').next().unwrap();
    let boss = unsigned(
        &json!({"alg": "RS256", "kid": "rsa"}),
        &with(said.clone(), "matrix", json!("boss")),
    );
    for (what, token) in [
        ("forged", format!("{boss}.{signature}")),
        ("by a stranger", stranger.sign("rsa", &said)),
        ("unknown key", stranger.sign("other", &said)),
        (
            "none",
            format!("{}.", unsigned(&json!({"alg": "none", "kid": "rsa"}), &said)),
        ),
        (
            "secret",
            format!(
                "{}.{signature}",
                unsigned(&json!({"alg": "HS256", "kid": "rsa"}), &said)
            ),
        ),
        (
            "expired",
            signer.sign("rsa", &with(said.clone(), "exp", json!(now - 61))),
        ),
        (
            "not yet",
            signer.sign("rsa", &with(said.clone(), "nbf", json!(now + 61))),
        ),
        (
            "audience",
            signer.sign("rsa", &with(said.clone(), "aud", json!("wiki"))),
        ),
        (
            "issuer",
            signer.sign("rsa", &with(said.clone(), "iss", json!("https://login.example.net"))),
        ),
    ] {
        let (code, told) = office.order(&token, &json!({"order": "held"})).await;
        assert_eq!(code, 401, "{what}: {told}");
    }
    // People of other servers, names that Matrix does not have, and none at all.
    for nobody in [
        json!("@bob:example.net"),
        json!("Bob"),
        json!("bob@example.org"),
        json!(""),
        json!(7),
    ] {
        let token = signer.sign("rsa", &with(said.clone(), "matrix", nobody.clone()));
        assert_eq!(office.order(&token, &json!({"order": "held"})).await.0, 403, "{nobody}");
    }
    assert_eq!(provider.asked(), 1, "strangers did not make us ask again at once");
}

#[tokio::test]
async fn s23_a_token_ends_with_its_time_and_local_ones_are_noted() {
    let signer = Signer::curve();
    let provider = Provider::start(&[signer.public("1")]).await;
    let office = office(at(&provider));
    let token = signer.sign("1", &claims(&provider, "bob", &json!(["bridge-approvers"])));
    let release = json!({"order": "release_held", "id": "00-01", "reason": "agreed"});
    assert_eq!(office.order(&token, &release).await.0, 200);
    assert!(office.notes().is_empty());
    // Where the provider is away, the tokens of the configuration are what is left; it is noted that they were used.
    assert_eq!(office.order("olga-token", &release).await.0, 200);
    assert_eq!(office.order("olga-token", &json!({"order": "held"})).await.0, 200);
    assert_snapshot!(office.notes().join("\n"), @"access: release_held was ordered with a token from the configuration, beside the identity provider");
    office.set("2026-06-02");
    assert_eq!(office.order(&token, &release).await.0, 401);
}

#[tokio::test]
async fn s23_without_the_keys_nothing_is_believed() {
    let signer = Signer::curve();
    let provider = Provider::start(&[signer.public("1")]).await;
    provider.describe("jwks_uri", json!(format!("{}/nowhere", provider.name())));
    let office = office(at(&provider));
    let token = signer.sign("1", &claims(&provider, "bob", &json!(["bridge-approvers"])));
    let (code, told) = office.order(&token, &json!({"order": "held"})).await;
    assert_eq!(code, 503, "{told}");
    assert_eq!(office.order("olga-token", &json!({"order": "held"})).await.0, 200);
}
