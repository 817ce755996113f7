//! The app package: what the partner's administrator uploads to Teams, with exactly the consents this configuration needs.

use std::io::{Cursor, Write};

use serde_json::{Value, json};
use viaduct_model::NetworkName;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::client::person::SCOPES;
use crate::config::{Files, Section};

const COLOUR: &[u8] = include_bytes!("../assets/color.png");
const OUTLINE: &[u8] = include_bytes!("../assets/outline.png");

/// The consents that are given for one team or chat when the app is installed there.
pub fn consents(section: &Section) -> Vec<&'static str> {
    let mut out = vec![
        "ChannelMessage.Read.Group",
        "ChannelSettings.Read.Group",
        "ChatMessage.Read.Chat",
        "ChatSettings.Read.Chat",
        "TeamSettings.Read.Group",
    ];
    if section.membership {
        out.extend(["ChatMember.Read.Chat", "TeamMember.Read.Group"]);
    }
    out.sort_unstable();
    out
}

/// The permissions that an administrator grants in Entra, and what for.
pub fn grants(section: &Section) -> Vec<&'static str> {
    let mut out = vec![
        "Team.ReadBasic.All (finding channels by their names; without it they are written by their ids)",
        "User.Read.All (pictures of people; without it they have none)",
        "Files.Read.All or Sites.Selected (files from Teams)",
    ];
    if section.files == Files::Upload {
        out.push(
            "Files.ReadWrite.All or Sites.Selected with write (files into channels; without it they are linked to)",
        );
    }
    if section.direct {
        out.push("Chat.Read.All (what people say to the bot in private during an absence; without it that is lost)");
    }
    out
}

/// The permissions that people give who let the app act in their name.
pub fn delegated(section: &Section) -> Vec<&'static str> {
    if section.people.is_empty() {
        return Vec::new();
    }
    SCOPES.iter().copied().chain(["offline_access"]).collect()
}

/// Where the bot can be added.
fn scopes(section: &Section) -> Vec<&'static str> {
    let mut out = vec!["team", "groupChat"];
    if section.direct {
        out.push("personal");
    }
    out
}

fn manifest(network: &NetworkName, section: &Section) -> Value {
    let permissions: Vec<Value> = consents(section)
        .into_iter()
        .map(|name| json!({"name": name, "type": "Application"}))
        .collect();
    let host = section.public_url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let host = host.and_then(|url| url.host_str().map(str::to_owned));
    let site = host
        .as_ref()
        .map_or_else(|| "https://example.org".to_owned(), |host| format!("https://{host}"));
    json!({
        "$schema": "https://developer.microsoft.com/json-schemas/teams/v1.19/MicrosoftTeams.schema.json",
        "manifestVersion": "1.19",
        "version": "1.0.0",
        "id": section.app_id,
        "developer": {"name": "viaduct", "websiteUrl": site, "privacyUrl": site, "termsOfUseUrl": site},
        "name": {"short": "viaduct", "full": format!("viaduct ({network})")},
        "description": {
            "short": "Mirrors channels with another organisation's Matrix rooms",
            "full": "Mirrors the channels and chats it is installed in with another organisation's Matrix rooms. Spiegelt \
                     die Kanäle und Chats, in denen es installiert ist, in Matrix-Räume einer anderen Organisation.",
        },
        "icons": {"color": "color.png", "outline": "outline.png"},
        "accentColor": "#1F2937",
        "bots": [{
            "botId": section.app_id, "scopes": scopes(section), "supportsFiles": true,
            "isNotificationOnly": false,
        }],
        "supportedChannelTypes": ["sharedChannels", "privateChannels"],
        "webApplicationInfo": {"id": section.app_id, "resource": "https://RscBasedStoreApp"},
        "authorization": {"permissions": {"resourceSpecific": permissions}},
        "validDomains": host.into_iter().collect::<Vec<_>>(),
    })
}

/// The package, as a ZIP archive.
///
/// # Errors
///
/// Why there is none, in the operator's words.
pub fn package(network: &NetworkName, section: &Section) -> Result<Vec<u8>, String> {
    let manifest = serde_json::to_vec_pretty(&manifest(network, section)).map_err(|error| error.to_string())?;
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let files: [(&str, &[u8]); 3] = [
        ("manifest.json", &manifest),
        ("color.png", COLOUR),
        ("outline.png", OUTLINE),
    ];
    for (name, contents) in files {
        let begun = archive.start_file(name, SimpleFileOptions::default());
        begun.map_err(|error| error.to_string())?;
        archive.write_all(contents).map_err(|error| error.to_string())?;
    }
    let written = archive.finish().map_err(|error| error.to_string())?;
    Ok(written.into_inner())
}
