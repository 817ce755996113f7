//! Opening sessions.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use viaduct_bridge::{AppFile, Context, Factory, OpenError, Session};
use viaduct_model::{Capabilities, NetworkName};

use crate::config::Section;
use crate::manifest::{bot_scopes, manifest};
use crate::session::{Slack, SlackSession, common_capabilities};

/// Makes sessions of the kind `slack`.
#[derive(Debug, Clone, Copy, Default)]
pub struct SlackFactory;

fn read(section: &Value) -> Result<Section, String> {
    serde_json::from_value(section.clone()).map_err(|error| error.to_string())
}

#[async_trait]
impl Factory for SlackFactory {
    fn kind(&self) -> &'static str {
        "slack"
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(Section).to_value()
    }

    fn permissions(&self, section: &Value) -> Vec<String> {
        let Ok(section) = read(section) else { return Vec::new() };
        let mut out = vec!["an internal app in the workspace, made from the printed manifest and installed".to_owned()];
        if section.events.is_none() {
            out.push("an app-level token with the scope connections:write".to_owned());
        }
        out.push("the app is a member of every mirrored private channel".to_owned());
        out.extend(
            bot_scopes(&section)
                .into_iter()
                .map(|scope| format!("bot scope {scope}")),
        );
        out
    }

    fn check(&self, section: &Value) -> Vec<(String, String)> {
        match read(section) {
            Ok(section) => section.check(),
            Err(error) => vec![(String::new(), error)],
        }
    }

    fn capabilities(&self) -> Capabilities {
        common_capabilities(None)
    }

    fn app(&self, network: &NetworkName, section: &Value) -> Result<Vec<AppFile>, OpenError> {
        let section = read(section).map_err(OpenError)?;
        let contents = manifest(network, &section).map_err(OpenError)?;
        Ok(vec![AppFile {
            name: format!("{network}.manifest.json"),
            contents: contents.into_bytes(),
        }])
    }

    async fn open(&self, section: Value, context: Context) -> Result<Arc<dyn Session>, OpenError> {
        let section = read(&section).map_err(OpenError)?;
        if let Some((key, complaint)) = section.check().into_iter().next() {
            return Err(OpenError(format!("{key}: {complaint}")));
        }
        let secrets = section.secrets().map_err(|error| OpenError(error.to_string()))?;
        Ok(Arc::new(SlackSession(Slack::new(section, secrets, context)?)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use super::*;

    #[test]
    fn the_schema_documents_every_key_and_a_bad_section_is_told() {
        let schema = SlackFactory.schema();
        let properties = schema["properties"].as_object().unwrap();
        assert!(properties.len() > 15);
        for (key, value) in properties {
            assert!(value["description"].is_string(), "{key}");
        }
        assert_eq!(SlackFactory.check(&serde_json::json!({"bot_token": 1})).len(), 1);
        let good = serde_json::json!({"bot_token_env": "A", "app_token_env": "B"});
        assert!(SlackFactory.check(&good).is_empty());
        assert!(SlackFactory.permissions(&good).len() > 10);
    }

    #[test]
    fn the_manifest_asks_for_what_the_configuration_uses() {
        let network = NetworkName::new("acme-slack").unwrap();
        let section = serde_json::json!({
            "bot_token_env": "A", "app_token_env": "B", "direct": false, "pins": false, "join": false,
        });
        let files = SlackFactory.app(&network, &section).unwrap();
        assert_eq!(files[0].name, "acme-slack.manifest.json");
        let manifest: Value = serde_json::from_slice(&files[0].contents).unwrap();
        let scopes: Vec<&str> = manifest["oauth_config"]["scopes"]["bot"]
            .as_array()
            .unwrap()
            .iter()
            .map(|scope| scope.as_str().unwrap())
            .collect();
        insta::assert_snapshot!(scopes.join(" "), @"channels:history channels:read chat:write chat:write.customize emoji:read files:read files:write groups:history groups:read metadata.message:read reactions:read reactions:write team:read usergroups:read users:read");
        assert_eq!(manifest["oauth_config"]["scopes"]["user"], Value::Null);
        assert_eq!(manifest["settings"]["socket_mode_enabled"], true);
        let events = manifest["settings"]["event_subscriptions"]["bot_events"]
            .as_array()
            .unwrap();
        assert!(!events.iter().any(|event| event == "message.im" || event == "pin_added"));

        let section = serde_json::json!({
            "bot_token_env": "A",
            "events": {"listen": "127.0.0.1:0", "public_url": "https://hub.example.org", "signing_secret_env": "C"},
        });
        let files = SlackFactory.app(&network, &section).unwrap();
        let manifest: Value = serde_json::from_slice(&files[0].contents).unwrap();
        let settings = &manifest["settings"];
        assert_eq!(
            settings["event_subscriptions"]["request_url"],
            "https://hub.example.org/slack/events"
        );
        assert_eq!(settings["socket_mode_enabled"], false);
    }

    /// What the manifest of a section asks for in one list.
    fn asked(section: &Value, pointer: &str) -> BTreeSet<String> {
        let network = NetworkName::new("acme-slack").unwrap();
        let files = SlackFactory.app(&network, section).unwrap();
        let manifest: Value = serde_json::from_slice(&files[0].contents).unwrap();
        let list = manifest.pointer(pointer).cloned().unwrap_or(Value::Null);
        serde_json::from_value::<Option<_>>(list).unwrap().unwrap_or_default()
    }

    #[test]
    fn each_option_asks_for_its_own_scopes_and_events() {
        let least = serde_json::json!({
            "bot_token_env": "A", "app_token_env": "B", "customize": false, "direct": false, "pins": false, "join": false,
        });
        let lists = [
            "/oauth_config/scopes/bot",
            "/settings/event_subscriptions/bot_events",
            "/oauth_config/scopes/user",
        ];
        let on = Value::Bool(true);
        let own = serde_json::json!({"@anna:example.org": {"token_env": "C"}});
        let mut told = String::new();
        for (option, value) in [
            ("join", &on),
            ("leave", &on),
            ("customize", &on),
            ("set_topic", &on),
            ("pins", &on),
            ("direct", &on),
            ("avatars", &on),
            ("membership", &on),
            ("organisation", &on),
            ("people", &own),
        ] {
            let mut more = least.clone();
            more[option] = value.clone();
            let added = lists.map(|list| {
                let (before, after) = (asked(&least, list), asked(&more, list));
                assert!(before.is_subset(&after), "{option}");
                after.difference(&before).cloned().collect::<Vec<_>>().join(" ")
            });
            let row = format!("{option}: {}", added.join(" | "));
            writeln!(told, "{}", row.trim_end_matches([' ', '|', ':'])).unwrap();
        }
        insta::assert_snapshot!(told, @r"
        join: channels:join
        leave: channels:manage groups:write
        customize: chat:write.customize
        set_topic: channels:write.topic groups:write.topic
        pins: pins:read | pin_added pin_removed
        direct: im:history im:write | message.im
        avatars
        membership
        organisation
        people:  |  | channels:history chat:write files:write groups:history reactions:write users:read
        ");
    }
}
