//! What `doctor` should know.

use std::time::Duration;

use viaduct_bridge::Probe;

use super::channels::Channel;
use super::{Teams, locked};
use crate::client::connector::part;
use crate::client::wire::Audience;
use crate::config::Files;

/// How long the public address may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

impl Teams {
    /// Looks at credentials, keys, the public address, channels and consents.
    pub(super) async fn probe_all(&self) -> Vec<Probe> {
        let mut out = vec![
            self.probe_token("login for the connector", Audience::Connector).await,
            self.probe_token("login for Graph", Audience::Graph).await,
            self.probe_keys().await,
            self.probe_public().await,
        ];
        for channel in &self.channels {
            out.push(self.probe_channel(channel).await);
        }
        out.extend(self.probe_files().await);
        out.extend(self.probe_pictures().await);
        out.extend(self.probe_chats());
        out.extend(self.probe_logins().await);
        out
    }

    /// Whether the folders of channels can be used, where files are uploaded there.
    async fn probe_files(&self) -> Option<Probe> {
        let mut scopes = self.channels.iter().filter(|channel| !channel.is_chat());
        let scope = scopes.find_map(|channel| channel.scope());
        let scope = scope.filter(|_| self.section.files == Files::Upload)?;
        let subject = "files into channels";
        Some(match self.wire.folder(&scope).await {
            Ok(_) => Probe::ok(subject, "the folder of a channel can be used"),
            Err(error) => Probe::warning(
                subject,
                format!("{error}; files are linked to"),
                "grant Files.ReadWrite.All or Sites.Selected with write, or set files: link",
            ),
        })
    }

    /// Whether the pictures of people can be read, as far as somebody was met.
    async fn probe_pictures(&self) -> Option<Probe> {
        let somebody = self.people.somebody()?;
        let url = self
            .wire
            .content_url(&format!("users/{}/photo/$value", part(&somebody)))?;
        let subject = "pictures of people";
        Some(match self.wire.get(url, Some(Audience::Graph)).await {
            Ok(response) if matches!(response.status().as_u16(), 401 | 403) => Probe::warning(
                subject,
                format!("Microsoft answers {}; people have no pictures", response.status()),
                "grant User.Read.All",
            ),
            Ok(_) => Probe::ok(subject, "they can be read"),
            Err(error) => Probe::warning(subject, error.to_string(), "check the way to Microsoft"),
        })
    }

    /// How chats between two people stand.
    fn probe_chats(&self) -> Option<Probe> {
        if !self.section.direct {
            return None;
        }
        let finding = match &*locked(&self.chats_unread) {
            Some(reason) => format!(
                "possible; what is said to the bot while the hub is away is lost if it is longer than Microsoft tries, as it cannot \
                 be read afterwards ({reason}); Chat.Read.All would allow it"
            ),
            None => "possible".to_owned(),
        };
        Some(Probe::ok("chats between two people", finding))
    }

    async fn probe_token(&self, subject: &str, audience: Audience<'_>) -> Probe {
        match self.wire.token(audience).await {
            Ok(_) => Probe::ok(subject, "Microsoft accepts the app"),
            Err(error) if error.is_auth() => Probe::error(
                subject,
                error.to_string(),
                "check app_id, tenant and the secret or certificate; secrets of Entra apps expire",
            ),
            Err(error) => Probe::error(
                subject,
                error.to_string(),
                "check the way to Microsoft (proxy, firewall)",
            ),
        }
    }

    async fn probe_keys(&self) -> Probe {
        let subject = "keys of inbound tokens";
        match self.keys.current().await {
            Ok(_) => Probe::ok(subject, "they are known"),
            Err(reason) => Probe::error(
                subject,
                reason,
                "check the way to the OpenID metadata (proxy, firewall)",
            ),
        }
    }

    /// Whether the public address leads here: a request without a token is refused by us, and by nobody else in that way.
    async fn probe_public(&self) -> Probe {
        let subject = "public address";
        let Some(address) = &self.section.public_url else {
            return Probe::warning(
                subject,
                "public_url is not configured",
                "set it to the address under which Microsoft reaches the hub, as in the Azure bot's messaging endpoint",
            );
        };
        let asked = self.wire.http.post(address).timeout(PATIENCE).send().await;
        match asked {
            Ok(response) if response.status() == reqwest::StatusCode::UNAUTHORIZED => {
                Probe::ok(subject, format!("{address} leads to the hub"))
            }
            Ok(response) => Probe::error(
                subject,
                format!("{address} answers {} instead of the hub's 401", response.status()),
                "let the proxy in front pass this path to the listening address",
            ),
            Err(error) => Probe::warning(
                subject,
                format!("{address} cannot be reached from here: {}", error.without_url()),
                "check DNS, TLS and the proxy; Microsoft may still reach it where this machine cannot",
            ),
        }
    }

    async fn probe_channel(&self, channel: &Channel) -> Probe {
        let subject = format!("channel {}", channel.spelling);
        let thread = match channel.usable() {
            Ok(thread) => thread,
            Err(reason) => {
                let fix = "install the app in the team, or correct the channel's name or id";
                return Probe::error(subject, reason, fix);
            }
        };
        let Some(scope) = channel.scope() else {
            return Probe::warning(
                subject,
                format!("{thread}; the team is not known, so its history cannot be read"),
                "write the channel as TEAM/CHANNEL, or wait for its first message",
            );
        };
        match self.wire.newest(&scope, &mut |_| false).await {
            Ok(()) => self.probe_subscription(subject, &thread, channel),
            Err(error) => Probe::warning(
                subject,
                format!("{thread}; its messages cannot be read: {error}"),
                "grant the app ChannelMessage.Read.Group (ChatMessage.Read.Chat) by installing the written package again",
            ),
        }
    }

    fn probe_subscription(&self, subject: String, thread: &str, channel: &Channel) -> Probe {
        let known = channel.known();
        let thread = match known.location.name.as_str() {
            "" => thread.to_owned(),
            name => format!("{name} is {thread}"),
        };
        let fix =
            "set public_url, and let Microsoft reach it; until then reactions and missed edits wait for the sweep";
        match (&known.subscription, &known.unsubscribed) {
            (_, Some(reason)) => Probe::warning(
                subject,
                format!("{thread}; messages can be read, but there is no subscription: {reason}"),
                fix,
            ),
            (Some(own), None) => {
                let minutes = own.until.millis_since(self.context.clock.now()) / 60_000;
                Probe::ok(subject, format!("{thread}; subscribed for another {minutes} minutes"))
            }
            (None, None) if self.section.subscriptions && self.section.public_url.is_none() => Probe::warning(
                subject,
                format!("{thread}; messages can be read, but without public_url there is no subscription"),
                fix,
            ),
            (None, None) => Probe::ok(subject, format!("{thread}; messages can be read")),
        }
    }
}
