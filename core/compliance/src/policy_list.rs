//! Policy lists: whom a community does not want, as a room on Matrix publishes it (the moderation policy lists of the Matrix
//! specification, once MSC2313), made into a filter.
//!
//! A rule names an *entity*, in which `*` stands for any run of characters and `?` for any one: a user, a server or a room. Only
//! the recommendation to ban is understood; what recommends something else says nothing here. Of people elsewhere, their id on
//! their network counts as a user, and their organisation and the domain of their id as a server.
//!
//! Exact entities are looked up; of patterns there may be few, and each is matched in linear time. A list with more than that
//! cannot be kept whole, and then everything is held: not knowing never opens anything.

use std::collections::HashSet;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};
use viaduct_model::{Content, Outbound, Person, Place};

use crate::wildcard::wildcard;

/// The most rules of one list.
pub const RULES: usize = 100_000;
/// The most of them with a `*`, and the most with a `?`.
const PATTERNS: usize = 2000;
const ODD_PATTERNS: usize = 100;
/// The longest entity, in bytes. No id on Matrix is longer.
const ENTITY: usize = 255;

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntityKind {
    /// A user.
    User,
    /// A server.
    Server,
    /// A room.
    Room,
}

impl EntityKind {
    /// What state events of this type are about; none if they are no rules. Older names of the types count, too.
    pub fn of_event(kind: &str) -> Option<Self> {
        let stems = ["m.policy.rule.", "m.room.rule.", "org.matrix.mjolnir.rule."];
        match stems.iter().find_map(|stem| kind.strip_prefix(stem))? {
            "user" => Some(Self::User),
            "server" => Some(Self::Server),
            "room" => Some(Self::Room),
            _ => None,
        }
    }
}

/// The content of a rule's state event. Without an entity, or without a recommendation, a rule was taken back.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ListRule {
    /// Whom it is about.
    #[serde(default)]
    pub entity: Option<String>,
    /// What to do about them.
    #[serde(default)]
    pub recommendation: Option<String>,
}

impl ListRule {
    /// Whom it bans; none if it bans nobody.
    fn banned(&self) -> Option<&str> {
        let ban = ["m.ban", "org.matrix.mjolnir.ban"].contains(&self.recommendation.as_deref()?);
        self.entity.as_deref().filter(|entity| ban && !entity.is_empty())
    }
}

/// The rules of one or several lists, made ready.
#[derive(Debug, Clone, Default)]
pub struct PolicyList {
    users: Entities,
    servers: Entities,
    rooms: Entities,
    rules: usize,
    /// Something of it could not be kept.
    overfull: bool,
}

#[derive(Debug, Clone, Default)]
struct Entities {
    exact: HashSet<String>,
    patterns: Vec<String>,
    odd: Vec<Regex>,
}

impl PolicyList {
    /// Makes rules ready. Of what a room's state has, give every event once, as it is now.
    pub fn new(rules: impl IntoIterator<Item = (EntityKind, ListRule)>) -> Self {
        let mut list = Self::default();
        for (kind, rule) in rules {
            let Some(entity) = rule.banned() else { continue };
            list.rules += 1;
            let entities = match kind {
                EntityKind::User => &mut list.users,
                EntityKind::Server => &mut list.servers,
                EntityKind::Room => &mut list.rooms,
            };
            // What is longer than any id bans nobody.
            if entity.len() <= ENTITY && (list.rules > RULES || !entities.add(entity)) {
                list.overfull = true;
            }
        }
        list
    }

    /// How many rules it has.
    pub fn len(&self) -> usize {
        self.rules
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rules == 0
    }

    /// Whether it has more rules than can be kept: then everything is held.
    pub fn is_overfull(&self) -> bool {
        self.overfull
    }

    /// Whether the list wants nothing of this event: its author, whoever it is about, or one of its places.
    pub(crate) fn bans(&self, outbound: &Outbound) -> bool {
        let person = match &outbound.content {
            Content::Membership { person, .. } | Content::Role { person, .. } => Some(person),
            _ => None,
        };
        let mut people = std::iter::once(&outbound.author.person).chain(person);
        people.any(|person| self.bans_person(person))
            || [&outbound.from, &outbound.to]
                .iter()
                .any(|place| self.bans_place(place))
    }

    fn bans_person(&self, person: &Person) -> bool {
        let id = person.id.as_str();
        let domain = if person.network.is_matrix() {
            id.split_once(':').map(|(_, server)| server)
        } else {
            id.rsplit_once('@')
                .map(|(_, domain)| domain.split('/').next().unwrap_or(domain))
        };
        let mut servers = domain.into_iter().chain(person.organisation.as_deref());
        self.users.has(id) || servers.any(|server| self.bans_server(server))
    }

    fn bans_place(&self, place: &Place) -> bool {
        let room = place.channel.as_str();
        let server = room.split_once(':').map(|(_, server)| server);
        place.network.is_matrix() && (self.rooms.has(room) || server.is_some_and(|server| self.bans_server(server)))
    }

    /// Ports say nothing about whose a server is.
    fn bans_server(&self, server: &str) -> bool {
        let bare = server
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let name = bare.map_or(server, |(name, _)| name).to_ascii_lowercase();
        self.servers.has(&name)
    }
}

impl Entities {
    /// Adds one; whether there was room.
    fn add(&mut self, entity: &str) -> bool {
        if entity.contains('?') {
            if self.odd.len() >= ODD_PATTERNS {
                return false;
            }
            let pattern = regex::escape(entity).replace(r"\?", "(?s:.)").replace(r"\*", "(?s:.)*");
            let pattern = RegexBuilder::new(&format!(r"\A{pattern}\z"))
                .size_limit(64 * 1024)
                .build();
            return pattern.map(|pattern| self.odd.push(pattern)).is_ok();
        }
        if entity.contains('*') {
            let room = self.patterns.len() < PATTERNS;
            if room {
                self.patterns.push(entity.to_owned());
            }
            return room;
        }
        self.exact.insert(entity.to_owned());
        true
    }

    fn has(&self, entity: &str) -> bool {
        self.exact.contains(entity)
            || self.patterns.iter().any(|pattern| wildcard(pattern, entity))
            || self.odd.iter().any(|pattern| pattern.is_match(entity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ban(kind: EntityKind, entity: &str) -> (EntityKind, ListRule) {
        let rule = ListRule {
            entity: Some(entity.to_owned()),
            recommendation: Some("m.ban".to_owned()),
        };
        (kind, rule)
    }

    #[test]
    fn rules_are_read_as_the_specification_has_them() {
        assert_eq!(EntityKind::of_event("m.policy.rule.user"), Some(EntityKind::User));
        assert_eq!(
            EntityKind::of_event("org.matrix.mjolnir.rule.server"),
            Some(EntityKind::Server)
        );
        assert_eq!(EntityKind::of_event("m.policy.rule.planet"), None);
        for (content, banned) in [
            (
                r#"{"entity": "@a:b", "recommendation": "m.ban", "reason": "spam"}"#,
                Some("@a:b"),
            ),
            (
                r#"{"entity": "@a:b", "recommendation": "org.matrix.mjolnir.ban"}"#,
                Some("@a:b"),
            ),
            (r#"{"entity": "@a:b", "recommendation": "org.example.wave"}"#, None),
            (r#"{"entity": "@a:b"}"#, None),
            (r#"{"recommendation": "m.ban"}"#, None),
            ("{}", None),
        ] {
            let rule: ListRule = serde_json::from_str(content).unwrap();
            assert_eq!(rule.banned(), banned, "{content}");
        }
    }

    #[test]
    fn patterns_describe_the_whole() {
        let list = PolicyList::new([
            ban(EntityKind::User, "@spam*:example.org"),
            ban(EntityKind::User, "@b?d:example.org"),
            ban(EntityKind::User, "@a.c:example.org"),
        ]);
        for (user, banned) in [
            ("@spam:example.org", true),
            ("@spam1:example.org", true),
            ("@spam1:example.org.evil", false),
            ("@bad:example.org", true),
            ("@bäd:example.org", true),
            ("@baad:example.org", false),
            ("@a.c:example.org", true),
            ("@abc:example.org", false),
        ] {
            assert_eq!(list.users.has(user), banned, "{user}");
        }
    }

    #[test]
    fn what_cannot_be_kept_is_told() {
        let many = |count: usize, of: fn(usize) -> String| {
            PolicyList::new((0..count).map(|number| ban(EntityKind::User, &of(number))))
        };
        assert!(!many(RULES, |number| format!("@a{number}:b")).is_overfull());
        assert!(many(RULES + 1, |number| format!("@a{number}:b")).is_overfull());
        assert!(many(PATTERNS + 1, |number| format!("@a{number}*:b")).is_overfull());
        assert!(many(ODD_PATTERNS + 1, |number| format!("@a{number}?:b")).is_overfull());
        assert!(!many(1, |_| "x".repeat(ENTITY + 1)).is_overfull());
        let hard = many(PATTERNS, |number| format!("{}b{number}", "a*".repeat(100)));
        let begun = "a".repeat(ENTITY);
        assert!(!hard.users.has(&begun), "and quickly");
    }
}
