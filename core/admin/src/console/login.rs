//! Coming in and leaving.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use cookie::{Cookie, SameSite};
use maud::html;
use serde::Deserialize;
use url::Url;
use viaduct_audit::Action;
use viaduct_model::Language;

use super::layout::{self, send, tag};
use super::secrets::{LOGIN, begin, chance, same};
use super::visitor::{ATTEMPT, FORM, LANGUAGE, Posted, SESSION, Visitor, cookie, is_ours, language, read, tongue};
use super::{Site, below, texts};
use crate::access::{Caller, Who};
use crate::api::status_of;
use crate::denied::Denied;
use crate::metric;

pub(super) fn routes() -> Router<Arc<Site>> {
    Router::new()
        .route("/console/login", get(show))
        .route("/console/login/provider", get(ask))
        .route("/console/login/back", get(back))
        .route("/console/login/token", post(token))
        .route("/console/logout", post(leave))
        .route("/console/bye", get(bye))
        .route("/console/language/{tag}", get(speak))
}

/// A cookie that only this console gets, over TLS only, and that no script reads; as long as the browser runs, or for some
/// seconds.
fn kept(name: &'static str, value: String, seconds: Option<i64>) -> HeaderValue {
    let mut built = Cookie::build((name, value))
        .path("/")
        .secure(true)
        .http_only(true)
        .same_site(SameSite::Lax);
    if let Some(seconds) = seconds {
        built = built.max_age(cookie::time::Duration::seconds(seconds));
    }
    // What we keep consists of characters that may stand in a header.
    HeaderValue::from_str(&built.build().to_string()).unwrap_or(HeaderValue::from_static("none"))
}

fn with(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// The browser's attempt to log in; it begins one where there is none.
fn attempt(site: &Site, headers: &HeaderMap) -> (String, Option<HeaderValue>) {
    let now = site.desk.access().now();
    let known = cookie(headers, ATTEMPT).filter(|kept| site.secrets.attempt(kept, now).is_some());
    known.map_or_else(
        || {
            let begun = begin(&*site.console.entropy, now);
            let seconds = i64::try_from(LOGIN / 1000).ok();
            (begun.clone(), Some(kept(ATTEMPT, begun, seconds)))
        },
        |known| (known, None),
    )
}

/// `GET /console/login`: how to come in.
async fn show(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    door(&site, &headers, StatusCode::OK, None)
}

/// The page on which people come in, and why they did not.
fn door(site: &Site, headers: &HeaderMap, status: StatusCode, told: Option<&str>) -> Response {
    let language = language(headers);
    let say = |text: texts::Text| text.pick(language);
    let (begun, new) = attempt(site, headers);
    let central = site
        .desk
        .access()
        .directory()
        .oidc
        .as_ref()
        .is_some_and(crate::oidc::Oidc::has_client);
    let content = html! {
        @if let Some(told) = told { p.error role="alert" { (told) } }
        @if central {
            section aria-labelledby="central" {
                h2 #central { (say(texts::LOGIN_CENTRAL)) }
                p { a.button href="/console/login/provider" { (say(texts::LOGIN_CENTRAL_GO)) } }
            }
        }
        section aria-labelledby="own" {
            h2 #own { (say(texts::LOGIN_TOKEN)) }
            p #noted { (say(if central { texts::LOGIN_TOKEN_BESIDE } else { texts::LOGIN_TOKEN_ONLY })) }
            form method="post" action="/console/login/token" {
                input type="hidden" name=(FORM) value=(site.secrets.form(&begun));
                div.field {
                    label for="token" { (say(texts::TOKEN)) }
                    input #token name="token" type="password" required autocomplete="current-password" aria-describedby="noted";
                }
                (send(say(texts::LOG_IN)))
            }
        }
    };
    let page = layout::outside(language, say(texts::LOG_IN), &content);
    let page = (status, page).into_response();
    match new {
        Some(cookie) => with(page, cookie),
        None => page,
    }
}

/// Why somebody did not come in.
fn refused(site: &Site, headers: &HeaderMap, means: &'static str, denied: &Denied) -> Response {
    tracing::warn!(means, %denied, "Somebody did not come into the console.");
    metric::console_login(means, Some(denied));
    door(site, headers, status_of(denied), Some(&denied.say(language(headers))))
}

/// `GET /console/login/provider`: on to the identity provider.
async fn ask(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let directory = site.desk.access().directory();
    let Some(oidc) = &directory.oidc else {
        return refused(&site, &headers, "oidc", &Denied::Closed);
    };
    let (begun, new) = attempt(&site, &headers);
    let Some(attempt) = site.secrets.attempt(&begun, site.desk.access().now()) else {
        return refused(&site, &headers, "oidc", &Denied::Unknown);
    };
    match oidc.question(&attempt).await {
        Ok(url) => {
            let there = Redirect::to(url.as_str()).into_response();
            match new {
                Some(cookie) => with(there, cookie),
                None => there,
            }
        }
        Err(denied) => refused(&site, &headers, "oidc", &denied),
    }
}

/// What the provider sends back: RFC 6749 §4.1.2, RFC 9207.
#[derive(Deserialize)]
struct Answer {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
}

/// `GET /console/login/back`: from the identity provider.
async fn back(State(site): State<Arc<Site>>, headers: HeaderMap, Query(answer): Query<Answer>) -> Response {
    let now = site.desk.access().now();
    let begun = cookie(&headers, ATTEMPT).and_then(|kept| site.secrets.attempt(&kept, now));
    let state = answer.state.as_deref().unwrap_or_default();
    // An answer that this browser did not ask for is nobody's.
    let Some(attempt) = begun.filter(|attempt| same(&attempt.state, state)) else {
        let denied = Denied::Login(texts::LOGIN_STRANGE.pick(language(&headers)).to_owned());
        return refused(&site, &headers, "oidc", &denied);
    };
    let directory = site.desk.access().directory();
    let identified = match (&directory.oidc, answer.code) {
        (Some(oidc), Some(code)) => oidc.identify((&code, answer.iss.as_deref()), &attempt, now).await,
        (None, _) => Err(Denied::Closed),
        (_, None) => Err(Denied::Login(texts::LOGIN_DENIED.pick(language(&headers)).to_owned())),
    };
    match identified {
        Ok((who, caller)) => {
            metric::console_login("oidc", None);
            tracing::info!(
                person = caller.person,
                "Somebody came into the console by the identity provider."
            );
            enter(&site, &headers, who, &caller)
        }
        Err(denied) => refused(&site, &headers, "oidc", &denied),
    }
}

/// Begins a session, in place of the one the browser may have; the attempt is over.
fn enter(site: &Site, headers: &HeaderMap, who: Who, caller: &Caller) -> Response {
    if let Some(before) = cookie(headers, SESSION) {
        site.sessions.end(&before);
    }
    let session = chance(&*site.console.entropy);
    let person = caller.person.as_deref().unwrap_or_default();
    site.sessions.begin(&session, who, person, site.desk.access().now());
    let inside = Redirect::to("/console").into_response();
    with(
        with(inside, kept(SESSION, session, None)),
        kept(ATTEMPT, String::new(), Some(0)),
    )
}

/// `POST /console/login/token`: with a token of one's own from the configuration.
async fn token(State(site): State<Arc<Site>>, request: Request) -> Response {
    let headers = request.headers().clone();
    let ours = is_ours(&headers, &site);
    let fields = read(request).await.unwrap_or_default();
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let now = site.desk.access().now();
    let begun = cookie(&headers, ATTEMPT).filter(|kept| site.secrets.attempt(kept, now).is_some());
    if !ours || !begun.is_some_and(|begun| same(field(FORM), &site.secrets.form(&begun))) {
        let told = texts::STRANGE_FORM.pick(language(&headers));
        return door(&site, &headers, StatusCode::FORBIDDEN, Some(told));
    }
    if site.is_closed() {
        let told = texts::LOGIN_TOO_OFTEN.pick(language(&headers));
        return door(&site, &headers, StatusCode::TOO_MANY_REQUESTS, Some(told));
    }
    let (who, caller) = match site.desk.access().own_token(field("token").trim()) {
        Ok(found) => found,
        Err(denied) => {
            site.count_wrong();
            return refused(&site, &headers, "token", &denied);
        }
    };
    // Nobody comes in beside the provider unless it is in the ledger.
    let central = site.desk.access().is_central();
    let beside = if central { ", beside the identity provider" } else { "" };
    let what = format!("somebody came into the console with a token from the configuration{beside}");
    if let Err(error) = site.desk.hub().note(Action::Access, &what).await {
        tracing::error!(%error, "The ledger could not note that somebody came into the console.");
        let told = texts::LOGIN_UNNOTED.pick(language(&headers));
        return door(&site, &headers, StatusCode::SERVICE_UNAVAILABLE, Some(told));
    }
    metric::console_login("token", None);
    tracing::warn!(
        person = caller.person,
        central,
        "Somebody came into the console with a token from the configuration."
    );
    enter(&site, &headers, who, &caller)
}

/// `POST /console/logout`: ends the session.
async fn leave(posted: Posted) -> Response {
    posted.visitor.leave();
    let out = Redirect::to("/console/bye").into_response();
    with(out, kept(SESSION, String::new(), Some(0)))
}

/// `GET /console/bye`: whoever left may still be known to the provider.
async fn bye(State(site): State<Arc<Site>>, headers: HeaderMap) -> Response {
    let language = language(&headers);
    let say = |text: texts::Text| text.pick(language);
    let directory = site.desk.access().directory();
    let farewell = match &directory.oidc {
        Some(oidc) => oidc.farewell(&below(&site.console.url, "/console/login")).await,
        None => None,
    };
    let content = html! {
        p { (say(texts::LOGGED_OUT)) }
        @if let Some(url) = farewell {
            p { (say(texts::STILL_KNOWN)) }
            p { a.button href=(url) { (say(texts::LEAVE_PROVIDER)) } }
        }
        p { a href="/console/login" { (say(texts::LOG_IN_AGAIN)) } }
    };
    layout::outside(language, say(texts::LOG_OUT), &content).into_response()
}

/// `GET /console/language/{tag}`: from now on in this language; back to the page on which that was chosen.
async fn speak(
    State(site): State<Arc<Site>>,
    Path(chosen): Path<String>,
    headers: HeaderMap,
    visitor: Result<Visitor, Response>,
) -> Response {
    let language = tongue(&chosen).unwrap_or(Language::English);
    let referrer = headers.get(header::REFERER).and_then(|value| value.to_str().ok());
    // Only the path of a page of our own is taken, so nobody is sent anywhere else.
    let path = referrer
        .and_then(|text| Url::parse(text).ok())
        .filter(|url| url.origin().ascii_serialization() == site.origin)
        .map(|url| url.path().to_owned())
        .filter(|path| path.starts_with("/console") && !path.starts_with("/console/language"));
    let fallback = if visitor.is_ok() { "/console" } else { "/console/login" };
    let there = Redirect::to(path.as_deref().unwrap_or(fallback)).into_response();
    with(
        there,
        kept(LANGUAGE, tag(language).to_owned(), Some(365 * 24 * 60 * 60)),
    )
}
