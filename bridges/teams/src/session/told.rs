//! What was told of a channel's last messages, found by their ids: every message asks for its own several times.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize, Serializer};

/// How many messages are remembered for each channel, so that a sweep recognises them.
const TOLD: usize = 150;

/// The digests of the last messages; kept as a list of ids with their digests, the oldest first.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(from = "Vec<(String, u64)>")]
pub struct Told {
    order: VecDeque<String>,
    digests: HashMap<String, u64>,
}

impl Told {
    /// Whether nothing was told.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// The digest of a message's wording, zero where the message is gone; none if nothing was told of it lately.
    pub fn digest(&self, id: &str) -> Option<u64> {
        self.digests.get(id).copied()
    }

    /// Something was told of a message. What is new pushes out the oldest.
    pub fn tell(&mut self, id: &str, digest: u64) {
        if let Some(known) = self.digests.get_mut(id) {
            *known = digest;
            return;
        }
        self.digests.insert(id.to_owned(), digest);
        self.order.push_back(id.to_owned());
        while self.order.len() > TOLD {
            if let Some(oldest) = self.order.pop_front() {
                self.digests.remove(&oldest);
            }
        }
    }
}

impl From<Vec<(String, u64)>> for Told {
    fn from(list: Vec<(String, u64)>) -> Self {
        let mut told = Self::default();
        for (id, digest) in list {
            told.tell(&id, digest);
        }
        told
    }
}

impl Serialize for Told {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let list = self.order.iter().map(|id| (id, self.digest(id).unwrap_or_default()));
        serializer.collect_seq(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_as_a_list_in_order() {
        let mut told = Told::default();
        for number in 0..=TOLD as u64 {
            told.tell(&number.to_string(), number);
        }
        told.tell("1", 7);
        assert_eq!(
            (told.digest("0"), told.digest("1"), told.digest("2")),
            (None, Some(7), Some(2))
        );
        let kept = serde_json::to_string(&told).unwrap();
        assert!(kept.starts_with(r#"[["1",7],["2",2],["3",3],"#), "{kept}");
        let again: Told = serde_json::from_str(&kept).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), kept);
    }

    #[test]
    fn a_longer_list_is_cut_to_its_newest() {
        let list: Vec<(String, u64)> = (0..500).map(|number| (number.to_string(), number)).collect();
        let told = Told::from(list);
        assert_eq!((told.digest("349"), told.digest("350")), (None, Some(350)));
        assert_eq!((told.order.len(), told.digests.len()), (TOLD, TOLD));
    }
}
