//! Timestamps and ids.

use viaduct_model::{MessageId, PersonId, Timestamp};

/// Whether this is a message's timestamp: digits, a dot, digits.
pub fn is_ts(text: &str) -> bool {
    text.split_once('.').is_some_and(|(seconds, rest)| {
        !seconds.is_empty()
            && seconds.len() <= 12
            && !rest.is_empty()
            && rest.len() <= 9
            && seconds.bytes().chain(rest.bytes()).all(|byte| byte.is_ascii_digit())
    })
}

/// Microseconds since the epoch, by which timestamps are compared; zero for what is none.
pub fn micros(ts: &str) -> u64 {
    let Some((seconds, rest)) = ts.split_once('.').filter(|_| is_ts(ts)) else {
        return 0;
    };
    let fraction: String = rest.chars().chain("000000".chars()).take(6).collect();
    let seconds: u64 = seconds.parse().unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(fraction.parse().unwrap_or(0))
}

/// A timestamp of so many microseconds.
pub fn from_micros(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

/// The time that a timestamp names.
pub fn time(ts: &str) -> Timestamp {
    Timestamp(micros(ts) / 1000)
}

/// Whether this is the id of a person: `U…` or `W…`.
pub fn is_user(id: &str) -> bool {
    id.starts_with(['U', 'W']) && is_id(id)
}

/// Whether this is the id of a conversation: `C…`, `G…` or `D…`.
pub fn is_channel(id: &str) -> bool {
    id.starts_with(['C', 'G', 'D']) && is_id(id)
}

/// Whether this is the id of a workspace: `T…`.
pub fn is_workspace(id: &str) -> bool {
    id.starts_with('T') && is_id(id)
}

fn is_id(id: &str) -> bool {
    (2..=32).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// A person as the hub names them: by their user id in the own workspace, by `TEAM/USER` in one of another organisation.
pub fn person_id(foreign: Option<&str>, user: &str) -> Option<PersonId> {
    let id = match foreign {
        Some(team) => format!("{team}/{user}"),
        None => user.to_owned(),
    };
    PersonId::new(id).ok()
}

/// The user id in a person's id; none for automata and for ids of another make.
pub fn user_of(person: &PersonId) -> Option<&str> {
    let text = person.as_str();
    let user = text.rsplit_once('/').map_or(text, |(_, user)| user);
    is_user(user).then_some(user)
}

/// The id of an event about a message: its timestamp with parts that tell it from other events about it.
pub fn event_id(ts: &str, parts: &[&str]) -> Option<MessageId> {
    let mut id = ts.to_owned();
    for part in parts {
        id.push('/');
        id.push_str(part);
    }
    MessageId::new(id).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_text_is_a_timestamp_or_none(text in any::<String>(), at in 0_u64..4_000_000_000_000_000) {
            prop_assert!(is_ts(&text) || micros(&text) == 0);
            prop_assert_eq!(micros(&from_micros(at)), at);
        }
    }

    #[test]
    fn people_are_told_apart_by_their_workspace() {
        assert_eq!(person_id(None, "U1").unwrap().as_str(), "U1");
        let stranger = person_id(Some("T2"), "U9").unwrap();
        assert_eq!(stranger.as_str(), "T2/U9");
        assert_eq!(user_of(&stranger), Some("U9"));
        assert_eq!(user_of(&PersonId::new("B1").unwrap()), None);
        assert_eq!(time("1700000000.000100").as_millis(), 1_700_000_000_000);
    }
}
