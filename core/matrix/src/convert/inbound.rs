//! A room event → what happened.

use serde_json::{Map, Value};
use viaduct_model::{
    ChannelId, Content, Event, MediaRef, Membership, MessageId, NetworkName, Person, Place, Reaction, Role, Timestamp,
};

use super::message::{message, sticker};
use super::raw::{RoomEvent, relation, text};
use crate::people::Directory;

/// How many role changes one power-level event may tell.
const ROLE_BOUND: usize = 200;
/// How many pinned messages are looked at.
const PIN_BOUND: usize = 200;

/// Why an event is not passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// It is not shaped as its type demands.
    Malformed,
    /// Its type means nothing to the hub.
    Unknown,
    /// It is encrypted.
    Encrypted,
}

/// What happened, in order; usually one event. A power-level change may be several, numbered in their ids.
pub(crate) fn convert(raw: &RoomEvent, directory: &dyn Directory) -> Result<Vec<Event>, Skip> {
    let channel = ChannelId::new(&raw.room_id).map_err(|_| Skip::Malformed)?;
    MessageId::new(&raw.event_id).map_err(|_| Skip::Malformed)?;
    let sender = directory.person(&raw.sender).ok_or(Skip::Malformed)?;
    let contents = contents(raw, &sender, directory)?;
    let place = Place::new(NetworkName::matrix(), channel);
    let mut events = Vec::with_capacity(contents.len());
    for (number, content) in contents.into_iter().enumerate() {
        let id = if number == 0 {
            raw.event_id.clone()
        } else {
            format!("{}/{number}", raw.event_id)
        };
        events.push(Event {
            place: place.clone(),
            id: MessageId::new(id).map_err(|_| Skip::Malformed)?,
            sender: sender.clone(),
            at: Timestamp(raw.origin_server_ts),
            content,
            cursor: None,
            echo_of: None,
            direct_to: None,
        });
    }
    Ok(events)
}

fn contents(raw: &RoomEvent, sender: &Person, directory: &dyn Directory) -> Result<Vec<Content>, Skip> {
    let content = &raw.content;
    let is_state = raw.state_key.is_some();
    let one = |content: Option<Content>| content.map(|content| vec![content]).ok_or(Skip::Malformed);
    match raw.kind.as_str() {
        "m.room.message" => message_event(content, directory),
        "m.sticker" => one(sticker(content, directory).map(Content::Message)),
        "m.reaction" => one(reaction(content)),
        "m.room.redaction" => one(redaction(raw)),
        "m.room.member" if is_state => member(raw, sender, directory),
        "m.room.power_levels" if is_state => Ok(roles(raw, directory)),
        "m.room.topic" if is_state => one(Some(Content::Topic {
            topic: text(content, "topic").unwrap_or_default().to_owned(),
        })),
        "m.room.name" if is_state => one(Some(Content::Name {
            name: text(content, "name").unwrap_or_default().to_owned(),
        })),
        "m.room.avatar" if is_state => one(Some(Content::Picture {
            picture: picture(content),
        })),
        "m.room.pinned_events" if is_state => one(pins(content)),
        "m.room.encrypted" => Err(Skip::Encrypted),
        _ => Err(Skip::Unknown),
    }
}

fn message_event(content: &Value, directory: &dyn Directory) -> Result<Vec<Content>, Skip> {
    // What is left of a redacted message.
    if content.as_object().is_none_or(Map::is_empty) {
        return Err(Skip::Malformed);
    }
    let replaces = relation(content).filter(|relation| text(relation, "rel_type") == Some("m.replace"));
    let content = match replaces {
        Some(relation) => {
            let target = text(relation, "event_id")
                .and_then(|id| MessageId::new(id).ok())
                .ok_or(Skip::Malformed)?;
            let new = content.get("m.new_content").ok_or(Skip::Malformed)?;
            Content::Edit {
                target,
                message: message(new, directory).ok_or(Skip::Malformed)?,
            }
        }
        None => Content::Message(message(content, directory).ok_or(Skip::Malformed)?),
    };
    Ok(vec![content])
}

fn reaction(content: &Value) -> Option<Content> {
    let relation = relation(content).filter(|relation| text(relation, "rel_type") == Some("m.annotation"))?;
    let target = MessageId::new(text(relation, "event_id")?).ok()?;
    let key = text(relation, "key").filter(|key| !key.is_empty() && key.len() <= 1024)?;
    let reaction = if key.starts_with("mxc://") {
        let code = ["com.beeper.reaction.shortcode", "shortcode"]
            .iter()
            .find_map(|name| text(content, name));
        let code = code
            .map(|code| code.trim_matches(':'))
            .filter(|code| !code.is_empty())
            .unwrap_or("emoji");
        let image = MediaRef {
            network: NetworkName::matrix(),
            locator: key.to_owned(),
        };
        Reaction {
            key: format!(":{code}:"),
            image: Some(image),
        }
    } else {
        Reaction {
            key: key.to_owned(),
            image: None,
        }
    };
    Some(Content::React { target, reaction })
}

fn redaction(raw: &RoomEvent) -> Option<Content> {
    let target = text(&raw.content, "redacts").or_else(|| raw.redacts.as_ref()?.as_str())?;
    let reason = text(&raw.content, "reason")
        .filter(|reason| !reason.is_empty())
        .map(str::to_owned);
    Some(Content::Delete {
        target: MessageId::new(target).ok()?,
        reason,
    })
}

fn picture(content: &Value) -> Option<MediaRef> {
    let url = text(content, "url").filter(|url| url.starts_with("mxc://") && url.len() <= 1024)?;
    Some(MediaRef {
        network: NetworkName::matrix(),
        locator: url.to_owned(),
    })
}

fn pins(content: &Value) -> Option<Content> {
    let list = content.get("pinned")?.as_array()?;
    let pinned = list
        .iter()
        .take(PIN_BOUND)
        .filter_map(|id| MessageId::new(id.as_str()?).ok())
        .collect();
    Some(Content::Pins { pinned })
}

/// A member's name in a membership event.
fn member_name(content: &Value) -> Option<&str> {
    text(content, "displayname").filter(|name| !name.trim().is_empty())
}

fn member(raw: &RoomEvent, sender: &Person, directory: &dyn Directory) -> Result<Vec<Content>, Skip> {
    let whom = raw.state_key.as_deref().unwrap_or_default();
    let mut person = directory.person(whom).ok_or(Skip::Malformed)?;
    if let Some(name) = member_name(&raw.content) {
        name.clone_into(&mut person.name);
    }
    let now = text(&raw.content, "membership").ok_or(Skip::Malformed)?;
    let before = raw.before().and_then(|before| text(before, "membership"));
    let own_act = person.id == sender.id && person.network == sender.network;
    let change = match (now, before) {
        ("join", Some("join")) => {
            let from = raw.before().and_then(member_name);
            match (from, member_name(&raw.content)) {
                (Some(from), Some(name)) if from != name => Membership::Rename { from: from.to_owned() },
                _ => return Ok(Vec::new()),
            }
        }
        ("join", _) => Membership::Join,
        ("invite", _) => Membership::Invite,
        ("ban", _) => Membership::Ban,
        // An invitation or knock that came to nothing.
        ("leave", Some("invite" | "knock" | "leave")) => return Ok(Vec::new()),
        ("leave", Some("ban")) => Membership::Unban,
        ("leave", _) if own_act => Membership::Leave,
        ("leave", _) => Membership::Kick,
        _ => return Err(Skip::Unknown),
    };
    let reason = text(&raw.content, "reason")
        .filter(|reason| !reason.is_empty())
        .map(str::to_owned);
    Ok(vec![Content::Membership { person, change, reason }])
}

/// The role that a power level means.
fn role_of(level: i64) -> Role {
    match level {
        100.. => Role::Admin,
        50..100 => Role::Moderator,
        1..50 => Role::Voiced,
        0 => Role::Member,
        _ => Role::Visitor,
    }
}

/// A power level; early room versions allow them as text.
pub(crate) fn level(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Whose role a power-level event changed. The first one of a room changes nobody's.
fn roles(raw: &RoomEvent, directory: &dyn Directory) -> Vec<Content> {
    let Some(before) = raw.before() else { return Vec::new() };
    let empty = Map::new();
    let users = |content: &Value| {
        content
            .get("users")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_else(|| empty.clone())
    };
    let (old, new) = (users(before), users(&raw.content));
    let default = |content: &Value| level(content.get("users_default")).unwrap_or(0);
    let (old_default, new_default) = (default(before), default(&raw.content));
    let role =
        |users: &Map<String, Value>, mxid: &str, default: i64| role_of(level(users.get(mxid)).unwrap_or(default));
    let mut changed: Vec<_> = old
        .keys()
        .chain(new.keys())
        .filter(|mxid| role(&old, mxid, old_default) != role(&new, mxid, new_default))
        .collect();
    changed.sort();
    changed.dedup();
    changed
        .into_iter()
        .take(ROLE_BOUND)
        .filter_map(|mxid| {
            let person = directory.person(mxid)?;
            Some(Content::Role {
                person,
                role: role(&new, mxid, new_default),
            })
        })
        .collect()
}
