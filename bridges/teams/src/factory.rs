//! Opening sessions.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use viaduct_bridge::{AppFile, Context, Factory, OpenError, Session};
use viaduct_model::{Capabilities, NetworkName};

use crate::app::{consents, delegated, grants, package};
use crate::client::door::Doors;
use crate::config::Section;
use crate::session::{Teams, TeamsSession, common_capabilities};

/// Makes sessions of the kind `teams`, which share their listening addresses.
#[derive(Default)]
pub struct TeamsFactory {
    doors: Arc<Doors>,
}

fn read(section: &Value) -> Result<Section, String> {
    serde_json::from_value(section.clone()).map_err(|error| error.to_string())
}

#[async_trait]
impl Factory for TeamsFactory {
    fn kind(&self) -> &'static str {
        "teams"
    }

    fn schema(&self) -> Value {
        schemars::schema_for!(Section).to_value()
    }

    fn permissions(&self, section: &Value) -> Vec<String> {
        let Ok(section) = read(section) else { return Vec::new() };
        let mut out = vec![
            "an Entra app and an Azure bot in the partner's tenant, with this hub's address as its messaging endpoint"
                .to_owned(),
            "the written app package, installed in every mirrored team and chat".to_owned(),
        ];
        out.extend(
            consents(&section)
                .into_iter()
                .map(|name| format!("resource-specific consent {name}")),
        );
        out.extend(
            grants(&section)
                .into_iter()
                .map(|name| format!("application permission {name}")),
        );
        out.extend(
            delegated(&section)
                .into_iter()
                .map(|name| format!("delegated permission {name}, by each of `people`")),
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
        common_capabilities(None, false)
    }

    fn app(&self, network: &NetworkName, section: &Value) -> Result<Vec<AppFile>, OpenError> {
        let section = read(section).map_err(OpenError)?;
        let contents = package(network, &section).map_err(OpenError)?;
        Ok(vec![AppFile {
            name: format!("{network}.zip"),
            contents,
        }])
    }

    async fn open(&self, section: Value, context: Context) -> Result<Arc<dyn Session>, OpenError> {
        let section = read(&section).map_err(OpenError)?;
        if let Some((key, complaint)) = section.check().into_iter().next() {
            return Err(OpenError(format!("{key}: {complaint}")));
        }
        let teams = Teams::new(section, Arc::clone(&self.doors), context)?;
        Ok(Arc::new(TeamsSession(teams)))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;

    fn section() -> Value {
        serde_json::json!({
            "app_id": "11111111-2222-3333-4444-555555555555", "tenant": "aaaaaaaa-2222-3333-4444-555555555555",
            "secret_env": "A", "listen": "127.0.0.1:0", "public_url": "https://hub.example.org/api/messages",
        })
    }

    #[test]
    fn the_schema_documents_every_key_and_a_bad_section_is_told() {
        let schema = TeamsFactory::default().schema();
        let properties = schema["properties"].as_object().unwrap();
        assert!(properties.len() > 15);
        for (key, value) in properties {
            assert!(value["description"].is_string(), "{key}");
        }
        assert_eq!(
            TeamsFactory::default().check(&serde_json::json!({"app_id": 1})).len(),
            1
        );
        assert!(TeamsFactory::default().check(&section()).is_empty());
    }

    #[test]
    fn permissions_are_those_that_are_used() {
        let mut section = section();
        let all = |section: &Value| TeamsFactory::default().permissions(section).join("\n");
        assert!(!all(&section).contains("delegated") && all(&section).contains("Chat.Read.All"));
        section["people"] = serde_json::json!({"@anna:example.org": {"refresh_token_env": "A"}});
        section["direct"] = serde_json::json!(false);
        let delegated: Vec<String> = TeamsFactory::default()
            .permissions(&section)
            .into_iter()
            .filter(|line| line.starts_with("delegated"))
            .collect();
        insta::assert_snapshot!(delegated.join("\n"), @"
        delegated permission ChannelMessage.Send, by each of `people`
        delegated permission ChannelMessage.ReadWrite, by each of `people`
        delegated permission User.Read, by each of `people`
        delegated permission offline_access, by each of `people`
        ");
        assert!(!all(&section).contains("Chat.Read.All"));
    }

    #[test]
    fn the_package_asks_for_what_the_configuration_uses() {
        let network = NetworkName::new("acme-teams").unwrap();
        let mut section = section();
        section["membership"] = serde_json::json!(false);
        let files = TeamsFactory::default().app(&network, &section).unwrap();
        assert_eq!(files[0].name, "acme-teams.zip");
        let mut archive = zip::ZipArchive::new(Cursor::new(files[0].contents.clone())).unwrap();
        let mut manifest = String::new();
        archive
            .by_name("manifest.json")
            .unwrap()
            .read_to_string(&mut manifest)
            .unwrap();
        let manifest: Value = serde_json::from_str(&manifest).unwrap();
        let names: Vec<&str> = manifest["authorization"]["permissions"]["resourceSpecific"]
            .as_array()
            .unwrap()
            .iter()
            .map(|permission| permission["name"].as_str().unwrap())
            .collect();
        insta::assert_snapshot!(names.join(" "), @"ChannelMessage.Read.Group ChannelSettings.Read.Group ChatMessage.Read.Chat ChatSettings.Read.Chat TeamSettings.Read.Group");
        assert_eq!(manifest["bots"][0]["botId"], section["app_id"]);
        assert_eq!(
            manifest["bots"][0]["scopes"],
            serde_json::json!(["team", "groupChat", "personal"])
        );
        assert_eq!(manifest["validDomains"], serde_json::json!(["hub.example.org"]));
        assert!(manifest["description"]["short"].as_str().unwrap().len() <= 80);
        for icon in ["color.png", "outline.png"] {
            let mut bytes = Vec::new();
            archive.by_name(icon).unwrap().read_to_end(&mut bytes).unwrap();
            assert!(bytes.starts_with(b"\x89PNG"));
        }
    }
}
