//! What data protection asks of the networks: saying goodbye, deleting, taking away whoever stands for people.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use viaduct_bridge::{DeliveryError, Failure};
use viaduct_compliance::{Decision, decide_all};
use viaduct_governance::{Remote, Reply, Trace};
use viaduct_model::{
    Author, ChannelId, Content, DeliveryKey, Membership, Message, MessageId, MessageStyle, MirrorName, NetworkName,
    Outbound, Person, PersonId, Place, Support,
};
use viaduct_store::Op;

use crate::core::Core;
use crate::deliver::actual;
use crate::presence::Present;
use crate::routes::{Mirror, home_of};
use crate::{leaving, presence, supervise};

/// Networks whose access was given up, in the store's state table.
const CLOSED: &str = "closed/";

/// The sides of the hub.
pub(crate) struct Hands(pub(crate) Arc<Core>);

impl fmt::Debug for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hands")
    }
}

/// How an error answers what was asked.
pub(crate) fn answer(error: DeliveryError) -> Reply {
    match error.failure {
        Failure::Permanent | Failure::TooLarge | Failure::Unsupported => Reply::Refused(error.reason),
        Failure::Retry(_) | Failure::AuthLost | Failure::UnknownOutcome => Reply::Later(error.reason),
    }
}

impl Hands {
    /// Sends something of the hub's own to a place; `key` tells repetitions apart.
    async fn send(
        &self,
        mirror: &MirrorName,
        place: &Place,
        by: Person,
        content: Content,
        parts: &[MessageId],
        key: &str,
    ) -> Reply {
        let Some(side) = self.0.side(&place.network) else {
            return Reply::Refused(format!("{} is not connected", place.network));
        };
        let Some(to) = self.address(mirror, place).await else {
            return Reply::Refused("there is no room".to_owned());
        };
        let from = home_of(mirror);
        let Ok(id) = MessageId::new(key) else {
            return Reply::Refused("it cannot be named".to_owned());
        };
        let outbound = Outbound {
            key: DeliveryKey::derive(&from, &id, place),
            to,
            from,
            author: Author {
                display: by.name.clone(),
                person: by,
            },
            at: self.0.clock.now(),
            content,
            parts: parts.to_vec(),
        };
        // The hub's own words and deletions: no partner's, so only what no policy can allow is asked about.
        match decide_all([], &viaduct_compliance::Context::default(), outbound) {
            Decision::Pass { outbound, .. } => match side.session.deliver(&outbound).await {
                Ok(_) => Reply::Done,
                Err(error) => answer(error),
            },
            Decision::Hold(verdict) | Decision::Refuse(verdict) => Reply::Refused(verdict.reason),
        }
    }

    /// Has whoever stands for a person leave a place.
    pub(crate) async fn leave(&self, mirror: &MirrorName, place: &Place, person: &Person) -> Reply {
        let content = Content::Membership {
            person: person.clone(),
            change: Membership::Leave,
            reason: None,
        };
        let key = format!("dismiss-{}-{}", person.network, person.id);
        self.send(mirror, place, person.clone(), content, &[], &key).await
    }

    /// A place as its network knows it. The room of a mirror that has ended is known to the store alone.
    async fn address(&self, mirror: &MirrorName, place: &Place) -> Option<Place> {
        if let Some(to) = actual(&self.0, place) {
            return Some(to);
        }
        let portals = self.0.store.portals().await.ok()?;
        let portal = portals.into_iter().find(|portal| portal.mirror == *mirror)?;
        Some(Place::new(NetworkName::matrix(), ChannelId::new(portal.room).ok()?))
    }

    /// Everybody known of a mirror, by where.
    async fn present(&self, mirror: &Mirror) -> Result<Present, String> {
        let places: Vec<&Place> = mirror.members.iter().map(|member| &member.place).collect();
        let present = presence::of(&*self.0.store, &mirror.name, &places).await;
        present.map_err(|error| error.to_string())
    }
}

#[async_trait]
impl Remote for Hands {
    async fn notify(&self, mirror: &MirrorName, place: &Place, text: &str, key: &str) -> Reply {
        if place.network.is_matrix() {
            let (Some(home), Some(room)) = (self.0.home(), self.0.room_of(mirror)) else {
                return Reply::Refused("there is no room".to_owned());
            };
            return match home.notice(&room, text, None, key).await {
                Ok(()) => Reply::Done,
                Err(error) => answer(error),
            };
        }
        let message = Message {
            style: MessageStyle::Notice,
            ..Message::plain(text)
        };
        self.send(mirror, place, Person::hub(), Content::Message(message), &[], key)
            .await
    }

    async fn redact(&self, mirror: &MirrorName, place: &Place, ids: &[MessageId]) -> Reply {
        let Some(side) = self.0.side(&place.network) else {
            return Reply::Refused(format!("{} is not connected", place.network));
        };
        if side.session.capabilities(&place.channel).delete != Support::Native {
            return Reply::Refused("the network cannot delete messages".to_owned());
        }
        let Some(first) = ids.first() else {
            return Reply::Done;
        };
        let content = Content::Delete {
            target: first.clone(),
            reason: None,
        };
        let key = format!("redact-{first}");
        self.send(mirror, place, Person::hub(), content, ids, &key).await
    }

    async fn dismiss(&self, mirror: &MirrorName, place: &Place) -> Reply {
        let Some(found) = self.0.routes().named(mirror).cloned() else {
            return Reply::Done;
        };
        let present = match self.present(&found).await {
            Ok(present) => present,
            Err(why) => return Reply::Later(why),
        };
        let theirs = presence::only_at(place, &present);
        let others = present.iter().filter(|((at, _), _)| at != place);
        let others: Vec<Person> = others.map(|(_, person)| person.clone()).collect();
        let mut refused = None;
        for member in &found.members {
            // Ghosts of their people leave everywhere else; puppets of all others leave there.
            let people = if member.place == *place { &others } else { &theirs };
            match presence::take_out(self, mirror, &member.place, people).await {
                Reply::Done => {}
                Reply::Later(why) => return Reply::Later(why),
                Reply::Refused(why) => refused = Some(why),
            }
        }
        refused.map_or(Reply::Done, Reply::Refused)
    }

    async fn close(&self, mirror: &MirrorName, place: &Place) -> Reply {
        leaving::close(&self.0, mirror, place).await
    }

    async fn drop_tokens(&self, network: &NetworkName) -> Reply {
        let op = Op::State {
            owner: crate::reactions::OWNER.to_owned(),
            key: format!("{CLOSED}{network}"),
            value: Some(Vec::new()),
        };
        if let Err(error) = self.0.commit(op).await {
            return Reply::Later(error.to_string());
        }
        drop(supervise::stop(&self.0, network));
        Reply::Refused(
            "the hub does not connect there any more; its secrets are the operator's to revoke and delete".to_owned(),
        )
    }

    async fn traces(&self, network: &NetworkName, person: &PersonId) -> Result<Vec<Trace>, String> {
        let mut traces = Vec::new();
        for mirror in self.0.routes().mirrors() {
            for ((place, id), known) in self.present(mirror).await? {
                let is_theirs = place.network == *network && id == person.as_str();
                if is_theirs && !traces.iter().any(|trace: &Trace| trace.detail == known.name) {
                    traces.push(Trace {
                        network: NetworkName::matrix(),
                        what: "ghost".to_owned(),
                        detail: known.name,
                    });
                }
            }
        }
        Ok(if network.is_matrix() { Vec::new() } else { traces })
    }

    async fn forget(&self, network: &NetworkName, person: &PersonId) -> Reply {
        if network.is_matrix() {
            return Reply::Done;
        }
        let mut refused = None;
        for mirror in self.0.routes().mirrors() {
            let present = match self.present(mirror).await {
                Ok(present) => present,
                Err(why) => return Reply::Later(why),
            };
            for ((place, id), known) in present {
                if place.network != *network || id != person.as_str() {
                    continue;
                }
                if let Some(forget) = presence::forget(&place, &known)
                    && let Err(error) = self.0.commit(forget).await
                {
                    return Reply::Later(error.to_string());
                }
                // The ghost leaves; its profile gets the id for a name.
                let nameless = Person {
                    name: known.id.to_string(),
                    avatar: None,
                    ..known.clone()
                };
                let changes = [
                    Membership::Rename {
                        from: known.name.clone(),
                    },
                    Membership::Leave,
                ];
                for change in changes {
                    let key = format!("forget-{place}-{id}-{}", matches!(change, Membership::Leave));
                    let content = Content::Membership {
                        person: nameless.clone(),
                        change,
                        reason: None,
                    };
                    match self
                        .send(
                            &mirror.name,
                            &home_of(&mirror.name),
                            nameless.clone(),
                            content,
                            &[],
                            &key,
                        )
                        .await
                    {
                        Reply::Done => {}
                        Reply::Later(why) => return Reply::Later(why),
                        Reply::Refused(why) => refused = Some(why),
                    }
                }
            }
        }
        refused.map_or(Reply::Done, Reply::Refused)
    }
}

/// Whether the access to a network was given up when its partner was wound up.
pub(crate) async fn is_closed(core: &Core, network: &NetworkName) -> bool {
    let key = format!("{CLOSED}{network}");
    let found = core.store.state(crate::reactions::OWNER, &key).await;
    found.ok().flatten().is_some() && !core.govern.serves(network)
}
