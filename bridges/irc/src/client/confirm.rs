//! Which sent lines the server has accepted or refused.
//!
//! IRC answers no message. What is known is: a server with `labeled-response` answers each labelled line, one with
//! `echo-message` sends each line back, and every server handles a connection's lines in order, so that when it answers a
//! PING, all lines sent before it have been handled, and refusals of them have already come. Where somebody else of ours is in
//! the channel and sees the words there, the question can be spared.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

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
    /// Open batches of answers (`labeled-response`), with the line each answers.
    answers: Vec<(String, u64)>,
}

/// What an echo of a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    /// The line itself.
    Words,
    /// A batch (`draft/multiline`).
    Batch,
    None,
}

#[derive(Debug)]
struct Line {
    number: u64,
    target: String,
    echo: Echo,
    /// A hash of what it says.
    says: u64,
    done: oneshot::Sender<Confirmation>,
}

fn hashed(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Batches of answers that are open at once, at most.
const ANSWERS: usize = 32;

/// The refusals that concern one line, by their number.
const REFUSALS: [&str; 33] = [
    "401", "402", "403", "404", "405", "406", "407", "408", "411", "412", "413", "414", "415", "416", "417", "421",
    "437", "439", "441", "442", "443", "461", "467", "472", "477", "478", "481", "482", "484", "489", "492", "531",
    "696",
];

fn is_refusal(name: &str) -> bool {
    let number = name.len() == 3 && name.starts_with(['4', '5', '6']);
    (number && REFUSALS.contains(&name)) || name == "FAIL"
}

fn label(message: &Message) -> Option<u64> {
    message.tag("label")?.strip_prefix("vd")?.parse().ok()
}

impl Awaiting {
    /// Notes a line that is about to be written and gives its label.
    pub fn add(&mut self, message: &Message, done: oneshot::Sender<Confirmation>) -> u64 {
        self.next += 1;
        let (echo, target) = match message.name() {
            "PRIVMSG" | "NOTICE" => (Echo::Words, message.parameter(0)),
            "BATCH" => (Echo::Batch, message.parameter(2)),
            _ => (Echo::None, message.parameter(0)),
        };
        self.lines.push_back(Line {
            number: self.next,
            target: target.to_owned(),
            echo,
            says: hashed(message.last()),
            done,
        });
        self.next
    }

    /// Somebody else on the network saw words of this connection: they have arrived.
    pub fn seen(&mut self, target: &str, text: &str, casemapping: Casemapping) {
        let says = hashed(text);
        let same =
            |line: &Line| line.says == says && line.echo == Echo::Words && casemapping.same(&line.target, target);
        if let Some(at) = self.lines.iter().position(same)
            && let Some(line) = self.lines.remove(at)
        {
            line.done.send(Confirmation::Accepted { id: None, time: None }).ok();
        }
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
        if self.lines.is_empty() && self.answers.is_empty() {
            return false;
        }
        if message.name() == "BATCH"
            && let Some(told) = self.answer_batch(message)
        {
            return told;
        }
        let same = |line: &Line, name: &str| casemapping.same(&line.target, name);
        let refusal = is_refusal(message.name());
        let echo = match message.name() {
            _ if !own => Echo::None,
            // Its parts echo with it.
            "PRIVMSG" | "NOTICE" if message.tag("batch").is_none_or(|name| self.answered_in(name).is_some()) => {
                Echo::Words
            }
            "BATCH" if message.parameter(1) == "draft/multiline" => Echo::Batch,
            _ => Echo::None,
        };
        let echoed = echo != Echo::None;
        let inside = message.tag("batch").and_then(|name| self.answered_in(name));
        let at = match label(message).or(inside.filter(|_| echoed || refusal)) {
            Some(label) => self.lines.iter().position(|line| line.number == label),
            None if echoed => {
                let target = message.parameter(if echo == Echo::Batch { 2 } else { 0 });
                self.lines
                    .iter()
                    .position(|line| line.echo == echo && same(line, target))
            }
            None if refusal && message.parameter(0) == "BATCH" => {
                self.lines.iter().position(|line| line.echo == Echo::Batch)
            }
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
        echoed || message.name() == "ACK"
    }

    /// The line that the answers in a batch answer.
    fn answered_in(&self, batch: &str) -> Option<u64> {
        let found = self.answers.iter().find(|(name, _)| name == batch);
        found.map(|(_, number)| *number)
    }

    /// Takes the opening or end of a batch of answers; none if it is another batch.
    fn answer_batch(&mut self, message: &Message) -> Option<bool> {
        let reference = message.parameter(0);
        if let Some(name) = reference.strip_prefix('+') {
            let number = label(message).filter(|_| message.parameter(1) == "labeled-response")?;
            if self.answers.len() >= ANSWERS {
                self.answers.remove(0);
            }
            self.answers.push((name.to_owned(), number));
            return Some(true);
        }
        let name = reference.strip_prefix('-')?;
        let at = self.answers.iter().position(|(open, _)| open == name)?;
        let (_, number) = self.answers.remove(at);
        if let Some(at) = self.lines.iter().position(|line| line.number == number)
            && let Some(line) = self.lines.remove(at)
        {
            line.done.send(Confirmation::Accepted { id: None, time: None }).ok();
        }
        Some(true)
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

    #[test]
    fn what_is_seen_by_another_has_arrived() {
        let mut awaiting = Awaiting::default();
        let mut open = |text| {
            let (done, receiver) = oneshot::channel();
            awaiting.add(&message("PRIVMSG", &["#a", text]), done);
            receiver
        };
        let (mut one, mut two, mut again) = (open("refused"), open("twice"), open("twice"));
        let casemapping = Casemapping::default();
        awaiting.seen("#b", "twice", casemapping);
        awaiting.seen("#A", "other words", casemapping);
        assert_eq!(awaiting.len(), 3);
        awaiting.seen("#A", "twice", casemapping);
        assert_eq!(two.try_recv(), Ok(accepted(None)));
        assert!(again.try_recv().is_err() && one.try_recv().is_err());
    }

    #[test]
    fn many_answers_to_one_line_come_in_a_batch() {
        let mut awaiting = Awaiting::default();
        let casemapping = Casemapping::default();
        let (first, mut one) = sent(&mut awaiting, "ann");
        let (second, mut two) = sent(&mut awaiting, "bo");
        let (third, mut three) = sent(&mut awaiting, "cy");
        let mut answer = |line: String, own| awaiting.answer(&parse(&line).unwrap(), own, casemapping);
        // Somebody who is away: the answer and the echo.
        assert!(answer(format!("@label=vd{first} :s BATCH +a labeled-response"), false));
        assert!(!answer("@batch=a :s 301 me ann :Away".to_owned(), false));
        assert!(answer("@batch=a;msgid=m1 :me PRIVMSG ann :x".to_owned(), true));
        assert!(answer(":s BATCH -a".to_owned(), false));
        assert_eq!(one.try_recv(), Ok(accepted(Some("m1"))));
        assert!(answer(format!("@label=vd{second} :s BATCH +b labeled-response"), false));
        assert!(!answer("@batch=b :s 401 me bo :No such nick".to_owned(), false));
        assert!(answer(":s BATCH -b".to_owned(), false));
        assert!(matches!(two.try_recv(), Ok(Confirmation::Refused { .. })));
        assert!(answer(format!("@label=vd{third} :s BATCH +c labeled-response"), false));
        assert!(answer(":s BATCH -c".to_owned(), false));
        assert_eq!(three.try_recv(), Ok(accepted(None)));
    }

    #[test]
    fn a_batch_is_echoed_and_refused_as_one() {
        let mut awaiting = Awaiting::default();
        let casemapping = Casemapping::default();
        let mut open = || {
            let (done, receiver) = oneshot::channel();
            awaiting.add(&message("BATCH", &["+m0", "draft/multiline", "#a"]), done);
            receiver
        };
        let (mut one, mut two) = (open(), open());
        let (_, mut words) = sent(&mut awaiting, "#a");
        let mut answer = |line: &str, own| awaiting.answer(&parse(line).unwrap(), own, casemapping);
        assert!(answer("@msgid=m1 :me BATCH +x draft/multiline #A", true));
        // A part of it is no echo of words of their own.
        assert!(!answer("@batch=x :me PRIVMSG #a :first", true));
        assert!(!answer(":s BATCH -x", false));
        assert_eq!(one.try_recv(), Ok(accepted(Some("m1"))));
        assert!(!answer(":s FAIL BATCH MULTILINE_MAX_BYTES 4096 :Too long", false));
        assert!(matches!(two.try_recv(), Ok(Confirmation::Refused { .. })));
        assert!(words.try_recv().is_err());
    }
}
