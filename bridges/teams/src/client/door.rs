//! The shared listener: several networks are reached at one address, and the audience of a request's token says which is meant.
//!
//! The listener is there while one of its networks runs, and remembered in the factory that made them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use viaduct_token::bearer;

use super::token::{Claims, Refusal};
use crate::telemetry;

/// The largest request, in bytes.
const REQUEST: usize = 1024 * 1024;
/// Below the path of a network, before its app's id: where Graph's notifications arrive.
pub const NOTICES: &str = "/graph/";
/// The longest token of a handshake, in bytes.
const VALIDATION: usize = 4096;
/// How often the address is tried while an earlier listener goes away.
const TRIES: u32 = 40;
/// How long is waited between two tries.
const AGAIN: Duration = Duration::from_millis(50);

/// Takes the requests of one network.
#[async_trait]
pub trait Take: Send + Sync {
    /// Takes an activity with the token that came with it; answers when it is on stable storage, or is not to be believed.
    async fn take(&self, token: &str, body: Bytes) -> StatusCode;

    /// Takes notifications of Graph's; answers when they are on stable storage, or are not to be believed.
    async fn notice(&self, body: Bytes) -> StatusCode;
}

/// What a request is for: a path and an app.
type Route = (String, String);
type Routes = Arc<RwLock<HashMap<Route, Arc<dyn Take>>>>;

/// What an address answers with.
#[derive(Clone, Default)]
struct Desk {
    routes: Routes,
    claims: Arc<Claims>,
}

struct Listener {
    routes: Routes,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Every listening address of a factory.
#[derive(Default)]
pub struct Doors {
    open: Mutex<HashMap<SocketAddr, Listener>>,
    /// One address is opened at a time.
    opening: tokio::sync::Mutex<()>,
}

/// A network's place at an address; given up when dropped.
pub struct Entry {
    doors: Arc<Doors>,
    address: SocketAddr,
    route: Route,
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Doors {
    /// Lets a network take its requests at an address.
    ///
    /// # Errors
    ///
    /// Why it cannot, in the operator's words.
    pub async fn enter(
        self: &Arc<Self>,
        address: SocketAddr,
        path: &str,
        app_id: &str,
        take: Arc<dyn Take>,
    ) -> Result<Entry, String> {
        let _one = self.opening.lock().await;
        let route = (path.to_owned(), app_id.to_ascii_lowercase());
        let entry = Entry {
            doors: Arc::clone(self),
            address,
            route: route.clone(),
        };
        if let Some(listener) = locked(&self.open)
            .get(&address)
            .filter(|listener| !listener.task.is_finished())
        {
            let mut routes = listener.routes.write().unwrap_or_else(PoisonError::into_inner);
            if routes.contains_key(&route) {
                return Err(format!(
                    "another network with the same app already listens on {address}"
                ));
            }
            routes.insert(route, take);
            drop(routes);
            return Ok(entry);
        }
        let socket = bind(address).await?;
        let routes = Routes::default();
        routes
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(route, take);
        let stop = CancellationToken::new();
        let desk = Desk {
            routes: Arc::clone(&routes),
            claims: Arc::default(),
        };
        let app = Router::new().fallback(answer).with_state(desk);
        let serving = stop.clone();
        let task = tokio::spawn(async move {
            let served = axum::serve(socket, app).with_graceful_shutdown(serving.cancelled_owned());
            if let Err(error) = served.await {
                tracing::error!(%error, "The listening address can no longer be served.");
            }
        });
        locked(&self.open).insert(address, Listener { routes, stop, task });
        Ok(entry)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut open = locked(&self.doors.open);
        let Some(listener) = open.get(&self.address) else {
            return;
        };
        let mut routes = listener.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.remove(&self.route);
        if routes.is_empty() {
            listener.stop.cancel();
            drop(routes);
            open.remove(&self.address);
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    let mut tries = 0;
    loop {
        match TcpListener::bind(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) if tries >= TRIES => return Err(format!("cannot listen on {address}: {error}")),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(AGAIN).await;
    }
}

async fn answer(State(desk): State<Desk>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    }
    let Ok(body) = to_bytes(body, REQUEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let find = |path: &str, app: &str| {
        let route = (path.to_owned(), app.to_ascii_lowercase());
        desk.routes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&route)
            .cloned()
    };
    if let Some((path, app)) = head.uri.path().rsplit_once(NOTICES) {
        let Some(take) = find(path, app) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        if let Some(token) = validation(head.uri.query()) {
            return handshake(token);
        }
        return take.notice(body).await.into_response();
    }
    let authorization = head.headers.get(header::AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let claim = bearer(authorization).map_err(Refusal::from);
    let claim = claim.and_then(|token| Ok((token, desk.claims.app(token)?)));
    let (token, audience) = match claim {
        Ok(claim) => claim,
        Err(refusal) => {
            telemetry::refused(refusal.as_str());
            return StatusCode::UNAUTHORIZED.into_response();
        }
    };
    let Some(take) = find(head.uri.path(), &audience) else {
        telemetry::refused("audience");
        return StatusCode::UNAUTHORIZED.into_response();
    };
    take.take(token, body).await.into_response()
}

/// The token that Graph wants back before it sends anything.
fn validation(query: Option<&str>) -> Option<String> {
    let pairs = url::form_urlencoded::parse(query?.as_bytes());
    let token = pairs
        .into_owned()
        .find(|(key, _)| key == "validationToken")
        .map(|(_, token)| token);
    token.filter(|token| token.len() <= VALIDATION)
}

/// Gives the token back as text that no browser takes for anything else.
fn handshake(token: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (StatusCode::OK, headers, token).into_response()
}
