//! What the tests of the bridge share.

#![allow(dead_code, reason = "not every test uses everything")]

pub mod person;

use std::sync::Arc;

use serde_json::{Value, json};
use viaduct_bridge::testing::{Hub, PATIENCE, Running};
use viaduct_model::{Content, Document, Message, MessageId};
use viaduct_teams::TeamsFactory;
use viaduct_tests::teams::{Control, Kind, Limits, TeamsStandIn};

/// How the operator spells the channel of a [`World`].
pub const CHANNEL: &str = "Acme/project";

/// A tenant with a channel and somebody in it.
pub struct World {
    pub teams: TeamsStandIn,
    pub channel: String,
    pub sue: String,
    pub section: Value,
}

/// A tenant with a channel and somebody in it, and a section for it.
pub async fn world() -> World {
    let teams = TeamsStandIn::start().await.unwrap();
    teams.set_limits(Limits::none());
    let channel = teams.add_channel("project", Kind::Standard);
    let sue = teams.add_user("Sue Miller");
    teams.join(teams.team(), &sue);
    let section = section(&teams);
    World {
        teams,
        channel,
        sue,
        section,
    }
}

impl World {
    /// A session for the channel, once it is told of everything.
    pub async fn start(&self) -> Running {
        self.start_with(Hub::new("acme")).await
    }

    /// The same with what a hub remembers.
    pub async fn start_with(&self, hub: Arc<Hub>) -> Running {
        let running = hub.start(&TeamsFactory::default(), &self.section, &[CHANNEL]).await;
        let kept = format!("subscription/{CHANNEL}");
        let known = |id: &String| running.hub.recall(&kept).as_deref() == Some(id.as_bytes());
        let subscribed = || self.teams.subscriptions().iter().any(known);
        viaduct_tests::wait::wait_until("the subscription", PATIENCE, subscribed)
            .await
            .unwrap();
        running
    }
}

/// A message with this text.
pub fn message(text: &str) -> Content {
    Content::Message(Message::plain(text))
}

/// Another wording of a message.
pub fn edit(target: &MessageId, text: &str) -> Content {
    Content::Edit {
        target: target.clone(),
        message: Message {
            body: Document::plain(text),
            ..Message::default()
        },
    }
}

/// The HTML of what the bot wrote into a channel, with plain spaces.
pub fn posted(teams: &Control, channel: &str) -> Vec<String> {
    let posted = teams.posted(channel).into_iter();
    posted
        .map(|one| {
            one["body"]["content"]
                .as_str()
                .unwrap_or_default()
                .replace("&nbsp;", " ")
        })
        .collect()
}

/// The path of the requests.
const PATH: &str = "/api/messages";

/// A port that nobody uses at the moment.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// A section for the stand-in, without waiting for rates; the stand-in's bot is at its address.
pub fn section(teams: &TeamsStandIn) -> Value {
    let address = format!("127.0.0.1:{}", free_port());
    let endpoint = format!("http://{address}{PATH}");
    teams.set_endpoint(Some(&endpoint));
    json!({
        "app_id": teams.app().app_id, "tenant": teams.app().tenant, "secret": teams.app().secret,
        "listen": address, "path": PATH, "public_url": endpoint, "sweep_seconds": 2,
        "addresses": {
            "login": teams.login_url(), "openid": teams.openid_url(), "graph": teams.graph_url(),
            "connector": teams.service_url(), "service_hosts": ["127.0.0.1"],
        },
        "limits": {"per_second": 1000, "per_half_minute": 100_000, "per_hour": 1_000_000, "tenant_per_second": 10_000,
                   "graph_per_second": 10_000},
    })
}
