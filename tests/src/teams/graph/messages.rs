//! Messages in Graph: reading them as an app, writing them as a person.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::teams::call::{Answer, Asked, Reply};
use crate::teams::ids::read;
use crate::teams::speech::Draft;
use crate::teams::state::{Author, Channel, Message, State, Token};

/// The largest message that a person may write, in bytes.
const LARGEST: usize = 28 * 1024;

/// How many replies are put into the message that they belong to.
const EXPANDED: usize = 1000;

/// `lastModifiedDateTime gt TIME` (and `lt`), as milliseconds: later than, earlier than.
fn between(filter: &str) -> Option<(u64, u64)> {
    let mut bounds = (0, u64::MAX);
    for part in filter.split(" and ") {
        let mut words = part.split_whitespace();
        let (field, word, time) = (words.next()?, words.next()?, read(words.next()?)?);
        match (field, word) {
            ("lastModifiedDateTime" | "createdDateTime", "gt") => bounds.0 = time,
            ("lastModifiedDateTime" | "createdDateTime", "lt") => bounds.1 = time,
            _ => return None,
        }
    }
    Some(bounds)
}

impl State {
    fn bounds(asked: &Asked) -> Result<(u64, u64), Reply> {
        let refused = || Reply::error(400, "BadRequest", "QueryOptions to filter is not supported.");
        asked
            .query("$filter")
            .map_or(Ok((0, u64::MAX)), |filter| between(filter).ok_or_else(refused))
    }

    /// The first messages of a channel's reply chains, or all of a chat, the one that changed last first.
    pub(super) fn messages(&self, asked: &Asked, token: &Token) -> Answer {
        let channel = self.asked_channel(asked, token)?;
        if !channel.kind.is_chat() && asked.query("$filter").is_some() {
            return Err(Reply::error(
                400,
                "BadRequest",
                "QueryOptions to filter is not supported.",
            ));
        }
        let (after, before) = Self::bounds(asked)?;
        let mut found: Vec<&Message> = channel
            .messages
            .values()
            .filter(|message| message.root.is_none() && message.modified > after && message.modified < before)
            .collect();
        let by_creation = asked
            .query("$orderby")
            .is_some_and(|order| order.starts_with("createdDateTime"));
        found.sort_by_key(|message| std::cmp::Reverse(if by_creation { message.id } else { message.modified }));
        let with_replies = asked
            .query("$expand")
            .is_some_and(|expand| expand.starts_with("replies"));
        let values = found.into_iter().map(|message| {
            let mut value = self.view_message(channel, message);
            if with_replies {
                let replies = channel.messages.values().rev();
                let mut replies = replies.filter(|reply| reply.root == Some(message.id));
                let first = replies.by_ref().take(EXPANDED);
                value["replies"] = first.map(|reply| self.view_message(channel, reply)).collect();
                if let Some(next) = replies.next() {
                    let list = format!("{}/{}/{}/replies", self.graph(), asked.path.join("/"), message.id);
                    value["replies@odata.nextLink"] = json!(format!("{list}?$top=50&$skiptoken={}", next.id));
                }
            }
            value
        });
        self.message_pages(asked, values.collect())
    }

    fn message_pages(&self, asked: &Asked, values: Vec<Value>) -> Answer {
        let most = asked.top("$top", 20, 50);
        self.pages(asked, values, most, |value| {
            value["id"].as_str().unwrap_or_default().to_owned()
        })
    }

    /// What follows `messages` in the path: the message, or the reply below it.
    fn asked_message<'a>(channel: &'a Channel, asked: &Asked) -> Result<&'a Message, Reply> {
        let ids = asked
            .path
            .iter()
            .skip_while(|part| *part != "messages")
            .filter_map(|part| part.parse::<u64>().ok());
        let ids: Vec<u64> = ids.collect();
        let found = match ids.as_slice() {
            [root] => channel.messages.get(root).filter(|message| message.root.is_none()),
            [root, id, ..] => channel.messages.get(id).filter(|message| message.root == Some(*root)),
            [] => None,
        };
        found.ok_or_else(|| Reply::not_found("message"))
    }

    pub(super) fn message(&self, asked: &Asked, token: &Token) -> Answer {
        let channel = self.asked_channel(asked, token)?;
        Ok(Reply::json(
            200,
            &self.view_message(channel, Self::asked_message(channel, asked)?),
        ))
    }

    /// The replies below a message, the newest first.
    pub(super) fn replies(&self, asked: &Asked, token: &Token) -> Answer {
        let channel = self.asked_channel(asked, token)?;
        let root = Self::asked_message(channel, asked)?;
        let replies = channel
            .messages
            .values()
            .rev()
            .filter(|reply| reply.root == Some(root.id));
        self.message_pages(asked, replies.map(|reply| self.view_message(channel, reply)).collect())
    }

    /// What changed since: first messages of reply chains, without replies; at the end the address for the next time.
    pub(super) fn delta(&self, asked: &Asked, token: &Token) -> Answer {
        let channel = self.asked_channel(asked, token)?;
        let (filtered, _) = Self::bounds(asked)?;
        let read = |name| asked.query(name).map(str::parse::<u64>);
        let since = match read("$skiptoken").or_else(|| read("$deltatoken")) {
            None => filtered,
            Some(Ok(since)) => since,
            Some(Err(_)) => return Err(Reply::error(410, "SyncStateNotFound", "The delta token is not known.")),
        };
        let mut changed: Vec<&Message> = channel
            .messages
            .values()
            .filter(|message| message.root.is_none() && message.modified > since)
            .collect();
        changed.sort_by_key(|message| message.modified);
        let most = asked.top("$top", 20, 50);
        let page: Vec<&Message> = changed.iter().take(most).copied().collect();
        let reached = page.last().map_or(since, |message| message.modified).to_string();
        let values: Vec<Value> = page.iter().map(|message| self.view_message(channel, message)).collect();
        let mut answer = json!({ "value": values });
        if changed.len() > page.len() {
            answer["@odata.nextLink"] = json!(self.link(asked, "$skiptoken", &reached));
        } else {
            answer["@odata.deltaLink"] = json!(self.link(asked, "$deltatoken", &reached));
        }
        Ok(Reply::json(200, &answer))
    }

    pub(super) fn hosted(&self, asked: &Asked, token: &Token) -> Answer {
        let channel = self.asked_channel(asked, token)?;
        let message = Self::asked_message(channel, asked)?;
        let mut after = asked.path.iter().skip_while(|part| *part != "hostedContents").skip(1);
        let Some(id) = after.next() else {
            let list: Vec<Value> = message
                .hosted
                .iter()
                .map(|one| json!({ "id": one.id, "contentType": one.mime }))
                .collect();
            return Ok(Reply::list(&list));
        };
        let found = message
            .hosted
            .iter()
            .find(|one| one.id == *id)
            .ok_or_else(|| Reply::not_found("content"))?;
        if after.next().is_some() {
            Ok(Reply::bytes(200, &found.mime, found.content.clone()))
        } else {
            Ok(Reply::json(200, &json!({ "id": found.id, "contentType": found.mime })))
        }
    }

    /// A person says something.
    pub(super) fn say_as(&mut self, asked: &Asked, token: &Token) -> Answer {
        let Some(user) = token.user.clone() else {
            let what = "Message POST is allowed in application-only context only for import purposes.";
            return Err(Reply::error(403, "Forbidden", what));
        };
        let channel = self.asked_channel(asked, token)?;
        let place = channel.id.clone();
        let thread = if asked.operation == "graph.replies" {
            Some(Self::asked_message(channel, asked)?.id)
        } else {
            None
        };
        let draft = Draft {
            thread,
            ..Self::draft_as(&asked.body)?
        };
        let id = self
            .write(&place, Author::User(user), draft)
            .ok_or_else(|| Reply::not_found("channel"))?;
        let channel = self.channels.get(&place);
        let message = channel.and_then(|channel| Some((channel, channel.messages.get(&id)?)));
        let (channel, message) = message.ok_or_else(|| Reply::not_found("message"))?;
        Ok(Reply::json(201, &self.view_message(channel, message)))
    }

    fn draft_as(body: &Value) -> Result<Draft, Reply> {
        let content = body["body"]["content"].as_str().unwrap_or_default();
        if content.len() > LARGEST {
            return Err(Reply::error(413, "RequestEntityTooLarge", "The message is too large."));
        }
        let html = if body["body"]["contentType"] == "html" {
            content.to_owned()
        } else {
            crate::teams::html::escape(content)
        };
        let mentioned = |one: &Value| one["mentioned"]["user"]["id"].as_str().map(str::to_owned);
        let (html, pictures) = pictures_of(body, html)?;
        Ok(Draft {
            html,
            pictures,
            mentions: body["mentions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(mentioned)
                .collect(),
            attachments: body["attachments"].as_array().cloned().unwrap_or_default(),
            subject: body["subject"].as_str().map(str::to_owned),
            ..Draft::default()
        })
    }

    /// A person changes or takes back what they said, or reacts to it.
    pub(super) fn change_as(&mut self, asked: &Asked, token: &Token) -> Answer {
        let Some(user) = token.user.clone() else {
            return Err(Reply::error(403, "Forbidden", "Only a person can change messages."));
        };
        let channel = self.asked_channel(asked, token)?;
        let message = Self::asked_message(channel, asked)?;
        let (place, id, who) = (channel.id.clone(), message.id, Author::User(user));
        let is_own = message.from == who;
        let action = asked.path.last().map_or("", String::as_str);
        if let "setReaction" | "unsetReaction" = action {
            let name = asked.body["reactionType"].as_str().unwrap_or_default().to_owned();
            self.react(&place, id, &who, &name, action == "setReaction");
            return Ok(Reply::empty(204));
        }
        if !is_own {
            return Err(Reply::error(403, "Forbidden", "Somebody else wrote this message."));
        }
        match action {
            "softDelete" => self.delete(&place, id, true),
            "undoSoftDelete" => self.delete(&place, id, false),
            _ => {
                let draft = Self::draft_as(&asked.body)?;
                self.edit(&place, id, draft)
            }
        };
        Ok(Reply::empty(204))
    }
}

/// The pictures that come with a message, each shown by an `img` of its own, which becomes one of the stand-in's.
fn pictures_of(body: &Value, mut html: String) -> Result<(String, Vec<(String, Bytes)>), Reply> {
    let mut pictures = Vec::new();
    for hosted in body["hostedContents"].as_array().into_iter().flatten() {
        let bad = || Reply::error(400, "BadRequest", "hostedContents cannot be read, or are not shown.");
        let id = hosted["@microsoft.graph.temporaryId"].as_str().ok_or_else(bad)?;
        let source = format!("src=\"../hostedContents/{id}/$value\"");
        let (before, rest) = html.split_once(&source).ok_or_else(bad)?;
        let (before, _) = before.rsplit_once("<img").ok_or_else(bad)?;
        let (_, after) = rest.split_once('>').ok_or_else(bad)?;
        let content = STANDARD
            .decode(hosted["contentBytes"].as_str().unwrap_or_default())
            .map_err(|_| bad())?;
        let mime = hosted["contentType"].as_str().ok_or_else(bad)?.to_owned();
        pictures.push((mime, content.into()));
        html = format!("{before}{after}");
    }
    Ok((html, pictures))
}

#[cfg(test)]
mod tests {
    use super::between;

    #[test]
    fn filters_by_time_are_read() {
        let since = 1_700_000_000_000;
        assert_eq!(
            between("lastModifiedDateTime gt 2023-11-14T22:13:20Z"),
            Some((since, u64::MAX))
        );
        assert_eq!(
            between(
                "lastModifiedDateTime gt 2023-11-14T22:13:20.000Z and lastModifiedDateTime lt 2023-11-14T22:13:21Z"
            ),
            Some((since, since + 1000))
        );
        assert_eq!(between("from eq 'x'"), None);
    }
}
