//! Memberships, roles and topics on their way to a channel.

use std::sync::Arc;

use tracing::warn;
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::{ChannelId, Membership, Person, Receipt, Role};

use super::deliver::settled;
use super::{Shared, is_ours, locked};
use crate::client::Connection;
use crate::client::line::message;
use crate::convert::render::clean;

/// Carries out a change of somebody's membership.
pub(super) async fn membership(
    shared: &Arc<Shared>,
    reader: &Connection,
    channel: &ChannelId,
    person: &Person,
    change: &Membership,
    reason: Option<&str>,
) -> Result<Receipt, DeliveryError> {
    let reason = clean(reason.unwrap_or_default());
    if !is_ours(shared, &person.network) {
        match change {
            Membership::Leave | Membership::Kick | Membership::Ban => shared.part(person, channel, &reason).await,
            Membership::Rename { .. } => shared.rename_puppet(person).await,
            _ => {}
        }
        return Ok(Receipt::default());
    }
    let nick = locked(&shared.roster).nick_of(&person.id);
    let present = locked(&shared.roster).modes(channel.as_str(), &nick).is_some();
    let name = channel.as_str();
    let mut lines = Vec::new();
    let mask = match change {
        Membership::Unban => banned_as(shared, channel, person)
            .await
            .unwrap_or_else(|| mask(shared, &nick)),
        _ => mask(shared, &nick),
    };
    match change {
        Membership::Ban => lines.push(message("MODE", &[name, "+b", &mask])),
        Membership::Unban => lines.push(message("MODE", &[name, "-b", &mask])),
        Membership::Invite => lines.push(message("INVITE", &[&nick, name])),
        Membership::Kick => {}
        _ => {
            return Err(DeliveryError::new(
                Failure::Unsupported,
                "people of IRC come and go by themselves",
            ));
        }
    }
    if matches!(change, Membership::Kick | Membership::Ban) && present {
        lines.push(message("KICK", &[name, &nick, &reason]));
    }
    if lines.is_empty() {
        return Ok(Receipt::default());
    }
    settled(reader.confirm(lines).await)?;
    match change {
        Membership::Ban => note_ban(shared, channel, person, Some(&mask)).await,
        Membership::Unban => note_ban(shared, channel, person, None).await,
        _ => {}
    }
    Ok(Receipt::default())
}

/// The mask that bans somebody: by host, which outlives a change of nick, unless others are known to share it.
fn mask(shared: &Shared, nick: &str) -> String {
    let roster = locked(&shared.roster);
    let host = roster.user(nick).and_then(|user| user.details.host.as_deref());
    let shared_with = |host: &str| {
        roster
            .users()
            .filter(|user| user.details.host.as_deref() == Some(host))
            .count()
    };
    match host.filter(|host| shared_with(host) == 1 && !host.contains(['*', '?', ' '])) {
        Some(host) => format!("*!*@{host}"),
        None => format!("{nick}!*@*"),
    }
}

/// Where the session's memory has the mask of a ban.
fn ban_key(channel: &ChannelId, person: &Person) -> String {
    format!("ban.{channel} {}", person.id)
}

async fn banned_as(shared: &Shared, channel: &ChannelId, person: &Person) -> Option<String> {
    let kept = shared.context.state.get(&ban_key(channel, person)).await.ok()??;
    String::from_utf8(kept).ok()
}

/// Remembers by which mask somebody was banned, for later they may be gone or have another host.
async fn note_ban(shared: &Shared, channel: &ChannelId, person: &Person, mask: Option<&str>) {
    let change = (ban_key(channel, person), mask.map(|mask| mask.as_bytes().to_vec()));
    if let Err(error) = shared.context.state.put(vec![change]).await {
        warn!(%error, "The mask of a ban could not be noted.");
    }
}

/// Gives somebody a role.
pub(super) async fn role(
    shared: &Shared,
    reader: &Connection,
    channel: &ChannelId,
    person: &Person,
    role: Role,
) -> Result<Receipt, DeliveryError> {
    let nick = if is_ours(shared, &person.network) {
        locked(&shared.roster).nick_of(&person.id)
    } else {
        match shared.existing(person) {
            Some(puppet) => puppet.nick(),
            None => return Ok(Receipt::default()),
        }
    };
    let Some(has) = locked(&shared.roster).modes(channel.as_str(), &nick).map(str::to_owned) else {
        return Ok(Receipt::default());
    };
    let (give, take) = reader.isupport().modes.for_role(role);
    let give: String = give.chars().filter(|mode| !has.contains(*mode)).collect();
    let take: String = take.chars().filter(|mode| has.contains(*mode)).collect();
    let count = give.len() + take.len();
    if count == 0 {
        return Ok(Receipt::default());
    }
    let mut modes = String::new();
    for (sign, list) in [("+", &give), ("-", &take)] {
        if !list.is_empty() {
            modes.push_str(sign);
            modes.push_str(list);
        }
    }
    let mut parameters = vec![channel.as_str(), modes.as_str()];
    parameters.extend(std::iter::repeat_n(nick.as_str(), count));
    settled(reader.confirm(vec![message("MODE", &parameters)]).await).map(|_| Receipt::default())
}

/// Sets a channel's topic, as much of it as the server takes.
pub(super) async fn topic(
    shared: &Shared,
    reader: &Connection,
    channel: &ChannelId,
    topic: &str,
) -> Result<Receipt, DeliveryError> {
    let topic = clean(topic);
    let limit = reader
        .isupport()
        .topic_length
        .min(reader.room("TOPIC", channel.as_str()));
    let mut text = String::new();
    for character in topic.chars() {
        if text.len() + character.len_utf8() > limit {
            break;
        }
        text.push(character);
    }
    let mut losses = Vec::new();
    if text.len() < topic.len() {
        losses.push("the topic was cut short".to_owned());
    }
    settled(reader.confirm(vec![message("TOPIC", &[channel.as_str(), &text])]).await)?;
    if let Some(known) = locked(&shared.roster).channel(channel.as_str()) {
        known.topic = Some(text);
    }
    Ok(Receipt {
        losses,
        ..Receipt::default()
    })
}
