//! Generators of events and documents, for property tests here and in the bridges.
//!
//! The texts are made of what breaks renderers and parsers: markup of every network, line ends, controls, combining
//! characters, emoji sequences and right-to-left marks, mixed with ordinary words. Nothing here panics on shrinking, and
//! every generated identifier is valid.
//!
//! ```
//! use proptest::prelude::*;
//! use viaduct_model::arbitrary;
//!
//! proptest!(|(document in arbitrary::document())| {
//!     prop_assert_eq!(document.clone().normal().normal(), document.normal());
//! });
//! ```

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::document::{Block, Document, Inline, Mention, MentionTarget, Rgb};
use crate::event::{
    Attachment, AttachmentKind, Content, Event, MediaRef, Membership, Message, MessageStyle, Person, Reaction, Role,
};
use crate::ids::{ChannelId, DeliveryKey, MessageId, NetworkName, PersonId, Place};
use crate::outbound::{Author, Outbound};
use crate::time::Timestamp;

/// Pieces that a careless renderer or parser stumbles over.
const PIECES: &[&str] = &[
    "a",
    "word",
    "Grüße",
    "the",
    "7",
    "42",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "*",
    "**",
    "_",
    "~",
    "~~",
    "`",
    "```",
    "```\n",
    "<",
    ">",
    "&",
    "&amp;",
    "&lt;",
    "<b>",
    "</b>",
    "<script>",
    "[",
    "]",
    "(",
    ")",
    "](",
    "|",
    "||",
    "\\",
    "\\*",
    "#",
    "#general",
    "@",
    "@room",
    "@here",
    "<@U123>",
    "<!channel>",
    ":",
    ":smile:",
    "://",
    "https://example.org/a?b=c&d=e",
    "- ",
    "* ",
    "1. ",
    "> ",
    "---",
    "\u{2}",
    "\u{3}4,12",
    "\u{f}",
    "\u{1}",
    "\0",
    "\u{7f}",
    "\u{ad}",
    "\u{200b}",
    "\u{200d}",
    "\u{202e}",
    "\u{2066}",
    "\u{feff}",
    "e\u{301}",
    "ａ",
    "ﬁ",
    "а",
    "Ω",
    "日本語",
    "שלום",
    "مرحبا",
    "👍",
    "👩‍👩‍👧‍👦",
    "🇩🇪",
    "❤️",
    "\u{fffd}",
    "\u{10ffff}",
    "/me ",
    "!",
    "~ ",
];

/// A text of up to 24 pieces, which may contain line feeds and controls.
pub fn text() -> impl Strategy<Value = String> {
    vec(select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

/// A text of one line, without controls.
pub fn line() -> impl Strategy<Value = String> {
    text().prop_map(|text| text.chars().filter(|character| !character.is_control()).collect())
}

/// The name of a network; sometimes the homeserver side.
pub fn network() -> impl Strategy<Value = NetworkName> {
    select(&["matrix", "acme-irc", "acme-slack", "b2"][..])
        .prop_filter_map("a valid name", |name| NetworkName::new(name).ok())
}

/// A channel id in one of the spellings that networks use.
pub fn channel_id() -> impl Strategy<Value = ChannelId> {
    select(
        &[
            "#project",
            "C0123ABCD",
            "room@muc.example.org",
            "!abc:example.org",
            "19:x@thread.tacv2",
            "ä / b",
        ][..],
    )
    .prop_filter_map("a valid id", |id| ChannelId::new(id).ok())
}

/// A message id.
pub fn message_id() -> impl Strategy<Value = MessageId> {
    select(&["$event", "1700000000.000100", "0b1f-uuid", "é/\u{1f44d}"][..])
        .prop_filter_map("a valid id", |id| MessageId::new(id).ok())
}

/// A person's id.
pub fn person_id() -> impl Strategy<Value = PersonId> {
    select(
        &[
            "@anna:example.org",
            "U0123ABCD",
            "bert@xmpp.example.org/desk",
            "bert|away",
            "Ünï cöde",
        ][..],
    )
    .prop_filter_map("a valid id", |id| PersonId::new(id).ok())
}

/// A place.
pub fn place() -> impl Strategy<Value = Place> {
    (network(), channel_id()).prop_map(|(network, channel)| Place::new(network, channel))
}

/// A file's locator.
pub fn media_ref() -> impl Strategy<Value = MediaRef> {
    (network(), line()).prop_map(|(network, locator)| MediaRef { network, locator })
}

/// A mention.
pub fn mention() -> impl Strategy<Value = Mention> {
    let target = prop_oneof![
        (network(), person_id()).prop_map(|(network, id)| MentionTarget::Person { network, id }),
        Just(MentionTarget::Everyone),
        line().prop_map(MentionTarget::Group),
    ];
    (line(), target).prop_map(|(label, target)| Mention { label, target })
}

fn colour() -> impl Strategy<Value = Option<Rgb>> {
    option::of(any::<(u8, u8, u8)>().prop_map(|(red, green, blue)| Rgb(red, green, blue)))
}

fn leaf() -> impl Strategy<Value = Inline> {
    prop_oneof![
        6 => text().prop_map(Inline::Text),
        1 => text().prop_map(Inline::Code),
        1 => mention().prop_map(Inline::Mention),
        1 => (place(), line()).prop_map(|(place, label)| Inline::Channel { place, label }),
        1 => (line(), option::of(media_ref())).prop_map(|(code, image)| Inline::Emoji { code, image }),
        1 => Just(Inline::Break),
    ]
}

/// An inline, nested at most `depth` levels.
pub fn inline(depth: u32) -> impl Strategy<Value = Inline> {
    leaf().prop_recursive(depth, 24, 4, |inner| {
        let content = || vec(inner.clone(), 0..4);
        prop_oneof![
            content().prop_map(Inline::Strong),
            content().prop_map(Inline::Emphasis),
            content().prop_map(Inline::Underline),
            content().prop_map(Inline::Strike),
            (colour(), colour(), content()).prop_map(|(foreground, background, content)| Inline::Colour {
                foreground,
                background,
                content
            }),
            (line(), content()).prop_map(|(url, content)| Inline::Link { url, content }),
            (option::of(line()), content()).prop_map(|(reason, content)| Inline::Spoiler { reason, content }),
        ]
    })
}

/// A block, nested at most `depth` levels, with inlines nested at most four.
pub fn block(depth: u32) -> impl Strategy<Value = Block> {
    let content = || vec(inline(4), 0..6);
    let leaf = prop_oneof![
        6 => content().prop_map(Block::Paragraph),
        1 => (any::<u8>(), content()).prop_map(|(level, content)| Block::Heading { level, content }),
        1 => (option::of(line()), text()).prop_map(|(language, text)| Block::Code { language, text }),
        1 => Just(Block::Rule),
    ];
    leaf.prop_recursive(depth, 16, 4, |inner| {
        let items = vec(vec(inner.clone(), 0..3), 0..4);
        prop_oneof![
            vec(inner, 0..4).prop_map(Block::Quote),
            (option::of(any::<u64>()), items).prop_map(|(start, items)| Block::List { start, items }),
        ]
    })
}

/// A document in any form: not necessarily the normal one.
pub fn document() -> impl Strategy<Value = Document> {
    vec(block(3), 0..4).prop_map(|blocks| Document { blocks })
}

/// A person.
pub fn person() -> impl Strategy<Value = Person> {
    (
        network(),
        person_id(),
        line(),
        option::of(media_ref()),
        option::of(line()),
        any::<bool>(),
    )
        .prop_map(|(network, id, name, avatar, organisation, bot)| Person {
            network,
            id,
            name,
            avatar,
            organisation,
            bot,
        })
}

/// A file.
pub fn attachment() -> impl Strategy<Value = Attachment> {
    let kind = select(
        &[
            AttachmentKind::Image,
            AttachmentKind::Video,
            AttachmentKind::Audio,
            AttachmentKind::Voice,
            AttachmentKind::Sticker,
            AttachmentKind::File,
        ][..],
    );
    let told = (
        option::of(any::<u64>()),
        option::of(any::<(u32, u32)>()),
        option::of(any::<u64>()),
        any::<bool>(),
    );
    (
        media_ref(),
        line(),
        option::of(select(&["image/png", "text/plain", "x"][..])),
        kind,
        told,
    )
        .prop_map(
            |(media, name, mime, kind, (size, dimensions, duration, spoiler))| Attachment {
                media,
                name,
                mime: mime.map(str::to_owned),
                size,
                kind,
                dimensions,
                duration,
                spoiler,
            },
        )
}

/// A message with up to three files.
pub fn message() -> impl Strategy<Value = Message> {
    let style = select(&[MessageStyle::Text, MessageStyle::Notice, MessageStyle::Action][..]);
    (
        style,
        document(),
        vec(attachment(), 0..3),
        option::of(message_id()),
        option::of(message_id()),
    )
        .prop_map(|(style, body, attachments, reply_to, thread)| Message {
            style,
            body,
            attachments,
            reply_to,
            thread,
        })
}

/// A reaction.
pub fn reaction() -> impl Strategy<Value = Reaction> {
    (line(), option::of(media_ref())).prop_map(|(key, image)| Reaction { key, image })
}

fn membership() -> impl Strategy<Value = Membership> {
    prop_oneof![
        Just(Membership::Join),
        Just(Membership::Leave),
        Just(Membership::Absent),
        Just(Membership::Invite),
        Just(Membership::Kick),
        Just(Membership::Ban),
        Just(Membership::Unban),
        line().prop_map(|from| Membership::Rename { from }),
    ]
}

/// Any content. Messages are the most frequent.
pub fn content() -> impl Strategy<Value = Content> {
    let role = select(&[Role::Visitor, Role::Member, Role::Voiced, Role::Moderator, Role::Admin][..]);
    prop_oneof![
        6 => message().prop_map(Content::Message),
        2 => (message_id(), message()).prop_map(|(target, message)| Content::Edit { target, message }),
        1 => (message_id(), option::of(text())).prop_map(|(target, reason)| Content::Delete { target, reason }),
        1 => (message_id(), reaction()).prop_map(|(target, reaction)| Content::React { target, reaction }),
        1 => (message_id(), reaction()).prop_map(|(target, reaction)| Content::Unreact { target, reaction }),
        1 => (person(), membership(), option::of(text()))
            .prop_map(|(person, change, reason)| Content::Membership { person, change, reason }),
        1 => (person(), role).prop_map(|(person, role)| Content::Role { person, role }),
        1 => text().prop_map(|topic| Content::Topic { topic }),
        1 => line().prop_map(|name| Content::Name { name }),
        1 => option::of(media_ref()).prop_map(|picture| Content::Picture { picture }),
        1 => vec(message_id(), 0..3).prop_map(|pinned| Content::Pins { pinned }),
        1 => any::<bool>().prop_map(|active| Content::Typing { active }),
        1 => message_id().prop_map(|target| Content::Read { target }),
        1 => text().prop_map(|reason| Content::Closed { reason }),
        1 => Just(Content::Opened),
    ]
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    any::<u64>().prop_map(Timestamp)
}

/// Any event.
pub fn event() -> impl Strategy<Value = Event> {
    let rest = (
        option::of(line()),
        option::of(text().prop_map(DeliveryKey::from_remote)),
        option::of(line()),
    );
    (place(), message_id(), person(), timestamp(), content(), rest).prop_map(
        |(place, id, sender, at, content, (cursor, echo_of, direct_to))| Event {
            place,
            id,
            sender,
            at,
            content,
            cursor,
            echo_of,
            direct_to,
        },
    )
}

/// Any outbound, between two places.
pub fn outbound() -> impl Strategy<Value = Outbound> {
    (
        place(),
        place(),
        message_id(),
        person(),
        line(),
        timestamp(),
        content(),
        vec(message_id(), 0..3),
    )
        .prop_map(|(from, to, id, person, display, at, content, parts)| Outbound {
            key: DeliveryKey::derive(&from, &id, &to),
            to,
            from,
            author: Author { person, display },
            at,
            content,
            parts,
        })
}
