//! The console: pages under `/console`, made here and complete without scripts, for the same people with the same roles as the
//! API.
//!
//! ```text
//!  provider ──code──▶ login ─┐
//!  own token ─────────▶ login ─┴─▶ session ──▶ Visitor (GET) · Posted (POST: origin, form token) ──▶ Desk ──▶ hub
//! ```
//!
//! | module | one reason to exist |
//! |---|---|
//! | `secrets` | attempts to log in and the tokens in forms, derived (pure) |
//! | `session` | who came in, for how long |
//! | `login` | coming in and leaving |
//! | `visitor` | who looks at a page or sends a form, found before anything else is looked at |
//! | `layout`, `menu`, `texts`, `style.css` | what all pages have in common |
//! | `overview`, `quarantine`, `partners`, `mirrors`, `deliveries`, `policies`, `ledger`, `rights`, `reports` | the pages |
//!
//! # What holds for every page
//!
//! A page is a function that takes a [`Visitor`](visitor::Visitor); a form is one that takes a [`Posted`](visitor::Posted), which
//! exists only where the request came from one of our own pages. Both go through the [`Desk`], so one table says who may do what;
//! what somebody may not do is not offered, and refused as well. Texts from outside are always escaped: templates are checked by
//! the compiler (maud), and no page has anything that is not. The browser is told to run no script and to load nothing from
//! elsewhere. A session is a random text, of which the hub keeps a hash; it ends after half an hour without use and after an hour
//! at the latest, so that a group that was taken away counts then. What a person may do is found anew with each request.
//!
//! # Extending
//!
//! A page is a module with a `routes` function, a line in `menu` and its texts in both languages.

mod deliveries;
mod layout;
mod ledger;
mod login;
mod menu;
mod mirrors;
mod overview;
mod partner;
mod partners;
mod policies;
mod quarantine;
mod reports;
mod rights;
mod secrets;
mod session;
mod standing;
mod style;
mod texts;
mod visitor;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use url::Url;
use viaduct_audit::note::Verifier;
use viaduct_engine::Settings;
use viaduct_model::Entropy;

use crate::desk::Desk;
use secrets::Secrets;
use session::Sessions;

/// The largest form, in bytes: a policy to try is the largest there is.
const FORM: usize = 256 * 1024;
/// Logins with a wrong token in a minute; after them nobody comes in by a token until it is over. All browsers may come from
/// one proxy, so they are counted together; whoever logs in at the identity provider is not concerned.
const WRONG_LOGINS: u32 = 20;
/// Nothing is run, loaded from elsewhere, framed, or sent elsewhere.
const POLICY: &str =
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Where the ledger is, for reading it.
#[derive(Debug, Clone)]
pub struct LedgerPlace {
    /// Its folder.
    pub folder: PathBuf,
    /// The key that checks it.
    pub verifier: Verifier,
}

/// What the console is made from.
#[derive(Debug)]
pub struct ConsoleParts {
    /// Its address as browsers see it.
    pub url: Url,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
    /// The ledger, if one is kept.
    pub ledger: Option<LedgerPlace>,
    /// What the hub was asked to do.
    pub settings: Settings,
}

/// The console of a hub.
pub struct Console {
    url: Url,
    entropy: Arc<dyn Entropy>,
    ledger: Option<LedgerPlace>,
    settings: RwLock<Arc<Settings>>,
}

impl Console {
    /// A console of these parts.
    pub fn new(parts: ConsoleParts) -> Self {
        Self {
            url: parts.url,
            entropy: parts.entropy,
            ledger: parts.ledger,
            settings: RwLock::new(Arc::new(parts.settings)),
        }
    }

    /// From now on it shows these settings.
    pub fn replace(&self, settings: Settings) {
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Where the provider sends people back to, for a console at this address.
pub fn login_back(console: &Url) -> Url {
    below(console, "/console/login/back")
}

fn below(console: &Url, path: &str) -> Url {
    let mut url = console.clone();
    url.set_path(path);
    url
}

/// What all pages share.
pub(crate) struct Site {
    desk: Arc<Desk>,
    console: Arc<Console>,
    /// What browsers call the console's address.
    origin: String,
    secrets: Secrets,
    sessions: Sessions,
    /// A minute, and how many logins were wrong in it.
    wrong: Mutex<(u64, u32)>,
    /// One check of the whole ledger at a time.
    checking: tokio::sync::Mutex<()>,
}

impl Site {
    /// Whether nobody comes in by a token for now.
    fn is_closed(&self) -> bool {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.0 == self.minute() && wrong.1 >= WRONG_LOGINS
    }

    /// Counts a login with a wrong token.
    fn count_wrong(&self) {
        let minute = self.minute();
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.0 != minute {
            *wrong = (minute, 0);
        }
        wrong.1 = wrong.1.saturating_add(1);
    }

    fn minute(&self) -> u64 {
        self.desk.access().now().as_millis() / 60_000
    }
}

/// All pages.
pub(crate) fn routes(desk: Arc<Desk>, console: Arc<Console>) -> Router {
    let site = Arc::new(Site {
        origin: console.url.origin().ascii_serialization(),
        secrets: Secrets::new(&*console.entropy),
        sessions: Sessions::default(),
        wrong: Mutex::default(),
        checking: tokio::sync::Mutex::default(),
        desk,
        console,
    });
    let pages = Router::new()
        .route("/console", get(overview::show))
        .route("/console/style.css", get(style::show))
        .merge(login::routes())
        .merge(quarantine::routes())
        .merge(partners::routes())
        .merge(partner::routes())
        .merge(mirrors::routes())
        .merge(deliveries::routes())
        .merge(policies::routes())
        .merge(ledger::routes())
        .merge(rights::routes())
        .merge(reports::routes());
    pages
        .layer(DefaultBodyLimit::max(FORM))
        .layer(map_response(guarded))
        .with_state(site)
}

/// What browsers are told about every answer.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // Forms name their origin only where the page may.
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    response.into_response()
}
