//! What strangers try: forged forms, foreign texts, other addresses.

use super::*;

#[tokio::test]
async fn a_form_is_taken_from_our_own_pages_only() {
    let house = house(everybody());
    let mut browser = house.visitor("approver").await;
    let path = "/console/quarantine/00ab-01/release";
    let right = browser.token_of("/console").await;
    let other = house.visitor("approver").await.token_of("/console").await;
    let mut tampered = right.clone();
    tampered.replace_range(0..1, if right.starts_with('a') { "b" } else { "a" });
    assert_ne!(right, other, "each session has its own");
    for (origin, form) in [
        (Some(ORIGIN), ""),
        (Some(ORIGIN), other.as_str()),
        (Some(ORIGIN), tampered.as_str()),
        (Some("https://evil.example.net"), right.as_str()),
        (Some("http://hub.example.org"), right.as_str()),
        (Some("https://hub.example.org.evil.net"), right.as_str()),
        (Some("null"), right.as_str()),
        (None, right.as_str()),
    ] {
        house.office.wood().orders.lock().unwrap().clear();
        let fields = [("reason", "x"), ("form", form)];
        let got = browser.post_from(origin, path, &fields).await;
        assert_eq!(got.code, 403, "{origin:?} {form}");
        assert!(
            house.office.wood().orders.lock().unwrap().is_empty(),
            "{origin:?} {form}"
        );
    }
    let fields = [("reason", "x"), ("form", right.as_str())];
    assert_eq!(browser.post_from(Some(ORIGIN), path, &fields).await.code, 303);
    // A page cannot be had by a form, nor a form by a link.
    assert_eq!(browser.get(path).await.code, 405);
    assert_eq!(browser.post_from(Some(ORIGIN), "/console", &fields).await.code, 405);
    // Too much is not read, and nonsense is none.
    let long = "x".repeat(300 * 1024);
    let fields = [("reason", long.as_str()), ("form", right.as_str())];
    assert_eq!(browser.post_from(Some(ORIGIN), path, &fields).await.code, 413);
}

#[tokio::test]
async fn texts_from_outside_stay_texts() {
    let house = house(Directory {
        people: vec![grant("@admin:example.org", &Role::ALL, Some("token"))],
        ..Directory::default()
    });
    let mut browser = house.visitor("token").await;
    let mut found = 0;
    for path in [
        "/console",
        "/console/quarantine",
        "/console/quarantine/00ab-01",
        "/console/partners",
        "/console/partners/acme",
        "/console/mirrors",
        "/console/deliveries",
        "/console/policies",
        "/console/policies/explain?event=%3Cscript%3Ealert('x')",
        "/console/ledger",
        "/console/ledger/trace?event=%3Cscript%3Ealert('x')",
        "/console/quarantine/%3Cscript%3Ealert('x')",
        "/console/partners/%3Cscript%3Ealert('x')",
    ] {
        let page = browser.get(path).await.body;
        assert!(!page.contains("<script") && !page.contains("<img"), "{path}: {page}");
        found += page.matches("&lt;script&gt;").count();
    }
    assert!(found > 20, "the hostile texts were there to be seen: {found}");
    let fields = [("policy", "secrets"), ("text", "kingfisher <script>")];
    let page = browser.post("/console/policies/try", &fields).await.body;
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"), "{page}");
}

#[tokio::test]
async fn browsers_are_told_to_run_and_load_nothing() {
    let house = house(everybody());
    let mut browser = house.visitor("operator").await;
    for path in [
        "/console",
        "/console/login",
        "/console/bye",
        "/console/nothing",
        "/console/quarantine",
    ] {
        let headers = browser.get(path).await.headers;
        if path == "/console/nothing" {
            continue;
        }
        let told = |name: &str| {
            headers
                .get(name)
                .unwrap_or_else(|| panic!("{path}: {name}"))
                .to_str()
                .unwrap()
                .to_owned()
        };
        insta::allow_duplicates! {
            insta::assert_snapshot!(told("content-security-policy"), @"default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
        }
        assert_eq!(told("cache-control"), "no-store", "{path}");
        assert_eq!(told("x-content-type-options"), "nosniff");
        assert_eq!(told("x-frame-options"), "DENY");
        assert_eq!(told("referrer-policy"), "same-origin");
    }
    let style = browser.get("/console/style.css").await;
    assert_eq!(style.headers["content-type"], "text/css; charset=utf-8");
    assert!(!style.body.contains("url(") && !style.body.contains("@import"));
}

#[tokio::test]
async fn nobody_is_sent_anywhere_else() {
    let house = house(everybody());
    let mut browser = house.browser();
    for (referrer, to) in [
        (None, "/console/login"),
        (Some("https://evil.example.net/console/partners"), "/console/login"),
        (Some("https://hub.example.org//evil.example.net/"), "/console/login"),
        (Some("https://hub.example.org/console/language/de"), "/console/login"),
        (
            Some("https://hub.example.org@evil.example.net/console"),
            "/console/login",
        ),
        (
            Some("https://hub.example.org/console/partners?x=https://evil.example.net"),
            "/console/partners",
        ),
    ] {
        let mut request = Request::get("/console/language/de");
        if let Some(referrer) = referrer {
            request = request.header("referer", referrer);
        }
        let got = browser.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((got.code, got.to()), (303, to), "{referrer:?}");
    }
    let form = browser.token_of("/console/login?next=https://evil.example.net").await;
    let fields = [
        ("form", form.as_str()),
        ("token", "dpo"),
        ("next", "https://evil.example.net"),
    ];
    let got = browser.post_from(Some(ORIGIN), "/console/login/token", &fields).await;
    assert_eq!((got.code, got.to()), (303, "/console"));
    assert!(
        browser.get("/console").await.body.contains("<html lang=\"de\">"),
        "the language was kept"
    );
}
