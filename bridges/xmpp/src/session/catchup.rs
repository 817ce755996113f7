//! Reading archives (XEP-0313): what was missed, and whether something arrived.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use viaduct_bridge::{Connection, DeliveryError, InboxClosed};
use viaduct_model::{ChannelId, DeliveryKey, MessageId, Receipt, Timestamp};
use xmpp_parsers::mam::{Query, QueryId};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::rsm::SetQuery;

use super::Xmpp;
use super::room::{Room, Seat};
use crate::client::wire::{Ask, RequestError, Wire, describe};
use crate::convert::outgoing::key_of;
use crate::telemetry;
use crate::xep::xep0313_archive::Archived;

/// So many messages are fetched at a time.
const PAGE: usize = 250;
/// So many messages before the last known one are read to translate ids in edits and answers.
const RECALL: usize = 250;
/// A delivery is looked for among at most so many pages, latest first.
const LOOKUP_PAGES: usize = 20;
/// The pause after an archive failed to answer.
const PAUSE: Duration = Duration::from_secs(10);

/// Which part of an archive.
#[derive(Debug, Clone)]
enum Range {
    /// What came after a message; from the beginning without one.
    After(Option<String>),
    /// The latest before a message; the very latest without one.
    Before(Option<String>),
}

/// A part of an archive, oldest first.
struct Page {
    items: Vec<Archived>,
    first: Option<String>,
    last: Option<String>,
    complete: bool,
}

enum CatchUpError {
    Request(RequestError),
    Closed(InboxClosed),
}

impl From<RequestError> for CatchUpError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<InboxClosed> for CatchUpError {
    fn from(closed: InboxClosed) -> Self {
        Self::Closed(closed)
    }
}

impl Xmpp {
    /// Tells everything that was missed, then lets live messages through. Tries until it works or the connection ends.
    pub(super) async fn catch_up(&self, room: &Arc<Room>, wire: &Wire) {
        loop {
            match self.catch_up_once(room, wire).await {
                Ok(()) | Err(CatchUpError::Closed(_) | CatchUpError::Request(RequestError::Closed)) => return,
                // The seat was lost meanwhile; whoever takes it again reads the archive again.
                Err(_) if room.state().seat != Seat::In => return,
                Err(CatchUpError::Request(error)) => {
                    tracing::warn!(room = %room.address, %error, "The room's archive cannot be read; trying again.");
                    let reason = format!("catching up: {error}");
                    self.context.inbox.report(Some(&room.channel), Connection::Down(reason));
                    sleep(PAUSE).await;
                    self.context.inbox.report(Some(&room.channel), Connection::Up);
                }
            }
        }
    }

    async fn catch_up_once(&self, room: &Arc<Room>, wire: &Wire) -> Result<(), CatchUpError> {
        let mut told = HashSet::new();
        let archive = room.state().features.archive;
        if let Some(position) = self.resume_position(room).await.filter(|_| archive) {
            let after = self.recall_before(room, wire, &position).await?;
            self.tell_since(room, wire, &position, after, &mut told).await?;
        }
        self.go_live(room, wire, &told).await
    }

    async fn resume_position(&self, room: &Room) -> Option<String> {
        if let Some(cursor) = self.context.inbox.cursor(&room.channel).await {
            return Some(cursor);
        }
        let begun = self.context.state.get(&beginning_key(room)).await.ok().flatten()?;
        String::from_utf8(begun).ok()
    }

    /// Notes where the mirror begins, if the room is mirrored for the first time: what comes after its latest message concerns
    /// the hub.
    pub(super) async fn begin(&self, room: &Arc<Room>, wire: &Wire) -> Result<(), RequestError> {
        let archive = room.state().features.archive;
        if !archive || self.resume_position(room).await.is_some() {
            return Ok(());
        }
        let page = match self.page(room, wire, Range::Before(None), RECALL).await {
            Ok(page) => page,
            Err(RequestError::Refused(error)) => {
                tracing::warn!(room = %room.address, reason = %describe(&error), "The room's archive is closed to the hub.");
                room.state().features.archive = false;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        self.recall_all(room, &page.items);
        let position = page.last.unwrap_or_default();
        if let Err(error) = self
            .context
            .state
            .put(vec![(beginning_key(room), Some(position.into_bytes()))])
            .await
        {
            tracing::warn!(%error, "Where the room's mirror begins could not be remembered.");
        }
        Ok(())
    }

    fn recall_all(&self, room: &Room, items: &[Archived]) {
        for archived in items {
            if let Some(message) = &archived.message {
                self.recall(room, &archived.id, message);
            }
        }
    }

    /// Reads what came before a position, to know the ids in edits and answers that come after it. Gives the message to read
    /// on from: the one just before the position, because archives leave out the position itself.
    async fn recall_before(&self, room: &Room, wire: &Wire, position: &str) -> Result<Option<String>, CatchUpError> {
        if position.is_empty() {
            return Ok(None);
        }
        match self
            .page(room, wire, Range::Before(Some(position.to_owned())), RECALL)
            .await
        {
            Ok(page) => {
                self.recall_all(room, &page.items);
                Ok(page.last)
            }
            Err(RequestError::Refused(_)) => {
                tracing::warn!(room = %room.address, "The archive no longer has the last known message; reading all of it.");
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn tell_since(
        &self,
        room: &Arc<Room>,
        wire: &Wire,
        position: &str,
        mut after: Option<String>,
        told: &mut HashSet<String>,
    ) -> Result<(), CatchUpError> {
        loop {
            let page = self.page(room, wire, Range::After(after.clone()), PAGE).await?;
            telemetry::caught_up(page.items.len() as u64);
            let mut events = Vec::with_capacity(page.items.len());
            for archived in &page.items {
                match &archived.message {
                    Some(message) if archived.id == position => self.recall(room, &archived.id, message),
                    Some(message) => {
                        events.extend(
                            self.archived_events(room, &archived.id, time_of(archived), message)
                                .await,
                        );
                    }
                    None => {}
                }
                told.insert(archived.id.clone());
            }
            self.tell(events).await?;
            self.keep_notes(room).await;
            let progressed = page.last.is_some() && page.last != after;
            if page.complete || page.items.is_empty() || !progressed {
                return Ok(());
            }
            after = page.last;
        }
    }

    /// Tells the live messages that waited, and lets later ones through: the order is the room's.
    async fn go_live(&self, room: &Arc<Room>, wire: &Wire, told: &HashSet<String>) -> Result<(), CatchUpError> {
        loop {
            let waiting = {
                let mut state = room.state();
                if std::mem::take(&mut state.overflowed) {
                    None
                } else if state.pending.is_empty() {
                    state.live = true;
                    return Ok(());
                } else {
                    Some(std::mem::take(&mut state.pending))
                }
            };
            let Some(waiting) = waiting else {
                return Box::pin(self.catch_up_once(room, wire)).await;
            };
            for stanza in waiting {
                let events = self.live_events(room, &stanza).await;
                let new = events
                    .into_iter()
                    .filter(|event| event.cursor.as_ref().is_none_or(|id| !told.contains(id)));
                self.tell(new.collect()).await?;
                self.keep_notes(room).await;
            }
        }
    }

    async fn page(&self, room: &Room, wire: &Wire, range: Range, max: usize) -> Result<Page, RequestError> {
        let query = wire.fresh_id();
        let (after, before) = match range {
            Range::After(after) => (after, None),
            Range::Before(before) => (None, Some(before.unwrap_or_default())),
        };
        let payload = Query {
            queryid: Some(QueryId(query.clone())),
            node: None,
            form: None,
            set: Some(SetQuery {
                max: Some(max),
                after,
                before,
                index: None,
            }),
            flip_page: false,
        };
        let to = xmpp_parsers::jid::Jid::from(room.address.clone());
        let ask = Ask {
            from: self.standing.own().clone().into(),
            to: to.clone(),
            set: true,
            payload: payload.into(),
        };
        wire.open_page(&query, to);
        let answer = wire.request(ask).await;
        let items = wire.close_page(&query);
        let fin = answer?;
        let set = fin.as_ref().and_then(|fin| fin.get_child("set", ns::RSM));
        let text = |name: &str| set.and_then(|set| set.get_child(name, ns::RSM)).map(Element::text);
        Ok(Page {
            first: text("first").or_else(|| items.first().map(|item| item.id.clone())),
            last: text("last").or_else(|| items.last().map(|item| item.id.clone())),
            complete: fin
                .as_ref()
                .and_then(|fin| fin.attr("complete"))
                .is_some_and(|flag| matches!(flag, "true" | "1")),
            items,
        })
    }

    /// Looks for a delivery in the room's archive, latest messages first.
    pub(super) async fn look_up(
        &self,
        channel: &ChannelId,
        key: &DeliveryKey,
    ) -> Result<Option<Receipt>, DeliveryError> {
        let (room, wire) = self.seated(channel).await?;
        if !room.state().features.archive {
            return Err(DeliveryError::unknown("the room keeps no archive that could be asked"));
        }
        let mut before = None;
        let mut parts: Vec<(MessageId, Option<Timestamp>)> = Vec::new();
        for _ in 0..LOOKUP_PAGES {
            let page = self.page(room, &wire, Range::Before(before.clone()), PAGE).await;
            let page = page.map_err(|error| DeliveryError::retry(format!("the room's archive: {error}")))?;
            for archived in page.items.iter().rev() {
                if self.is_part_of(room, archived, key) {
                    parts.extend(MessageId::new(&archived.id).map(|id| (id, time_of(archived))));
                }
            }
            let ended = page.complete || page.items.is_empty() || page.first == before;
            if ended || !parts.is_empty() {
                break;
            }
            before = page.first;
        }
        parts.reverse();
        let at = parts.first().and_then(|(_, at)| *at);
        let ids: Vec<MessageId> = parts.into_iter().map(|(id, _)| id).collect();
        Ok(if ids.is_empty() {
            None
        } else {
            Some(Receipt {
                ids,
                at,
                losses: Vec::new(),
            })
        })
    }

    fn is_part_of(&self, room: &Room, archived: &Archived, key: &DeliveryKey) -> bool {
        let Some(message) = &archived.message else { return false };
        self.own_archived_id(room, message)
            .is_some_and(|id| key_of(&id) == key.as_str())
    }
}

fn time_of(archived: &Archived) -> Option<Timestamp> {
    let stamp = archived.delay.as_ref()?.stamp.0.timestamp_millis();
    u64::try_from(stamp).ok().map(Timestamp)
}

fn beginning_key(room: &Room) -> String {
    format!("begin/{}", room.channel)
}
