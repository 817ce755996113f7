//! Events to lines, and what the server made of them.

use std::sync::Arc;

use irc_proto::Message as Line;
use tokio::time::Instant;
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_model::document::{Block, Mention, MentionTarget};
use viaduct_model::{
    Attachment, ChannelId, Content, Document, Inline, Message, MessageId, MessageStyle, Outbound, PersonId, Receipt,
};

use super::incoming::KEY_TAG;
use super::recent::{QUOTE, Said};
use super::{Shared, direct_parts, is_ours, locked, moderate, time};
use crate::client::line::{Fields, message};
use crate::client::{Confirmation, Connection};
use crate::convert::ctcp;
use crate::convert::forms::{self, Values, quote, unpinged};
use crate::convert::mirc::Run;
use crate::convert::render::{clean, render};
use crate::convert::split::split;
use crate::metrics;

/// Where words go.
struct Goal<'a> {
    channel: &'a ChannelId,
    /// The channel, or somebody's nick.
    target: String,
    direct: bool,
}

/// Sends one event.
pub(super) async fn deliver(shared: &Arc<Shared>, outbound: &Outbound) -> Result<Receipt, DeliveryError> {
    let reader = shared
        .reader()
        .ok_or_else(|| DeliveryError::retry(locked(&shared.down).clone()))?;
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
            let (document, losses) = worded(shared, channel, message);
            let reply = message.reply_to.as_ref();
            say(
                shared,
                &reader,
                outbound,
                &goal,
                Words {
                    document,
                    style: message.style,
                    reply,
                    losses,
                },
            )
            .await
        }
        Content::Edit { target, message } => {
            let (document, losses) = worded(shared, channel, message);
            let (name, said) = meant(shared, channel, target);
            let document = forms::wrap(
                &forms.edit,
                Values {
                    name: &name,
                    quote: &said,
                    reaction: "",
                },
                document,
            );
            say(
                shared,
                &reader,
                outbound,
                &goal,
                Words {
                    document,
                    style: message.style,
                    reply: None,
                    losses,
                },
            )
            .await
        }
        Content::Delete { target, .. } => template(shared, &reader, outbound, &goal, &forms.delete, target, "").await,
        Content::React { target, reaction } => {
            template(shared, &reader, outbound, &goal, &forms.reaction, target, &reaction.key).await
        }
        Content::Unreact { target, reaction } => {
            template(shared, &reader, outbound, &goal, &forms.unreact, target, &reaction.key).await
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

/// The author and the beginning of a message that is acted upon, as far as remembered.
fn meant(shared: &Shared, channel: &ChannelId, target: &MessageId) -> (String, String) {
    let recent = locked(&shared.recent);
    match recent.get(channel, target) {
        Some(said) => (unpinged(&said.name), said.quote.clone()),
        None => (String::new(), "an earlier message".to_owned()),
    }
}

/// A message's text with the form of a reply and links to its files; and what is lost.
fn worded(shared: &Shared, channel: &ChannelId, message: &Message) -> (Document, Vec<String>) {
    let mut document = message.body.clone();
    let mut losses = Vec::new();
    for attachment in &message.attachments {
        match linked(shared, attachment) {
            Some(block) => document.blocks.push(block),
            None => losses.push(format!("the file {} could not be offered as a link", attachment.name)),
        }
    }
    if let Some(target) = message.reply_to.as_ref().or(message.thread.as_ref()) {
        let found = locked(&shared.recent).get(channel, target).cloned();
        let forms = &shared.section.forms;
        let (template, said) = match found {
            Some(said) => (&forms.reply, said),
            None => (
                &forms.reply_unknown,
                Said {
                    name: String::new(),
                    quote: String::new(),
                },
            ),
        };
        // Somebody of this network who is answered may be alerted; others only look the same.
        let here = locked(&shared.roster).user(&said.name).is_some();
        let name = if here { said.name } else { unpinged(&said.name) };
        document = forms::wrap(
            template,
            Values {
                name: &name,
                quote: &said.quote,
                reaction: "",
            },
            document,
        );
    }
    (document, losses)
}

fn linked(shared: &Shared, attachment: &Attachment) -> Option<Block> {
    let link = shared.context.media.link(&attachment.media, &attachment.name)?;
    Some(Block::Paragraph(vec![Inline::Text(format!(
        "{}: {link}",
        attachment.name
    ))]))
}

/// What is to be said, and how.
struct Words<'a> {
    document: Document,
    style: MessageStyle,
    reply: Option<&'a MessageId>,
    losses: Vec<String>,
}

/// Marks lines with their delivery's key, where the server keeps them for later.
fn keyed(mut lines: Vec<Line>, connection: &Connection, outbound: &Outbound) -> Vec<Line> {
    if connection.has("message-tags") && connection.has("draft/chathistory") {
        for line in &mut lines {
            line.set_tag(KEY_TAG, outbound.key.as_str());
        }
    }
    lines
}

async fn template(
    shared: &Arc<Shared>,
    reader: &Arc<Connection>,
    outbound: &Outbound,
    goal: &Goal<'_>,
    template: &str,
    target: &MessageId,
    reaction: &str,
) -> Result<Receipt, DeliveryError> {
    if template.is_empty() {
        return Ok(Receipt::default());
    }
    let (name, said) = meant(shared, goal.channel, target);
    let text = forms::fill(
        template,
        Values {
            name: &name,
            quote: &said,
            reaction,
        },
    );
    let document = Document::paragraph(vec![Inline::Text(text)]);
    let words = Words {
        document,
        style: MessageStyle::Text,
        reply: None,
        losses: Vec::new(),
    };
    say(shared, reader, outbound, goal, words).await
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
        let lines = keyed(lines(shared, &puppet, goal, &words, ""), &puppet, outbound);
        match sent(shared, &puppet, goal, &words, lines, &puppet.nick()).await {
            // The channel may listen to the hub where it does not to a newcomer.
            Err(error) if error.failure == Failure::Permanent && !goal.direct => {}
            outcome => {
                metrics::sent("puppet");
                return outcome;
            }
        }
    }
    let prefix = forms::fill(
        &shared.section.forms.relay,
        Values {
            name: &unpinged(&shown(&author.display)),
            ..Values::default()
        },
    );
    let lines = keyed(lines(shared, reader, goal, &words, &prefix), reader, outbound);
    metrics::sent("reader");
    sent(shared, reader, goal, &words, lines, &author.display).await
}

/// A display name as it is put in front of relayed lines: short enough to leave room for words.
fn shown(display: &str) -> String {
    clean(display).chars().take(40).collect()
}

/// The lines of a message. `prefix` is put in front of each, where the hub speaks for somebody.
fn lines(shared: &Shared, connection: &Connection, goal: &Goal<'_>, words: &Words<'_>, prefix: &str) -> Vec<Line> {
    let command = if words.style == MessageStyle::Notice {
        "NOTICE"
    } else {
        "PRIVMSG"
    };
    let action = words.style == MessageStyle::Action;
    let prefix = if action {
        prefix.trim_matches(|mark: char| "<> ".contains(mark))
    } else {
        prefix
    };
    let prefix = if action && !prefix.is_empty() {
        format!("{prefix} ")
    } else {
        prefix.to_owned()
    };
    let overhead = if action { ctcp::ACTION_OVERHEAD } else { 0 };
    let room = connection
        .room(command, &goal.target)
        .saturating_sub(overhead + prefix.len());
    let named = |mention: &Mention| addressed(shared, mention);
    let mut out: Vec<Line> = render(&words.document, &named)
        .iter()
        .flat_map(|line: &Vec<Run>| split(line, room))
        .map(|text| {
            let text = format!("{prefix}{text}");
            let text = if action { ctcp::write("ACTION", &text) } else { text };
            message(command, &[&goal.target, &text])
        })
        .collect();
    if let (Some(reply), Some(first), true) = (words.reply, out.first_mut(), connection.has("message-tags")) {
        // Ids that were made here mean nothing to the server.
        if !reply.as_str().contains(shared.nonce.as_str()) && reply.as_str().len() < 200 {
            first.set_tag("+draft/reply", reply.as_str());
        }
    }
    out
}

/// How a person who is addressed is written: by the nick they have here, else by name, so that nobody else is alerted.
fn addressed(shared: &Shared, mention: &Mention) -> String {
    match &mention.target {
        MentionTarget::Person { network, id } if is_ours(shared, network) => locked(&shared.roster).nick_of(id),
        MentionTarget::Person { network, id } => {
            puppet_nick(shared, network.as_str(), id).unwrap_or_else(|| unpinged(&mention.label))
        }
        _ => unpinged(&mention.label),
    }
}

fn puppet_nick(shared: &Shared, network: &str, id: &PersonId) -> Option<String> {
    let person = viaduct_model::Person {
        network: viaduct_model::NetworkName::new(network).ok()?,
        id: id.clone(),
        name: String::new(),
        avatar: None,
        organisation: None,
        bot: false,
    };
    shared.existing(&person).map(|connection| connection.nick())
}

/// Sends lines and makes the receipt of what the server said.
async fn sent(
    shared: &Shared,
    connection: &Connection,
    goal: &Goal<'_>,
    words: &Words<'_>,
    lines: Vec<Line>,
    name: &str,
) -> Result<Receipt, DeliveryError> {
    if lines.is_empty() {
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
        vec![connection.confirm_together(&goal.target, lines).await]
    } else {
        connection.confirm(lines).await
    };
    metrics::confirmed(since.elapsed().as_secs_f64());
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

/// Whether the server takes these lines as one message: only whole lines, within its bounds.
fn together(connection: &Connection, words: &Words<'_>, lines: &[Line]) -> bool {
    let Some(bounds) = connection.capability("draft/multiline") else {
        return false;
    };
    let bound = |key: &str, otherwise: usize| {
        let value = bounds
            .split(',')
            .find_map(|part| part.strip_prefix(key)?.strip_prefix('='));
        value.and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    };
    let bytes: usize = lines.iter().map(|line| line.last().len() + 1).sum();
    lines.len() > 1
        && words.style != MessageStyle::Action
        && lines.len() <= bound("max-lines", 100)
        && bytes <= bound("max-bytes", 4096)
        && lines.iter().all(|line| line.last().len() < SURELY_WHOLE)
}

/// A line of fewer bytes was not cut.
const SURELY_WHOLE: usize = 300;

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
}
