//! What happens to messages and channels rather than being said: reactions, comings and goings, topics, sharing.

use viaduct_model::document::Inline;
use viaduct_model::{Content, Document, Event, Membership, Message, MessageId, MessageStyle, Person, Reaction};

use super::Slack;
use super::inbound::Scene;
use crate::client::payload;
use crate::convert::emoji;
use crate::convert::ids::{event_id, is_ts, micros, time};
use crate::convert::mrkdwn::Reader;

impl Slack {
    pub(super) fn tell_reaction(
        &self,
        scene: Scene<'_>,
        raw: &payload::Message,
        reader: &mut Reader<'_>,
    ) -> Option<Event> {
        let item = raw.item.as_ref()?;
        let user = raw.user.id()?;
        let at = raw.event_ts.as_deref().filter(|ts| is_ts(ts)).unwrap_or("0.0");
        let verb = if raw.kind == "reaction_added" {
            "react"
        } else {
            "unreact"
        };
        let note = format!("{verb}/{user}/{}/{}/{}", scene.id, item.ts, raw.reaction);
        if self.me()?.user == user || self.was_ours(&note) || !is_ts(&item.ts) || !emoji::is_name(&raw.reaction) {
            return None;
        }
        self.reaction(
            scene,
            user,
            &item.ts,
            &raw.reaction,
            at,
            raw.kind == "reaction_added",
            reader,
        )
    }

    /// Somebody reacts, or no longer does.
    #[expect(clippy::too_many_arguments, reason = "a reaction has so many sides")]
    pub(super) fn reaction(
        &self,
        scene: Scene<'_>,
        user: &str,
        ts: &str,
        name: &str,
        at: &str,
        added: bool,
        reader: &mut Reader<'_>,
    ) -> Option<Event> {
        let sender = self.as_themselves(scene, self.somebody(user, None, reader)?);
        let target = MessageId::new(ts).ok()?;
        let reaction = match emoji::to_unicode(name) {
            Some(key) => Reaction { key, image: None },
            None => Reaction {
                key: format!(":{name}:"),
                image: self.people.emoji(name),
            },
        };
        if let Some(channel) = scene.channel {
            let mut known = channel.known();
            known.changed = true;
            let new = if added {
                known.reactions.added(ts, name, user)
            } else {
                known.reactions.removed(ts, name, user)
            };
            if !new {
                // Told before.
                return None;
            }
        }
        let (verb, content) = if added {
            ("react", Content::React { target, reaction })
        } else {
            ("unreact", Content::Unreact { target, reaction })
        };
        Some(scene.event(event_id(ts, &[verb, user, name, at])?, sender, time(at), content))
    }

    pub(super) fn tell_membership(
        &self,
        scene: Scene<'_>,
        raw: &payload::Message,
        change: Membership,
        reader: &mut Reader<'_>,
    ) -> Option<Event> {
        let user = raw.user.id()?;
        if self.me()?.user == user || !self.section.membership {
            return None;
        }
        let person = self.somebody(user, raw.team.as_deref(), reader)?;
        if let Some(channel) = scene.channel {
            let mut known = channel.known();
            if change == Membership::Join {
                if known.members.len() < super::channels::MEMBERS {
                    known.members.insert(user.to_owned());
                }
            } else {
                known.members.remove(user);
            }
        }
        let at = raw.event_ts.as_deref().unwrap_or(&raw.ts);
        self.membership(scene, person, change, at)
    }

    /// Somebody comes, goes, or has another name.
    pub(super) fn membership(&self, scene: Scene<'_>, person: Person, change: Membership, at: &str) -> Option<Event> {
        // Whoever is on Matrix comes and goes there.
        if self.on_matrix(&person).is_some() {
            return None;
        }
        let word = match &change {
            Membership::Join => "join",
            Membership::Leave => "leave",
            _ => "rename",
        };
        let id = event_id(word, &[person.id.as_str(), at])?;
        let time = if micros(at) == 0 {
            self.context.clock.now()
        } else {
            time(at)
        };
        let content = Content::Membership {
            person: person.clone(),
            change,
            reason: None,
        };
        Some(scene.event(id, person, time, content))
    }

    pub(super) fn told_of_channel(&self, scene: Scene<'_>, raw: &payload::Message, content: Content) -> Option<Event> {
        let at = raw.event_ts.as_deref().filter(|ts| is_ts(ts)).unwrap_or("0.0");
        let at_time = if micros(at) == 0 {
            self.context.clock.now()
        } else {
            time(at)
        };
        Some(scene.event(event_id(&raw.kind, &[at])?, self.app_person()?, at_time, content))
    }

    pub(super) fn tell_sharing(&self, scene: Scene<'_>, raw: &payload::Message) -> Option<Event> {
        let shared = raw.kind == "channel_shared";
        let team = raw
            .connected_team_id
            .as_deref()
            .or(raw.previously_connected_team_id.as_deref());
        let language = self.context.language;
        let text = if shared {
            language.pick(
                "This channel is now shared with another organisation",
                "Dieser Kanal ist jetzt mit einer anderen Organisation geteilt",
            )
        } else {
            language.pick(
                "This channel is no longer shared with another organisation",
                "Dieser Kanal ist nicht mehr mit einer anderen Organisation geteilt",
            )
        };
        if let Some(channel) = scene.channel {
            channel.known().shared = shared;
        }
        let text = match team {
            Some(team) => format!("{text} ({})", self.people.team(team).unwrap_or_else(|| team.to_owned())),
            None => text.to_owned(),
        };
        let notice = Message {
            style: MessageStyle::Notice,
            body: Document::paragraph(vec![Inline::Text(text)]),
            ..Message::default()
        };
        self.told_of_channel(scene, raw, Content::Message(notice))
    }

    /// Remembers a topic or a purpose; gives the topic.
    pub(super) fn learn_topic(scene: Scene<'_>, topic: Option<&str>, purpose: Option<&str>) -> String {
        let Some(channel) = scene.channel else {
            return String::new();
        };
        let mut known = channel.known();
        if let Some(topic) = topic {
            topic.clone_into(&mut known.topic);
        }
        if let Some(purpose) = purpose {
            purpose.clone_into(&mut known.purpose);
        }
        known.topic.clone()
    }
}
