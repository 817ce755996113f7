//! Activities and Graph's messages → one form, and that → a message of the hub's.

use serde_json::Value;
use viaduct_model::document::{Block, MentionTarget};
use viaduct_model::{
    Attachment, AttachmentKind, Document, MediaRef, Message, MessageId, NetworkName, PersonId, Timestamp,
};

use super::html::{self, Mentions};
use super::ids::{conversation, is_id, message_id};
use super::{card, ids};
use crate::client::json;

/// How many files, cards and mentions of one message are taken.
const LISTED: usize = 64;
/// The longest name, in characters.
const NAME: usize = 200;

/// Somebody, as Teams names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Who {
    /// Their id in the directory.
    pub directory: Option<String>,
    /// Their id for this bot, `29:…`; `28:…` for bots.
    pub teams: Option<String>,
    /// Their name.
    pub name: Option<String>,
    /// The app, where it is one.
    pub app: Option<String>,
}

impl Who {
    fn of_account(account: &Value) -> Self {
        let teams = json::text(account, &["id"]);
        let app = teams.and_then(|id| id.strip_prefix("28:"));
        Self {
            directory: json::text(account, &["aadObjectId"])
                .or_else(|| json::text(account, &["objectId"]))
                .map(str::to_lowercase),
            teams: teams.map(str::to_owned),
            name: json::text(account, &["name"]).and_then(clean),
            app: app.map(str::to_lowercase),
        }
    }

    fn of_identity(identity: &Value) -> Self {
        let app = json::text(identity, &["application", "id"]).map(str::to_lowercase);
        let user = if app.is_some() { "application" } else { "user" };
        Self {
            directory: json::text(identity, &["user", "id"]).map(str::to_lowercase),
            teams: None,
            name: json::text(identity, &[user, "displayName"]).and_then(clean),
            app,
        }
    }

    /// An account as the connector describes it: a member, a sender.
    pub fn account(account: &Value) -> Self {
        Self::of_account(account)
    }

    /// The hub's id of them.
    pub fn id(&self) -> Option<PersonId> {
        let id = self.app.as_ref().map(|app| format!("28:{app}"));
        let id = id.or_else(|| self.directory.clone()).or_else(|| self.teams.clone())?;
        PersonId::new(id).ok()
    }
}

/// A name without what would disturb elsewhere.
pub fn clean(name: &str) -> Option<String> {
    let name: String = name.chars().filter(|c| !c.is_control()).take(NAME).collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Whom a mention means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// The number by which the text refers to it.
    number: String,
    /// The name in the text.
    name: String,
    /// Who.
    who: Who,
    /// Whether it is everybody in the channel or team.
    everyone: bool,
    /// Whether it is a tag.
    group: bool,
}

/// A reaction that a message has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reacted {
    /// Who.
    pub who: Who,
    /// What.
    pub kind: String,
    /// When.
    pub at: Timestamp,
}

/// A message, from whichever feed it came.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// The message's id.
    pub id: String,
    /// The first message of its chain, for replies.
    pub root: Option<String>,
    /// Who said it.
    pub who: Who,
    /// When it was said.
    pub at: Timestamp,
    /// When it was changed last, in any way.
    pub modified: Timestamp,
    /// Whether its wording was changed.
    pub edited: bool,
    /// Whether it is gone.
    pub deleted: bool,
    /// The reactions it has, where the feed tells.
    pub reactions: Vec<Reacted>,
    html: Option<String>,
    text: String,
    subject: Option<String>,
    meant: Vec<Meant>,
    attachments: Vec<Value>,
    quoted: Option<String>,
}

impl Said {
    /// A message as an activity tells of it.
    pub fn of_activity(activity: &Value) -> Option<Self> {
        let id = json::text(activity, &["id"]).filter(|id| is_id(id))?;
        let (_, root) = conversation(json::text(activity, &["conversation", "id"])?);
        let attachments = json::list(activity, &["attachments"]).iter().take(LISTED);
        let is_html = |file: &&Value| json::text(file, &["contentType"]) == Some("text/html");
        let html = attachments.clone().find(is_html);
        let html = html.and_then(|file| json::text(file, &["content"])).map(str::to_owned);
        let entities = json::list(activity, &["entities"]);
        let mentions = entities
            .iter()
            .filter(|entity| json::text(entity, &["type"]) == Some("mention"));
        let meant = mentions.take(LISTED).enumerate().map(|(number, entity)| {
            let account = json::at(entity, &["mentioned"]);
            let kind = json::text(account, &["type"]).unwrap_or_default();
            Meant {
                number: number.to_string(),
                name: json::text(account, &["name"]).unwrap_or_default().to_owned(),
                everyone: matches!(kind, "channel" | "team" | "everyone"),
                group: kind == "tag",
                who: Who::of_account(account),
            }
        });
        let quoted = entities
            .iter()
            .find_map(|entity| json::text(entity, &["quotedReply", "messageId"]));
        let at = id.parse().map(Timestamp).ok();
        let sent = json::time(activity, &["timestamp"]);
        Some(Self {
            id: id.to_owned(),
            root: root.filter(|root| *root != id).map(str::to_owned),
            who: Who::of_account(json::at(activity, &["from"])),
            at: at.or(sent).unwrap_or_default(),
            modified: sent.or(at).unwrap_or_default(),
            edited: json::text(activity, &["type"]) == Some("messageUpdate"),
            deleted: json::text(activity, &["type"]) == Some("messageDelete"),
            reactions: Vec::new(),
            html,
            text: json::text(activity, &["text"]).unwrap_or_default().to_owned(),
            subject: None,
            meant: meant.collect(),
            quoted: quoted.map(str::to_owned),
            attachments: attachments.filter(|file| !is_html(file)).cloned().collect(),
        })
    }

    /// A message as Graph tells of it; none for what is no message.
    pub fn of_graph(message: &Value) -> Option<Self> {
        let id = json::text(message, &["id"]).filter(|id| is_id(id))?;
        if json::text(message, &["messageType"]).is_some_and(|kind| kind != "message") {
            return None;
        }
        let at = json::time(message, &["createdDateTime"]).or_else(|| id.parse().map(Timestamp).ok())?;
        let content = json::text(message, &["body", "content"]).unwrap_or_default().to_owned();
        let is_html = json::text(message, &["body", "contentType"]) == Some("html");
        let meant = json::list(message, &["mentions"]).iter().take(LISTED).map(|mention| {
            let number = json::at(mention, &["id"]);
            Meant {
                number: number
                    .as_u64()
                    .map_or_else(|| number.as_str().unwrap_or_default().to_owned(), |n| n.to_string()),
                name: json::text(mention, &["mentionText"]).unwrap_or_default().to_owned(),
                who: Who::of_identity(json::at(mention, &["mentioned"])),
                everyone: json::at(mention, &["mentioned", "conversation"]).is_object(),
                group: json::at(mention, &["mentioned", "tag"]).is_object(),
            }
        });
        let reactions = json::list(message, &["reactions"])
            .iter()
            .take(1000)
            .filter_map(|reaction| {
                Some(Reacted {
                    who: Who::of_identity(json::at(reaction, &["user"])),
                    kind: json::text(reaction, &["reactionType"])?.to_owned(),
                    at: json::time(reaction, &["createdDateTime"]).unwrap_or(at),
                })
            });
        let attachments: Vec<Value> = json::list(message, &["attachments"])
            .iter()
            .take(LISTED)
            .cloned()
            .collect();
        let quoted = attachments.iter().find_map(|file| {
            if json::text(file, &["contentType"]) != Some("messageReference") {
                return None;
            }
            let content: Value = serde_json::from_str(json::text(file, &["content"])?).ok()?;
            json::text(&content, &["messageId"]).map(str::to_owned)
        });
        Some(Self {
            id: id.to_owned(),
            root: json::text(message, &["replyToId"])
                .filter(|root| is_id(root) && *root != id)
                .map(str::to_owned),
            who: Who::of_identity(json::at(message, &["from"])),
            at,
            modified: json::time(message, &["lastModifiedDateTime"]).unwrap_or(at),
            edited: json::time(message, &["lastEditedDateTime"]).is_some(),
            deleted: json::time(message, &["deletedDateTime"]).is_some(),
            reactions: reactions.collect(),
            html: is_html.then(|| content.clone()),
            text: if is_html { String::new() } else { content },
            subject: json::text(message, &["subject"]).and_then(clean),
            meant: meant.collect(),
            attachments,
            quoted,
        })
    }

    /// The hub's id of it.
    pub fn message_id(&self) -> Option<MessageId> {
        message_id(self.root.as_deref(), &self.id)
    }

    /// Whether Graph has to be asked for the files that an activity only hints at.
    pub fn hints_at_files(&self) -> bool {
        self.html.as_deref().is_some_and(|html| html.contains("<attachment "))
    }

    /// Takes the files from what Graph says of the same message.
    pub fn with_files_of(mut self, other: Self) -> Self {
        self.attachments.extend(other.attachments);
        self
    }

    /// What can be read of it, cards too, as far as two tellings of it agree.
    pub fn readable(&self) -> String {
        let html = self.html.clone().unwrap_or_else(|| self.text_as_html());
        let mut text = readable(&html);
        for attachment in &self.attachments {
            if json::text(attachment, &["contentType"]).is_some_and(|kind| kind.contains("card")) {
                text.push_str(
                    &Document {
                        blocks: card_of(attachment),
                    }
                    .to_plain(),
                );
            }
        }
        text
    }

    /// The message that it answers, where it says so itself.
    pub fn answers(&self) -> Option<String> {
        let html = self.html.as_deref().map(|html| html::read(html, &Nobody).answers);
        html.flatten().or_else(|| self.quoted.clone()).filter(|id| is_id(id))
    }

    /// The message of the hub's.
    pub fn message(&self, world: &dyn People) -> Message {
        let resolver = Resolver { said: self, world };
        let mut read = match &self.html {
            Some(html) => html::read(html, &resolver),
            None => html::read(&self.text_as_html(), &resolver),
        };
        if let Some(subject) = &self.subject {
            let heading = Document::plain(subject).blocks.into_iter().map(|block| match block {
                Block::Paragraph(content) => Block::Heading { level: 3, content },
                other => other,
            });
            read.body.blocks.splice(0..0, heading);
        }
        let mut files: Vec<Attachment> = Vec::new();
        // A picture that is attached as well is taken from there, where the bot's own token suffices.
        let attached_too = |url: &str| {
            self.attachments.iter().any(|file| {
                let image = json::text(file, &["contentType"]).is_some_and(|kind| kind.starts_with("image/"));
                image && (url.contains("/hostedContents/") || json::text(file, &["contentUrl"]) == Some(url))
            })
        };
        for (url, alt) in read.pictures.iter().filter(|(url, _)| !attached_too(url)) {
            let name = if alt.is_empty() { "image" } else { alt };
            files.push(file(world.network(), url, name, AttachmentKind::Image, None));
        }
        for attachment in &self.attachments {
            let kind = json::text(attachment, &["contentType"]).unwrap_or_default();
            match kind {
                "text/html" | "messageReference" => {}
                kind if kind.contains("card") => {
                    read.body.blocks.extend(card_of(attachment));
                }
                kind => files.extend(attached(world.network(), attachment, kind)),
            }
        }
        files.truncate(LISTED);
        let answers = read
            .answers
            .or_else(|| self.quoted.clone())
            .filter(|id| is_id(id) && *id != self.id);
        let reply_to = answers.and_then(|id| {
            let root = self.root.as_deref().filter(|root| *root != id);
            ids::message_id(root, &id)
        });
        Message {
            body: read.body.normal(),
            attachments: files,
            reply_to,
            thread: self.root.as_deref().and_then(|root| ids::message_id(None, root)),
            ..Message::default()
        }
    }

    /// The plain text of a message without HTML: only `<at>` is markup in it.
    fn text_as_html(&self) -> String {
        let escaped = super::render::escape(&self.text);
        escaped.replace("&lt;at&gt;", "<at>").replace("&lt;/at&gt;", "</at>")
    }
}

/// What has to be known of a tenant to read its messages.
pub trait People {
    /// The network's name.
    fn network(&self) -> &NetworkName;
    /// Who somebody is for the hub: somebody on this network, or on Matrix.
    fn person(&self, who: &Who) -> Option<(NetworkName, PersonId)>;
}

struct Nobody;

impl Mentions for Nobody {
    fn target(&self, _: Option<&str>, _: &str) -> Option<MentionTarget> {
        None
    }
}

/// What can be read in HTML or XML, whatever Teams made of its markup.
pub fn readable(html: &str) -> String {
    html::read(html, &Nobody).body.to_plain()
}

struct Resolver<'a> {
    said: &'a Said,
    world: &'a dyn People,
}

impl Mentions for Resolver<'_> {
    fn target(&self, number: Option<&str>, label: &str) -> Option<MentionTarget> {
        let meant = &self.said.meant;
        let numbered = number.and_then(|number| meant.iter().find(|meant| meant.number == number));
        let meant = numbered.or_else(|| meant.iter().find(|meant| meant.name == label))?;
        if meant.everyone {
            return Some(MentionTarget::Everyone);
        }
        if meant.group {
            return Some(MentionTarget::Group(label.to_owned()));
        }
        let (network, id) = self.world.person(&meant.who)?;
        Some(MentionTarget::Person { network, id })
    }
}

/// What can be read on the card that an attachment is. Graph gives it as text within the JSON.
fn card_of(attachment: &Value) -> Vec<Block> {
    let content = json::at(attachment, &["content"]);
    let parsed = content.as_str().and_then(|text| serde_json::from_str(text).ok());
    card::text(parsed.as_ref().unwrap_or(content))
}

fn file(network: &NetworkName, locator: &str, name: &str, kind: AttachmentKind, mime: Option<&str>) -> Attachment {
    let name = name
        .rsplit(['/', '\\'])
        .next()
        .and_then(clean)
        .unwrap_or_else(|| "file".to_owned());
    Attachment {
        media: MediaRef {
            network: network.clone(),
            locator: locator.to_owned(),
        },
        name,
        mime: mime.map(str::to_owned),
        size: None,
        kind,
        dimensions: None,
        duration: None,
        spoiler: false,
    }
}

/// A file that an attachment is.
fn attached(network: &NetworkName, attachment: &Value, kind: &str) -> Option<Attachment> {
    let name = json::text(attachment, &["name"]).unwrap_or("file");
    let address = json::text(attachment, &["contentUrl"]);
    match kind {
        // A file in the channel's folder, known by where it is shown.
        "reference" => Some(file(network, &format!("share {}", address?), name, kind_of(name), None)),
        "application/vnd.microsoft.teams.file.download.info" => {
            let url = json::text(attachment, &["content", "downloadUrl"])?;
            Some(file(network, &format!("plain {url}"), name, kind_of(name), None))
        }
        mime if mime.starts_with("image/") => {
            let mime = Some(mime).filter(|mime| *mime != "image/*");
            Some(file(network, address?, name, AttachmentKind::Image, mime))
        }
        _ => None,
    }
}

/// What sort of file a name stands for.
fn kind_of(name: &str) -> AttachmentKind {
    let ending = name
        .rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase())
        .unwrap_or_default();
    match ending.as_str() {
        "png" | "jpg" | "jpeg" | "gif" | "webp" | "bmp" | "svg" => AttachmentKind::Image,
        "mp4" | "mov" | "webm" | "mkv" => AttachmentKind::Video,
        "mp3" | "ogg" | "wav" | "m4a" | "flac" => AttachmentKind::Audio,
        _ => AttachmentKind::File,
    }
}
