//! Opening sessions.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use encoding_rs::Encoding;
use serde_json::Value;
use viaduct_bridge::{Context, Factory, OpenError, Session};
use viaduct_model::Capabilities;

use super::{IrcSession, Secrets, Shared, common_capabilities};
use crate::client::dial::Dialer;
use crate::config::{self, Mechanism, SecretError, Section};

/// Makes sessions of the kind `irc`.
#[derive(Debug, Clone, Copy, Default)]
pub struct IrcFactory;

fn read(section: &Value) -> Result<Section, String> {
    serde_json::from_value(section.clone()).map_err(|error| error.to_string())
}

fn secrets(section: &Section) -> Result<Secrets, SecretError> {
    let plain = section.sasl.as_ref().filter(|sasl| sasl.mechanism == Mechanism::Plain);
    let mut keys = HashMap::new();
    for (name, options) in &section.channels {
        if let Some(key) = options.secret(name)? {
            keys.insert(name.to_lowercase(), key);
        }
    }
    Ok(Secrets {
        password: section.server_password()?,
        sasl: plain.map(config::Sasl::secret).transpose()?,
        nickserv: section.nickserv.as_ref().map(config::NickServ::secret).transpose()?,
        webirc: section.webirc.as_ref().map(config::WebIrc::secret).transpose()?,
        keys,
    })
}

#[async_trait]
impl Factory for IrcFactory {
    fn kind(&self) -> &'static str {
        "irc"
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(Section).to_value()
    }

    fn permissions(&self, section: &Value) -> Vec<String> {
        let Ok(section) = read(section) else { return Vec::new() };
        let mut out = vec![format!(
            "{} may join the mirrored channels and speak there",
            section.nick
        )];
        if section.puppets.enabled {
            out.push(format!(
                "{} connections from this machine's address at the same time",
                section.puppets.max + 1
            ));
        }
        if section.webirc.is_some() {
            out.push("this machine may use WEBIRC".to_owned());
        }
        out.push(format!(
            "for topics, kicks, bans and roles: {} is a channel operator",
            section.nick
        ));
        out
    }

    fn check(&self, section: &Value) -> Vec<(String, String)> {
        match read(section) {
            Ok(section) => config::check(&section),
            Err(error) => vec![(String::new(), error)],
        }
    }

    fn capabilities(&self) -> Capabilities {
        common_capabilities(None)
    }

    async fn open(&self, section: Value, context: Context) -> Result<Arc<dyn Session>, OpenError> {
        let section = read(&section).map_err(OpenError)?;
        if let Some((key, complaint)) = config::check(&section).into_iter().next() {
            return Err(OpenError(format!("{key}: {complaint}")));
        }
        if let Some(channel) = context
            .channels
            .iter()
            .find(|channel| !config::is_channel(channel.as_str()))
        {
            return Err(OpenError(format!(
                "{channel} is not a channel's name; it starts with # or & and has no blanks"
            )));
        }
        let secrets = secrets(&section).map_err(|error| OpenError(error.to_string()))?;
        let dialer = Dialer::new(&section).map_err(OpenError)?;
        let encoding = Encoding::for_label(section.encoding.as_bytes()).unwrap_or(encoding_rs::WINDOWS_1252);
        let shared = Shared::new(section, secrets, dialer, encoding, context);
        Ok(Arc::new(IrcSession {
            shared: Arc::new(shared),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_documents_every_key_and_a_bad_section_is_told() {
        let schema = IrcFactory.schema();
        let properties = schema["properties"].as_object().unwrap();
        assert!(properties.len() > 15);
        for (key, value) in properties {
            assert!(value["description"].is_string(), "{key}");
        }
        assert_eq!(IrcFactory.check(&serde_json::json!({"server": {}})).len(), 1);
        let good = serde_json::json!({"server": {"host": "irc.example.org"}, "pacing": "off"});
        assert!(IrcFactory.check(&good).is_empty());
        assert_eq!(IrcFactory.permissions(&good).len(), 3);
    }
}
