//! Finding what an event refers to, and where that is at its destination.

use viaduct_model::{Content, Event, MessageId, MirrorName, Place};
use viaduct_store::{Located, Seq, Store, StoreError};

use crate::plan::{Referred, Resolved};
use crate::reactions;

/// Whether an event refers to another one, so that earlier deliveries have to be in the map before it is planned.
pub(crate) fn refers(content: &Content) -> bool {
    content.target().is_some()
        || content
            .message()
            .is_some_and(|message| message.reply_to.is_some() || message.thread.is_some())
        || matches!(content, Content::Pins { .. })
}

/// How many pinned messages are looked up.
const PINS: usize = 200;

/// Looks up everything an event refers to.
pub(crate) async fn resolve(store: &dyn Store, event: &Event, to: &Place) -> Result<Resolved, StoreError> {
    let lookup = Lookup { store, event, to };
    let mut resolved = Resolved::default();
    match &event.content {
        Content::Delete { target, .. } => (resolved.target, resolved.reaction_ids) = lookup.deleted(target).await?,
        Content::Unreact { target, reaction } => {
            resolved.target = lookup.referred(target).await?;
            let sender = event.sender.id.as_str();
            if let Some(id) = reactions::find(store, &event.place, target, sender, reaction).await? {
                resolved.reaction_ids = lookup.copies(&id).await?;
            }
        }
        Content::Pins { pinned } => {
            for id in pinned.iter().take(PINS) {
                resolved.pins.extend(lookup.copies(id).await?.into_iter().next());
            }
        }
        other => {
            if let Some(target) = other.target() {
                resolved.target = lookup.referred(target).await?;
            }
        }
    }
    if let Some(message) = event.content.message() {
        if let Some(id) = &message.reply_to {
            resolved.reply = lookup.referred(id).await?;
        }
        if let Some(id) = &message.thread {
            resolved.thread = lookup.referred(id).await?;
        }
    }
    Ok(resolved)
}

/// One entry of a mirror's journal, unless it was dropped as old.
pub(crate) async fn entry(store: &dyn Store, mirror: &MirrorName, seq: Seq) -> Result<Option<Event>, StoreError> {
    let before = Seq(seq.0.saturating_sub(1));
    let found = store.journal(mirror, before, 1).await?;
    Ok(found.into_iter().find(|(at, _)| *at == seq).map(|(_, event)| event))
}

struct Lookup<'a> {
    store: &'a dyn Store,
    event: &'a Event,
    to: &'a Place,
}

impl Lookup<'_> {
    async fn located(&self, id: &MessageId) -> Result<Option<Located>, StoreError> {
        self.store.locate(&self.event.place, id).await
    }

    async fn copies(&self, id: &MessageId) -> Result<Vec<MessageId>, StoreError> {
        match self.located(id).await? {
            Some(at) => self.store.copies(&at.mirror, at.seq, self.to).await,
            None => Ok(Vec::new()),
        }
    }

    async fn referred(&self, id: &MessageId) -> Result<Option<Referred>, StoreError> {
        let Some(at) = self.located(id).await? else {
            return Ok(None);
        };
        let ids = self.store.copies(&at.mirror, at.seq, self.to).await?;
        let original = entry(self.store, &at.mirror, at.seq).await?;
        Ok(Some(Referred {
            ids,
            name: original.as_ref().map(|event| event.sender.name.clone()),
            message: original.as_ref().and_then(|event| event.content.message()).cloned(),
            age: original
                .as_ref()
                .map_or(0, |event| self.event.at.millis_since(event.at) / 1000),
            reaction: None,
        }))
    }

    /// What a deletion means: a message, or (on networks where a reaction is an event of its own) a reaction. Of the
    /// latter, the message reacted to is the target.
    async fn deleted(&self, id: &MessageId) -> Result<(Option<Referred>, Vec<MessageId>), StoreError> {
        let Some(at) = self.located(id).await? else {
            return Ok((None, Vec::new()));
        };
        match entry(self.store, &at.mirror, at.seq).await? {
            Some(Event {
                content: Content::React { target, reaction },
                ..
            }) => {
                let own = self.store.copies(&at.mirror, at.seq, self.to).await?;
                let target = self.referred(&target).await?;
                Ok((
                    target.map(|target| Referred {
                        reaction: Some(reaction),
                        ..target
                    }),
                    own,
                ))
            }
            _ => Ok((self.referred(id).await?, Vec::new())),
        }
    }
}
