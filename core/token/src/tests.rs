use std::sync::OnceLock;

use jsonwebtoken::{EncodingKey, Header};
use proptest::prelude::*;
use serde_json::{Value, json};
use viaduct_model::Timestamp;

use super::*;
use crate::testing::{Provider, Signer, text, unsigned};

const ISSUER: &str = "https://login.example.org";
const NOW: u64 = 1_800_000_000;

struct World {
    rsa: Signer,
    curve: Signer,
    stranger: Signer,
    keys: KeySet,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let (rsa, curve, stranger) = (Signer::rsa(), Signer::curve(), Signer::rsa());
        let set = json!({"keys": [
            rsa.public("rsa"), curve.public("curve"),
            with(rsa.public("narrow"), "alg", json!("PS256")),
            with(rsa.public("encrypts"), "use", json!("enc")),
            with(rsa.public("x"), "kid", Value::Null),
            {"kty": "oct", "kid": "shared", "k": text("secret")},
            {"kty": "EC", "crv": "secp256k1", "kid": "odd", "x": "AA", "y": "AA"},
        ]});
        let keys = KeySet::read(&set);
        World {
            rsa,
            curve,
            stranger,
            keys,
        }
    })
}

fn with(mut value: Value, key: &str, new: Value) -> Value {
    if new.is_null() {
        value.as_object_mut().unwrap().remove(key);
    } else {
        value[key] = new;
    }
    value
}

fn expected(issuer: &str) -> Expected {
    Expected {
        issuers: vec![issuer.to_owned()],
        audiences: vec!["viaduct".to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::ES256],
        skew: 60,
    }
}

fn claims(issuer: &str) -> Value {
    json!({"iss": issuer, "aud": "viaduct", "exp": NOW + 300, "nbf": NOW - 10, "iat": NOW - 10, "sub": "ann"})
}

fn judge(token: &str) -> Result<Value, Refusal> {
    check(token, &world().keys, &expected(ISSUER), Timestamp::from_secs(NOW))
}

#[test]
fn what_the_issuer_signed_is_believed() {
    let said = claims(ISSUER);
    for (signer, key) in [(&world().rsa, "rsa"), (&world().curve, "curve")] {
        for claims in [
            said.clone(),
            with(said.clone(), "aud", json!(["others", "viaduct"])),
            with(said.clone(), "exp", json!(NOW - 59)),
            with(said.clone(), "exp", json!(1_800_000_000.5)),
            with(said.clone(), "nbf", json!(NOW + 59)),
            with(said.clone(), "nbf", Value::Null),
        ] {
            assert_eq!(judge(&signer.sign(key, &claims)), Ok(claims));
        }
    }
}

#[test]
fn everything_else_is_refused() {
    let (rsa, said) = (&world().rsa, claims(ISSUER));
    let good = rsa.sign("rsa", &said);
    let parts: Vec<&str> = good.split('.').collect();
    let swapped = text(with(said.clone(), "sub", json!("boss")).to_string());
    let none = |name: &str| format!("{}.", unsigned(&json!({"alg": name, "kid": "rsa"}), &said));
    // The public key, which everybody has, as a shared secret.
    let as_secret = |key: &str| {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.to_owned());
        let public = rsa.public("rsa").to_string();
        jsonwebtoken::encode(&header, &said, &EncodingKey::from_secret(public.as_bytes())).unwrap()
    };
    let header =
        |name: &str, value: Value| rsa.sign_as(&with(json!({"alg": "RS256", "kid": "rsa"}), name, value), &said);
    let claim = |name: &str, value: Value| rsa.sign("rsa", &with(said.clone(), name, value));
    for (what, token, refusal) in [
        ("nothing", String::new(), Refusal::Malformed),
        ("two parts", parts[..2].join("."), Refusal::Malformed),
        ("no JSON", format!("AAAA.{}.{}", parts[1], parts[2]), Refusal::Malformed),
        (
            "too long",
            format!("{}.{}.{}", parts[0], "A".repeat(check::TOKEN), parts[2]),
            Refusal::Malformed,
        ),
        ("crit", header("crit", json!(["exp"])), Refusal::Malformed),
        (
            "other claims",
            format!("{}.{swapped}.{}", parts[0], parts[2]),
            Refusal::Signature,
        ),
        (
            "no signature",
            format!("{}.{}.", parts[0], parts[1]),
            Refusal::Signature,
        ),
        (
            "a stranger's key",
            world().stranger.sign("rsa", &said),
            Refusal::Signature,
        ),
        ("another key's id", rsa.sign("curve", &said), Refusal::Algorithm),
        ("none", none("none"), Refusal::Algorithm),
        ("None", none("None"), Refusal::Algorithm),
        ("HS256 by the public key", as_secret("rsa"), Refusal::Algorithm),
        (
            "HS256 by a shared key of the set",
            as_secret("shared"),
            Refusal::Algorithm,
        ),
        ("not allowed here", header("alg", json!("RS512")), Refusal::Algorithm),
        ("not for this key", rsa.sign("narrow", &said), Refusal::Algorithm),
        ("no algorithm", header("alg", Value::Null), Refusal::Algorithm),
        ("no key", header("kid", Value::Null), Refusal::UnknownKey),
        ("an unknown key", rsa.sign("new", &said), Refusal::UnknownKey),
        ("a key for encryption", rsa.sign("encrypts", &said), Refusal::UnknownKey),
        (
            "another issuer",
            claim("iss", json!("https://login.example.net")),
            Refusal::Issuer,
        ),
        ("no issuer", claim("iss", Value::Null), Refusal::Issuer),
        ("another audience", claim("aud", json!("wiki")), Refusal::Audience),
        (
            "another's name in it",
            claim("aud", json!("viaduct-test")),
            Refusal::Audience,
        ),
        ("no audience", claim("aud", Value::Null), Refusal::Audience),
        ("expired", claim("exp", json!(NOW - 60)), Refusal::Expired),
        ("without an end", claim("exp", Value::Null), Refusal::Expired),
        ("an end in words", claim("exp", json!("never")), Refusal::Expired),
        ("an end before all time", claim("exp", json!(-1)), Refusal::Expired),
        ("not yet", claim("nbf", json!(NOW + 61)), Refusal::NotYet),
        ("from the future", claim("iat", json!(NOW + 61)), Refusal::NotYet),
        ("a beginning in words", claim("nbf", json!("now")), Refusal::NotYet),
    ] {
        assert_eq!(judge(&token), Err(refusal), "{what}");
    }
}

#[test]
fn a_bearer_token_is_found_in_its_header() {
    assert_eq!(bearer(Some("Bearer abc")), Ok("abc"));
    assert_eq!(bearer(Some("bearer  abc ")), Ok("abc"));
    for missing in [None, Some(""), Some("Bearer"), Some("Bearer "), Some("Basic abc")] {
        assert_eq!(bearer(missing), Err(Refusal::Missing), "{missing:?}");
    }
    let long = format!("Bearer {}", "a".repeat(check::TOKEN + 1));
    assert_eq!(bearer(Some(&long)), Err(Refusal::Malformed));
}

fn issuer(provider: &Provider) -> Issuer {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    Issuer::named(client(None).unwrap(), &provider.name()).unwrap()
}

async fn ask(issuer: &Issuer, name: &str, token: &str) -> Result<Value, Unchecked> {
    issuer.check(token, &expected(name), Timestamp::from_secs(NOW)).await
}

#[tokio::test]
async fn keys_are_fetched_once_and_again_when_they_were_changed() {
    let (old, new) = (Signer::rsa(), Signer::curve());
    let provider = Provider::start(&[old.public("1")]).await;
    let (issuer, name) = (issuer(&provider), provider.name());
    let said = claims(&name);
    for _ in 0..3 {
        assert_eq!(ask(&issuer, &name, &old.sign("1", &said)).await, Ok(said.clone()));
    }
    assert_eq!(provider.asked(), 1);

    // The provider changes its key. It was asked a moment ago, so the first attempt has to wait for the pause to be over.
    provider.show(&[new.public("2")]);
    let token = new.sign("2", &said);
    let refused = Err(Unchecked::Refused(Refusal::UnknownKey));
    assert_eq!(ask(&issuer, &name, &token).await, refused);
    tokio::time::pause();
    tokio::time::advance(issuer::PAUSE).await;
    tokio::time::resume();
    assert_eq!(ask(&issuer, &name, &token).await, Ok(said.clone()));
    assert_eq!(provider.asked(), 2);
    assert_eq!(
        ask(&issuer, &name, &old.sign("1", &said)).await,
        refused,
        "the old key is gone"
    );
}

#[tokio::test]
async fn a_flood_of_unknown_keys_asks_the_provider_once() {
    let signer = Signer::rsa();
    let provider = Provider::start(&[signer.public("1")]).await;
    let (issuer, name) = (issuer(&provider), provider.name());
    let said = claims(&name);
    for number in 0..200 {
        let told = ask(&issuer, &name, &signer.sign(&format!("flood-{number}"), &said)).await;
        assert_eq!(told, Err(Unchecked::Refused(Refusal::UnknownKey)));
    }
    assert_eq!(provider.asked(), 1);
    // What is no token at all asks nobody, not even when it would be time.
    tokio::time::pause();
    tokio::time::advance(issuer::PAUSE).await;
    tokio::time::resume();
    for nonsense in [
        "",
        "a.b.c",
        &format!("{}.", unsigned(&json!({"alg": "none", "kid": "9"}), &said)),
    ] {
        ask(&issuer, &name, nonsense).await.unwrap_err();
    }
    assert_eq!(provider.asked(), 1);
}

#[tokio::test]
async fn a_provider_that_is_away_or_another_is_told_and_not_asked_all_the_time() {
    let signer = Signer::rsa();
    let provider = Provider::start(&[signer.public("1")]).await;
    let (issuer, name) = (issuer(&provider), provider.name());
    let token = signer.sign("1", &claims(&name));
    provider.describe("issuer", json!("https://login.example.net"));
    let told = ask(&issuer, &name, &token).await.unwrap_err().to_string();
    assert!(told.contains("about another issuer"), "{told}");
    provider.describe("issuer", json!(name));
    let told = ask(&issuer, &name, &token).await.unwrap_err().to_string();
    assert!(told.contains("a moment ago"), "{told}");
    for (keys, what) in [
        (
            json!("http://login.example.net/keys"),
            "does not say where its keys are",
        ),
        (json!(format!("{name}/nowhere")), "answers 404"),
    ] {
        provider.describe("jwks_uri", keys);
        let issuer = self::issuer(&provider);
        let told = ask(&issuer, &name, &token).await.unwrap_err().to_string();
        assert!(told.contains(what), "{told}");
    }
    assert!(Issuer::named(client(None).unwrap(), "http://login.example.org").is_err());
    assert!(Issuer::named(client(None).unwrap(), "login").is_err());
}

#[tokio::test]
async fn keys_outlast_a_provider_that_is_away_for_a_while() {
    let signer = Signer::rsa();
    let provider = Provider::start(&[signer.public("1")]).await;
    let (issuer, name) = (issuer(&provider), provider.name());
    let token = signer.sign("1", &claims(&name));
    ask(&issuer, &name, &token).await.unwrap();
    provider.describe("jwks_uri", json!(format!("{name}/nowhere")));
    let later = |by| async move {
        tokio::time::pause();
        tokio::time::advance(by).await;
        tokio::time::resume();
    };
    later(issuer::FRESH).await;
    assert!(ask(&issuer, &name, &token).await.is_ok());
    later(issuer::KEPT).await;
    assert!(matches!(ask(&issuer, &name, &token).await, Err(Unchecked::NoKeys(_))));
}

#[tokio::test]
async fn a_provider_that_hangs_is_not_waited_for_all_the_time() {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    // It takes connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let name = format!("http://{}", silent.local_addr().unwrap());
    let issuer = Issuer::named(client(None).unwrap(), &name).unwrap();
    tokio::time::pause();
    let first = issuer.keys().await.err().unwrap();
    assert!(!first.contains("a moment ago"), "{first}");
    let again = issuer.keys().await.err().unwrap();
    assert!(again.contains("a moment ago"), "{again}");
    assert!(issuer.fresh().await.is_none());
}

proptest! {
    /// Nothing that is not signed by a known key is believed, and nothing breaks.
    #[test]
    fn whatever_comes_is_refused(token in "[A-Za-z0-9_.-]{0,200}|.{0,100}", header in "[a-zA-Z0-9\":{},]{0,60}", claims in ".{0,60}") {
        prop_assert!(judge(&token).is_err());
        let whole = format!("{}.{}.{}", text(&header), text(&claims), token);
        prop_assert!(judge(&whole).is_err());
        bearer(Some(&token)).ok();
    }

    #[test]
    fn times_of_any_kind_are_compared(exp in any::<f64>(), nbf in any::<i64>(), now in any::<u64>(), skew in any::<u64>()) {
        in_time(&json!({"exp": exp, "nbf": nbf}), skew, Timestamp(now)).ok();
    }
}
