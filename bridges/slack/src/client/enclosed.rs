//! What a message encloses: attachments of the old kind, and files. Read as loosely as all else that Slack sends.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::loose;

/// An attachment of the old kind.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Attachment {
    /// What to show where nothing else can be.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub fallback: String,
    /// In front of it.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub pretext: String,
    /// Its heading.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub title: String,
    /// Where the heading leads.
    #[serde(deserialize_with = "loose::text")]
    pub title_link: Option<String>,
    /// Its text with markup.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub text: String,
    /// Who said it.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub author_name: String,
    /// A table.
    #[serde(deserialize_with = "loose::list")]
    pub fields: Vec<Field>,
    /// Below it.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub footer: String,
    /// Of which address it is a preview.
    #[serde(deserialize_with = "loose::text")]
    pub from_url: Option<String>,
    /// Whether it is another message, quoted.
    #[serde(deserialize_with = "loose::truth")]
    pub is_msg_unfurl: bool,
    /// Whether it is another message, shared.
    #[serde(deserialize_with = "loose::truth")]
    pub is_share: bool,
    /// Whether it is an app's preview of an address.
    #[serde(deserialize_with = "loose::truth")]
    pub is_app_unfurl: bool,
    /// A picture.
    #[serde(deserialize_with = "loose::text")]
    pub image_url: Option<String>,
    /// Its blocks, unread.
    pub blocks: Option<Box<RawValue>>,
}

/// A row of a table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Field {
    /// Left.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub title: String,
    /// Right.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub value: String,
}

/// A file.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct File {
    /// Its id.
    #[serde(deserialize_with = "loose::text_or_empty")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "loose::text")]
    pub name: Option<String>,
    /// Its title.
    #[serde(deserialize_with = "loose::text")]
    pub title: Option<String>,
    /// Its media type.
    #[serde(deserialize_with = "loose::text")]
    pub mimetype: Option<String>,
    /// What sort of recording: `slack_audio`, `slack_video`.
    #[serde(deserialize_with = "loose::text")]
    pub subtype: Option<String>,
    /// Its size in bytes.
    #[serde(deserialize_with = "loose::number")]
    pub size: Option<u64>,
    /// How it is kept: `hosted`, `external`, `snippet`, `post`, `tombstone`, `hidden_by_limit`.
    #[serde(deserialize_with = "loose::text")]
    pub mode: Option<String>,
    /// Where it can be fetched, with a token.
    #[serde(deserialize_with = "loose::text")]
    pub url_private_download: Option<String>,
    /// Where it can be seen, with a token.
    #[serde(deserialize_with = "loose::text")]
    pub url_private: Option<String>,
    /// Where people open it.
    #[serde(deserialize_with = "loose::text")]
    pub permalink: Option<String>,
    /// Whether more has to be asked for: `check_file_info`.
    #[serde(deserialize_with = "loose::text")]
    pub file_access: Option<String>,
    /// Width in pixels.
    #[serde(deserialize_with = "loose::number")]
    pub original_w: Option<u64>,
    /// Height in pixels.
    #[serde(deserialize_with = "loose::number")]
    pub original_h: Option<u64>,
    /// Length in milliseconds.
    #[serde(deserialize_with = "loose::number")]
    pub duration_ms: Option<u64>,
    /// The messages it is part of.
    #[serde(deserialize_with = "loose::object")]
    pub shares: Option<Shares>,
}

/// The messages that a file is part of, by channel.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Shares {
    /// In public channels.
    pub public: HashMap<String, Vec<Share>>,
    /// Elsewhere.
    pub private: HashMap<String, Vec<Share>>,
}

/// A message that a file is part of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Share {
    /// The message.
    pub ts: String,
}
