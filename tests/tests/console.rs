//! The console, in a browser of wood: people log in at a provider, a second person releases what is held, and every page can be
//! read by whoever cannot see it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;
use viaduct_tests::launch::{Hub, HubSpec, Missing, available, project_root};
use viaduct_tests::load::{LoadIrcd, LoadServer};
use viaduct_tests::stub::{Pusher, StubHomeserver, message_event};
use viaduct_tests::stub_world::{channel, person, room};
use viaduct_tests::wait::wait_until;
use viaduct_token::testing::{Person, Provider, Signer};

use console::browser::Browser;

mod console {
    pub mod browser;
}

const SOON: Duration = Duration::from_secs(30);
const CLIENT: &str = "viaduct-console";
const SECRET: &str = "the client's own secret";
const OLGA: &str = "olgas-own-token-for-when-it-is-away";
/// What the policy holds.
const HELD: &str = "a kingfisher by the river";

/// A hub whose people log in at a provider, between a stub homeserver and an IRC server.
struct Stage {
    hub: Hub,
    stub: StubHomeserver,
    server: LoadIrcd,
    provider: Provider,
    signer: Arc<Signer>,
}

impl Stage {
    async fn start() -> anyhow::Result<Self> {
        let stub = StubHomeserver::start("viaduct").await?;
        let server = <LoadIrcd as LoadServer>::start().await?;
        let signer = Arc::new(Signer::curve());
        let provider = Provider::start(&[signer.public("1")]).await;
        let mut section = server.section(false);
        section["policy"] = json!({ "out": "birds" });
        let mut spec = HubSpec::new(&stub.url(), StubHomeserver::DOMAIN)
            .network("load", section)
            .mirror("m0", &json!(room(0)), &[("load", &channel(0))]);
        spec.ledger = true;
        let birds = json!({ "rules": [
            { "name": "birds", "words": { "terms": ["kingfisher"] }, "action": "hold", "reason": "birds are asked about" },
        ] });
        spec.policies.insert("birds".to_owned(), birds);
        let mut hub = Hub::prepare(&spec)?;
        stub.set_hub(&hub.url(), hub.hs_token());
        let (url, issuer) = (hub.admin_url(), provider.name());
        hub.configure(|configuration| {
            configuration["admin"]["people"] = json!({
                format!("@olga:{}", StubHomeserver::DOMAIN): { "roles": ["operator", "approver"], "token": OLGA },
            });
            configuration["admin"]["oidc"] = json!({
                "issuer": issuer, "audience": "viaduct", "user_claim": "matrix",
                "roles": {
                    "approvers": ["approver"], "office": ["compliance", "auditor"], "operators": ["operator"],
                    "protection": ["dpo"],
                },
            });
            configuration["admin"]["console"] = json!({ "url": url, "client_id": CLIENT, "client_secret": SECRET });
        })?;
        hub.start().await?;
        wait_until("the hub in the channel", SOON, || server.members(&channel(0)) > 0).await?;
        Ok(Self {
            hub,
            stub,
            server,
            provider,
            signer,
        })
    }

    /// A browser of somebody who logged in at the provider.
    async fn log_in(&self, name: &str, groups: &[&str]) -> anyhow::Result<Browser> {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        self.provider.log_in(Person {
            signer: Arc::clone(&self.signer),
            key: "1".to_owned(),
            claims: json!({ "iat": now, "exp": now + 300, "matrix": name, "groups": groups }),
            secret: Some(SECRET.to_owned()),
        });
        let mut browser = Browser::new(&self.hub.admin_url())?;
        let page = browser.open("/console/login/provider").await?;
        ensure!(
            page.path == "/console" && page.body.contains(name),
            "{} {}",
            page.path,
            page.body
        );
        Ok(browser)
    }

    /// The one event that waits.
    async fn waiting(&self, browser: &mut Browser) -> anyhow::Result<String> {
        loop_until(async || {
            let page = browser.open("/console/quarantine").await?;
            Ok(page.link_below("/console/quarantine/"))
        })
        .await
        .context("an event in the quarantine")
    }

    fn heard(&self) -> bool {
        self.server
            .heard(&channel(0))
            .iter()
            .any(|heard| heard.text.contains(HELD))
    }
}

/// Asks until there is an answer.
async fn loop_until<T>(mut ask: impl AsyncFnMut() -> anyhow::Result<Option<T>>) -> anyhow::Result<T> {
    let asked = async {
        loop {
            if let Some(found) = ask().await? {
                return Ok(found);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, asked).await?
}

#[tokio::test(flavor = "multi_thread")]
async fn s23_s33_a_second_person_logs_in_centrally_and_releases_what_is_held() -> anyhow::Result<()> {
    if available(Hub::binary())?.is_none() {
        return Ok(());
    }
    let mut stage = Stage::start().await?;
    let mut pusher = Pusher::new(&stage.hub.url(), stage.hub.hs_token())?;
    let said = message_event(&room(0), "$held", &person(0), 1_700_000_000_000, HELD);
    pusher.push(&[said], SOON).await?;

    // An auditor sees that something is held, but neither what nor whose.
    let mut auditor = stage.log_in("anna", &["office"]).await?;
    let held = stage.waiting(&mut auditor).await?;
    let page = auditor.open(&held).await?;
    ensure!(page.body.contains("birds are asked about") && !page.body.contains(HELD) && !page.body.contains("person0"));
    ensure!(!page.body.contains("/release"), "an auditor is not offered to release");
    let refused = auditor
        .send(&format!("{held}/release"), &[("reason", "let it go")])
        .await?;
    ensure!(refused.code == 403, "{}", refused.body);

    // Whoever wrote it cannot release it, also not by another way in.
    let name = person(0);
    let name = name.trim_start_matches('@').split(':').next().unwrap_or_default();
    let mut sender = stage.log_in(name, &["approvers"]).await?;
    let refused = sender
        .send(&format!("{held}/release"), &[("reason", "it is mine")])
        .await?;
    ensure!(refused.code == 422, "{} {}", refused.code, refused.body);
    ensure!(!stage.heard());

    // A second person looks at it, which is noted, and releases it.
    let mut boris = stage.log_in("boris", &["approvers"]).await?;
    let shown = boris.send(&format!("{held}/content"), &[("reason", "case 12")]).await?;
    ensure!(shown.code == 200 && shown.body.contains(HELD), "{}", shown.body);
    let released = boris
        .send(&format!("{held}/release"), &[("reason", "agreed by mail")])
        .await?;
    ensure!(
        released.path == "/console/quarantine" && released.body.contains("Released"),
        "{}",
        released.body
    );
    wait_until("the released message", SOON, || stage.heard()).await?;

    // Its way can be followed, and the ledger is as it was signed.
    let traced = loop_until(async || {
        let page = auditor.open("/console/ledger/trace?event=$held").await?;
        Ok(page.body.contains("delivered").then_some(page.body))
    })
    .await?;
    for step in ["accepted", "held", "unmasked", "released", "delivered"] {
        ensure!(traced.contains(step), "{step}: {traced}");
    }
    ensure!(!traced.contains("kingfisher"));
    let checked = auditor.send("/console/ledger/verify", &[]).await?;
    ensure!(checked.body.contains("every byte as it was signed"), "{}", checked.body);

    // Where the provider is away, a token of one's own is the way in: it is noted, and shown.
    let mut olga = Browser::new(&stage.hub.admin_url())?;
    let inside = olga
        .send_from("/console/login", "/console/login/token", &[("token", OLGA)])
        .await?;
    ensure!(
        inside.path == "/console" && inside.body.contains("beside the identity provider"),
        "{}",
        inside.body
    );
    let out = olga.send("/console/logout", &[]).await?;
    ensure!(out.path == "/console/bye" && olga.open("/console").await?.path == "/console/login");

    stage.hub.stop();
    let noted = stage.hub.entries(&["--action", "access"])?;
    let reasons: Vec<&str> = noted.iter().filter_map(|entry| entry.get("reason")?.as_str()).collect();
    ensure!(
        reasons
            .iter()
            .any(|reason| reason.contains("came into the console with a token")),
        "{reasons:?}"
    );
    ensure!(
        reasons.iter().any(|reason| reason.contains("release_held was refused")),
        "{reasons:?}"
    );
    ensure!(
        !reasons
            .iter()
            .any(|reason| reason.contains("olga") || reason.contains("anna")),
        "{reasons:?}"
    );
    ensure!(stage.stub.counts().violations == 0);
    Ok(())
}

/// Whether there is what looks at pages.
fn axe() -> anyhow::Result<()> {
    let asked = Command::new("node")
        .args(["-e", "require('axe-core'); require('jsdom')"])
        .output();
    let there = asked.is_ok_and(|output| output.status.success());
    let missing = "node with axe-core and jsdom (name their node_modules in NODE_PATH)";
    if there {
        Ok(())
    } else {
        Err(Missing(missing.to_owned()).into())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s27_every_page_can_be_read_by_whoever_cannot_see_it() -> anyhow::Result<()> {
    if available(Hub::binary())?.is_none() || available(axe())?.is_none() {
        return Ok(());
    }
    let stage = Stage::start().await?;
    let mut pusher = Pusher::new(&stage.hub.url(), stage.hub.hs_token())?;
    let said = message_event(&room(0), "$held", &person(0), 1_700_000_000_000, HELD);
    pusher.push(&[said], SOON).await?;
    let everything = ["approvers", "office", "operators", "protection"];
    let mut browser = stage.log_in("boris", &everything).await?;
    stage.waiting(&mut browser).await?;
    let folder = tempfile::tempdir()?;
    for language in ["de", "en"] {
        browser.open(&format!("/console/language/{language}")).await?;
        let mut outside = Browser::new(&stage.hub.admin_url())?;
        outside.open(&format!("/console/language/{language}")).await?;
        for path in ["/console/login", "/console/bye"] {
            keep(folder.path(), language, path, &outside.open(path).await?.body)?;
        }
        let mut open = vec!["/console".to_owned()];
        let mut seen = std::collections::BTreeSet::new();
        while let Some(path) = open.pop() {
            if path.starts_with("/console/language") || path == "/console/style.css" || !seen.insert(path.clone()) {
                continue;
            }
            let page = browser.open(&path).await?;
            ensure!(page.code == 200, "{path}: {}", page.code);
            open.extend(page.links());
            keep(folder.path(), language, &path, &page.body)?;
        }
        ensure!(seen.len() >= 10, "{seen:?}");
        let trial = [("policy", "birds"), ("text", HELD)];
        let page = browser
            .send_from("/console/policies", "/console/policies/try", &trial)
            .await?;
        keep(folder.path(), language, "/console/policies/try", &page.body)?;
        let missing = browser.open("/console/partners/nobody").await?;
        keep(folder.path(), language, "/console/partners/nobody", &missing.body)?;
    }
    let script = project_root().join("tests/console/axe.cjs");
    let looked = Command::new("node").arg(script).arg(folder.path()).output()?;
    let told = String::from_utf8_lossy(&looked.stdout);
    ensure!(
        looked.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&looked.stderr)
    );
    println!("{told}");
    Ok(())
}

fn keep(folder: &Path, language: &str, path: &str, page: &str) -> anyhow::Result<()> {
    let name: String = path
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    ensure!(
        page.contains(&format!("<html lang=\"{language}\">")),
        "{path} is not in {language}"
    );
    Ok(std::fs::write(folder.join(format!("{language}{name}.html")), page)?)
}
