use std::sync::{Arc, OnceLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use serde_json::json;

use super::*;

const APP: &str = "11111111-2222-3333-4444-555555555555";
const TENANT: &str = "aaaaaaaa-2222-3333-4444-555555555555";
const ISSUER: &str = "https://api.botframework.com";
const NOW: u64 = 1_800_000_000;

struct World {
    good: KeyPair,
    stranger: KeyPair,
    keys: KeySet,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let good = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let stranger = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let jwk = |kid: &str, endorsements: Value| {
            let public = good.public_key();
            let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
            json!({
                "kty": "RSA", "use": "sig", "kid": kid, "endorsements": endorsements,
                "n": text(public.modulus().big_endian_without_leading_zero()),
                "e": text(public.exponent().big_endian_without_leading_zero()),
            })
        };
        let set = json!({"keys": [
            jwk("teams", json!(["webchat", "msteams"])),
            jwk("other", json!(["skype"])),
            jwk("bare", Value::Null),
            {"kty": "EC", "kid": "curve", "crv": "P-256", "x": "a", "y": "b"},
            {"kty": "RSA", "use": "enc", "kid": "enc", "n": "AQAB", "e": "AQAB"},
        ]});
        let keys = KeySet::read(&set);
        World { good, stranger, keys }
    })
}

fn signed(key: &KeyPair, header: &Value, claims: &Value) -> String {
    let text = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", text(header), text(claims));
    let mut signature = vec![0; key.public_modulus_len()];
    key.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message.as_bytes(),
        &mut signature,
    )
    .unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> Value {
    json!({"alg": "RS256", "typ": "JWT", "kid": "teams"})
}

fn claims() -> Value {
    json!({"iss": ISSUER, "aud": APP, "exp": NOW + 3600, "nbf": NOW - 10,
           "serviceurl": "https://smba.trafficmanager.net/emea/x/"})
}

fn activity() -> Value {
    json!({"type": "message", "channelId": "msteams", "serviceUrl": "https://smba.trafficmanager.net/emea/x/",
           "recipient": {"id": format!("28:{APP}")},
           "conversation": {"tenantId": TENANT}, "channelData": {"tenant": {"id": TENANT}}})
}

fn with(mut value: Value, key: &str, new: Value) -> Value {
    if new.is_null() {
        value.as_object_mut().unwrap().remove(key);
    } else {
        value[key] = new;
    }
    value
}

fn expected() -> Expected {
    Expected {
        app_id: APP.to_owned(),
        tenant: TENANT.to_owned(),
        issuers: vec![ISSUER.to_owned()],
        endorsement: Some(CHANNEL),
        publisher: None,
    }
}

/// As a request goes: the header, the token, the activity.
fn decide(authorization: Option<&str>, activity: &Value) -> Result<(), Refusal> {
    let claims = check(
        bearer(authorization)?,
        &world().keys,
        &expected(),
        Timestamp::from_secs(NOW),
    )?;
    check_activity(&claims, activity, &expected())
}

fn good(header: &Value, claims: &Value) -> String {
    format!("Bearer {}", signed(&world().good, header, claims))
}

#[test]
fn what_microsoft_sends_is_believed() {
    for claims in [
        claims(),
        with(claims(), "aud", json!(format!("api://{APP}"))),
        with(claims(), "aud", json!(format!("api://botid-{APP}"))),
        with(claims(), "aud", json!(APP.to_uppercase())),
        with(claims(), "tid", json!(TENANT)),
        with(claims(), "serviceurl", json!("https://SMBA.trafficmanager.net/emea/x")),
        with(claims(), "exp", json!(NOW - 299)),
        with(claims(), "nbf", json!(NOW + 299)),
        with(claims(), "nbf", Value::Null),
    ] {
        assert_eq!(decide(Some(&good(&header(), &claims)), &activity()), Ok(()), "{claims}");
    }
}

#[test]
fn everything_else_is_refused() {
    let token = signed(&world().good, &header(), &claims());
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    let other_claims = URL_SAFE_NO_PAD.encode(with(claims(), "exp", json!(NOW + 9999)).to_string());
    let swapped = format!("Bearer {}.{other_claims}.{}", parts[0], parts[2]);
    let first = if parts[2].starts_with('A') { "B" } else { "A" };
    parts[2].replace_range(0..1, first);
    let flipped = format!("Bearer {}", parts.join("."));
    let unsigned = format!(
        "Bearer {}.{}.",
        URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": "teams"}).to_string()),
        parts[1]
    );
    let by = |claim: &str, value: Value| good(&header(), &with(claims(), claim, value));
    let headed = |key: &str, value: Value| good(&with(header(), key, value), &claims());
    let stranger = format!("Bearer {}", signed(&world().stranger, &header(), &claims()));
    let cases: Vec<(&str, Option<String>, Refusal)> = vec![
        ("no header", None, Refusal::Missing),
        ("another scheme", Some(format!("Basic {token}")), Refusal::Missing),
        ("an empty token", Some("Bearer ".to_owned()), Refusal::Missing),
        ("no token at all", Some("Bearer abc".to_owned()), Refusal::Malformed),
        ("four parts", Some(format!("Bearer {token}.x")), Refusal::Malformed),
        ("not base64", Some("Bearer §.§.§".to_owned()), Refusal::Malformed),
        (
            "much too long",
            Some(format!("Bearer {}", "a.".repeat(20_000))),
            Refusal::Malformed,
        ),
        ("unsigned", Some(unsigned), Refusal::Algorithm),
        (
            "signed with a shared secret",
            Some(headed("alg", json!("HS256"))),
            Refusal::Algorithm,
        ),
        (
            "another RSA algorithm",
            Some(headed("alg", json!("RS512"))),
            Refusal::Algorithm,
        ),
        ("no key id", Some(headed("kid", Value::Null)), Refusal::UnknownKey),
        (
            "an unknown key",
            Some(headed("kid", json!("gone"))),
            Refusal::UnknownKey,
        ),
        (
            "a key for another algorithm",
            Some(headed("kid", json!("curve"))),
            Refusal::UnknownKey,
        ),
        (
            "a key for encryption",
            Some(headed("kid", json!("enc"))),
            Refusal::UnknownKey,
        ),
        ("forged by another key", Some(stranger), Refusal::Signature),
        ("claims exchanged", Some(swapped), Refusal::Signature),
        ("signature changed", Some(flipped), Refusal::Signature),
        (
            "another issuer",
            Some(by("iss", json!("https://sts.windows.net/x/"))),
            Refusal::Issuer,
        ),
        ("no issuer", Some(by("iss", Value::Null)), Refusal::Issuer),
        ("another app", Some(by("aud", json!(TENANT))), Refusal::Audience),
        ("no app", Some(by("aud", Value::Null)), Refusal::Audience),
        ("several apps", Some(by("aud", json!([APP, TENANT]))), Refusal::Audience),
        ("expired", Some(by("exp", json!(NOW - 300))), Refusal::Expired),
        ("without an end", Some(by("exp", Value::Null)), Refusal::Expired),
        ("an end in words", Some(by("exp", json!("never"))), Refusal::Expired),
        ("not yet valid", Some(by("nbf", json!(NOW + 301))), Refusal::NotYet),
        (
            "issued in the future",
            Some(by("iat", json!(NOW + 4000))),
            Refusal::NotYet,
        ),
        ("a beginning in words", Some(by("nbf", json!("soon"))), Refusal::NotYet),
        (
            "endorsed for another channel",
            Some(headed("kid", json!("other"))),
            Refusal::Endorsement,
        ),
        ("not endorsed", Some(headed("kid", json!("bare"))), Refusal::Endorsement),
        (
            "a token of another tenant",
            Some(by("tid", json!(APP))),
            Refusal::Tenant,
        ),
        (
            "another service address",
            Some(by("serviceurl", json!("https://evil.example/"))),
            Refusal::ServiceUrl,
        ),
        (
            "no service address",
            Some(by("serviceurl", Value::Null)),
            Refusal::ServiceUrl,
        ),
    ];
    assert!(cases.len() >= 20);
    for (name, header, refusal) in cases {
        assert_eq!(decide(header.as_deref(), &activity()), Err(refusal), "{name}");
    }
}

#[test]
fn a_good_token_does_not_vouch_for_another_activity() {
    let token = good(&header(), &claims());
    let other_tenant = json!({"tenant": {"id": APP}});
    for (name, activity, refusal) in [
        (
            "replayed for another service",
            with(activity(), "serviceUrl", json!("https://evil.example/")),
            Refusal::ServiceUrl,
        ),
        (
            "without a service",
            with(activity(), "serviceUrl", Value::Null),
            Refusal::ServiceUrl,
        ),
        (
            "of another channel",
            with(activity(), "channelId", json!("webchat")),
            Refusal::Channel,
        ),
        (
            "of another tenant",
            with(activity(), "conversation", json!({"tenantId": APP})),
            Refusal::Tenant,
        ),
        (
            "of another tenant, in the details",
            with(activity(), "channelData", other_tenant),
            Refusal::Tenant,
        ),
        (
            "for another bot",
            with(activity(), "recipient", json!({"id": format!("28:{TENANT}")})),
            Refusal::Recipient,
        ),
        ("not an object", json!([1]), Refusal::ServiceUrl),
    ] {
        assert_eq!(decide(Some(&token), &activity), Err(refusal), "{name}");
    }
    let nameless = with(with(activity(), "conversation", json!({})), "channelData", Value::Null);
    assert_eq!(decide(Some(&token), &nameless), Err(Refusal::Tenant));
}

#[test]
fn a_notification_comes_from_graph_only() {
    let expected = Expected {
        endorsement: None,
        publisher: Some("graph".to_owned()),
        ..expected()
    };
    let check = |claims: &Value| {
        let header = with(header(), "kid", json!("bare"));
        let token = signed(&world().good, &header, claims);
        check(&token, &world().keys, &expected, Timestamp::from_secs(NOW)).map(drop)
    };
    assert_eq!(check(&with(claims(), "azp", json!("graph"))), Ok(()));
    assert_eq!(check(&with(claims(), "appid", json!("graph"))), Ok(()));
    assert_eq!(check(&claims()), Err(Refusal::Publisher));
    assert_eq!(
        check(&with(claims(), "azp", json!("somebody"))),
        Err(Refusal::Publisher)
    );
}

#[test]
fn a_token_that_was_checked_is_checked_for_what_may_have_changed() {
    let checked = Checked::new(expected());
    let jwks = |kids: &[&str]| {
        let public = world().good.public_key();
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let keys: Vec<Value> = kids
            .iter()
            .map(|kid| {
                json!({"kty": "RSA", "kid": kid, "endorsements": ["msteams"],
                       "n": text(public.modulus().big_endian_without_leading_zero()),
                       "e": text(public.exponent().big_endian_without_leading_zero())})
            })
            .collect();
        Arc::new(KeySet::read(&json!({ "keys": keys })))
    };
    let (keys, now) = (jwks(&["teams"]), Timestamp::from_secs(NOW));
    let token = signed(&world().good, &header(), &claims());
    let believed = checked.check(&token, &keys, now).unwrap();
    let again = checked.check(&token, &keys, now).unwrap();
    assert!(Arc::ptr_eq(&believed, &again), "it is checked once");

    // Another activity than the first it came with.
    let elsewhere = with(activity(), "serviceUrl", json!("https://evil.example/"));
    assert_eq!(check_activity(&again, &activity(), &expected()), Ok(()));
    assert_eq!(
        check_activity(&again, &elsewhere, &expected()),
        Err(Refusal::ServiceUrl)
    );
    // Later, and earlier.
    let over = Timestamp::from_secs(NOW + 3600 + 300);
    assert_eq!(checked.check(&token, &keys, over), Err(Refusal::Expired));
    let before = Timestamp::from_secs(NOW - 10 - 301);
    assert_eq!(checked.check(&token, &keys, before), Err(Refusal::NotYet));
    // A token that is like it but for its signature.
    let (message, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 256]));
    assert_eq!(checked.check(&forged, &keys, now), Err(Refusal::Signature));
    // Its key was withdrawn, and came back.
    assert_eq!(checked.check(&token, &jwks(&["other"]), now), Err(Refusal::UnknownKey));
    let renewed = jwks(&["teams"]);
    let anew = checked.check(&token, &renewed, now).unwrap();
    assert!(!Arc::ptr_eq(&believed, &anew), "it is checked with the new keys");
}
