//! Who looks at a page, and who sends a form: found before anything else is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Form, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use cookie::Cookie;
use maud::{Markup, html};
use serde::de::DeserializeOwned;
use serde_json::Value;
use viaduct_model::Language;

use super::Site;
use super::layout;
use super::secrets::same;
use super::session::Notice;
use super::texts::{self, Text};
use crate::access::Caller;
use crate::api::status_for;
use crate::hub::HubError;
use crate::order::Order;
use crate::role::Act;

/// Where the browser keeps the session.
pub(crate) const SESSION: &str = "__Host-viaduct-session";
/// Where it keeps an attempt to log in.
pub(crate) const ATTEMPT: &str = "__Host-viaduct-login";
/// Where it keeps the language that somebody chose.
pub(crate) const LANGUAGE: &str = "__Host-viaduct-language";
/// The field of every form with what shows that it is ours.
pub(crate) const FORM: &str = "form";

/// The value of a cookie.
pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).iter();
    let mut all = all
        .filter_map(|line| line.to_str().ok())
        .flat_map(Cookie::split_parse)
        .flatten();
    all.find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

/// In which language somebody reads: the one they chose, or the first of ours that their browser asks for.
pub(crate) fn language(headers: &HeaderMap) -> Language {
    let chosen = cookie(headers, LANGUAGE);
    let asked = headers
        .get(header::ACCEPT_LANGUAGE)
        .and_then(|value| value.to_str().ok());
    chosen
        .as_deref()
        .and_then(tongue)
        .unwrap_or_else(|| preferred(asked.unwrap_or_default()))
}

/// The language of a tag such as `de-AT`.
pub(crate) fn tongue(tag: &str) -> Option<Language> {
    let first = tag.split('-').next().unwrap_or_default().trim();
    match first.to_ascii_lowercase().as_str() {
        "de" => Some(Language::German),
        "en" => Some(Language::English),
        _ => None,
    }
}

/// The best of our languages for an `Accept-Language` (RFC 9110 §12.5.4); English if there is none.
fn preferred(accepted: &str) -> Language {
    let mut best: Option<(f32, Language)> = None;
    for range in accepted.split(',').take(32) {
        let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse().ok());
        if let (Some(language), Some(weight)) = (tongue(tag.trim()), weight)
            && weight > 0.0
            && best.is_none_or(|(known, _)| weight > known)
        {
            best = Some((weight, language));
        }
    }
    best.map_or(Language::English, |(_, language)| language)
}

/// Somebody who came in and looks at a page.
pub(crate) struct Visitor {
    pub site: Arc<Site>,
    pub caller: Caller,
    pub language: Language,
    /// The path of the page.
    pub path: String,
    /// What shows that a form is ours.
    pub form: String,
    session: String,
}

impl FromRequestParts<Arc<Site>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Response> {
        let found = || {
            let session = cookie(&parts.headers, SESSION)?;
            let access = site.desk.access();
            let who = site.sessions.resume(&session, access.now())?;
            let caller = access.again(&who);
            if caller.is_err() {
                site.sessions.end(&session);
            }
            Some((session, caller.ok()?))
        };
        let Some((session, caller)) = found() else {
            return Err(Redirect::to("/console/login").into_response());
        };
        Ok(Self {
            form: site.secrets.form(&session),
            language: language(&parts.headers),
            path: parts.uri.path().to_owned(),
            site: Arc::clone(site),
            caller,
            session,
        })
    }
}

impl Visitor {
    /// A text in their language.
    pub fn say(&self, text: Text) -> &'static str {
        text.pick(self.language)
    }

    /// Whether they may give an order.
    pub fn may(&self, order: &Order) -> bool {
        self.caller.may(&Act::Order(order)).is_ok()
    }

    /// Lets them do something, or tells them why not.
    pub async fn allow(&self, act: &Act<'_>) -> Result<(), Failure> {
        let allowed = self.site.desk.allow(&self.caller, act).await;
        allowed.map_err(|denied| self.fail(denied))
    }

    /// Has an order carried out in their name.
    pub async fn order(&self, order: Order) -> Result<Value, Failure> {
        let given = self.site.desk.order(&self.caller, order).await;
        given.map_err(|error| self.fail(error))
    }

    /// Has an order carried out that answers with something of this form.
    pub async fn read<T: DeserializeOwned>(&self, order: Order) -> Result<T, Failure> {
        let answer = self.order(order).await?;
        serde_json::from_value(answer).map_err(|error| self.fail(HubError::Failed(error.to_string())))
    }

    /// A page of theirs.
    pub fn page(&self, title: Text, content: &Markup) -> Response {
        self.titled(self.say(title), content)
    }

    /// A page of theirs whose title is somebody else's words.
    pub fn titled(&self, title: &str, content: &Markup) -> Response {
        let notice = self.site.sessions.told(&self.session);
        layout::page(self, title, notice.as_ref(), content).into_response()
    }

    /// A form that is sent to `action`, with what shows that it is ours.
    pub fn form(&self, action: &str, content: &Markup) -> Markup {
        html! {
            form method="post" action=(action) {
                input type="hidden" name=(FORM) value=(self.form);
                (content)
            }
        }
    }

    /// Goes on to a page, where it is said what was done.
    pub fn done(&self, path: &str, what: impl Into<String>) -> Response {
        self.site.sessions.tell(&self.session, Notice(what.into()));
        Redirect::to(path).into_response()
    }

    /// Ends their session.
    pub fn leave(&self) {
        self.site.sessions.end(&self.session);
    }

    /// Tells them why something was not done.
    pub fn fail(&self, error: impl Into<HubError>) -> Failure {
        let error = error.into();
        let told = match &error {
            HubError::Denied(denied) => denied.say(self.language),
            other => other.to_string(),
        };
        Failure::of(self, status_for(&error), &told)
    }

    /// Tells them that what they wrote cannot be meant.
    pub fn wrong(&self, what: impl Into<String>) -> Failure {
        self.fail(HubError::Wrong(what.into()))
    }
}

/// A page that says why something was not done.
pub(crate) struct Failure(Box<Response>);

impl Failure {
    fn of(visitor: &Visitor, status: StatusCode, told: &str) -> Self {
        let title = visitor.say(if status == StatusCode::FORBIDDEN {
            texts::FORBIDDEN
        } else {
            texts::FAILED
        });
        let content = html! {
            p.error role="alert" { (told) }
            p { a href="/console" { (visitor.say(texts::BACK)) } }
        };
        let page = layout::page(visitor, title, None, &content);
        Self(Box::new((status, page).into_response()))
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        *self.0
    }
}

/// What every page gives.
pub(crate) type Shown = Result<Response, Failure>;

/// A form that somebody who came in sent from one of our pages.
pub(crate) struct Posted {
    pub visitor: Visitor,
    fields: BTreeMap<String, String>,
}

impl FromRequest<Arc<Site>> for Posted {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, site).await?;
        let ours = is_ours(&parts.headers, site);
        let fields = read(Request::from_parts(parts, body)).await;
        let stranger = || {
            tracing::warn!(
                person = visitor.caller.person,
                "A form that is not the console's own was refused."
            );
            Failure::of(&visitor, StatusCode::FORBIDDEN, visitor.say(texts::STRANGE_FORM)).into_response()
        };
        let fields =
            fields.map_err(|status| Failure::of(&visitor, status, visitor.say(texts::STRANGE_FORM)).into_response())?;
        let shown = fields.get(FORM).map(String::as_str).unwrap_or_default();
        if !ours || !same(shown, &visitor.form) {
            return Err(stranger());
        }
        Ok(Self { visitor, fields })
    }
}

/// Whether a form comes from a page of the console's own address.
pub(crate) fn is_ours(headers: &HeaderMap, site: &Site) -> bool {
    let origin = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok());
    origin == Some(site.origin.as_str())
}

/// The fields of a form, each once.
///
/// # Errors
///
/// The status that says what is wrong with it.
pub(crate) async fn read(request: Request) -> Result<BTreeMap<String, String>, StatusCode> {
    let form = Form::<BTreeMap<String, String>>::from_request(request, &()).await;
    form.map(|Form(fields)| fields)
        .map_err(|rejection| rejection.into_response().status())
}

impl Posted {
    /// A field as it was sent; empty if it was not.
    pub fn text(&self, name: &str) -> &str {
        self.fields.get(name).map(|text| text.trim()).unwrap_or_default()
    }

    /// A field that has to say something.
    pub fn required(&self, name: &str) -> Result<String, Failure> {
        match self.text(name) {
            "" => Err(self
                .visitor
                .wrong(self.visitor.say(texts::FIELD_MISSING).replace("{field}", name))),
            text => Ok(text.to_owned()),
        }
    }

    /// A field that has to be of some kind.
    pub fn parsed<T, E: ToString>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>) -> Result<T, Failure> {
        parse(self.text(name)).map_err(|error| self.visitor.wrong(error.to_string()))
    }

    /// A field of some kind that may be left out.
    pub fn optional<T, E: ToString>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, Failure> {
        if self.text(name).is_empty() {
            return Ok(None);
        }
        self.parsed(name, parse).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_the_best_of_ours() {
        for (accepted, language) in [
            ("", Language::English),
            ("fr", Language::English),
            ("de", Language::German),
            ("de-AT,de;q=0.9,en;q=0.8", Language::German),
            ("fr, en;q=0.5, de;q=0.7", Language::German),
            ("en-GB,en;q=0.9,de;q=0.8", Language::English),
            ("de;q=0, en;q=0.1", Language::English),
            ("de;q=x,;;,,q=", Language::English),
        ] {
            assert_eq!(preferred(accepted), language, "{accepted}");
        }
    }
}
