//! Logging in at the provider of wood: it asks nobody anything, but holds clients to what they promised.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{SHA256, digest};
use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::{Shown, Signer, text};

/// Who sits before the provider.
#[derive(Clone)]
pub struct Person {
    /// What signs their tokens.
    pub signer: Arc<Signer>,
    /// The id of its key.
    pub key: String,
    /// What is said of them. `iss`, `aud` and `nonce` are added where they are missing.
    pub claims: Value,
    /// The secret that the client has to show, if it has one.
    pub secret: Option<String>,
}

/// What somebody was asked, by the code they were given.
struct Asked {
    question: HashMap<String, String>,
    person: Person,
}

#[derive(Default)]
pub(super) struct Desk {
    person: Mutex<Option<Person>>,
    codes: Mutex<HashMap<String, Asked>>,
}

impl Desk {
    pub fn seat(&self, person: Person) {
        *self.person.lock().unwrap_or_else(PoisonError::into_inner) = Some(person);
    }
}

fn wrong(error: &str) -> Response {
    (StatusCode::BAD_REQUEST, axum::Json(json!({ "error": error }))).into_response()
}

/// Sends whoever comes back at once, with a code.
pub(super) async fn authorize(
    State(shown): State<Arc<Shown>>,
    Query(question): Query<HashMap<String, String>>,
) -> Response {
    let person = shown.desk.person.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let text_of = |name: &str| question.get(name).map(String::as_str).unwrap_or_default();
    let (Some(person), Ok(mut back)) = (person, Url::parse(text_of("redirect_uri"))) else {
        return wrong("invalid_request");
    };
    let scopes: Vec<&str> = text_of("scope").split(' ').collect();
    if text_of("response_type") != "code" || !scopes.contains(&"openid") || text_of("code_challenge_method") != "S256" {
        return wrong("invalid_request");
    }
    let code = text(digest(&SHA256, format!("{question:?}").as_bytes()));
    back.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", text_of("state"));
    let mut codes = shown.desk.codes.lock().unwrap_or_else(PoisonError::into_inner);
    codes.insert(code, Asked { question, person });
    Redirect::to(back.as_str()).into_response()
}

/// Gives the id token for a code, once, to whoever can prove that they asked.
pub(super) async fn token(
    State(shown): State<Arc<Shown>>,
    headers: HeaderMap,
    Form(given): Form<HashMap<String, String>>,
) -> Response {
    let given_text = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    let code = given_text("code");
    let asked = shown
        .desk
        .codes
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(code);
    let Some(Asked { question, person }) = asked else {
        return wrong("invalid_grant");
    };
    let asked_text = |name: &str| question.get(name).map(String::as_str).unwrap_or_default();
    let proof = text(digest(&SHA256, given_text("code_verifier").as_bytes()));
    if proof != asked_text("code_challenge") || given_text("redirect_uri") != asked_text("redirect_uri") {
        return wrong("invalid_grant");
    }
    let client = asked_text("client_id");
    if !is_client(&person, client, &headers, given_text("client_id")) {
        return wrong("invalid_client");
    }
    let metadata = shown.metadata.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut claims = person.claims.clone();
    let added = [
        ("iss", metadata.get("issuer").cloned().unwrap_or_default()),
        ("aud", json!(client)),
        ("nonce", json!(asked_text("nonce"))),
    ];
    if let Some(claims) = claims.as_object_mut() {
        for (name, value) in added {
            claims.entry(name).or_insert(value);
        }
    }
    let id_token = person.signer.sign(&person.key, &claims);
    axum::Json(json!({"access_token": "unused", "token_type": "Bearer", "id_token": id_token})).into_response()
}

fn is_client(person: &Person, client: &str, headers: &HeaderMap, named: &str) -> bool {
    let Some(secret) = &person.secret else {
        return named == client;
    };
    let shown = headers.get("authorization").and_then(|value| value.to_str().ok());
    // Both are encoded as in a form, before they are joined (RFC 6749 §2.3.1).
    let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let expected = format!(
        "Basic {}",
        STANDARD.encode(format!("{}:{}", encoded(client), encoded(secret)))
    );
    shown == Some(&expected)
}
