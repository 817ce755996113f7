//! Coming in: by the identity provider, by a token of one's own; and for how long.

use viaduct_token::testing::{Person, Provider, Signer};
use viaduct_token::{Client, Issuer, client};

use super::super::oidc::meaning;
use super::*;
use crate::console::login_back;

/// A house whose people log in at a provider; Olga has a token for when that is away.
async fn central(signer: &Arc<Signer>) -> (House, Provider) {
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let provider = Provider::start(&[signer.public("1")]).await;
    (house(at(&provider)), provider)
}

fn at(provider: &Provider) -> Directory {
    let http = client(None).unwrap();
    let back = login_back(&Url::parse(ORIGIN).unwrap());
    let known = Client::new(http.clone(), "viaduct-console", Some(Secret::new("s3cret")), back);
    let issuer = Issuer::named(http, &provider.name()).unwrap();
    Directory {
        people: vec![grant("@olga:example.org", &[Role::Approver], Some("olga-token"))],
        shared: Some(Secret::new("shared-token")),
        oidc: Some(Oidc::new(issuer, provider.name(), "viaduct", meaning()).with_client(known)),
    }
}

fn bob(signer: &Arc<Signer>, more: &Value) -> Person {
    let now = day("2026-06-01").start().as_millis() / 1000;
    let mut claims =
        json!({"iat": now, "exp": now + 300, "matrix": "bob", "groups": ["bridge-approvers"], "more": "x"});
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    Person {
        signer: Arc::clone(signer),
        key: "1".to_owned(),
        claims,
        secret: Some("s3cret".to_owned()),
    }
}

/// Goes to the provider as the browser is told, and gives the path to which that sends it back.
async fn asked(url: &str) -> String {
    let http = client(None).unwrap();
    let answer = http.request("GET".parse().unwrap(), url).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 303);
    let back = answer.headers()["location"].to_str().unwrap().to_owned();
    back.strip_prefix(ORIGIN).unwrap().to_owned()
}

#[tokio::test]
async fn s23_people_log_in_centrally_and_groups_are_roles() {
    let signer = Arc::new(Signer::curve());
    let (house, provider) = central(&signer).await;
    provider.log_in(bob(&signer, &json!({})));
    let mut browser = house.browser();
    let door = browser.get("/console/login").await;
    assert!(
        door.body.contains("/console/login/provider")
            && door.body.contains("Only for when the identity provider is away")
    );
    let to = browser.get("/console/login/provider").await;
    assert_eq!(to.code, 303);
    let url = Url::parse(to.to()).unwrap();
    let asked_for: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(asked_for["code_challenge_method"], "S256");
    assert_eq!(asked_for["redirect_uri"], "https://hub.example.org/console/login/back");
    assert!(
        asked_for["state"].len() == 43 && asked_for["nonce"].len() == 43 && asked_for["code_challenge"].len() == 43
    );

    let inside = browser.get(&asked(to.to()).await).await;
    assert_eq!((inside.code, inside.to()), (303, "/console"), "{}", inside.body);
    let page = browser.get("/console").await.body;
    assert!(page.contains("@bob:example.org") && page.contains("approver"), "{page}");
    assert!(!page.contains("beside the identity provider"));
    assert!(browser.get("/console/quarantine").await.code == 200 && browser.get("/console/ledger").await.code == 403);
    let fields = [("reason", "agreed")];
    assert_eq!(
        browser.post("/console/quarantine/00ab-01/release", &fields).await.code,
        303
    );
    assert!(
        !house.office.notes().iter().any(|note| note.contains("came into")),
        "{:?}",
        house.office.notes()
    );

    // What the groups mean counts at once, and so does that there is another provider.
    let mut changed = at(&provider);
    changed.oidc = None;
    house.office.desk.access().replace(changed);
    assert_eq!(browser.get("/console").await.to(), "/console/login");
}

#[tokio::test]
async fn s23_an_answer_is_taken_only_by_whoever_asked_and_only_if_all_of_it_is_right() {
    let signer = Arc::new(Signer::curve());
    let (house, provider) = central(&signer).await;
    provider.log_in(bob(&signer, &json!({})));
    let mut browser = house.browser();
    let began = browser.get("/console/login/provider").await;
    let back = asked(began.to()).await;
    let refused = |got: Got, what: &str| {
        assert!([401, 403, 503].contains(&got.code), "{what}: {}", got.code);
        assert!(
            !got.headers
                .get_all("set-cookie")
                .iter()
                .any(|line| line.to_str().unwrap().contains("session=")),
            "{what}"
        );
        assert!(got.body.contains("role=\"alert\""), "{what}");
    };
    // Another browser, none of its own attempt; another state; no code; the provider's refusal; another issuer.
    refused(house.browser().get(&back).await, "another browser");
    let state = |back: &str| {
        Url::parse(ORIGIN)
            .unwrap()
            .join(back)
            .unwrap()
            .query_pairs()
            .find(|(name, _)| name == "state")
            .unwrap()
            .1
            .into_owned()
    };
    refused(
        browser.get(&back.replace(&state(&back), &"x".repeat(43))).await,
        "state",
    );
    refused(
        browser
            .get(&format!("/console/login/back?state={}", state(&back)))
            .await,
        "no code",
    );
    let error = format!("/console/login/back?state={}&error=access_denied", state(&back));
    refused(browser.get(&error).await, "refused");
    refused(
        browser.get(&format!("{back}&iss=https%3A%2F%2Fevil.example.net")).await,
        "issuer",
    );

    // Somebody else's code, in one's own attempt: the proof key is another.
    let mut victim = house.browser();
    let theirs = asked(victim.get("/console/login/provider").await.to()).await;
    refused(
        browser.get(&theirs.replace(&state(&theirs), &state(&back))).await,
        "proof key",
    );
    // The provider takes a code once.
    let mut other = house.browser();
    let fresh = asked(other.get("/console/login/provider").await.to()).await;
    assert_eq!(other.get(&fresh).await.code, 303);
    refused(other.get(&fresh).await, "a second time");

    let stranger = Arc::new(Signer::curve());
    let now = day("2026-06-01").start().as_millis() / 1000;
    for (what, person) in [
        ("nonce", bob(&signer, &json!({"nonce": "another"}))),
        ("audience", bob(&signer, &json!({"aud": "viaduct"}))),
        ("party", bob(&signer, &json!({"azp": "wiki"}))),
        ("issuer", bob(&signer, &json!({"iss": "https://evil.example.net"}))),
        ("expired", bob(&signer, &json!({"exp": now - 61}))),
        ("signature", bob(&stranger, &json!({}))),
        ("nobody", bob(&signer, &json!({"matrix": "@bob:evil.example.net"}))),
    ] {
        provider.log_in(person);
        let mut browser = house.browser();
        let back = asked(browser.get("/console/login/provider").await.to()).await;
        refused(browser.get(&back).await, what);
    }
    provider.log_in(Person {
        secret: Some("another".to_owned()),
        ..bob(&signer, &json!({}))
    });
    let mut browser = house.browser();
    let back = asked(browser.get("/console/login/provider").await.to()).await;
    refused(browser.get(&back).await, "client");

    // Whoever takes too long begins anew.
    provider.log_in(bob(&signer, &json!({})));
    let mut slow = house.browser();
    let back = asked(slow.get("/console/login/provider").await.to()).await;
    house.office.wind(10 * 60 * 1000);
    refused(slow.get(&back).await, "too late");
}

#[tokio::test]
async fn s23_a_token_of_ones_own_is_noted_and_shown_beside_theprovider() {
    let signer = Arc::new(Signer::curve());
    let (house, provider) = central(&signer).await;
    let mut browser = house.visitor("olga-token").await;
    insta::assert_snapshot!(house.office.notes().join("\n"), @"access: somebody came into the console with a token from the configuration, beside the identity provider");
    let page = browser.get("/console/quarantine").await.body;
    assert!(
        page.contains("You came in with a token from the configuration"),
        "{page}"
    );
    browser
        .post("/console/quarantine/00ab-01/release", &[("reason", "agreed")])
        .await;
    assert!(
        house
            .office
            .notes()
            .iter()
            .any(|note| note.contains("release_held was ordered with a token"))
    );
    // The token that is nobody's opens nothing, nor does one of the provider for the API.
    let got = house.browser().come_in("shared-token").await;
    assert_eq!(got.code, 403, "{}", got.body);
    assert_eq!(house.browser().come_in("").await.code, 401);
    let now = day("2026-06-01").start().as_millis() / 1000;
    let claims =
        json!({"iss": provider.name(), "aud": "viaduct", "iat": now, "exp": now + 300, "matrix": "bob", "groups": []});
    assert_eq!(house.browser().come_in(&signer.sign("1", &claims)).await.code, 401);
}

#[tokio::test]
async fn a_session_ends_and_is_nobody_elses() {
    let house = house(everybody());
    let mut browser = house.visitor("operator").await;
    // Half an hour without use.
    house.office.wind(29 * 60 * 1000);
    assert_eq!(browser.get("/console").await.code, 200);
    house.office.wind(30 * 60 * 1000);
    assert_eq!(browser.get("/console").await.to(), "/console/login");
    // An hour at the latest.
    let mut browser = house.visitor("operator").await;
    for _ in 0..5 {
        house.office.wind(10 * 60 * 1000);
        assert_eq!(browser.get("/console").await.code, 200);
    }
    house.office.wind(10 * 60 * 1000);
    assert_eq!(browser.get("/console").await.to(), "/console/login");
    // Logging out ends it here, also for whoever copied the cookie.
    let mut browser = house.visitor("operator").await;
    let copied = browser.cookies.clone();
    let got = browser.post("/console/logout", &[]).await;
    assert_eq!((got.code, got.to()), (303, "/console/bye"));
    assert!(!browser.cookies.contains_key("__Host-viaduct-session"));
    browser.cookies = copied;
    assert_eq!(browser.get("/console").await.to(), "/console/login");
    // A login ends the session before, and gives another: nobody can plant one.
    let mut browser = house.visitor("operator").await;
    let before = browser.cookies["__Host-viaduct-session"].clone();
    browser.come_in("dpo").await;
    assert_ne!(browser.cookies["__Host-viaduct-session"], before);
    let mut thief = house.browser();
    thief.cookies.insert("__Host-viaduct-session".to_owned(), before);
    assert_eq!(thief.get("/console").await.to(), "/console/login");
    // Whoever is taken out, or gets another token, is out at once.
    let mut directory = everybody();
    directory.people.retain(|grant| grant.user != "@dpo:example.org");
    house.office.desk.access().replace(directory);
    assert_eq!(browser.get("/console").await.to(), "/console/login");
    let mut browser = house.visitor("auditor").await;
    let mut directory = everybody();
    directory.people = vec![grant("@auditor:example.org", &[Role::Auditor], Some("another"))];
    house.office.desk.access().replace(directory);
    assert_eq!(browser.get("/console").await.to(), "/console/login");
}

#[tokio::test]
async fn cookies_are_for_this_console_alone() {
    let house = house(everybody());
    let mut browser = house.browser();
    let kept = |got: &Got| {
        let lines = got
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|line| line.to_str().unwrap().to_owned());
        lines.collect::<Vec<_>>()
    };
    let mut lines = kept(&browser.get("/console/login").await);
    lines.extend(kept(&browser.come_in("dpo").await));
    lines.extend(kept(&browser.get("/console/language/de").await));
    assert_eq!(lines.len(), 4);
    for line in &lines {
        assert!(line.starts_with("__Host-viaduct-"), "{line}");
        for flag in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(line.split("; ").any(|part| part == flag), "{flag}: {line}");
        }
        assert!(!line.contains("Domain"), "{line}");
    }
    let session = &browser.cookies["__Host-viaduct-session"];
    assert_eq!(session.len(), 43);
}

#[tokio::test]
async fn wrong_tokens_are_limited_in_rate() {
    let house = house(everybody());
    for number in 0..20 {
        assert_eq!(house.browser().come_in(&format!("guess {number}")).await.code, 401);
    }
    assert_eq!(
        house.browser().come_in("dpo").await.code,
        429,
        "also a right one, or guessing would go on"
    );
    house.office.wind(60_000);
    assert_eq!(house.browser().come_in("dpo").await.code, 303);
    // A form of somebody else's login is none.
    let form = house.browser().token_of("/console/login").await;
    let fields = [("form", form.as_str()), ("token", "dpo")];
    let mut browser = house.browser();
    browser.get("/console/login").await;
    let got = browser.post_from(Some(ORIGIN), "/console/login/token", &fields).await;
    assert_eq!(got.code, 403);
    let form = browser.token_of("/console/login").await;
    let fields = [("form", form.as_str()), ("token", "dpo")];
    let got = browser
        .post_from(Some("https://evil.example.net"), "/console/login/token", &fields)
        .await;
    assert_eq!(got.code, 403);
}
