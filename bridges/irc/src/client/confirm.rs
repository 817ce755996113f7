//! Which sent lines the server has accepted or refused.
//!
//! IRC answers no message. What is known is: a server with `labeled-response` answers each labelled line, one with
//! `echo-message` sends each line back, and every server handles a connection's lines in order, so that when it answers a
//! PING, all lines sent before it have been handled, and refusals of them have already come.

use std::collections::VecDeque;

use irc_proto::Message;
use tokio::sync::oneshot;

use super::line::Fields;
use crate::convert::Casemapping;

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The server took it.
    Accepted {
        /// The id it gave, where it gives any.
        id: Option<String>,
        /// When, as it says.
        time: Option<String>,
    },
    /// The server refused it; its words.
    Refused {
        /// The number or word of its answer.
        code: String,
        /// What it says.
        text: String,
    },
    /// It was never written: the connection ended before.
    Unwritten,
    /// It was written, and the connection ended before the server answered.
    Lost,
}

/// Lines that were written and not yet answered, oldest first.
#[derive(Debug, Default)]
pub struct Awaiting {
    lines: VecDeque<Line>,
    next: u64,
}

#[derive(Debug)]
struct Line {
    number: u64,
    target: String,
    spoken: bool,
    done: oneshot::Sender<Confirmation>,
}

/// The refusals that concern one line, by their number.
const REFUSALS: [&str; 33] = [
    "401", "402", "403", "404", "405", "406", "407", "408", "411", "412", "413", "414", "415", "416", "417", "421",
    "437", "439", "441", "442", "443", "461", "467", "472", "477", "478", "481", "482", "484", "489", "492", "531",
    "696",
];

impl Awaiting {
    /// Notes a line that is about to be written and gives its label.
    pub fn add(&mut self, message: &Message, done: oneshot::Sender<Confirmation>) -> u64 {
        self.next += 1;
        let spoken = matches!(message.name(), "PRIVMSG" | "NOTICE");
        self.lines.push_back(Line {
            number: self.next,
            target: message.parameter(0).to_owned(),
            spoken,
            done,
        });
        self.next
    }

    /// The number of the last line noted; 0 if none is open.
    pub fn last(&self) -> u64 {
        self.lines.back().map_or(0, |line| line.number)
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The server answered the PING that followed this line: it has handled all up to it.
    pub fn barrier(&mut self, number: u64) {
        while self.lines.front().is_some_and(|line| line.number <= number) {
            if let Some(line) = self.lines.pop_front() {
                line.done.send(Confirmation::Accepted { id: None, time: None }).ok();
            }
        }
    }

    /// Looks whether a message answers a line, and settles it. Says whether the message was only that: an echo or an
    /// acknowledgement. `own` says that it comes from this connection's own nick.
    pub fn answer(&mut self, message: &Message, own: bool, casemapping: Casemapping) -> bool {
        if self.lines.is_empty() {
            return false;
        }
        let label = message
            .tag("label")
            .and_then(|label| label.strip_prefix("vd")?.parse::<u64>().ok());
        let same = |line: &Line, name: &str| casemapping.same(&line.target, name);
        let echo = own && matches!(message.name(), "PRIVMSG" | "NOTICE");
        let refusal = REFUSALS.contains(&message.name()) || message.name() == "FAIL";
        let at = match label {
            Some(label) => self.lines.iter().position(|line: &Line| line.number == label),
            None if echo => self
                .lines
                .iter()
                .position(|line| line.spoken && same(line, message.parameter(0))),
            None if refusal => {
                let named = |line: &Line| message.parameters().iter().any(|parameter| same(line, parameter));
                self.lines.iter().position(named)
            }
            None => None,
        };
        let Some(line) = at.and_then(|at| self.lines.remove(at)) else {
            return false;
        };
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let outcome = if refusal {
            Confirmation::Refused {
                code: message.name().to_owned(),
                text: message.last().to_owned(),
            }
        } else {
            Confirmation::Accepted {
                id: owned(message.tag("msgid")),
                time: owned(message.tag("time")),
            }
        };
        line.done.send(outcome).ok();
        echo || message.name() == "ACK"
    }

    /// The connection ended.
    pub fn lose(&mut self) {
        for line in self.lines.drain(..) {
            line.done.send(Confirmation::Lost).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::line::{message, parse};

    fn sent(awaiting: &mut Awaiting, target: &str) -> (u64, oneshot::Receiver<Confirmation>) {
        let (done, receiver) = oneshot::channel();
        (awaiting.add(&message("PRIVMSG", &[target, "x"]), done), receiver)
    }

    fn accepted(id: Option<&str>) -> Confirmation {
        Confirmation::Accepted {
            id: id.map(str::to_owned),
            time: None,
        }
    }

    #[test]
    fn each_kind_of_answer_settles_its_own_line() {
        let mut awaiting = Awaiting::default();
        let (_, mut one) = sent(&mut awaiting, "#A");
        let (two_number, mut two) = sent(&mut awaiting, "#b");
        let (three_number, mut three) = sent(&mut awaiting, "#a");
        let (_, mut four) = sent(&mut awaiting, "#b");
        let casemapping = Casemapping::default();
        let mut answer = |line: &str, own| awaiting.answer(&parse(line).unwrap(), own, casemapping);
        assert!(!answer(":s 404 me #b :Cannot send", false));
        assert!(answer("@msgid=m1 :me PRIVMSG #a :x", true));
        assert!(!answer(":other PRIVMSG #a :x", false));
        assert!(answer(
            &format!("@label=vd{three_number};msgid=m3 :me PRIVMSG #a :x"),
            true
        ));
        assert_eq!(one.try_recv(), Ok(accepted(Some("m1"))));
        assert_eq!(
            two.try_recv(),
            Ok(Confirmation::Refused {
                code: "404".into(),
                text: "Cannot send".into()
            })
        );
        assert_eq!(three.try_recv(), Ok(accepted(Some("m3"))));
        awaiting.barrier(two_number);
        assert!(four.try_recv().is_err());
        awaiting.lose();
        assert_eq!(four.try_recv(), Ok(Confirmation::Lost));
        assert!(awaiting.is_empty());
    }
}
