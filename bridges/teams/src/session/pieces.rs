//! A message in pieces that fit, as they are posted: a text with the author's name in front, a card that shows it, or the text
//! alone where the author speaks in their own name.

use serde_json::{Value, json};
use viaduct_model::document::{Block, Inline};
use viaduct_model::{Document, Message, MessageStyle, Outbound};

use super::logins::Voice;
use super::lookup::wording;
use super::{TEXT, Teams};
use crate::config::Sender;
use crate::convert::card;
use crate::convert::render::{Dialect, escape, render};
use crate::convert::said::readable;
use crate::convert::split::split;

/// The longest name shown, in characters.
const NAME: usize = 80;
/// The largest card, in bytes of JSON; Teams wants fewer than some 28 KiB, and the picture's address takes its part.
const CARD: usize = 20 * 1024;
/// The longest line in the list of news, in characters.
const SUMMARY: usize = 120;

/// A piece of a message, ready to be posted.
pub(super) struct Piece {
    /// As the connector, or Graph where it is in the author's own name, wants it.
    pub content: Value,
    /// A digest of what can be read of it.
    pub wording: String,
}

/// A picture within a message.
#[derive(Debug)]
pub(super) struct Picture {
    /// The file's name.
    pub name: String,
    /// Its media type.
    pub mime: String,
    /// Its bytes, in base64.
    pub base64: String,
}

impl Picture {
    fn attachment(&self) -> Value {
        json!({
            "contentType": self.mime, "name": self.name,
            "contentUrl": format!("data:{};base64,{}", self.mime, self.base64),
        })
    }
}

impl Teams {
    /// The name under which the bot speaks for somebody.
    pub(super) fn shown(outbound: &Outbound) -> String {
        outbound.author.shown(NAME)
    }

    /// A message in pieces, with blocks that come behind its text, and pictures in the last piece.
    pub(super) fn pieces(
        &self,
        voice: &Voice,
        outbound: &Outbound,
        message: &Message,
        more: Vec<Block>,
        pictures: &[Picture],
    ) -> Vec<Piece> {
        let mut body = message.body.clone();
        if message.style == MessageStyle::Action {
            body.blocks = body.blocks.into_iter().map(Block::slanted).collect();
        }
        body.blocks.extend(more);
        match (voice, self.section.sender) {
            (Voice::Own(..), _) => self.own_pieces(body, pictures),
            (Voice::Bot, Sender::Text) => self.prefixed_pieces(body, &Self::shown(outbound), pictures),
            (Voice::Bot, Sender::Card) => self.cards(body, outbound, pictures),
        }
    }

    fn prefixed_pieces(&self, mut body: Document, name: &str, pictures: &[Picture]) -> Vec<Piece> {
        let name = Inline::Strong(vec![Inline::Text(format!("{name}:"))]);
        match body.blocks.first_mut() {
            Some(Block::Paragraph(content)) => {
                content.insert(0, Inline::Text(" ".to_owned()));
                content.insert(0, name);
            }
            _ => body.blocks.insert(0, Block::Paragraph(vec![name])),
        }
        let size = |document: &Document| render(document, Dialect::Bot, self).text.len();
        let pieces = split(body, TEXT, &size).into_iter().map(|piece| {
            let rendered = render(&piece, Dialect::Bot, self);
            let wording = wording(&readable(&rendered.text));
            let mut content = json!({"type": "message", "textFormat": "xml", "text": rendered.text});
            if !rendered.entities.is_empty() {
                content["entities"] = Value::Array(rendered.entities);
            }
            Piece { content, wording }
        });
        let mut pieces: Vec<Piece> = pieces.collect();
        if let Some(last) = pieces.last_mut().filter(|_| !pictures.is_empty()) {
            last.content["attachments"] = pictures.iter().map(Picture::attachment).collect();
        }
        pieces
    }

    fn cards(&self, body: Document, outbound: &Outbound, pictures: &[Picture]) -> Vec<Piece> {
        let name = Self::shown(outbound);
        let picture = outbound.author.person.avatar.as_ref();
        let picture = picture.and_then(|picture| self.context.media.link(picture, "avatar"));
        let sender = card::Sender {
            name: &name,
            picture: picture.as_deref(),
        };
        let size = |document: &Document| card::card(document, sender, self).to_string().len();
        let pieces = split(body, CARD, &size).into_iter().map(|piece| {
            let card = card::card(&piece, sender, self);
            let shown = card::text(&card);
            let line: String = format!("{name}: {}", piece.to_plain().replace('\n', " "));
            let content = json!({
                "type": "message", "summary": line.chars().take(SUMMARY).collect::<String>(),
                "attachments": [{"contentType": card::ADAPTIVE, "content": card}],
            });
            let wording = wording(&Document { blocks: shown }.to_plain());
            Piece { content, wording }
        });
        let mut pieces: Vec<Piece> = pieces.collect();
        let attachments = pieces.last_mut().map(|last| &mut last.content["attachments"]);
        if let Some(Value::Array(attachments)) = attachments {
            attachments.extend(pictures.iter().map(Picture::attachment));
        }
        pieces
    }

    fn own_pieces(&self, body: Document, pictures: &[Picture]) -> Vec<Piece> {
        let size = |document: &Document| render(document, Dialect::Person, self).text.len();
        let mut documents = split(body, TEXT, &size);
        if documents.is_empty() {
            documents.push(Document::default());
        }
        let last = documents.len() - 1;
        let pieces = documents.iter().enumerate().map(|(number, piece)| {
            let mut rendered = render(piece, Dialect::Person, self);
            let wording = wording(&readable(&rendered.text));
            let hosted = if number == last { pictures } else { &[] };
            for (number, picture) in hosted.iter().enumerate() {
                let (number, alt) = (number + 1, escape(&picture.name));
                let image = format!("<img src=\"../hostedContents/{number}/$value\" alt=\"{alt}\">");
                rendered.text.push_str(&image);
            }
            let mut content = json!({"body": {"contentType": "html", "content": rendered.text}});
            if !rendered.entities.is_empty() {
                content["mentions"] = Value::Array(rendered.entities);
            }
            if !hosted.is_empty() {
                let hosted = hosted.iter().enumerate().map(|(number, picture)| {
                    json!({
                        "@microsoft.graph.temporaryId": (number + 1).to_string(),
                        "contentBytes": picture.base64, "contentType": picture.mime,
                    })
                });
                content["hostedContents"] = hosted.collect();
            }
            Piece { content, wording }
        });
        pieces.collect()
    }
}
