//! How sessions are made from configuration.

use std::sync::Arc;

use async_trait::async_trait;
use viaduct_bridge::{Context, Factory, OpenError, Session};
use viaduct_model::Capabilities;

use crate::capabilities;
use crate::config::Section;
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
        let named = |pointer: &str| section.pointer(pointer).and_then(serde_json::Value::as_str);
        let mut wanted = if let Some(address) = named("/account/address") {
            vec![
                format!("{address} is an account on the server, and may log in with SCRAM"),
                format!("rooms let {address} in, and let it speak"),
            ]
        } else {
            let domain = named("/component/domain").unwrap_or("the component");
            vec![
                format!("the server accepts {domain} as a component (XEP-0114)"),
                format!("rooms let everybody of {domain} in, and let them speak"),
            ]
        };
        wanted.push("rooms let the hub read their archive".to_owned());
        wanted.push(
            "to set topics, remove people or withdraw messages of others: the hub is a moderator of the room"
                .to_owned(),
        );
        if section.get("rename_rooms").and_then(serde_json::Value::as_bool) == Some(true) {
            wanted.push("to set the name and picture of the room: the hub is its owner".to_owned());
        }
        wanted
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
        Ok(Arc::new(XmppSession(Xmpp::new(section, context)?)))
    }
}
