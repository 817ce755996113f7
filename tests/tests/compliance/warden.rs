//! A moderator who keeps a policy list, as the Matrix specification has it: state of a room, changed over the client API.

use anyhow::Context as _;
use reqwest::{Client, Method, Url};
use serde_json::{Value, json};
use viaduct_tests::launch::{Synapse, install_tls};

const PASSWORD: &str = "keeper of the list";

/// A moderator, and the room of their list.
pub struct Warden {
    client: Client,
    homeserver: Url,
    token: String,
    room: String,
}

impl Warden {
    /// Creates somebody who makes a public room of this alias for their list.
    pub async fn new(synapse: &Synapse, name: &str, alias: &str) -> anyhow::Result<Self> {
        install_tls();
        synapse.register(name, PASSWORD).await?;
        let mut warden = Self {
            client: Client::builder().no_proxy().build()?,
            homeserver: synapse.url().parse()?,
            token: String::new(),
            room: String::new(),
        };
        let login = json!({
            "type": "m.login.password", "identifier": { "type": "m.id.user", "user": name }, "password": PASSWORD,
        });
        warden.token = warden.ask(Method::POST, &["login"], &login, "access_token").await?;
        let room = json!({ "preset": "public_chat", "room_alias_name": alias });
        warden.room = warden.ask(Method::POST, &["createRoom"], &room, "room_id").await?;
        Ok(warden)
    }

    /// Bans users by their id, in which `*` stands for anything.
    pub async fn ban(&self, entity: &str) -> anyhow::Result<()> {
        let rule = json!({ "entity": entity, "recommendation": "m.ban", "reason": "spam" });
        self.rule(entity, &rule).await
    }

    /// Takes a ban back.
    pub async fn pardon(&self, entity: &str) -> anyhow::Result<()> {
        self.rule(entity, &json!({})).await
    }

    async fn rule(&self, entity: &str, content: &Value) -> anyhow::Result<()> {
        let key = format!("rule:{entity}");
        let path = ["rooms", &self.room, "state", "m.policy.rule.user", &key];
        self.ask(Method::PUT, &path, content, "event_id").await?;
        Ok(())
    }

    async fn ask(&self, method: Method, path: &[&str], body: &Value, wanted: &str) -> anyhow::Result<String> {
        let mut url = self.homeserver.clone();
        url.path_segments_mut()
            .ok()
            .context("a path")?
            .extend(["_matrix", "client", "v3"])
            .extend(path);
        let asked = self.client.request(method, url).bearer_auth(&self.token);
        let asked = asked
            .header("content-type", "application/json")
            .body(body.to_string())
            .send();
        let answer = asked.await?.error_for_status()?.text().await?;
        let answer: Value = serde_json::from_str(&answer)?;
        Ok(answer[wanted].as_str().context("an answer")?.to_owned())
    }
}
