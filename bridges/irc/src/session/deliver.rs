//! Events to the connection that is to say them, and what the server made of it.

use std::sync::Arc;

use irc_proto::Message as Line;
use tokio::time::Instant;
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::{ChannelId, Content, MessageId, MessageStyle, Outbound, Receipt};

use super::incoming::KEY_TAG;
use super::phrase::{self, Lines, Words};
use super::recent::{QUOTE, Said};
use super::{Shared, direct_parts, locked, moderate, time};
use crate::client::line::{Fields, message};
use crate::client::{Confirmation, Connection};
use crate::convert::forms::quote;

/// Where words go.
struct Goal<'a> {
    channel: &'a ChannelId,
    /// The channel, or somebody's nick.
    target: String,
    direct: bool,
}

/// Sends one event.
pub(super) async fn deliver(shared: &Arc<Shared>, outbound: &Outbound) -> Result<Receipt, DeliveryError> {
    let reader = shared.reader().ok_or_else(|| DeliveryError::retry(away(shared)))?;
    let channel = &outbound.to.channel;
    let goal = if let Some((person, _)) = direct_parts(channel) {
        Goal {
            channel,
            target: locked(&shared.roster).nick_of(&person),
            direct: true,
        }
    } else {
        entered(shared, channel)?;
        Goal {
            channel,
            target: channel.as_str().to_owned(),
            direct: false,
        }
    };
    let forms = &shared.section.forms;
    match &outbound.content {
        Content::Message(message) => {
            let words = phrase::message(shared, channel, message);
            say(shared, &reader, outbound, &goal, words).await
        }
        Content::Edit { target, message } => {
            let words = phrase::edit(shared, channel, target, message);
            say(shared, &reader, outbound, &goal, words).await
        }
        Content::Delete { target, .. } => match phrase::form(shared, channel, &forms.delete, target, "") {
            Some(words) => say(shared, &reader, outbound, &goal, words).await,
            None => Ok(Receipt::default()),
        },
        Content::React { target, reaction } => {
            let words = phrase::form(shared, channel, &forms.reaction, target, &reaction.key);
            let tag = ("+draft/react", reaction.key.as_str());
            react(shared, &reader, outbound, &goal, words, target, tag).await
        }
        Content::Unreact { target, reaction } => {
            let words = phrase::form(shared, channel, &forms.unreact, target, &reaction.key);
            let tag = ("+draft/unreact", reaction.key.as_str());
            react(shared, &reader, outbound, &goal, words, target, tag).await
        }
        Content::Typing { active } if shared.shows_typing(&reader) => {
            typing(shared, outbound, &goal, *active).await;
            Ok(Receipt::default())
        }
        Content::Membership { person, change, reason } if !goal.direct => {
            moderate::membership(shared, &reader, channel, person, change, reason.as_deref()).await
        }
        Content::Role { person, role } if !goal.direct => moderate::role(shared, &reader, channel, person, *role).await,
        Content::Topic { topic } if !goal.direct => moderate::topic(shared, &reader, channel, topic).await,
        other => {
            let what = format!("IRC has nothing like {} here", other.kind().as_str());
            Err(DeliveryError::new(Failure::Unsupported, what))
        }
    }
}

/// Why the reader is not connected.
fn away(shared: &Shared) -> String {
    let down = locked(&shared.down);
    down.as_ref()
        .map_or_else(|| "not connected yet".to_owned(), ToString::to_string)
}

/// Checks that the reader is in a channel.
fn entered(shared: &Shared, channel: &ChannelId) -> Result<(), DeliveryError> {
    match locked(&shared.roster).channel_ref(channel.as_str()) {
        Some(known) if known.joined => Ok(()),
        Some(_) => {
            let problem = locked(&shared.problems).get(&channel.as_str().to_lowercase()).cloned();
            let problem = problem.unwrap_or_else(|| "it is still being joined".to_owned());
            Err(DeliveryError::retry(format!("the hub is not in {channel}: {problem}")))
        }
        None => Err(DeliveryError::permanent(format!(
            "{channel} is not one of the mirrored channels"
        ))),
    }
}

/// Marks lines with their delivery's key, where the server keeps them for later.
fn keyed(mut lines: Lines, connection: &Connection, outbound: &Outbound) -> Lines {
    if connection.has("message-tags") && connection.has("draft/chathistory") {
        for line in &mut lines.lines {
            line.set_tag(KEY_TAG, outbound.key.as_str());
        }
    }
    lines
}

/// Reacts: in words if the operator wants any, and with tags where the server passes them on.
async fn react(
    shared: &Arc<Shared>,
    reader: &Arc<Connection>,
    outbound: &Outbound,
    goal: &Goal<'_>,
    words: Option<Words<'_>>,
    target: &MessageId,
    tag: (&'static str, &str),
) -> Result<Receipt, DeliveryError> {
    let reply = phrase::reply_tag(shared, target);
    if let Some(mut words) = words {
        if let Some(reply) = reply {
            words.tags.extend([reply, tag]);
        }
        return say(shared, reader, outbound, goal, words).await;
    }
    let Some(reply) = reply.filter(|_| reader.has("message-tags")) else {
        return Ok(Receipt::default());
    };
    let author = &outbound.author;
    let channel = (!goal.direct).then_some(goal.channel);
    // Said by the hub itself it would be the hub's own reaction.
    let Some(puppet) = shared.puppet(&author.person, &author.display, channel).await else {
        return Ok(Receipt::default());
    };
    let mut line = message("TAGMSG", &[&goal.target]);
    for (key, value) in [reply, tag] {
        line.set_tag(key, value);
    }
    settled(puppet.confirm(vec![line]).await).map(|_| Receipt::default())
}

async fn say(
    shared: &Arc<Shared>,
    reader: &Arc<Connection>,
    outbound: &Outbound,
    goal: &Goal<'_>,
    words: Words<'_>,
) -> Result<Receipt, DeliveryError> {
    let author = &outbound.author;
    let channel = (!goal.direct).then_some(goal.channel);
    if let Some(puppet) = shared.puppet(&author.person, &author.display, channel).await {
        let lines = phrase::lines(shared, &puppet, &goal.target, &words, "");
        let lines = keyed(lines, &puppet, outbound);
        match sent(shared, &puppet, goal, &words, lines, &puppet.nick()).await {
            // The channel may listen to the hub where it does not to a newcomer.
            Err(error) if error.failure == Failure::Permanent && !goal.direct => {}
            outcome => {
                shared.meters.by_puppet.increment(1);
                return outcome;
            }
        }
    }
    // The hub speaks for itself.
    let prefix = if author.person.is_hub() {
        String::new()
    } else {
        phrase::relayed(shared, &author.display)
    };
    let lines = phrase::lines(shared, reader, &goal.target, &words, &prefix);
    let lines = keyed(lines, reader, outbound);
    shared.meters.by_reader.increment(1);
    sent(shared, reader, goal, &words, lines, &author.display).await
}

/// Sends lines and makes the receipt of what the server said.
async fn sent(
    shared: &Shared,
    connection: &Connection,
    goal: &Goal<'_>,
    words: &Words<'_>,
    lines: Lines,
    name: &str,
) -> Result<Receipt, DeliveryError> {
    if lines.lines.is_empty() {
        if words.losses.is_empty() {
            return Ok(Receipt {
                losses: vec!["there was nothing to read in it".to_owned()],
                ..Receipt::default()
            });
        }
        return Err(DeliveryError::new(Failure::Unsupported, words.losses.join("; ")));
    }
    let since = Instant::now();
    let outcomes = if together(connection, words, &lines) {
        vec![connection.confirm_together(&goal.target, lines.lines).await]
    } else {
        connection.confirm(lines.lines).await
    };
    shared.meters.confirmed.record(since.elapsed().as_secs_f64());
    let mut receipt = Receipt {
        losses: words.losses.clone(),
        ..Receipt::default()
    };
    let (ids, at) = settled(outcomes)?;
    receipt.at = at.as_deref().and_then(time::parse);
    let now = shared.context.clock.now();
    let given = ids.into_iter().map(|id| {
        id.and_then(|id| MessageId::new(id).ok())
            .or_else(|| shared.made_id(now))
    });
    receipt.ids = given.flatten().collect();
    let said = Said {
        name: name.to_owned(),
        quote: quote(&words.document.to_plain(), QUOTE),
    };
    let mut recent = locked(&shared.recent);
    for id in &receipt.ids {
        recent.add(goal.channel, id, said.clone());
    }
    Ok(receipt)
}

/// Whether the server takes these lines as one message: whole lines of words, within its bounds. Lines that had to be cut
/// each carry their own formatting codes, which would not survive being joined.
fn together(connection: &Connection, words: &Words<'_>, lines: &Lines) -> bool {
    let Some(bounds) = connection
        .capability("draft/multiline")
        .filter(|_| connection.has("batch"))
    else {
        return false;
    };
    lines.whole && words.style == MessageStyle::Text && fits(bounds, &lines.lines)
}

/// Whether lines are within the bounds a server announces: `max-bytes`, without which it takes none, counts the line feeds
/// between them; `max-lines` may be missing.
fn fits(bounds: &str, lines: &[Line]) -> bool {
    let bound = |key: &str| {
        let mut values = bounds.split(',').filter_map(|part| part.split_once('='));
        let (_, value) = values.find(|(name, _)| *name == key)?;
        value.parse::<usize>().ok()
    };
    let bytes: usize = lines.iter().map(|line| line.last().len()).sum();
    lines.len() > 1
        && lines.len() <= bound("max-lines").unwrap_or(usize::MAX)
        && bound("max-bytes").is_some_and(|most| bytes + lines.len() - 1 <= most)
}

type Settled = (Vec<Option<String>>, Option<String>);

/// The ids of lines that were all accepted, and the time of the first; or the one error that fits what happened.
pub(super) fn settled(outcomes: Vec<Confirmation>) -> Result<Settled, DeliveryError> {
    let mut ids = Vec::new();
    let mut at = None;
    let mut trouble: Option<Confirmation> = None;
    for outcome in outcomes {
        match outcome {
            Confirmation::Accepted { id, time } => {
                at = at.or(time);
                ids.push(id);
            }
            other => trouble = Some(trouble.unwrap_or(other)),
        }
    }
    match trouble {
        None => Ok((ids, at)),
        Some(Confirmation::Unwritten) if ids.is_empty() => Err(DeliveryError::retry(
            "the connection to the IRC server ended before it was sent",
        )),
        Some(Confirmation::Refused { code, text }) => {
            let partly = if ids.is_empty() { "" } else { " part of it" };
            Err(DeliveryError::permanent(format!(
                "the IRC server refused{partly}: {text} ({code})"
            )))
        }
        Some(_) => Err(DeliveryError::unknown(
            "the connection to the IRC server ended before it answered",
        )),
    }
}

/// Shows that somebody types, if they have a puppet already. Never waits for an answer.
async fn typing(shared: &Shared, outbound: &Outbound, goal: &Goal<'_>, active: bool) {
    let Some(puppet) = shared
        .existing(&outbound.author.person)
        .filter(|puppet| puppet.has("message-tags"))
    else {
        return;
    };
    let mut line = message("TAGMSG", &[&goal.target]);
    line.set_tag("+typing", if active { "active" } else { "done" });
    puppet.send(line).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(id: &str) -> Confirmation {
        Confirmation::Accepted {
            id: Some(id.into()),
            time: None,
        }
    }

    fn class(outcomes: Vec<Confirmation>) -> Failure {
        settled(outcomes).unwrap_err().failure
    }

    #[test]
    fn what_is_unknown_is_never_taken_for_something_else() {
        let refused = || Confirmation::Refused {
            code: "404".into(),
            text: "no".into(),
        };
        assert_eq!(settled(vec![accepted("a"), accepted("b")]).unwrap().0.len(), 2);
        assert_eq!(
            class(vec![Confirmation::Unwritten, Confirmation::Unwritten]),
            Failure::Retry(None)
        );
        assert_eq!(
            class(vec![accepted("a"), Confirmation::Unwritten]),
            Failure::UnknownOutcome
        );
        assert_eq!(
            class(vec![Confirmation::Lost, Confirmation::Unwritten]),
            Failure::UnknownOutcome
        );
        assert_eq!(class(vec![refused()]), Failure::Permanent);
    }

    #[test]
    fn bounds_of_a_message_of_many_lines() {
        let lines = [message("PRIVMSG", &["#a", "12345"]), message("PRIVMSG", &["#a", "123"])];
        for (bounds, taken) in [
            ("max-bytes=9", true),
            ("max-bytes=8", false),
            ("max-bytes=9,max-lines=2", true),
            ("max-bytes=9,max-lines=1", false),
            ("unheard=1,max-lines=2,max-bytes=100", true),
            ("max-lines=2", false),
            ("", false),
            ("max-bytes=x", false),
        ] {
            assert_eq!(fits(bounds, &lines), taken, "{bounds}");
        }
        assert!(!fits("max-bytes=100", lines.get(..1).unwrap()));
    }
}
