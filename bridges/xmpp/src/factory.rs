//! How sessions are made from configuration.

use std::sync::Arc;

use async_trait::async_trait;
use viaduct_bridge::{Context, Factory, OpenError, Session};
use viaduct_model::Capabilities;

use crate::capabilities;
use crate::config::{Component, Secret, Section};
use crate::session::{Xmpp, XmppSession};

/// Makes sessions on XMPP networks.
#[derive(Debug, Clone, Copy, Default)]
pub struct XmppFactory;

#[async_trait]
impl Factory for XmppFactory {
    fn kind(&self) -> &'static str {
        "xmpp"
    }

    fn schema(&self) -> serde_json::Value {
        schemars::schema_for!(Section).to_value()
    }

    fn permissions(&self, section: &serde_json::Value) -> Vec<String> {
        let domain = section
            .pointer("/component/domain")
            .and_then(serde_json::Value::as_str)
            .unwrap_or("the component");
        vec![
            format!("the server accepts {domain} as a component (XEP-0114)"),
            format!("rooms let everybody of {domain} in, and let them speak"),
            "rooms let the hub read their archive".to_owned(),
            "to set topics, remove people or withdraw messages of others: the hub is a moderator of the room"
                .to_owned(),
        ]
    }

    fn check(&self, section: &serde_json::Value) -> Vec<(String, String)> {
        match serde_json::from_value::<Section>(section.clone()) {
            Ok(section) => section.check(),
            Err(error) => vec![(String::new(), error.to_string())],
        }
    }

    fn capabilities(&self) -> Capabilities {
        capabilities::of_kind()
    }

    async fn open(&self, section: serde_json::Value, context: Context) -> Result<Arc<dyn Session>, OpenError> {
        let section: Section = serde_json::from_value(section).map_err(|error| OpenError(error.to_string()))?;
        if let Some((path, complaint)) = section.check().into_iter().next() {
            return Err(OpenError(format!("{path}: {complaint}")));
        }
        let secret = read_secret(&section.component).await?;
        Ok(Arc::new(XmppSession(Xmpp::new(section, secret, context)?)))
    }
}

async fn read_secret(component: &Component) -> Result<Secret, OpenError> {
    if let Some(secret) = &component.secret {
        return Ok(secret.clone());
    }
    if let Some(path) = &component.secret_file {
        let text = tokio::fs::read_to_string(path).await;
        let text = text.map_err(|error| OpenError(format!("component.secret_file {}: {error}", path.display())))?;
        return Ok(Secret::new(text.trim_end()));
    }
    let name = component.secret_env.as_deref().unwrap_or_default();
    let value = std::env::var(name).map_err(|_| OpenError(format!("component.secret_env: {name} is not set")))?;
    Ok(Secret::new(&value))
}
