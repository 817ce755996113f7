//! One call of the Web API: read, held against the method's description, authorized, limited, answered.

use axum::extract::Request;
use base64::Engine as _;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Map, Value, json};

use super::grid::Organisation;
use super::ids::Ts;
use super::methods::{Form, Method, Parameter};
use super::state::{Channel, Install, Kind, State, Token, TokenKind};
use super::view::Reader;

/// The longest body taken.
const LONGEST_BODY: usize = 4 * 1024 * 1024;

/// A refusal in Slack's words.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) more: Value,
}

impl From<&str> for Refusal {
    fn from(code: &str) -> Self {
        Self {
            code: code.to_owned(),
            more: json!({}),
        }
    }
}

/// What a method answers.
pub(super) type Answer = Result<Value, Refusal>;

/// A call as it came.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) token: Option<String>,
    pub(super) arguments: Map<String, Value>,
    pub(super) json: bool,
    pub(super) charset: bool,
    pub(super) token_in_query: bool,
}

impl Incoming {
    /// Reads a request. The error is what Slack would call it.
    pub(super) async fn read(request: Request) -> Result<Self, &'static str> {
        let (parts, body) = request.into_parts();
        let header = |name| {
            parts
                .headers
                .get(name)
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
        };
        let kind = header(CONTENT_TYPE).to_ascii_lowercase();
        let mut token = header(AUTHORIZATION).strip_prefix("Bearer ").map(str::to_owned);
        let mut arguments = form(parts.uri.query().unwrap_or_default().as_bytes());
        let token_in_query = arguments.contains_key("token");
        let body = axum::body::to_bytes(body, LONGEST_BODY)
            .await
            .map_err(|_| "request_timeout")?;
        let is_json = kind.starts_with("application/json");
        if is_json {
            match serde_json::from_slice(&body) {
                Ok(Value::Object(more)) => arguments.extend(more),
                Ok(_) => return Err("json_not_object"),
                Err(_) if body.is_empty() => {}
                Err(_) => return Err("invalid_json"),
            }
        } else if kind.starts_with("application/x-www-form-urlencoded") {
            arguments.extend(form(&body));
        } else if !body.is_empty() {
            return Err("invalid_post_type");
        }
        if let Some(Value::String(given)) = arguments.remove("token") {
            token.get_or_insert(given);
        }
        arguments.retain(|_, value| !value.is_null());
        Ok(Self {
            token,
            arguments,
            json: is_json && !body.is_empty(),
            charset: kind.contains("charset"),
            token_in_query,
        })
    }

    /// Holds the call against the description: what is wrong with it, and whether it can be answered all the same.
    pub(super) fn check(&mut self, method: &Method) -> (Vec<String>, Vec<String>) {
        let mut wrong = Vec::new();
        if self.token_in_query {
            wrong.push("the token is in the query".to_owned());
        }
        if self.json && !method.json {
            wrong.push("the method takes no JSON".to_owned());
            self.arguments.clear();
        }
        for name in self
            .arguments
            .keys()
            .filter(|name| !method.parameters.iter().any(|known| known.name == **name))
        {
            wrong.push(format!("unknown parameter {name}"));
        }
        for Parameter { name, form, .. } in method.parameters {
            if self.arguments.get(*name).is_some_and(|value| !fits(value, *form)) {
                wrong.push(format!("{name} is not what it should be: {form:?}"));
            }
        }
        let missing: Vec<String> = method
            .parameters
            .iter()
            .filter(|parameter| parameter.required && !self.arguments.contains_key(parameter.name))
            .map(|parameter| format!("[ERROR] missing required field: {}", parameter.name))
            .collect();
        wrong.extend(missing.iter().cloned());
        (wrong, missing)
    }
}

fn form(bytes: &[u8]) -> Map<String, Value> {
    url::form_urlencoded::parse(bytes)
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect()
}

fn fits(value: &Value, form: Form) -> bool {
    match (form, value) {
        (Form::Text, Value::String(_))
        | (Form::Boolean, Value::Bool(_))
        | (Form::Json, Value::Object(_) | Value::Array(_)) => true,
        // Slack takes numbers as text in forms, and timestamps as numbers nowhere.
        (Form::Integer, Value::Number(number)) => number.is_u64(),
        (Form::Integer, Value::String(text)) => text.parse::<u64>().is_ok(),
        (Form::Boolean, Value::String(text)) => ["true", "false", "1", "0", "True", "False"].contains(&text.as_str()),
        (Form::Json, Value::String(text)) => serde_json::from_str::<Value>(text).is_ok(),
        _ => false,
    }
}

/// Who calls, and with what: what a method works from.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) token: Token,
    /// Index of the install.
    pub(super) install: usize,
    pub(super) app: String,
    pub(super) team: String,
    /// Set where the app is installed for a whole organisation.
    pub(super) organisation: Option<Organisation>,
    /// The user it acts as.
    pub(super) user: String,
    pub(super) bot: String,
    arguments: Map<String, Value>,
}

impl Caller {
    pub(super) fn new(token: Token, install: &Install, arguments: Map<String, Value>) -> Self {
        Self {
            install: token.install,
            app: install.app.clone(),
            team: install.team.clone(),
            organisation: install.organisation.clone(),
            user: token.user.clone(),
            bot: install.bot.clone(),
            token,
            arguments,
        }
    }

    pub(super) fn is_bot(&self) -> bool {
        self.token.kind == TokenKind::Bot
    }

    pub(super) fn reader(&self, metadata: bool) -> Reader<'_> {
        Reader {
            team: &self.team,
            organisation: self.organisation.as_ref(),
            user: &self.user,
            app: &self.app,
            metadata,
        }
    }

    /// An argument as text; empty counts as absent.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.arguments.get(name)?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn flag(&self, name: &str) -> bool {
        match self.arguments.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => matches!(text.as_str(), "true" | "True" | "1"),
            Some(Value::Number(number)) => number.as_u64() == Some(1),
            _ => false,
        }
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        match self.arguments.get(name)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// A structured argument, given as JSON or as text that holds JSON.
    pub(super) fn json(&self, name: &str) -> Result<Option<Value>, ()> {
        match self.arguments.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => serde_json::from_str(text).map(Some).map_err(|_| ()),
            Some(value) => Ok(Some(value.clone())),
        }
    }

    pub(super) fn ts(&self, name: &str, error: &str) -> Result<Option<Ts>, Refusal> {
        let given = match self.arguments.get(name) {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => return Ok(None),
        };
        if given.is_empty() {
            return Ok(None);
        }
        given.parse().map(Some).map_err(|_| Refusal::from(error))
    }

    /// Whether the token has any of these scopes; else what is missing.
    pub(super) fn require(&self, scopes: &[&str]) -> Result<(), Refusal> {
        if scopes.is_empty() || scopes.iter().any(|scope| self.token.scopes.contains(*scope)) {
            return Ok(());
        }
        let provided: Vec<&str> = self.token.scopes.iter().map(String::as_str).collect();
        Err(Refusal {
            code: "missing_scope".to_owned(),
            more: json!({ "needed": scopes.join(","), "provided": provided.join(",") }),
        })
    }

    /// The channel named in `channel`, as far as the caller can see it.
    pub(super) fn channel<'a>(&self, state: &'a State) -> Result<&'a Channel, Refusal> {
        self.seen(state, self.text("channel").unwrap_or_default())
    }

    pub(super) fn seen<'a>(&self, state: &'a State, channel: &str) -> Result<&'a Channel, Refusal> {
        let channel = state.channels.get(channel).filter(|channel| {
            channel.teams.iter().any(|team| self.works_in(team))
                && (channel.kind == Kind::Public || channel.members.contains(&self.user))
        });
        channel.ok_or_else(|| "channel_not_found".into())
    }

    /// The same, where the caller has to be in it.
    pub(super) fn joined<'a>(&self, state: &'a State) -> Result<&'a Channel, Refusal> {
        let channel = self.channel(state)?;
        if channel.members.contains(&self.user) {
            Ok(channel)
        } else {
            Err("not_in_channel".into())
        }
    }

    /// The part of a list that was asked for: from the cursor, at most `limit`. The cursor of the next part is empty
    /// at the end.
    pub(super) fn page<T>(
        &self,
        word: &str,
        items: Vec<T>,
        name: impl Fn(&T) -> String,
        most: usize,
    ) -> Result<(Vec<T>, String), Refusal> {
        let asked = self
            .number("limit")
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        let limit = asked.unwrap_or(most).min(most);
        let start = match self.text("cursor") {
            None => 0,
            Some(cursor) => {
                let from = read_cursor(word, cursor).ok_or_else(|| Refusal::from("invalid_cursor"))?;
                items
                    .iter()
                    .position(|item| name(item) == from)
                    .ok_or_else(|| Refusal::from("invalid_cursor"))?
            }
        };
        let mut rest = items.into_iter().skip(start);
        let page: Vec<T> = rest.by_ref().take(limit).collect();
        let next = rest.next().map(|item| cursor(word, &name(&item))).unwrap_or_default();
        Ok((page, next))
    }
}

/// A cursor, in Slack's form.
pub(super) fn cursor(word: &str, from: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(format!("{word}:{from}"))
}

/// Where a cursor says to go on.
pub(super) fn read_cursor(word: &str, cursor: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(cursor).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    Some(text.strip_prefix(word)?.strip_prefix(':')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_where_it_was_cut() {
        assert_eq!(read_cursor("team", &cursor("team", "C1")), Some("C1".to_owned()));
        assert_eq!(read_cursor("user", &cursor("team", "C1")), None);
        assert_eq!(read_cursor("user", "not base64!"), None);
    }

    #[test]
    fn arguments_have_to_fit() {
        for (value, form, expected) in [
            (json!("x"), Form::Text, true),
            (json!(5), Form::Text, false),
            (json!("5"), Form::Integer, true),
            (json!("-5"), Form::Integer, false),
            (json!(true), Form::Boolean, true),
            (json!("maybe"), Form::Boolean, false),
            (json!("[]"), Form::Json, true),
            (json!("["), Form::Json, false),
        ] {
            assert_eq!(fits(&value, form), expected, "{value} {form:?}");
        }
    }
}
