//! What was said lately, to quote it in replies and reactions.

use std::collections::{HashMap, VecDeque};

use viaduct_model::{ChannelId, MessageId};

/// Messages remembered.
const REMEMBERED: usize = 4_000;
/// Characters of each.
pub const QUOTE: usize = 60;

/// A message as it is quoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Who said it: a nick.
    pub name: String,
    /// Its beginning.
    pub quote: String,
}

/// The last messages, oldest out.
#[derive(Debug, Default)]
pub struct Recent {
    said: HashMap<(ChannelId, MessageId), Said>,
    order: VecDeque<(ChannelId, MessageId)>,
}

impl Recent {
    /// Remembers a message.
    pub fn add(&mut self, channel: &ChannelId, id: &MessageId, said: Said) {
        let key = (channel.clone(), id.clone());
        if self.said.insert(key.clone(), said).is_none() {
            self.order.push_back(key);
        }
        while self.order.len() > REMEMBERED {
            if let Some(oldest) = self.order.pop_front() {
                self.said.remove(&oldest);
            }
        }
    }

    /// A message that is still remembered.
    pub fn get(&self, channel: &ChannelId, id: &MessageId) -> Option<&Said> {
        self.said.get(&(channel.clone(), id.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_first() {
        let mut recent = Recent::default();
        let channel = ChannelId::new("#a").unwrap();
        let id = |number: usize| MessageId::new(number.to_string()).unwrap();
        for number in 0..=REMEMBERED {
            recent.add(
                &channel,
                &id(number),
                Said {
                    name: "ann".into(),
                    quote: number.to_string(),
                },
            );
        }
        assert_eq!(recent.get(&channel, &id(0)), None);
        assert_eq!(recent.get(&channel, &id(1)).unwrap().quote, "1");
    }
}
