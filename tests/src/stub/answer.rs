//! The stub's answers to the hub's requests.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::state::{Fault, Sent, State};
use super::{Shared, StubHomeserver};
use crate::launch::http_client;

/// How many unknown requests are remembered.
const UNKNOWN_BOUND: usize = 100;

type Answer = Response<Full<Bytes>>;

/// The answer to a request; none where the connection is to break instead.
pub(super) async fn answer(shared: &Shared, request: Request<Incoming>) -> Option<Answer> {
    let (parts, body) = request.into_parts();
    let path: Vec<Cow<'_, str>> = parts
        .uri
        .path()
        .split('/')
        .skip(2)
        .map(|part| percent_decode_str(part).decode_utf8_lossy())
        .collect();
    let path: Vec<&str> = path.iter().map(AsRef::as_ref).collect();
    let body = body.collect().await.ok()?.to_bytes();
    let user = asserted_user(parts.uri.query().unwrap_or_default());
    let user = {
        let mut state = shared.state();
        state.counts.requests += 1;
        user.unwrap_or_else(|| state.bot.clone())
    };
    if let (&Method::PUT, ["client", _, "rooms", room, "send", kind, transaction]) = (&parts.method, path.as_slice()) {
        return send(shared, room, &user, kind, transaction, &body).await;
    }
    if let (&Method::POST, ["client", _, "appservice", _, "ping"]) = (&parts.method, path.as_slice()) {
        return Some(ping(shared, &body).await);
    }
    if let (&Method::POST, ["media", _, "upload"]) = (&parts.method, path.as_slice()) {
        let mime = parts
            .headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        return Some(upload(&mut shared.state(), mime, &body));
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    Some(plain_answer(&mut shared.state(), &parts.method, &path, &user, body))
}

fn asserted_user(query: &str) -> Option<String> {
    let value = query.split('&').find_map(|pair| pair.strip_prefix("user_id="))?;
    Some(percent_decode_str(value).decode_utf8_lossy().into_owned())
}

/// What is read of a sent event.
#[derive(Deserialize)]
struct Text<'a> {
    #[serde(borrow, default)]
    body: Option<Cow<'a, str>>,
}

async fn send(shared: &Shared, room: &str, user: &str, kind: &str, transaction: &str, body: &Bytes) -> Option<Answer> {
    let at = Instant::now();
    let (fault, delay) = {
        let mut state = shared.state();
        let fault = state.faults.draw();
        state.counts.faults += u64::from(fault.is_some());
        (fault, state.send_delay)
    };
    if !delay.is_zero() {
        sleep(delay).await;
    }
    match fault {
        Some(Fault::Limited { retry_after }) => {
            let wait = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
            let body = json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "slow down", "retry_after_ms": wait });
            return Some(json_answer(StatusCode::TOO_MANY_REQUESTS, &body));
        }
        Some(Fault::ServerError) => return Some(refusal(500, "M_UNKNOWN", "a fault was asked for")),
        Some(Fault::BadGateway) => return Some(page(StatusCode::BAD_GATEWAY, "<html>502 Bad Gateway</html>")),
        Some(Fault::Hang) => std::future::pending::<()>().await,
        Some(Fault::LoseAnswer) | None => {}
    }
    let Ok(text) = serde_json::from_slice::<Text<'_>>(body) else {
        return Some(refusal(400, "M_NOT_JSON", "not JSON"));
    };
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let mut state = shared.state();
    if !state.is_joined(room, user) {
        return Some(refusal(403, "M_FORBIDDEN", "not in the room"));
    }
    let sent = Sent {
        transaction: transaction.to_owned(),
        sender: user.to_owned(),
        kind: kind.to_owned(),
        body: text
            .body
            .map_or_else(|| String::from_utf8_lossy(body).into_owned(), Cow::into_owned),
        at,
    };
    let event = state.take(room, sent, hasher.finish());
    (fault != Some(Fault::LoseAnswer)).then(|| page(StatusCode::OK, &format!(r#"{{"event_id":"{event}"}}"#)))
}

async fn ping(shared: &Shared, body: &Bytes) -> Answer {
    let hub = shared.state().hub.clone();
    let (Some((url, token)), Ok(client)) = (hub, http_client()) else {
        return refusal(400, "M_URL_NOT_SET", "the stub was not told where the hub is");
    };
    let request = client
        .post(format!("{url}/_matrix/app/v1/ping"))
        .bearer_auth(token)
        .body(body.clone());
    match request.send().await {
        Ok(response) if response.status().is_success() => json_answer(StatusCode::OK, &json!({ "duration_ms": 1 })),
        Ok(response) => {
            let status = response.status().as_u16();
            let body = json!({ "errcode": "M_BAD_STATUS", "error": "the hub answered otherwise", "status": status });
            json_answer(StatusCode::BAD_GATEWAY, &body)
        }
        Err(error) => refusal(502, "M_CONNECTION_FAILED", &error.to_string()),
    }
}

fn upload(state: &mut State, mime: &str, body: &Bytes) -> Answer {
    let id = format!("media{}", state.serial());
    state.media.insert(id.clone(), (mime.to_owned(), body.to_vec()));
    json_answer(
        StatusCode::OK,
        &json!({ "content_uri": format!("mxc://{}/{id}", StubHomeserver::DOMAIN) }),
    )
}

/// Everything that needs no waiting.
fn plain_answer(state: &mut State, method: &Method, path: &[&str], user: &str, body: Value) -> Answer {
    match (method.as_str(), path) {
        ("GET", ["client", "versions"]) => ok(json!({ "versions": ["v1.1", "v1.7", "v1.11", "v1.13"] })),
        ("GET", ["client", _, "account", "whoami"]) => ok(json!({ "user_id": user })),
        ("GET", ["client", _, "capabilities"]) => ok(json!({ "capabilities": {} })),
        ("GET", ["client" | "media", .., "config"]) => ok(json!({ "m.upload.size": 50_000_000 })),
        ("POST", ["client", _, "register"]) => register(state, &body),
        ("PUT", ["client", _, "profile", of, field]) => {
            state.profiles.insert(((*of).to_owned(), (*field).to_owned()), body);
            ok(json!({}))
        }
        ("GET", ["client", _, "profile", of, fields @ ..]) => profile(state, of, fields),
        ("POST", ["client", _, "join", room] | ["client", _, "rooms", room, "join"]) => join(state, room, user),
        ("POST", ["client", _, "rooms", room, "leave"]) => {
            state.room(room).members.remove(user);
            ok(json!({}))
        }
        ("POST", ["client", _, "rooms", room, "kick" | "ban"]) => {
            if let Some(other) = body.get("user_id").and_then(Value::as_str) {
                state.room(room).members.remove(other);
            }
            ok(json!({}))
        }
        ("PUT", ["client", _, "directory", "room", alias]) => {
            if let Some(room) = body.get("room_id").and_then(Value::as_str) {
                state.aliases.insert((*alias).to_owned(), room.to_owned());
            }
            ok(json!({}))
        }
        (
            "POST",
            [
                "client",
                _,
                "rooms",
                _,
                "invite" | "unban" | "read_markers" | "receipt",
                ..,
            ],
        )
        | (
            "PUT",
            ["client", _, "rooms", _, "typing", _] | ["client", _, "user" | "devices" | "presence" | "directory", ..],
        ) => ok(json!({})),
        ("PUT", ["client", _, "rooms", room, "state", kind, key @ ..]) => {
            let key = ((*kind).to_owned(), key.concat());
            state.room(room).state.insert(key, body);
            ok(json!({ "event_id": format!("$state{}", state.serial()) }))
        }
        ("GET", ["client", _, "rooms", room, "state", kind, key @ ..]) => {
            let key = ((*kind).to_owned(), key.concat());
            let found = state.rooms.get(*room).and_then(|room| room.state.get(&key)).cloned();
            found.map_or_else(|| refusal(404, "M_NOT_FOUND", "no such state"), ok)
        }
        ("GET", ["client", _, "rooms", room, "state"]) => ok(whole_state(state, room)),
        ("GET", ["client", _, "rooms", room, "joined_members"]) => {
            let members = state
                .room(room)
                .members
                .iter()
                .map(|member| (member.clone(), json!({})));
            ok(json!({ "joined": members.collect::<serde_json::Map<_, _>>() }))
        }
        ("GET", ["client", _, "rooms", _, "members"]) => ok(json!({ "chunk": [] })),
        ("GET", ["client", _, "joined_rooms"]) => {
            let rooms = state
                .rooms
                .iter()
                .filter(|(_, room)| room.members.contains(user))
                .map(|(id, _)| id);
            ok(json!({ "joined_rooms": rooms.collect::<Vec<_>>() }))
        }
        ("PUT", ["client", _, "rooms", room, "redact", event, transaction]) => {
            redact(state, room, user, event, transaction)
        }
        ("POST", ["client", _, "createRoom"]) => create_room(state, user, &body),
        ("GET", ["client", _, "directory", "room", alias]) => match state.aliases.get(*alias) {
            Some(room) => ok(json!({ "room_id": room, "servers": [StubHomeserver::DOMAIN] })),
            None => refusal(404, "M_NOT_FOUND", "no such alias"),
        },
        ("GET", ["client", "v1", "media", "download", _, id, ..] | ["media", _, "download", _, id, ..]) => {
            download(state, id)
        }
        _ => {
            if state.counts.unknown.len() < UNKNOWN_BOUND {
                state.counts.unknown.push(format!("{method} {}", path.join("/")));
            }
            refusal(404, "M_UNRECOGNIZED", "the stub does not know this request")
        }
    }
}

fn register(state: &mut State, body: &Value) -> Answer {
    let name = body.get("username").and_then(Value::as_str).unwrap_or_default();
    let id = format!("@{name}:{}", StubHomeserver::DOMAIN);
    if !state.users.insert(id.clone()) {
        return refusal(400, "M_USER_IN_USE", "it exists");
    }
    state.counts.registered += 1;
    ok(json!({ "user_id": id }))
}

fn profile(state: &State, of: &str, fields: &[&str]) -> Answer {
    let of_them = state.profiles.iter().filter(|((user, _), _)| user == of);
    let wanted = of_them.filter(|((_, field), _)| fields.is_empty() || fields.contains(&field.as_str()));
    let merged: serde_json::Map<String, Value> = wanted
        .filter_map(|(_, value)| value.as_object())
        .flat_map(Clone::clone)
        .collect();
    if merged.is_empty() && !state.users.contains(of) {
        refusal(404, "M_NOT_FOUND", "nobody")
    } else {
        ok(Value::Object(merged))
    }
}

fn join(state: &mut State, room: &str, user: &str) -> Answer {
    let id = if room.starts_with('#') {
        state.aliases.get(room).cloned()
    } else {
        Some(room.to_owned())
    };
    let Some(id) = id else {
        return refusal(404, "M_NOT_FOUND", "no such alias");
    };
    if !state.users.contains(user) {
        return refusal(403, "M_FORBIDDEN", "not registered");
    }
    state.room(&id).members.insert(user.to_owned());
    ok(json!({ "room_id": id }))
}

fn create_room(state: &mut State, user: &str, body: &Value) -> Answer {
    let alias = body.get("room_alias_name").and_then(Value::as_str);
    let alias = alias.map(|name| format!("#{name}:{}", StubHomeserver::DOMAIN));
    if alias.as_ref().is_some_and(|alias| state.aliases.contains_key(alias)) {
        return refusal(400, "M_ROOM_IN_USE", "the alias is taken");
    }
    // Without a server part, as in room version 12.
    let id = format!("!made{}", state.serial());
    if let Some(alias) = alias {
        state.aliases.insert(alias, id.clone());
    }
    state.room(&id).members.insert(user.to_owned());
    ok(json!({ "room_id": id }))
}

fn redact(state: &mut State, room: &str, user: &str, event: &str, transaction: &str) -> Answer {
    let mut hasher = DefaultHasher::new();
    event.hash(&mut hasher);
    let sent = Sent {
        transaction: transaction.to_owned(),
        sender: user.to_owned(),
        kind: "m.room.redaction".to_owned(),
        body: event.to_owned(),
        at: Instant::now(),
    };
    let event = state.take(room, sent, hasher.finish());
    ok(json!({ "event_id": event }))
}

fn whole_state(state: &mut State, room: &str) -> Value {
    let bot = state.bot.clone();
    let room = state.room(room);
    let members = room.members.iter().map(|member| {
        json!({ "type": "m.room.member", "state_key": member, "sender": member, "content": { "membership": "join" },
                "event_id": format!("$member{member}"), "origin_server_ts": 0 })
    });
    let others = room.state.iter().map(|((kind, key), content)| {
        json!({ "type": kind, "state_key": key, "sender": bot, "content": content,
                "event_id": format!("$state{kind}{key}"), "origin_server_ts": 0 })
    });
    members.chain(others).collect()
}

fn download(state: &State, id: &str) -> Answer {
    let Some((mime, bytes)) = state.media.get(id) else {
        return refusal(404, "M_NOT_FOUND", "no such file");
    };
    let response = Response::builder()
        .header(CONTENT_TYPE, mime.as_str())
        .body(Full::new(Bytes::from(bytes.clone())));
    response.unwrap_or_else(|_| refusal(500, "M_UNKNOWN", "its media type is not one"))
}

fn ok(body: impl Into<Value>) -> Answer {
    json_answer(StatusCode::OK, &body.into())
}

fn refusal(status: u16, code: &str, text: &str) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_answer(status, &json!({ "errcode": code, "error": text }))
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    page(status, &body.to_string())
}

fn page(status: StatusCode, text: &str) -> Answer {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    response
}
