//! Every page and every form, for every role, in both languages.

use super::*;

/// The fields of a form.
type Fields = Vec<(&'static str, &'static str)>;

/// What is asked of the console: its path, the fields of its form if it is one, and what it needs.
fn routes() -> Vec<(&'static str, Option<Fields>, Act<'static>)> {
    let order = |order: Value| Act::Order(Box::leak(Box::new(serde_json::from_value(order).unwrap())));
    let reason = ("reason", "x");
    let lane = vec![
        ("mirror", "project"),
        ("network", "acme-irc"),
        ("channel", "#project"),
        ("seq", "7"),
    ];
    let acme = json!("acme");
    let signed = |office: &str| order(json!({"order": "sign_partner", "name": "acme", "office": office}));
    let held = |name: &str| order(json!({"order": name, "id": "00ab-01", "reason": "x"}));
    let explain = || order(json!({"order": "explain", "event": "$event"}));
    let ids = ("ids", "acme-irc/ann");
    vec![
        ("/console", None, Act::Status),
        ("/console/quarantine", None, order(json!({"order": "held"}))),
        ("/console/quarantine/00ab-01", None, order(json!({"order": "held"}))),
        (
            "/console/quarantine/00ab-01/content",
            Some(vec![reason]),
            held("show_held"),
        ),
        (
            "/console/quarantine/00ab-01/release",
            Some(vec![reason]),
            held("release_held"),
        ),
        (
            "/console/quarantine/00ab-01/reject",
            Some(vec![reason]),
            held("reject_held"),
        ),
        ("/console/partners", None, order(json!({"order": "partners"}))),
        ("/console/partners/acme", None, order(json!({"order": "partners"}))),
        (
            "/console/partners/acme/renew",
            Some(vec![("until", "2027-01-01")]),
            order(json!({"order": "renew_partner", "name": acme, "until": "2027-01-01"})),
        ),
        (
            "/console/partners/acme/suspend",
            Some(vec![reason]),
            order(json!({"order": "suspend_partner", "name": acme, "reason": "x"})),
        ),
        (
            "/console/partners/acme/resume",
            Some(vec![]),
            order(json!({"order": "resume_partner", "name": acme})),
        ),
        (
            "/console/partners/acme/sign",
            Some(vec![("office", "it")]),
            signed("it"),
        ),
        (
            "/console/partners/acme/sign",
            Some(vec![("office", "dpo")]),
            signed("dpo"),
        ),
        (
            "/console/partners/acme/sign",
            Some(vec![("office", "management")]),
            signed("management"),
        ),
        (
            "/console/partners/acme/offboarding",
            None,
            order(json!({"order": "preview_offboarding", "name": acme})),
        ),
        (
            "/console/partners/acme/offboarding",
            Some(vec![("confirm", "acme")]),
            order(json!({"order": "offboard", "name": acme})),
        ),
        ("/console/mirrors", None, Act::Status),
        ("/console/deliveries", None, Act::Deliveries),
        ("/console/deliveries/retry", Some(lane.clone()), Act::Settle),
        ("/console/deliveries/drop", Some(lane), Act::Settle),
        ("/console/policies", None, order(json!({"order": "disputed"}))),
        ("/console/policies/explain?event=$event", None, explain()),
        (
            "/console/policies/try",
            Some(vec![("policy", "secrets"), ("text", "a kingfisher")]),
            explain(),
        ),
        ("/console/ledger", None, Act::Ledger),
        ("/console/ledger/verify", Some(vec![]), Act::Ledger),
        ("/console/ledger/trace?event=$event", None, Act::Ledger),
        ("/console/rights", None, order(json!({"order": "holds"}))),
        (
            "/console/rights/hold",
            Some(vec![reason, ("partner", "acme")]),
            order(json!({"order": "place_hold", "scope": {}, "reason": "x"})),
        ),
        (
            "/console/rights/lift",
            Some(vec![reason, ("id", "1")]),
            order(json!({"order": "lift_hold", "id": "1", "reason": "x"})),
        ),
        (
            "/console/rights/retain",
            Some(vec![]),
            order(json!({"order": "retain"})),
        ),
        (
            "/console/rights/export",
            Some(vec![reason, ids]),
            order(json!({"order": "export_subject", "ids": [], "reason": "x"})),
        ),
        (
            "/console/rights/erase",
            Some(vec![reason, ids]),
            order(json!({"order": "erase_subject", "ids": [], "reason": "x"})),
        ),
        (
            "/console/rights/grant",
            Some(vec![reason, ("tag", "own.1:00"), ("to", "@compliance:example.org")]),
            order(json!({"order": "grant_unmask", "tag": "own.1:00", "to": "@c:b", "reason": "x"})),
        ),
        (
            "/console/rights/unmask",
            Some(vec![reason, ("tag", "own.1:00")]),
            order(json!({"order": "unmask", "tag": "own.1:00", "reason": "x"})),
        ),
        (
            "/console/reports",
            None,
            order(json!({"order": "processing_record", "language": "en"})),
        ),
        (
            "/console/reports/record",
            None,
            order(json!({"order": "processing_record", "language": "en"})),
        ),
        (
            "/console/reports/month?partner=acme&month=2026-05",
            None,
            order(json!({"order": "partner_report", "name": acme, "month": "2026-05"})),
        ),
        (
            "/console/reports/incident",
            Some(vec![
                reason,
                ("partner", "acme"),
                ("since", "2026-05-01"),
                ("until", "2026-05-02"),
            ]),
            order(
                json!({"order": "incident", "name": acme, "since": "2026-05-01", "until": "2026-05-02", "reason": "x"}),
            ),
        ),
    ]
}

#[tokio::test]
async fn s33_every_page_and_form_obeys_the_table() {
    let house = house(everybody());
    for role in Role::ALL {
        let mut browser = house.visitor(role.as_str()).await;
        for (path, form, act) in routes() {
            house.office.wood().orders.lock().unwrap().clear();
            let got = match &form {
                None => browser.get(path).await,
                Some(fields) => browser.post(path, fields).await,
            };
            let may = allowed(role, &act);
            let what = format!("{role:?} {path} {form:?}: {}", got.code);
            assert_eq!(got.code == 403, !may, "{what}\n{}", got.body);
            if !may {
                for content in ["00ff", "kingfisher", "acme-irc", "alert("] {
                    assert!(!got.body.contains(content), "{what} tells {content}");
                }
                // Beside it, only the overview was looked at, for the form.
                let given = house.office.wood().orders.lock().unwrap().clone();
                assert!(
                    given.iter().all(|order| matches!(order, Order::Held)),
                    "{what}: {given:?}"
                );
            } else if form.is_none() {
                assert!([200, 404, 500].contains(&got.code), "{what}\n{}", got.body);
            }
        }
    }
}

/// What is offered can be done, and what cannot be done is not offered: forms and links lead nowhere with a 403.
#[tokio::test]
async fn s33_nothing_is_offered_that_one_may_not_do() {
    let house = house(everybody());
    for role in Role::ALL {
        let mut browser = house.visitor(role.as_str()).await;
        let mut seen = std::collections::BTreeSet::new();
        let mut open = vec!["/console".to_owned()];
        while let Some(path) = open.pop() {
            if path.starts_with("/console/language") || path == "/console/style.css" || !seen.insert(path.clone()) {
                continue;
            }
            let got = browser.get(&path).await;
            assert_ne!(got.code, 403, "{role:?} was offered {path}");
            for link in got
                .body
                .split("href=\"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap())
            {
                if link.starts_with("/console") {
                    open.push(link.to_owned());
                }
            }
            for action in got
                .body
                .split("action=\"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap())
            {
                let mut acts = routes()
                    .into_iter()
                    .filter(|(path, _, _)| path.split('?').next() == Some(action));
                assert!(
                    action == "/console/logout" || acts.any(|(_, _, act)| allowed(role, &act)),
                    "{role:?} was offered {action} on {path}"
                );
            }
        }
        assert!(seen.len() > 2, "{role:?}: {seen:?}");
    }
}

#[tokio::test]
async fn nothing_is_shown_to_whoever_did_not_come_in() {
    let house = house(everybody());
    for (path, form, _) in routes() {
        let mut browser = house.browser();
        let got = match form {
            None => browser.get(path).await,
            Some(fields) => browser.post_from(Some(ORIGIN), path, &fields).await,
        };
        assert_eq!(
            (got.code, got.to(), got.body.as_str()),
            (303, "/console/login", ""),
            "{path}"
        );
    }
    assert!(house.office.wood().orders.lock().unwrap().is_empty());
}

#[tokio::test]
async fn s27_pages_are_whole_in_both_languages() {
    let house = house(Directory {
        people: vec![grant("@admin:example.org", &Role::ALL, Some("token"))],
        ..Directory::default()
    });
    for (language, words) in [("de", ["Übersicht", "Abmelden"]), ("en", ["Overview", "Log out"])] {
        let mut browser = house.visitor("token").await;
        browser.language = language;
        for (path, form, _) in routes() {
            let got = match form {
                None => browser.get(path).await,
                Some(_) => continue,
            };
            let page = &got.body;
            assert!(page.contains(&format!("<html lang=\"{language}\">")), "{path}");
            for word in words {
                assert!(page.contains(word), "{path}: {word}");
            }
            whole(path, page);
        }
    }
}

/// What every page has: one heading of the first rank before others, landmarks, a name for every field, no id twice.
fn whole(path: &str, page: &str) {
    for once in ["<h1", "<main", "<header", "<footer", "class=\"skip\"", "<title>"] {
        assert_eq!(page.matches(once).count(), 1, "{path}: {once}");
    }
    let mut ids = std::collections::BTreeSet::new();
    for id in page.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(ids.insert(id), "{path}: the id {id} is there twice");
    }
    for label in page
        .split("<label for=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        assert!(ids.contains(label), "{path}: a label for {label}");
    }
    for named in page
        .split("aria-labelledby=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
    {
        assert!(ids.contains(named), "{path}: named by {named}");
    }
    for field in page
        .split("<input")
        .skip(1)
        .chain(page.split("<select").skip(1))
        .chain(page.split("<textarea").skip(1))
    {
        let field = field.split('>').next().unwrap();
        let id = field.split("id=\"").nth(1).map(|rest| rest.split('"').next().unwrap());
        let labelled = id.is_some_and(|id| page.contains(&format!("<label for=\"{id}\"")));
        assert!(
            field.contains("type=\"hidden\"") || labelled,
            "{path}: a field without a label: {field}"
        );
    }
    for cell in page.split("<th ").skip(1) {
        assert!(
            cell.starts_with("scope="),
            "{path}: a heading of a table without a scope"
        );
    }
    assert!(!page.contains("style=") && !page.contains("<script"), "{path}");
}

#[tokio::test]
async fn what_was_done_is_told_once_and_the_order_is_in_ones_own_name() {
    let house = house(everybody());
    let mut browser = house.visitor("approver").await;
    let got = browser
        .post(
            "/console/quarantine/00ab-01/release",
            &[("reason", "agreed"), ("by", "@boss:example.org")],
        )
        .await;
    assert_eq!((got.code, got.to()), (303, "/console/quarantine"));
    let given = house.office.wood().orders.lock().unwrap().clone();
    let Some(Order::ReleaseHeld { by, reason, .. }) = given.last() else {
        panic!("{given:?}");
    };
    assert_eq!((by.as_str(), reason.as_str()), ("@approver:example.org", "agreed"));
    assert!(
        browser
            .get("/console/quarantine")
            .await
            .body
            .contains("Released: the message")
    );
    assert!(
        !browser
            .get("/console/quarantine")
            .await
            .body
            .contains("Released: the message")
    );
    // A reason is needed.
    let got = browser
        .post("/console/quarantine/00ab-01/release", &[("reason", " ")])
        .await;
    assert_eq!(got.code, 422, "{}", got.body);
}

#[tokio::test]
async fn the_ledger_is_read_checked_and_found_changed() {
    let house = house(everybody());
    let mut browser = house.visitor("auditor").await;
    let traced = browser.get("/console/ledger/trace?event=$event").await.body;
    assert!(traced.contains("delivered"), "{traced}");
    assert!(
        browser
            .get("/console/ledger/trace?event=$other")
            .await
            .body
            .contains("There are no entries")
    );
    let checked = browser.post("/console/ledger/verify", &[]).await.body;
    assert!(checked.contains("1 entries, every byte as it was signed"), "{checked}");
    let segment = house.folder.path().join("00000000000000000000.jsonl");
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("alert", "alarm", 1)).unwrap();
    let checked = browser.post("/console/ledger/verify", &[]).await.body;
    assert!(checked.contains("is NOT as it was signed"), "{checked}");
}

#[tokio::test]
async fn a_text_is_tried_without_being_shown() {
    let house = house(everybody());
    let mut browser = house.visitor("compliance").await;
    let fields = [("policy", "secrets"), ("text", "a kingfisher")];
    let got = browser.post("/console/policies/try", &fields).await.body;
    assert!(got.contains("is refused") && !got.contains("kingfisher"), "{got}");
    let got = browser
        .post("/console/policies/try", &[("policy", "secrets"), ("text", "a wren")])
        .await
        .body;
    assert!(got.contains("passes"), "{got}");
    let got = browser
        .post("/console/policies/try", &[("policy", "none"), ("text", "x")])
        .await;
    assert_eq!(got.code, 404);
}

#[tokio::test]
async fn what_has_to_be_done_comes_first() {
    let house = house(everybody());
    let page = house.visitor("approver").await.get("/console").await.body;
    assert!(page.contains("1 held messages wait"), "{page}");
    assert!(
        page.contains(
            "The agreement with acme is a draft: sign-off is missing: data protection; sign-off is missing: management"
        ),
        "{page}"
    );
    assert!(page.contains("connection refused"), "{page}");
    let page = house.visitor("operator").await.get("/console").await.body;
    assert!(
        !page.contains("held messages") && page.contains("1 messages were refused by their destination"),
        "{page}"
    );
}
