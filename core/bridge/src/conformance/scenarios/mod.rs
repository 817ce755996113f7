//! The scenarios and what each needs.

mod changes;
mod honesty;
mod hostile;
mod people;
mod talk;
mod trouble;
mod wear;

use futures_util::future::BoxFuture;
use viaduct_model::{Capabilities, Lookup, Support};

use super::Step;
use super::stage::Stage;

/// A capability by its name, and where it is declared.
pub(super) type Need = (&'static str, fn(&Capabilities) -> Support);

/// One scenario.
pub(super) struct Scenario {
    /// Its name in the report.
    pub name: &'static str,
    /// The capability without which it is left out.
    pub needs: Option<Need>,
    /// Plays it. Starts and ends with a session that is up.
    pub play: for<'w, 'a> fn(&'w mut Stage<'a>) -> BoxFuture<'w, Step>,
}

fn lookup(capabilities: &Capabilities) -> Support {
    match capabilities.lookup {
        Lookup::Idempotent => Support::Native,
        Lookup::Queryable => Support::Fallback,
        Lookup::None => Support::None,
    }
}

/// All scenarios, in the order in which they are played.
pub(super) const ALL: &[Scenario] = &[
    Scenario {
        name: "probe",
        needs: None,
        play: |stage| Box::pin(honesty::probe(stage)),
    },
    Scenario {
        name: "text",
        needs: None,
        play: |stage| Box::pin(talk::text(stage)),
    },
    Scenario {
        name: "echo",
        needs: None,
        play: |stage| Box::pin(talk::echo(stage)),
    },
    Scenario {
        name: "order",
        needs: None,
        play: |stage| Box::pin(talk::order(stage)),
    },
    Scenario {
        name: "unicode",
        needs: None,
        play: |stage| Box::pin(talk::unicode(stage)),
    },
    Scenario {
        name: "long text",
        needs: None,
        play: |stage| Box::pin(talk::long_text(stage)),
    },
    Scenario {
        name: "formatting",
        needs: Some(("formatting", |has| has.formatting)),
        play: |stage| Box::pin(talk::formatting(stage)),
    },
    Scenario {
        name: "mention",
        needs: Some(("mention", |has| has.mention)),
        play: |stage| Box::pin(people::mention(stage)),
    },
    Scenario {
        name: "edit",
        needs: Some(("edit", |has| has.edit)),
        play: |stage| Box::pin(changes::edit(stage)),
    },
    Scenario {
        name: "delete",
        needs: Some(("delete", |has| has.delete)),
        play: |stage| Box::pin(changes::delete(stage)),
    },
    Scenario {
        name: "reply",
        needs: Some(("reply", |has| has.reply)),
        play: |stage| Box::pin(changes::reply(stage)),
    },
    Scenario {
        name: "thread",
        needs: Some(("thread", |has| has.thread)),
        play: |stage| Box::pin(changes::thread(stage)),
    },
    Scenario {
        name: "reaction",
        needs: Some(("reaction", |has| has.reaction)),
        play: |stage| Box::pin(changes::reaction(stage)),
    },
    Scenario {
        name: "file",
        needs: Some(("file", |has| has.file)),
        play: |stage| Box::pin(changes::file(stage)),
    },
    Scenario {
        name: "injection out",
        needs: None,
        play: |stage| Box::pin(hostile::outwards(stage)),
    },
    Scenario {
        name: "hostile names",
        needs: None,
        play: |stage| Box::pin(hostile::names(stage)),
    },
    Scenario {
        name: "injection in",
        needs: None,
        play: |stage| Box::pin(hostile::inwards(stage)),
    },
    Scenario {
        name: "rename",
        needs: None,
        play: |stage| Box::pin(people::rename(stage)),
    },
    Scenario {
        name: "join and leave",
        needs: None,
        play: |stage| Box::pin(people::join_leave(stage)),
    },
    Scenario {
        name: "topic",
        needs: Some(("topic", |has| has.topic)),
        play: |stage| Box::pin(people::topic(stage)),
    },
    Scenario {
        name: "kick",
        needs: Some(("moderation", |has| has.moderation)),
        play: |stage| Box::pin(people::kick(stage)),
    },
    Scenario {
        name: "honesty",
        needs: None,
        play: |stage| Box::pin(honesty::none_is_unsupported(stage)),
    },
    Scenario {
        name: "duplicate input",
        needs: None,
        play: |stage| Box::pin(wear::duplicate_input(stage)),
    },
    Scenario {
        name: "same key",
        needs: Some(("lookup", lookup)),
        play: |stage| Box::pin(wear::same_key(stage)),
    },
    Scenario {
        name: "full inbox",
        needs: None,
        play: |stage| Box::pin(wear::full_inbox(stage)),
    },
    Scenario {
        name: "rate limit",
        needs: None,
        play: |stage| Box::pin(wear::rate_limit(stage)),
    },
    Scenario {
        name: "unknown outcome",
        needs: None,
        play: |stage| Box::pin(trouble::unknown_outcome(stage)),
    },
    Scenario {
        name: "reconnect",
        needs: None,
        play: |stage| Box::pin(trouble::reconnect(stage)),
    },
    Scenario {
        name: "catch-up",
        needs: Some(("history", |has| has.history)),
        play: |stage| Box::pin(trouble::catch_up(stage)),
    },
    Scenario {
        name: "durability",
        needs: Some(("history", |has| has.history)),
        play: |stage| Box::pin(trouble::durability(stage)),
    },
    Scenario {
        name: "stop",
        needs: None,
        play: |stage| Box::pin(trouble::stop(stage)),
    },
];
