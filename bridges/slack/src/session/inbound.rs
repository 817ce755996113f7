//! One event of Slack's → what happened, in the hub's words. Nothing here waits: who or what is not known yet is noted in the
//! reader, and the event is told again once it is.

use viaduct_model::{Content, DeliveryKey, Event, Membership, Message, MessageId, Person, PersonId, Place, Timestamp};

use super::Slack;
use super::channels::Channel;
use crate::client::payload;
use crate::convert::World;
use crate::convert::ids::{event_id, from_micros, is_ts, is_user, time};
use crate::convert::message::{is_edit, message};
use crate::convert::mrkdwn::Reader;

/// The kind of metadata in which the keys of deliveries travel.
pub const METADATA: &str = "viaduct_delivery";
/// The longest reason or topic passed on, in characters.
const LINE: usize = 1000;

/// Where something happened.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The place, as the hub names it.
    pub place: &'a Place,
    /// The channel's id.
    pub id: &'a str,
    /// Of a direct chat, the Matrix person.
    pub direct_to: Option<&'a str>,
    /// Of a mirrored channel, what is known of it.
    pub channel: Option<&'a Channel>,
}

impl Scene<'_> {
    pub(super) fn event(&self, id: MessageId, sender: Person, at: Timestamp, content: Content) -> Event {
        Event {
            place: self.place.clone(),
            id,
            sender,
            at,
            content,
            cursor: None,
            echo_of: None,
            direct_to: self.direct_to.map(str::to_owned),
        }
    }
}

/// What is known of a workspace, for the translation.
pub struct View<'a>(pub &'a Slack);

impl World for View<'_> {
    fn network(&self) -> &viaduct_model::NetworkName {
        &self.0.context.network
    }

    fn person(&self, user: &str) -> Option<Person> {
        if let Some(person) = self.0.people.get(user) {
            return Some(self.0.on_matrix(&person).unwrap_or(person));
        }
        // Somebody whom Slack does not know either.
        if !self.0.people.is_settled(user) {
            return None;
        }
        let me = self.0.me()?;
        self.0.people.stranger(&me, None, user)
    }

    fn channel(&self, id: &str) -> Option<(Place, String)> {
        let channel = self.0.channels.with_id(id)?;
        let name = channel.known().name.clone();
        Some((channel.place.clone(), name))
    }

    fn channel_id(&self, place: &Place) -> Option<String> {
        if place.network != self.0.context.network {
            return None;
        }
        self.0.channels.spelled(&place.channel)?.known().id.clone()
    }

    fn group(&self, id: &str) -> Option<String> {
        self.0.people.group(id)
    }

    fn emoji(&self, name: &str) -> Option<viaduct_model::MediaRef> {
        self.0.people.emoji(name)
    }
}

impl Slack {
    /// Whether the app itself said something: by its bot, or in the name of somebody who logged in with it.
    pub(super) fn is_own(&self, raw: &payload::Message) -> bool {
        let Some(me) = self.me() else { return false };
        let own_bot = me.bot.is_some() && (raw.bot_id == me.bot || raw.user.id() == Some(&me.user));
        own_bot || (me.app.is_some() && raw.app_id == me.app)
    }

    /// The key of the delivery that a message is, if it is one of ours.
    pub(super) fn own_key<'m>(&self, raw: &'m payload::Message) -> Option<&'m payload::Key> {
        let metadata = raw
            .metadata
            .as_ref()
            .filter(|metadata| metadata.event_type == METADATA)?;
        let key = metadata.event_payload.as_ref()?;
        (self.is_own(raw) && !key.key.is_empty()).then_some(key)
    }

    /// What an event says. People who have to be asked for first are in `reader.missing`.
    pub(super) fn tell(&self, scene: Scene<'_>, raw: &payload::Message, reader: &mut Reader<'_>) -> Vec<Event> {
        let found = match raw.kind.as_str() {
            "message" => self.tell_message(scene, raw, reader),
            "reaction_added" | "reaction_removed" => self.tell_reaction(scene, raw, reader),
            "member_joined_channel" => self.tell_membership(scene, raw, Membership::Join, reader),
            "member_left_channel" => self.tell_membership(scene, raw, Membership::Leave, reader),
            "channel_deleted" | "group_deleted" => self.told_of_channel(
                scene,
                raw,
                self.closed("the channel was deleted in Slack", "der Kanal wurde in Slack gelöscht"),
            ),
            "channel_shared" | "channel_unshared" => self.tell_sharing(scene, raw),
            _ => None,
        };
        found.into_iter().collect()
    }

    fn tell_message(&self, scene: Scene<'_>, raw: &payload::Message, reader: &mut Reader<'_>) -> Option<Event> {
        match raw.subtype.as_deref() {
            Some("message_changed") => self.tell_change(scene, raw, reader),
            Some("message_deleted") => {
                let deleted = raw
                    .deleted_ts
                    .as_deref()
                    .or_else(|| Some(&raw.previous_message.as_ref()?.ts))?;
                self.tell_deletion(scene, deleted, raw.previous_message.as_deref(), &raw.ts)
            }
            // Told by events of their own, or of no interest elsewhere.
            Some(
                "message_replied"
                | "channel_join"
                | "group_join"
                | "channel_leave"
                | "group_leave"
                | "pinned_item"
                | "unpinned_item"
                | "tombstone"
                | "channel_convert_to_private"
                | "reply_broadcast",
            ) => None,
            Some("channel_topic" | "group_topic") => {
                Self::learn_topic(scene, Some(&raw.topic), None);
                self.told_by_somebody(
                    scene,
                    raw,
                    Content::Topic {
                        topic: line(&raw.topic),
                    },
                    reader,
                )
            }
            Some("channel_purpose" | "group_purpose") => {
                // The purpose is what a room's topic shows where there is no topic.
                let topic = Self::learn_topic(scene, None, Some(&raw.purpose));
                topic.is_empty().then(|| {
                    self.told_by_somebody(
                        scene,
                        raw,
                        Content::Topic {
                            topic: line(&raw.purpose),
                        },
                        reader,
                    )
                })?
            }
            Some("channel_name" | "group_name") => {
                self.told_by_somebody(scene, raw, Content::Name { name: line(&raw.name) }, reader)
            }
            Some("channel_archive" | "group_archive") => self.told_by_somebody(
                scene,
                raw,
                self.closed(
                    "the channel was archived in Slack",
                    "der Kanal wurde in Slack archiviert",
                ),
                reader,
            ),
            Some("channel_unarchive" | "group_unarchive") => {
                if let Some(channel) = scene.channel {
                    channel.known().trouble = None;
                }
                self.told_by_somebody(scene, raw, Content::Opened, reader)
            }
            _ => self.tell_new(scene, raw, reader),
        }
    }

    /// A message: somebody's, an automaton's, or our own coming back.
    pub(super) fn tell_new(&self, scene: Scene<'_>, raw: &payload::Message, reader: &mut Reader<'_>) -> Option<Event> {
        if !is_ts(&raw.ts) {
            return None;
        }
        let known = reader.missing.len();
        let own = self.is_own(raw);
        let mut echo_of = None;
        let sender = if own {
            for file in &raw.files {
                self.uploaded(&file.id, scene.id, &raw.ts);
            }
            match self.own_key(raw) {
                // A delivery in several parts is settled by looking it up.
                Some(key) if key.parts.unwrap_or(1) <= 1 => echo_of = Some(DeliveryKey::from_remote(key.key.clone())),
                _ => {
                    Self::note(scene, raw);
                    return None;
                }
            }
            self.app_person()?
        } else {
            self.as_themselves(scene, self.sender(raw, reader)?)
        };
        let content = Content::Message(message(raw, reader));
        if reader.missing.len() > known {
            return None;
        }
        if let Content::Message(message) = &content
            && message.attachments.is_empty()
            && message.body.is_empty()
        {
            return None;
        }
        let mut event = scene.event(MessageId::new(&raw.ts).ok()?, sender, time(&raw.ts), content);
        event.echo_of = echo_of;
        event.cursor = Some(Self::note(scene, raw));
        Some(event)
    }

    /// Remembers a message. Gives the channel's position once it is told.
    fn note(scene: Scene<'_>, raw: &payload::Message) -> String {
        let Some(channel) = scene.channel else {
            return raw.ts.clone();
        };
        let thread = raw.thread_ts.as_deref().filter(|root| *root != raw.ts);
        let mut known = channel.known();
        known.note(&raw.ts, thread);
        if thread.is_some() && raw.subtype.as_deref() == Some("thread_broadcast") {
            known.note(&raw.ts, None);
        }
        from_micros(known.newest)
    }

    /// Who said something.
    fn sender(&self, raw: &payload::Message, reader: &mut Reader<'_>) -> Option<Person> {
        if let Some(user) = raw.user.id().filter(|user| is_user(user))
            && raw.username.is_none()
        {
            return self.somebody(user, raw.user_team.as_deref().or(raw.team.as_deref()), reader);
        }
        let bot = raw.bot_id.as_deref().or(raw.user.id()).unwrap_or("slack");
        let profile = raw.bot_profile.as_ref().map(|profile| profile.name.as_str());
        let own_name = raw.username.as_deref().filter(|name| Some(*name) != profile);
        let name = own_name.or(profile.filter(|name| !name.is_empty())).unwrap_or(bot);
        let name: String = name.chars().filter(|c| !c.is_control()).take(80).collect();
        let id = match own_name {
            // An automaton under several names is several.
            Some(_) => format!("{bot}/{name}"),
            None => bot.to_owned(),
        };
        Some(Person {
            network: self.context.network.clone(),
            id: PersonId::new(id).ok()?,
            name: if name.trim().is_empty() { bot.to_owned() } else { name },
            avatar: None,
            organisation: None,
            bot: true,
        })
    }

    pub(super) fn somebody(&self, user: &str, team: Option<&str>, reader: &mut Reader<'_>) -> Option<Person> {
        if let Some(person) = self.people.get(user) {
            return Some(person);
        }
        if self.people.is_settled(user) {
            let me = self.me()?;
            return self.people.stranger(&me, team, user);
        }
        reader.missing.push(user.to_owned());
        None
    }

    /// The app itself, for what nobody in particular did.
    pub(super) fn app_person(&self) -> Option<Person> {
        let me = self.me()?;
        let id = me.bot.clone().unwrap_or_else(|| me.user.clone());
        Some(Person {
            network: self.context.network.clone(),
            id: PersonId::new(id).ok()?,
            name: "Slack".to_owned(),
            avatar: None,
            organisation: None,
            bot: true,
        })
    }

    fn tell_change(&self, scene: Scene<'_>, raw: &payload::Message, reader: &mut Reader<'_>) -> Option<Event> {
        let now = raw.message.as_deref()?;
        if now.subtype.as_deref() == Some("tombstone") {
            return self.tell_deletion(scene, &now.ts, raw.previous_message.as_deref(), &raw.ts);
        }
        if raw
            .previous_message
            .as_deref()
            .is_some_and(|before| !is_edit(before, now))
        {
            return None;
        }
        let at = now
            .edited
            .as_ref()
            .map(|edited| edited.ts.as_str())
            .filter(|ts| is_ts(ts));
        self.tell_edit(scene, now, at.unwrap_or(&raw.ts), reader)
    }

    /// Another wording of a message.
    pub(super) fn tell_edit(
        &self,
        scene: Scene<'_>,
        now: &payload::Message,
        at: &str,
        reader: &mut Reader<'_>,
    ) -> Option<Event> {
        if self.is_own(now) || !is_ts(&now.ts) {
            return None;
        }
        let known = reader.missing.len();
        let sender = self.as_themselves(scene, self.sender(now, reader)?);
        let wording = message(now, reader);
        if reader.missing.len() > known {
            return None;
        }
        if wording.body.is_empty() && wording.attachments.is_empty() {
            return self.tell_deletion(scene, &now.ts, Some(now), at);
        }
        let target = MessageId::new(&now.ts).ok()?;
        // Files do not change; those that are left were told with the message.
        let wording = Message {
            attachments: Vec::new(),
            ..wording
        };
        let content = Content::Edit {
            target,
            message: wording,
        };
        Some(scene.event(event_id(&now.ts, &["edit", at])?, sender, time(at), content))
    }

    /// A message is gone.
    pub(super) fn tell_deletion(
        &self,
        scene: Scene<'_>,
        ts: &str,
        before: Option<&payload::Message>,
        at: &str,
    ) -> Option<Event> {
        if !is_ts(ts) {
            return None;
        }
        if let Some(channel) = scene.channel {
            channel.known().forget(ts);
        }
        if self.was_ours(&format!("delete/{}/{ts}", scene.id)) {
            return None;
        }
        let author = before.filter(|before| !self.is_own(before)).and_then(|before| {
            let user = before.user.id().filter(|user| is_user(user))?;
            let team = before.user_team.as_deref().or(before.team.as_deref());
            self.people
                .get(user)
                .or_else(|| self.people.stranger(&*self.me()?, team, user))
        });
        let author = author.map(|author| self.as_themselves(scene, author));
        let sender = author.or_else(|| self.app_person())?;
        let content = Content::Delete {
            target: MessageId::new(ts).ok()?,
            reason: None,
        };
        let at = if is_ts(at) { at } else { ts };
        Some(scene.event(event_id(ts, &["delete"])?, sender, time(at), content))
    }

    /// The channel can no longer be used, and why, in both languages.
    pub(super) fn closed(&self, english: &str, german: &str) -> Content {
        Content::Closed {
            reason: self.context.language.pick(english, german).to_owned(),
        }
    }

    fn told_by_somebody(
        &self,
        scene: Scene<'_>,
        raw: &payload::Message,
        content: Content,
        reader: &mut Reader<'_>,
    ) -> Option<Event> {
        if !is_ts(&raw.ts) {
            return None;
        }
        let own = self.is_own(raw);
        let sender = if own {
            self.app_person()
        } else {
            raw.user
                .id()
                .and_then(|user| self.somebody(user, raw.user_team.as_deref(), reader))
        };
        let sender = match sender {
            Some(sender) => sender,
            None if raw.user.id().is_some() => return None,
            None => self.app_person()?,
        };
        let cursor = Self::note(scene, raw);
        // What we changed ourselves is known.
        if own && self.was_ours(&format!("topic/{}", scene.id)) {
            return None;
        }
        let mut event = scene.event(event_id(&raw.ts, &[])?, sender, time(&raw.ts), content);
        event.cursor = Some(cursor);
        Some(event)
    }
}

fn line(text: &str) -> String {
    crate::convert::mrkdwn::unescape(text)
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(LINE)
        .collect()
}
