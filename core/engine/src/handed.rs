//! What was accepted just now, passed to a lane that has nothing else to do: read back from the journal it would be the same.
//!
//! The journal stays the only truth. Here are at most the next few entries of a lane that is at work, and only while they follow
//! its position without a gap; whatever does not fit is read from the journal, and nothing is kept for a lane that rests.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use viaduct_model::Event;
use viaduct_store::Seq;

use crate::resolve;

/// How many entries wait for one lane at most.
const QUEUE: usize = 64;
/// How many wait for all lanes together.
const TOGETHER: usize = 1024;
/// The longest text that waits in memory, in bytes.
const TEXT: usize = 4096;

/// Room for what waits in memory, shared by all lanes.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Default for Room {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(TOGETHER)))
    }
}

/// An entry that may wait in memory: a short message that refers to nothing. Others are seldom, or large.
pub(crate) fn is_light(event: &Event) -> bool {
    let short = |text: &str| text.len() <= TEXT;
    let plain = event.content.message().filter(|_| !resolve::refers(&event.content));
    plain.is_some_and(|message| message.attachments.is_empty() && short(&message.body.to_plain()))
}

/// One lane's next entries, and what is known of the end of its journal.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    queue: VecDeque<(Seq, Arc<Event>, OwnedSemaphorePermit)>,
    /// The last entry for this lane that was told of.
    told: Seq,
    /// The journal was read to its end: whatever comes after that is told of.
    is_read: bool,
}

impl Handed {
    /// Takes note of entries that were accepted, in order, and keeps those that have room; none for what is only in the journal.
    pub(crate) fn note(&mut self, room: &Room, entries: Vec<(Seq, Option<Arc<Event>>)>) {
        for (seq, event) in entries {
            self.told = self.told.max(seq);
            if let Some(event) = event
                && self.queue.len() < QUEUE
                && let Ok(permit) = Arc::clone(&room.0).try_acquire_owned()
            {
                self.queue.push_back((seq, event, permit));
            }
        }
    }

    /// There may be entries that nobody told of.
    pub(crate) fn doubt(&mut self) {
        self.is_read = false;
    }

    /// The journal had nothing after a position. What was accepted meanwhile is told of after that.
    pub(crate) fn read_to_end(&mut self) {
        self.is_read = true;
    }

    /// Whether there is nothing after a position.
    pub(crate) fn ends_at(&self, position: Seq) -> bool {
        self.is_read && self.told <= position
    }

    /// The entries that follow a position without a gap.
    pub(crate) fn after(&mut self, position: Seq) -> Vec<(Seq, Event)> {
        let mut next = position.0.saturating_add(1);
        let mut entries = Vec::new();
        while let Some((seq, ..)) = self.queue.front() {
            if seq.0 > next {
                break;
            }
            let Some((seq, event, _permit)) = self.queue.pop_front() else {
                break;
            };
            if seq.0 == next {
                next = next.saturating_add(1);
                entries.push((seq, Arc::unwrap_or_clone(event)));
            }
        }
        entries
    }

    /// Gives up what waits: the lane rests, or something was erased from the journal and must not be here.
    pub(crate) fn forget(&mut self) {
        self.queue.clear();
    }
}

#[cfg(test)]
mod tests {
    use viaduct_model::{ChannelId, Content, Message, MessageId, NetworkName, Person, PersonId, Place, Timestamp};

    use super::*;

    fn event(text: &str) -> Event {
        let network = NetworkName::new("net").unwrap();
        Event {
            place: Place::new(network.clone(), ChannelId::new("c").unwrap()),
            id: MessageId::new("m").unwrap(),
            sender: Person {
                network,
                id: PersonId::new("p").unwrap(),
                name: "P".to_owned(),
                avatar: None,
                organisation: None,
                bot: false,
            },
            at: Timestamp(1),
            content: Content::Message(Message::plain(text)),
            cursor: None,
            echo_of: None,
            direct_to: None,
        }
    }

    fn entries(seqs: impl IntoIterator<Item = u64>) -> Vec<(Seq, Option<Arc<Event>>)> {
        seqs.into_iter()
            .map(|seq| (Seq(seq), Some(Arc::new(event("hello")))))
            .collect()
    }

    fn seqs(entries: Vec<(Seq, Event)>) -> Vec<u64> {
        entries.into_iter().map(|(seq, _)| seq.0).collect()
    }

    #[test]
    fn only_what_follows_without_a_gap_is_taken_from_memory() {
        let (mut handed, room) = (Handed::default(), Room::default());
        handed.note(&room, entries([2, 3, 5]));
        assert_eq!(seqs(handed.after(Seq(0))), [0_u64; 0]);
        assert_eq!(seqs(handed.after(Seq(1))), [2, 3]);
        assert_eq!(seqs(handed.after(Seq(3))), [0_u64; 0]);
        // Read from the journal meanwhile.
        handed.note(&room, entries([6]));
        assert_eq!(seqs(handed.after(Seq(5))), [6]);
    }

    #[test]
    fn the_end_is_known_only_after_the_journal_was_read() {
        let (mut handed, room) = (Handed::default(), Room::default());
        handed.note(&room, vec![(Seq(1), None)]);
        assert!(!handed.ends_at(Seq(1)));
        handed.read_to_end();
        assert!(handed.ends_at(Seq(1)));
        // Accepted while the journal was read, and told of later.
        handed.note(&room, vec![(Seq(2), None)]);
        assert!(!handed.ends_at(Seq(1)) && handed.ends_at(Seq(2)));
        handed.doubt();
        assert!(!handed.ends_at(Seq(2)));
    }

    #[test]
    fn memory_is_bounded_for_each_lane_and_for_all() {
        let room = Room::default();
        let mut lanes: Vec<Handed> = (0..40).map(|_| Handed::default()).collect();
        for lane in &mut lanes {
            lane.note(&room, entries(1..=100));
        }
        let waiting = |lanes: &[Handed]| lanes.iter().map(|lane| lane.queue.len()).collect::<Vec<_>>();
        assert_eq!(waiting(&lanes).iter().sum::<usize>(), TOGETHER);
        assert!(waiting(&lanes).iter().all(|count| *count <= QUEUE));
        // What rests gives its room back.
        for lane in &mut lanes {
            lane.forget();
        }
        assert_eq!(room.0.available_permits(), TOGETHER);
    }

    #[test]
    fn long_texts_and_what_refers_to_others_are_read_from_the_journal() {
        assert!(is_light(&event("hello")));
        assert!(!is_light(&event(&"x".repeat(TEXT + 1))));
        let mut answer = event("yes");
        if let Some(message) = answer.content.message_mut() {
            message.reply_to = Some(MessageId::new("q").unwrap());
        }
        assert!(!is_light(&answer));
    }
}
