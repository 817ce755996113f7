//! A request as it came, and what it is answered.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

/// A request.
#[derive(Debug)]
pub(super) struct Asked {
    /// What is asked for; see the table of operations in [`super`].
    pub(super) operation: &'static str,
    pub(super) method: Method,
    /// Decoded, without what all addresses of this part begin with.
    pub(super) path: Vec<String>,
    pub(super) query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    pub(super) raw: Bytes,
    /// Null where it is not JSON.
    pub(super) body: Value,
}

impl Asked {
    /// A part of the path; empty where there is none.
    pub(super) fn part(&self, index: usize) -> &str {
        self.path.get(index).map_or("", String::as_str)
    }

    pub(super) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: impl http::header::AsHeaderName) -> &str {
        let value = self.headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default()
    }

    pub(super) fn bearer(&self) -> Option<&str> {
        self.header(AUTHORIZATION).strip_prefix("Bearer ")
    }

    /// How many entries a page may have.
    pub(super) fn top(&self, name: &str, usual: usize, most: usize) -> usize {
        let asked = self.query(name).and_then(|text| text.parse::<usize>().ok());
        asked.unwrap_or(usual).clamp(1, most)
    }
}

/// What is answered.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) mime: String,
    pub(super) body: Bytes,
    pub(super) location: Option<String>,
    pub(super) retry_after: Option<u64>,
}

/// An answer, or a refusal.
pub(super) type Answer = Result<Reply, Reply>;

impl Reply {
    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::bytes(status, "application/json", body.to_string().into())
    }

    pub(super) fn bytes(status: u16, mime: &str, body: Bytes) -> Self {
        Self {
            status,
            mime: mime.to_owned(),
            body,
            location: None,
            retry_after: None,
        }
    }

    pub(super) fn empty(status: u16) -> Self {
        Self::bytes(status, "", Bytes::new())
    }

    /// A refusal as the connector and Graph word it.
    pub(super) fn error(status: u16, code: &str, message: &str) -> Self {
        Self::json(status, &json!({ "error": { "code": code, "message": message } }))
    }

    /// A list that ends here.
    pub(super) fn list(values: &[Value]) -> Self {
        Self::json(200, &json!({ "@odata.count": values.len(), "value": values }))
    }

    pub(super) fn not_found(what: &str) -> Self {
        Self::error(404, "NotFound", &format!("There is no such {what}."))
    }

    pub(super) fn limited(seconds: u64) -> Self {
        Self {
            retry_after: Some(seconds),
            ..Self::error(429, "TooManyRequests", "API calls quota exceeded.")
        }
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Body::from(self.body)).into_response();
        let headers = response.headers_mut();
        headers.remove(CONTENT_TYPE);
        for (name, value) in [(CONTENT_TYPE, Some(self.mime)), (LOCATION, self.location)] {
            if let Some(Ok(value)) = value.filter(|value| !value.is_empty()).map(|value| value.parse()) {
                headers.insert(name, value);
            }
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        response
    }
}
