//! Whether the session is what it declares to be.

use viaduct_model::{Content, EventKind, Membership, Message, Reaction, Role, Support};

use crate::conformance::stage::{Stage, person};
use crate::conformance::{Step, check, fail, same};
use crate::{Failure, ProbeStatus};

/// The factory's answers and the probes of a session that is up.
pub(super) async fn probe(stage: &mut Stage<'_>) -> Step {
    let factory = stage.factory;
    check(!factory.kind().is_empty(), || "the kind has no name".to_owned())?;
    check(factory.schema().is_object(), || {
        "the schema of the section is no object".to_owned()
    })?;
    same(
        "the factory's complaints about the section",
        &factory.check(stage.section),
        &Vec::new(),
    )?;
    let session = stage.session()?;
    let probes = tokio::time::timeout(stage.options.patience, session.probe());
    let probes = probes.await.map_err(|_| fail("probe did not end in time"))?;
    check(!probes.is_empty(), || "there is no probe for doctor".to_owned())?;
    match probes.iter().find(|probe| probe.status == ProbeStatus::Error) {
        Some(probe) => Err(fail(format!("a session that is up has a probe that says: {probe}"))),
        None => Ok(()),
    }
}

/// The kinds that no other scenario delivers: declared as native, they must at least not be answered with "unsupported".
const ONLY_HERE: [EventKind; 6] = [
    EventKind::Name,
    EventKind::Membership,
    EventKind::Role,
    EventKind::Pins,
    EventKind::Typing,
    EventKind::Read,
];

/// What a channel is declared not to have is answered with "unsupported", shows nothing, and breaks nothing.
pub(super) async fn none_is_unsupported(stage: &mut Stage<'_>) -> Step {
    let has = stage.capabilities()?;
    let word = stage.word();
    stage.remote.say(&format!("a target {word}")).await?;
    let theirs = stage.hear_text(&word).await?;
    let target = theirs.id.clone();
    let word = stage.word();
    let ours = stage.say_out(&format!("a target {word}")).await?;
    let own = ours.ids.first().cloned().unwrap_or_else(|| target.clone());
    let secret = stage.word();
    let reaction = Reaction {
        key: format!(":{secret}:"),
        image: None,
    };
    let membership = |change| Content::Membership {
        person: theirs.sender.clone(),
        change,
        reason: Some(secret.clone()),
    };
    let join = Content::Membership {
        person: person("Carol")?.person,
        change: Membership::Join,
        reason: None,
    };
    // Where there is moderation, the scenario about kicks has shown it; here nobody is to be removed for good.
    let moderation = if has.moderation == Support::None {
        Support::None
    } else {
        Support::Fallback
    };
    let offers = [
        (
            has.edit,
            Content::Edit {
                target: own.clone(),
                message: Message::plain(&secret),
            },
        ),
        (
            has.delete,
            Content::Delete {
                target: own.clone(),
                reason: Some(secret.clone()),
            },
        ),
        (
            has.reaction,
            Content::React {
                target: target.clone(),
                reaction: reaction.clone(),
            },
        ),
        (
            has.reaction,
            Content::Unreact {
                target: target.clone(),
                reaction,
            },
        ),
        (has.topic, Content::Topic { topic: secret.clone() }),
        (
            has.name,
            Content::Name {
                name: if has.name == Support::None {
                    secret.clone()
                } else {
                    "kit".to_owned()
                },
            },
        ),
        (has.membership, join),
        (moderation, membership(Membership::Kick)),
        (moderation, membership(Membership::Ban)),
        (
            has.role,
            Content::Role {
                person: theirs.sender.clone(),
                role: Role::Moderator,
            },
        ),
        (
            has.pins,
            Content::Pins {
                pinned: vec![target.clone()],
            },
        ),
        (has.typing, Content::Typing { active: true }),
        (has.read, Content::Read { target }),
    ];
    for (support, content) in offers {
        let kind = content.kind();
        if support != Support::None && (support != Support::Native || !ONLY_HERE.contains(&kind)) {
            continue;
        }
        let parts = if content.target() == Some(&own) {
            ours.ids.clone()
        } else {
            Vec::new()
        };
        let outbound = stage.outbound(&person("Alice")?, content, &parts)?;
        let answer = stage.deliver(&outbound).await?;
        let unsupported = matches!(&answer, Err(error) if error.failure == Failure::Unsupported);
        check(unsupported == (support == Support::None), || {
            format!(
                "{} is declared as {support:?}, yet its delivery gave {answer:?}",
                kind.as_str()
            )
        })?;
    }
    let seen = stage.times_seen(&secret).await?;
    same("how often something declared as none was seen", &seen, &0)
}
