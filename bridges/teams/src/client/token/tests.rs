use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use viaduct_token::bearer;
use viaduct_token::testing::Signer;

use super::*;
use Disbelief::{Algorithm, Audience, Expired, Issuer, Malformed, Missing, NotYet, Signature, UnknownKey};

const APP: &str = "11111111-2222-3333-4444-555555555555";
const TENANT: &str = "aaaaaaaa-2222-3333-4444-555555555555";
const ISSUER: &str = "https://api.botframework.com";
const NOW: u64 = 1_800_000_000;

struct World {
    good: Signer,
    stranger: Signer,
    curve: Signer,
    keys: KeySet,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let good = Signer::rsa();
        let stranger = Signer::rsa();
        let curve = Signer::curve();
        let jwk = |kid: &str, names: Value| with(good.public(kid), "endorsements", names);
        let set = json!({"keys": [
            jwk("teams", json!(["webchat", "msteams"])),
            jwk("other", json!(["skype"])),
            jwk("bare", Value::Null),
            {"kty": "EC", "kid": "curve", "crv": "P-256", "x": "a", "y": "b"},
            with(curve.public("good curve"), "endorsements", json!(["msteams"])),
            jwk("", json!(["msteams"])),
            {"kty": "RSA", "use": "enc", "kid": "enc", "n": "AQAB", "e": "AQAB"},
        ]});
        let keys = KeySet::read(&set);
        World {
            good,
            stranger,
            curve,
            keys,
        }
    })
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
    format!("Bearer {}", world().good.sign_as(header, claims))
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
    let token = world().good.sign_as(&header(), &claims());
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
    let stranger = format!("Bearer {}", world().stranger.sign_as(&header(), &claims()));
    let cases: Vec<(&str, Option<String>, Refusal)> = vec![
        ("no header", None, Refusal::Token(Missing)),
        (
            "another scheme",
            Some(format!("Basic {token}")),
            Refusal::Token(Missing),
        ),
        ("an empty token", Some("Bearer ".to_owned()), Refusal::Token(Missing)),
        (
            "no token at all",
            Some("Bearer abc".to_owned()),
            Refusal::Token(Malformed),
        ),
        (
            "four parts",
            Some(format!("Bearer {token}.x")),
            Refusal::Token(Malformed),
        ),
        ("not base64", Some("Bearer §.§.§".to_owned()), Refusal::Token(Malformed)),
        (
            "much too long",
            Some(format!("Bearer {}", "a.".repeat(20_000))),
            Refusal::Token(Malformed),
        ),
        ("unsigned", Some(unsigned), Refusal::Token(Algorithm)),
        (
            "signed with a shared secret",
            Some(headed("alg", json!("HS256"))),
            Refusal::Token(Algorithm),
        ),
        (
            "another RSA algorithm",
            Some(headed("alg", json!("RS512"))),
            Refusal::Token(Algorithm),
        ),
        (
            "no key id",
            Some(headed("kid", Value::Null)),
            Refusal::Token(UnknownKey),
        ),
        (
            "an empty key id",
            Some(headed("kid", json!(""))),
            Refusal::Token(UnknownKey),
        ),
        (
            "an unknown key",
            Some(headed("kid", json!("gone"))),
            Refusal::Token(UnknownKey),
        ),
        (
            "a key for another algorithm",
            Some(headed("kid", json!("curve"))),
            Refusal::Token(UnknownKey),
        ),
        (
            "a key for encryption",
            Some(headed("kid", json!("enc"))),
            Refusal::Token(UnknownKey),
        ),
        ("forged by another key", Some(stranger), Refusal::Token(Signature)),
        ("claims exchanged", Some(swapped), Refusal::Token(Signature)),
        ("signature changed", Some(flipped), Refusal::Token(Signature)),
        (
            "another issuer",
            Some(by("iss", json!("https://sts.windows.net/x/"))),
            Refusal::Token(Issuer),
        ),
        ("no issuer", Some(by("iss", Value::Null)), Refusal::Token(Issuer)),
        ("another app", Some(by("aud", json!(TENANT))), Refusal::Token(Audience)),
        ("no app", Some(by("aud", Value::Null)), Refusal::Token(Audience)),
        (
            "several apps",
            Some(by("aud", json!([APP, TENANT]))),
            Refusal::Token(Audience),
        ),
        (
            "a list of one app",
            Some(by("aud", json!([APP]))),
            Refusal::Token(Audience),
        ),
        ("an empty app", Some(by("aud", json!(""))), Refusal::Token(Audience)),
        (
            "an end with a fraction",
            Some(by("exp", json!(1_800_003_600.5))),
            Refusal::Token(Malformed),
        ),
        (
            "a beginning with a fraction",
            Some(by("iat", json!(1_799_999_990.5))),
            Refusal::Token(Malformed),
        ),
        (
            "something critical",
            Some(headed("crit", json!(["exp"]))),
            Refusal::Token(Malformed),
        ),
        (
            "a known key on a curve",
            Some(headed("kid", json!("good curve"))),
            Refusal::Token(Algorithm),
        ),
        (
            "signed on a curve",
            Some(format!("Bearer {}", world().curve.sign("good curve", &claims()))),
            Refusal::Token(Algorithm),
        ),
        ("expired", Some(by("exp", json!(NOW - 300))), Refusal::Token(Expired)),
        ("without an end", Some(by("exp", Value::Null)), Refusal::Token(Expired)),
        (
            "an end in words",
            Some(by("exp", json!("never"))),
            Refusal::Token(Expired),
        ),
        (
            "not yet valid",
            Some(by("nbf", json!(NOW + 301))),
            Refusal::Token(NotYet),
        ),
        (
            "issued in the future",
            Some(by("iat", json!(NOW + 4000))),
            Refusal::Token(NotYet),
        ),
        (
            "a beginning in words",
            Some(by("nbf", json!("soon"))),
            Refusal::Token(NotYet),
        ),
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
    assert!(cases.len() >= 41);
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
        let token = world().good.sign_as(&header, claims);
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
        let key = |kid: &&str| with(world().good.public(kid), "endorsements", json!(["msteams"]));
        let keys: Vec<Value> = kids.iter().map(key).collect();
        Arc::new(KeySet::read(&json!({ "keys": keys })))
    };
    let (keys, now) = (jwks(&["teams"]), Timestamp::from_secs(NOW));
    let token = world().good.sign_as(&header(), &claims());
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
    assert_eq!(checked.check(&token, &keys, over), Err(Refusal::Token(Expired)));
    let before = Timestamp::from_secs(NOW - 10 - 301);
    assert_eq!(checked.check(&token, &keys, before), Err(Refusal::Token(NotYet)));
    // A token that is like it but for its signature.
    let (message, _) = token.rsplit_once('.').unwrap();
    let forged = format!("{message}.{}", URL_SAFE_NO_PAD.encode([0; 256]));
    assert_eq!(checked.check(&forged, &keys, now), Err(Refusal::Token(Signature)));
    // Its key was withdrawn, and came back.
    assert_eq!(
        checked.check(&token, &jwks(&["other"]), now),
        Err(Refusal::Token(UnknownKey))
    );
    let renewed = jwks(&["teams"]);
    let anew = checked.check(&token, &renewed, now).unwrap();
    assert!(!Arc::ptr_eq(&believed, &anew), "it is checked with the new keys");
}

#[test]
fn a_token_says_which_app_it_claims_to_be_for() {
    let claim = |header: &Value, claims: &Value| claimed(&world().stranger.sign_as(header, claims));
    for audience in [APP.to_owned(), format!("api://botid-{APP}"), APP.to_uppercase()] {
        let claims = with(claims(), "aud", json!(audience));
        assert_eq!(claim(&header(), &claims), Ok(APP.to_owned()));
    }
    for audience in [Value::Null, json!(""), json!(1), json!([]), json!([APP, TENANT])] {
        let claims = with(claims(), "aud", audience);
        assert_eq!(claim(&header(), &claims), Err(Refusal::Token(Audience)), "{claims}");
    }
    for (name, value, refusal) in [
        ("alg", json!("ES256"), Algorithm),
        ("alg", json!("none"), Algorithm),
        ("alg", Value::Null, Algorithm),
        ("kid", Value::Null, UnknownKey),
        ("kid", json!(1), UnknownKey),
    ] {
        let header = with(header(), name, value);
        assert_eq!(claim(&header, &claims()), Err(Refusal::Token(refusal)), "{header}");
    }
}

#[test]
fn claims_are_remembered_as_they_were_read_and_few_of_them() {
    let known = Claims::default();
    let token = |app: &str| {
        let claims = with(claims(), "aud", json!(app));
        world().stranger.sign_as(&header(), &claims)
    };
    let tokens: Vec<String> = (0..40).map(|number| token(&format!("app-{number}"))).collect();
    for _ in 0..2 {
        for (number, token) in tokens.iter().enumerate() {
            assert_eq!(known.app(token), Ok(format!("app-{number}")));
            // Once more, now from memory.
            assert_eq!(known.app(token), claimed(token));
        }
    }
    assert_eq!(known.app("no token"), Err(Malformed.into()));
    assert_eq!(known.len(), 16);
}
