//! The contract with the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use viaduct_bridge::{Connection, Context, DeliveryError, Factory, OpenError, Probe, Session, SessionError};
use viaduct_compliance::Cleared;
use viaduct_model::{
    Capabilities, ChannelId, Event, IdError, Lookup, Outbound, Person, PersonId, Receipt, Support::Native,
};

use crate::answer::{answer, answer_id, delivered};

/// The network `echo`: answers every message with the same text.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Section {
    /// What the person who answers is called.
    pub name: String,
}

impl Default for Section {
    fn default() -> Self {
        Self {
            name: "Echo".to_owned(),
        }
    }
}

/// Makes echo networks.
#[derive(Debug, Clone, Copy)]
pub struct EchoFactory;

#[async_trait]
impl Factory for EchoFactory {
    fn kind(&self) -> &'static str {
        "echo"
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(Section).to_value()
    }

    fn permissions(&self, _section: &Value) -> Vec<String> {
        Vec::new()
    }

    fn check(&self, section: &Value) -> Vec<(String, String)> {
        match section.get("name").and_then(Value::as_str) {
            Some(name) if name.trim().is_empty() => vec![("name".to_owned(), "the name is empty".to_owned())],
            _ => Vec::new(),
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            edit: Native,
            delete: Native,
            reply: Native,
            thread: Native,
            reaction: Native,
            custom_emoji: Native,
            formatting: Native,
            mention: Native,
            file: Native,
            puppet: Native,
            lookup: Lookup::Idempotent,
            ..Capabilities::default()
        }
    }

    async fn open(&self, section: Value, context: Context) -> Result<Arc<dyn Session>, OpenError> {
        let section: Section = serde_json::from_value(section).map_err(|error| OpenError(error.to_string()))?;
        let echo = Person {
            network: context.network.clone(),
            id: PersonId::new("echo").map_err(|error| OpenError(error.to_string()))?,
            name: section.name,
            avatar: None,
            organisation: None,
            bot: true,
        };
        Ok(Arc::new(EchoSession {
            context,
            echo,
            up: AtomicBool::new(false),
        }))
    }
}

struct EchoSession {
    context: Context,
    echo: Person,
    up: AtomicBool,
}

impl EchoSession {
    /// The event that answers, if Echo answers.
    fn event(&self, outbound: &Outbound) -> Result<Option<Event>, IdError> {
        let Some(content) = answer(outbound)? else {
            return Ok(None);
        };
        Ok(Some(Event {
            place: outbound.to.clone(),
            id: answer_id(&delivered(outbound)?)?,
            sender: self.echo.clone(),
            at: self.context.clock.now(),
            content,
            cursor: None,
            echo_of: None,
            direct_to: None,
        }))
    }
}

#[async_trait]
impl Session for EchoSession {
    async fn run(&self) -> Result<(), SessionError> {
        self.up.store(true, Ordering::Release);
        self.context.inbox.report(None, Connection::Up);
        self.context.stop.cancelled().await;
        self.up.store(false, Ordering::Release);
        Ok(())
    }

    fn capabilities(&self, _channel: &ChannelId) -> Capabilities {
        EchoFactory.capabilities()
    }

    /// Answers before it reports the delivery: a hub that is killed in between delivers again, under the same ids.
    async fn deliver(&self, outbound: &Cleared<Outbound>) -> Result<Receipt, DeliveryError> {
        if !self.up.load(Ordering::Acquire) {
            return Err(DeliveryError::retry("echo is not running"));
        }
        let refused = |error: IdError| DeliveryError::permanent(error.to_string());
        let id = delivered(outbound).map_err(refused)?;
        if let Some(event) = self.event(outbound).map_err(refused)? {
            let stopping = |_| DeliveryError::retry("the hub is stopping");
            self.context
                .inbox
                .push(vec![event])
                .await
                .map_err(stopping)?
                .await
                .map_err(stopping)?;
        }
        let ids = if outbound.content.message().is_some() || outbound.content.target().is_some() {
            vec![id]
        } else {
            vec![]
        };
        Ok(Receipt {
            ids,
            ..Receipt::default()
        })
    }

    /// Echo is nowhere, so there is nobody to take out of a channel.
    async fn leave(&self, _channel: &ChannelId) -> Result<(), DeliveryError> {
        Ok(())
    }

    async fn probe(&self) -> Vec<Probe> {
        vec![Probe::ok("echo", "answers without any server")]
    }
}
