//! The console, as a browser sees it: a browser of wood before a hub of wood.

use std::collections::BTreeMap;

use axum::Router;
use axum::http::HeaderMap;
use serde_json::{Value, json};
use url::Url;
use viaduct_audit::note::Signer;
use viaduct_audit::outbox::Numbered;
use viaduct_audit::{Entry, Ledger, Options};
use viaduct_engine::{Flow, MemberSpec, MirrorSpec, NamedPolicy, NetworkSpec, Policies, Settings};
use viaduct_governance::{Agreement, History, NetworkFacts, Partner, PartnerName, Register, Source};
use viaduct_model::MessageId;

use super::*;

mod login;
mod pages;
mod safety;

const ORIGIN: &str = "https://hub.example.org";
/// What must not become markup, wherever it comes from.
const HOSTILE: &str = "<script>alert('x')</script>\"&<img src=x>";

/// A hub with one of everything, whose texts from outside are hostile.
struct House {
    office: Office,
    router: Router,
    folder: tempfile::TempDir,
}

fn agreement() -> Agreement {
    let agreement = json!({
        "organisation": HOSTILE, "purpose": HOSTILE, "controller": HOSTILE, "networks": ["acme-irc"], "people": ["*"],
        "valid_from": "2026-01-01", "valid_until": "2026-06-05", "region": "eea",
        "retention": {"messages": 1, "files": {"in": 2, "out": 3}, "versions": 4, "metadata": 5, "quarantine": 6, "ledger": 7},
        "ceiling": "internal", "contacts": [{"name": HOSTILE, "role": "dpo", "address": HOSTILE}],
        "contract": {"reference": HOSTILE, "sha256": "0".repeat(64), "valid_until": "2027-01-01"},
        "sign_offs": {"it": {"by": HOSTILE, "on": "2026-01-01"}},
    });
    serde_json::from_value(agreement).unwrap()
}

fn register() -> Register {
    let network = NetworkName::new("acme-irc").unwrap();
    let facts = NetworkFacts {
        kind: "irc".to_owned(),
        own: false,
    };
    let partner = Partner {
        agreement: agreement(),
        history: History::default(),
        source: Source::Command,
    };
    let partners = BTreeMap::from([(PartnerName::new("acme").unwrap(), partner)]);
    Register::new(BTreeMap::from([(network, facts)]), partners)
}

fn held() -> Value {
    json!({
        "id": "00ab-01", "partner": "acme", "lane": delivery().lane, "seq": 1,
        "from": Place::new(NetworkName::matrix(), ChannelId::new("!r:example.org").unwrap()), "event": "$event", "kind": "message", "at": 1, "sender": "acme.1:00ff",
        "rule": HOSTILE, "reason": HOSTILE, "findings": {HOSTILE: 2}, "since": 1, "until": 2,
        "state": {"state": "waiting"},
    })
}

fn room() -> viaduct_matrix::RoomSpec {
    viaduct_matrix::RoomSpec {
        room: HOSTILE.to_owned(),
        ..viaduct_matrix::RoomSpec::default()
    }
}

fn settings() -> Settings {
    let policies = Policies {
        inward: None,
        outward: Some(NamedPolicy {
            name: "secrets".to_owned(),
            policy: serde_json::from_value(json!({
                "rules": [{"name": "words", "words": {"terms": ["kingfisher"]}, "action": "refuse", "reason": HOSTILE}]
            }))
            .unwrap(),
        }),
    };
    let place = delivery().lane.to;
    Settings {
        networks: vec![NetworkSpec {
            name: place.network.clone(),
            kind: "irc".to_owned(),
            section: Value::Null,
            policies,
            forms: viaduct_engine::Forms::default(),
            own: false,
        }],
        mirrors: vec![MirrorSpec {
            name: delivery().lane.mirror,
            room: room(),
            members: vec![MemberSpec {
                place,
                direction: Flow::Both,
                policies: Policies::default(),
            }],
            labels: vec![HOSTILE.to_owned()],
        }],
        ..Settings::default()
    }
}

fn house(directory: Directory) -> House {
    let folder = tempfile::tempdir().unwrap();
    let dice = Dice::from(77);
    let signer = Signer::generate("hub.example.org/ledger", &dice).unwrap();
    let place = LedgerPlace {
        folder: folder.path().to_owned(),
        verifier: signer.verifier(),
    };
    let mut ledger = Ledger::open(folder.path(), signer, Options::new("hub.example.org/ledger")).unwrap();
    let mut entry = Entry::new(Timestamp(1), Action::Delivered);
    entry.event = Some(MessageId::new("$event").unwrap());
    entry.reason = Some(HOSTILE.to_owned());
    let entry = entry.into();
    ledger.append(&[Numbered { number: 0, entry }]).unwrap();

    let mut office = office(directory);
    let wood = Wood {
        held: vec![held()],
        register: Arc::new(register()),
        ..Wood::default()
    };
    office.stand_behind(wood);
    let console = Arc::new(Console::new(ConsoleParts {
        url: Url::parse(ORIGIN).unwrap(),
        entropy: Arc::new(Dice::from(1000)),
        ledger: Some(place),
        settings: settings(),
    }));
    let router = router(Arc::clone(&office.desk), Metrics::detached(), Some(console));
    House { office, router, folder }
}

/// A browser that keeps cookies, follows nothing, and says where a form comes from.
struct Browser<'h> {
    house: &'h House,
    cookies: BTreeMap<String, String>,
    language: &'static str,
}

/// What it got.
struct Got {
    code: u16,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn to(&self) -> &str {
        self.headers
            .get("location")
            .map(|to| to.to_str().unwrap())
            .unwrap_or_default()
    }
}

impl House {
    fn browser(&self) -> Browser<'_> {
        Browser {
            house: self,
            cookies: BTreeMap::new(),
            language: "en",
        }
    }

    /// A browser of somebody who came in with their token.
    async fn visitor(&self, token: &str) -> Browser<'_> {
        let mut browser = self.browser();
        let got = browser.come_in(token).await;
        assert_eq!((got.code, got.to()), (303, "/console"), "{}", got.body);
        browser
    }
}

impl Browser<'_> {
    fn cookie_line(&self) -> String {
        let all: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        all.join("; ")
    }

    async fn send(&mut self, mut request: Request<Body>) -> Got {
        let headers = request.headers_mut();
        headers.insert("cookie", self.cookie_line().parse().unwrap());
        headers.insert("accept-language", self.language.parse().unwrap());
        let response = self.house.router.clone().oneshot(request).await.unwrap();
        for line in response.headers().get_all("set-cookie") {
            let cookie = cookie::Cookie::parse(line.to_str().unwrap().to_owned()).unwrap();
            if cookie.max_age() == Some(cookie::time::Duration::ZERO) {
                self.cookies.remove(cookie.name());
            } else {
                self.cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
        let (code, headers) = (response.status().as_u16(), response.headers().clone());
        let body = to_bytes(response.into_body(), 1 << 22).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        Got { code, headers, body }
    }

    async fn get(&mut self, path: &str) -> Got {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Sends a form as it is, from this origin.
    async fn post_from(&mut self, origin: Option<&str>, path: &str, fields: &[(&str, &str)]) -> Got {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(fields);
        let mut request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        self.send(request.body(Body::from(body.finish())).unwrap()).await
    }

    /// What shows that a form is the console's own, from a page of it.
    async fn token_of(&mut self, page: &str) -> String {
        let got = self.get(page).await;
        let (_, rest) = got
            .body
            .split_once("name=\"form\" value=\"")
            .expect("a page with a form");
        rest.split('"').next().unwrap().to_owned()
    }

    /// Sends a form from a page of the console, as people do.
    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Got {
        let token = self.token_of("/console").await;
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("form", token.as_str())]).collect();
        self.post_from(Some(ORIGIN), path, &fields).await
    }

    async fn come_in(&mut self, token: &str) -> Got {
        let form = self.token_of("/console/login").await;
        let fields = [("form", form.as_str()), ("token", token)];
        self.post_from(Some(ORIGIN), "/console/login/token", &fields).await
    }
}

/// One person of each role, whose token is the role's name.
fn everybody() -> Directory {
    let people = Role::ALL.map(|role| grant(&format!("@{}:example.org", role.as_str()), &[role], Some(role.as_str())));
    Directory {
        people: people.into(),
        shared: Some(Secret::new("shared-token")),
        oidc: None,
    }
}
