//! The app's manifest: what the partner's administrator gives Slack to create an internal app with just what this
//! configuration needs.

use slack_morphism::{
    SlackApiTokenScope, SlackAppManifest, SlackAppManifestDisplayInformation, SlackAppManifestFeatures,
    SlackAppManifestFeaturesAppHome, SlackAppManifestFeaturesBotUser, SlackAppManifestMetadata,
    SlackAppManifestOAuthConfig, SlackAppManifestOAuthConfigScopes, SlackAppManifestSettings,
    SlackAppManifestSettingsEventSubscriptions, SlackEventType,
};
use viaduct_model::NetworkName;

use crate::config::Section;

/// What the bot has to be allowed.
pub fn bot_scopes(section: &Section) -> Vec<&'static str> {
    let mut scopes = vec![
        "channels:history",
        "channels:read",
        "chat:write",
        "emoji:read",
        "files:read",
        "files:write",
        "groups:history",
        "groups:read",
        "metadata.message:read",
        "reactions:read",
        "reactions:write",
        "team:read",
        "usergroups:read",
        "users:read",
    ];
    let optional = [
        (section.join, &["channels:join"][..]),
        (section.customize, &["chat:write.customize"]),
        (section.pins, &["pins:read"]),
        (section.direct, &["im:history", "im:write"]),
        (section.leave, &["channels:manage", "groups:write"]),
        (section.set_topic, &["channels:write.topic", "groups:write.topic"]),
    ];
    for (wanted, more) in optional {
        if wanted {
            scopes.extend_from_slice(more);
        }
    }
    scopes.sort_unstable();
    scopes
}

/// What somebody who logs in has to allow.
const PERSONAL: [&str; 6] = [
    "chat:write",
    "files:write",
    "reactions:write",
    "channels:history",
    "groups:history",
    "users:read",
];

/// The events that the bot hears.
fn bot_events(section: &Section) -> Vec<&'static str> {
    let mut events = vec![
        "app_uninstalled",
        "channel_archive",
        "channel_deleted",
        "channel_id_changed",
        "channel_left",
        "channel_rename",
        "channel_shared",
        "channel_unarchive",
        "channel_unshared",
        "emoji_changed",
        "group_archive",
        "group_deleted",
        "group_left",
        "group_rename",
        "group_unarchive",
        "member_joined_channel",
        "member_left_channel",
        "message.channels",
        "message.groups",
        "reaction_added",
        "reaction_removed",
        "subteam_created",
        "subteam_updated",
        "team_join",
        "tokens_revoked",
        "user_change",
    ];
    if section.pins {
        events.extend(["pin_added", "pin_removed"]);
    }
    if section.direct {
        events.push("message.im");
    }
    events.sort_unstable();
    events
}

/// The manifest, as JSON for people to read.
///
/// # Errors
///
/// Why there is none, in the operator's words.
pub fn manifest(network: &NetworkName, section: &Section) -> Result<String, String> {
    let mut display = SlackAppManifestDisplayInformation::new("viaduct".to_owned());
    display.description = Some("Mirrors channels with another organisation's Matrix rooms".to_owned());
    display.background_color = Some("#1f2937".to_owned());
    let mut events = SlackAppManifestSettingsEventSubscriptions::new();
    events.bot_events = Some(
        bot_events(section)
            .into_iter()
            .map(|name| SlackEventType(name.to_owned()))
            .collect(),
    );
    if let Some(configured) = &section.events {
        let url = configured.public_url.as_deref();
        let url = url.ok_or("events.public_url: give the address under which Slack reaches the hub")?;
        let url = url::Url::parse(url).map_err(|error| format!("events.public_url: {error}"))?;
        let url = url
            .join(&configured.path)
            .map_err(|error| format!("events.path: {error}"))?;
        events.request_url = Some(url);
    }
    let mut settings = SlackAppManifestSettings::new();
    settings.event_subscriptions = Some(events);
    settings.org_deploy_enabled = Some(section.organisation);
    settings.socket_mode_enabled = Some(section.events.is_none());
    let mut features = SlackAppManifestFeatures::new();
    features.bot_user = Some(SlackAppManifestFeaturesBotUser::new("viaduct".to_owned(), true));
    if section.direct {
        let mut home = SlackAppManifestFeaturesAppHome::new();
        home.home_tab_enabled = Some(false);
        home.messages_tab_enabled = Some(true);
        home.messages_tab_read_only_enabled = Some(false);
        features.app_home = Some(home);
    }
    let scope = |name: &str| SlackApiTokenScope(name.to_owned());
    let mut scopes = SlackAppManifestOAuthConfigScopes::new();
    scopes.bot = Some(bot_scopes(section).into_iter().map(scope).collect());
    if !section.people.is_empty() {
        scopes.user = Some(PERSONAL.into_iter().map(scope).collect());
    }
    let mut oauth = SlackAppManifestOAuthConfig::new();
    oauth.scopes = Some(scopes);
    let mut metadata = SlackAppManifestMetadata::new();
    metadata.major_version = Some(1);
    let mut manifest = SlackAppManifest::new(display);
    manifest.metadata = Some(metadata);
    manifest.settings = Some(settings);
    manifest.features = Some(features);
    manifest.oauth_config = Some(oauth);
    let mut text = serde_json::to_string_pretty(&manifest).map_err(|error| format!("{network}: {error}"))?;
    text.push('\n');
    Ok(text)
}
