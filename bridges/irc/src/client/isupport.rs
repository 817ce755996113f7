//! What a server announces about itself (numeric 005).

use crate::convert::Casemapping;
use crate::convert::modes::ModeTable;

/// The announcements the bridge uses, with what holds where a server is silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Isupport {
    /// How names compare.
    pub casemapping: Casemapping,
    /// The modes of channels and members.
    pub modes: ModeTable,
    /// The longest nick, in bytes.
    pub nick_length: usize,
    /// The longest topic, in bytes.
    pub topic_length: usize,
    /// The characters channel names start with.
    pub channel_types: String,
    /// Whether WHO can be asked for accounts.
    pub whox: bool,
    /// The flag of automata in answers to WHO.
    pub bot: Option<char>,
    /// The most messages CHATHISTORY gives at once; 0 for no bound.
    pub history_limit: u32,
    /// Whether CHATHISTORY can begin behind a message's id.
    pub history_by_id: bool,
    /// The longest line without tags and with its end, in bytes.
    pub line_length: usize,
}

impl Default for Isupport {
    fn default() -> Self {
        Self {
            casemapping: Casemapping::default(),
            modes: ModeTable::default(),
            nick_length: 9,
            topic_length: 390,
            channel_types: "#&".to_owned(),
            whox: false,
            bot: None,
            history_limit: 100,
            history_by_id: true,
            line_length: 512,
        }
    }
}

impl Isupport {
    /// Takes the tokens of one announcement: the parameters without the own nick and the closing words.
    pub fn take<'a>(&mut self, tokens: impl IntoIterator<Item = &'a str>) {
        for token in tokens {
            let (key, value) = token.split_once('=').unwrap_or((token, ""));
            let number = value.parse::<usize>().ok();
            match key {
                "CASEMAPPING" => self.casemapping = Casemapping::from_token(value),
                "PREFIX" => self.modes.set_prefix(value),
                "CHANMODES" => self.modes.set_chanmodes(value),
                "NICKLEN" => self.nick_length = number.unwrap_or(self.nick_length).clamp(4, 128),
                "TOPICLEN" => self.topic_length = number.unwrap_or(self.topic_length).clamp(40, 4096),
                "CHANTYPES" => value.clone_into(&mut self.channel_types),
                "WHOX" => self.whox = true,
                "BOT" => self.bot = value.chars().next(),
                "CHATHISTORY" => {
                    self.history_limit = number.and_then(|number| u32::try_from(number).ok()).unwrap_or(100);
                }
                "MSGREFTYPES" => self.history_by_id = value.split(',').any(|kind| kind == "msgid"),
                "LINELEN" => self.line_length = number.unwrap_or(512).clamp(512, 8192),
                _ => {}
            }
        }
    }

    /// Whether a name is a channel's.
    pub fn is_channel(&self, name: &str) -> bool {
        name.starts_with(|first: char| self.channel_types.contains(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_it_knows_within_bounds() {
        let mut found = Isupport::default();
        found.take(
            "CASEMAPPING=ascii NICKLEN=99999999 TOPICLEN=0 WHOX CHATHISTORY=50 CHANTYPES=# NICKLEN= X=Y".split(' '),
        );
        assert_eq!(found.casemapping, Casemapping::Ascii);
        assert_eq!(
            (found.nick_length, found.topic_length, found.history_limit),
            (128, 40, 50)
        );
        assert!(found.whox && found.is_channel("#a") && !found.is_channel("&a"));
    }
}
