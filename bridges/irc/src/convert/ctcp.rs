//! CTCP: requests and actions hidden in messages, between two bytes 1.

/// The byte that marks CTCP.
const MARK: char = '\u{1}';

/// What the text of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Ordinary words.
    Text(&'a str),
    /// `/me`: the words.
    Action(&'a str),
    /// Any other request or answer.
    Ctcp {
        /// Its word, such as `VERSION`.
        command: &'a str,
        /// What follows.
        argument: &'a str,
    },
}

/// Tells them apart. The closing byte may be missing.
pub fn read(text: &str) -> Payload<'_> {
    let Some(inner) = text.strip_prefix(MARK) else {
        return Payload::Text(text);
    };
    let inner = inner.strip_suffix(MARK).unwrap_or(inner);
    let (command, argument) = inner.split_once(' ').unwrap_or((inner, ""));
    if command.eq_ignore_ascii_case("ACTION") {
        Payload::Action(argument)
    } else {
        Payload::Ctcp { command, argument }
    }
}

/// A request or answer of this word.
pub fn write(command: &str, argument: &str) -> String {
    if argument.is_empty() {
        format!("{MARK}{command}{MARK}")
    } else {
        format!("{MARK}{command} {argument}{MARK}")
    }
}

/// How many bytes [`write`] adds to the words of an action.
pub const ACTION_OVERHEAD: usize = "\u{1}ACTION \u{1}".len();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        assert_eq!(read(&write("ACTION", "waves")), Payload::Action("waves"));
        assert_eq!(write("ACTION", "waves").len(), ACTION_OVERHEAD + 5);
        assert_eq!(
            read(&write("VERSION", "")),
            Payload::Ctcp {
                command: "VERSION",
                argument: ""
            }
        );
        assert_eq!(read("\u{1}ACTION no end"), Payload::Action("no end"));
        assert_eq!(
            read("\u{1}"),
            Payload::Ctcp {
                command: "",
                argument: ""
            }
        );
        assert_eq!(read("hello \u{1}"), Payload::Text("hello \u{1}"));
    }
}
