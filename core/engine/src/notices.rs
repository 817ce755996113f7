//! What people in a mirrored room are told before the first message is passed on, when they join, and when an agreement rests.

use std::sync::Arc;
use std::time::Duration;

use viaduct_compliance::{Finding, Mode, RuleAction};
use viaduct_governance::{Day, Held, HeldState, MirrorPlaces, Notice, PartnerName, Telling, Text, day, help, notice};
use viaduct_model::{Content, Event, Language, Membership, MirrorName, NetworkName, Person, PersonId, Place};
use viaduct_store::{Lane, Seq};

use crate::backoff::Backoff;
use crate::core::Core;
use crate::routes::Mirror;
use crate::{EngineError, disputing, upkeep};

/// An hour, in milliseconds.
const HOUR: u64 = 60 * 60 * 1000;

fn places(mirror: &Mirror) -> MirrorPlaces {
    MirrorPlaces {
        name: mirror.name.clone(),
        members: mirror.members.iter().map(|member| member.place.clone()).collect(),
    }
}

pub(crate) fn notice_of(core: &Core, mirror: &Mirror) -> Option<Notice> {
    notice(&core.govern.register(), &places(mirror), mirror.is_encrypted())
}

/// Sees to it that a mirror's room was told before anything is passed on, and again where the agreements want that, however long
/// the homeserver is away. None if the hub is stopping. A room that does not exist yet is told when it is made.
pub(crate) async fn ensure(core: &Arc<Core>, mirror: &Mirror) -> Option<()> {
    if core.govern.is_told(&mirror.name, core.clock.now()) {
        return Some(());
    }
    let mut backoff = Backoff::new(Duration::from_millis(200), Duration::from_mins(1));
    loop {
        match tell(core, mirror).await {
            Ok(telling) => {
                if let Telling::Known { until } = telling {
                    core.govern.note_told(&mirror.name, until);
                }
                return Some(());
            }
            Err(error) => {
                tracing::warn!(mirror = %mirror.name, %error, "The room could not be told about the exchange yet, so nothing is passed on.");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next(None, &*core.entropy)) => {}
            () = core.stop.cancelled() => return None,
        }
    }
}

/// Tells a mirror's room if it has to be told; whether it knows now.
async fn tell(core: &Arc<Core>, mirror: &Mirror) -> Result<Telling, EngineError> {
    let (Some(desk), Some(notice)) = (&core.govern.desk, notice_of(core, mirror)) else {
        return Ok(Telling::Known { until: None });
    };
    let alone = desk.telling.lock().await;
    let now = core.clock.now();
    let known = desk.notices.telling(&mirror.name, &notice, now).await?;
    let (Telling::Due, Some(home), Some(room)) = (known, core.home(), core.room_of(&mirror.name)) else {
        return Ok(known);
    };
    let key = format!("notice-{}-{}-{}", mirror.name, notice.version, Day::of(now));
    home.disclose(&room, &notice.text(), &key)
        .await
        .map_err(|error| EngineError::Home(error.to_string()))?;
    let (step, telling) = desk.notices.said(&mirror.name, &notice, now).await?;
    core.submit(step.ops, step.entries).await?.await?;
    drop(alone);
    Ok(telling)
}

/// Somebody new in a mirror's room is told as well.
pub(crate) fn greet(core: &Arc<Core>, mirror: &Arc<Mirror>, event: &Event) {
    let Content::Membership {
        person,
        change: Membership::Join,
        ..
    } = &event.content
    else {
        return;
    };
    if !event.place.network.is_matrix() || person.bot || core.govern.desk.is_none() {
        return;
    }
    let (core, mirror, person) = (core.clone(), mirror.clone(), person.clone());
    core.tasks.clone().spawn(async move {
        let told = async {
            let (Some(desk), Some(notice)) = (&core.govern.desk, notice_of(&core, &mirror)) else {
                return Ok(());
            };
            if !desk.notices.is_due_to(&mirror.name, &notice, &person).await? {
                return Ok(());
            }
            let (Some(home), Some(room)) = (core.home(), core.room_of(&mirror.name)) else {
                return Ok(());
            };
            let key = format!("notice-{}-{}-{}", mirror.name, notice.version, person.id);
            home.disclose(&room, &notice.text(), &key)
                .await
                .map_err(|error| EngineError::Home(error.to_string()))?;
            let step = desk.notices.said_to(&mirror.name, &notice, &person, core.clock.now());
            core.submit(step.ops, step.entries).await?.await?;
            Ok::<(), EngineError>(())
        };
        if let Err(error) = told.await {
            tracing::warn!(mirror = %mirror.name, %error, "A new member could not be told about the exchange.");
        }
    });
}

/// Tells the rooms of a partner that the exchange rests, or goes on.
pub(crate) async fn rests(core: &Arc<Core>, partner: &PartnerName, reason: Option<&str>) {
    let register = core.govern.register();
    let Some(home) = core.home() else { return };
    let language = core.settings().language;
    for mirror in core.routes().mirrors() {
        let concerned = mirror
            .members
            .iter()
            .any(|member| register.covering(&member.place).any(|(name, _)| name == partner));
        let Some(room) = core.room_of(&mirror.name).filter(|_| concerned) else {
            continue;
        };
        let organisation = register
            .partner(partner)
            .map_or_else(|| partner.to_string(), |known| known.agreement.organisation.clone());
        let text = match reason {
            Some(reason) => Text::Resting.say(language, &[("partner", &organisation), ("reason", reason)]),
            None => Text::Resumed.say(language, &[("partner", &organisation)]),
        };
        let key = format!("rests-{partner}-{}", core.clock.now().as_millis());
        if let Err(error) = home.notice(&room, &text, None, &key).await {
            tracing::warn!(mirror = %mirror.name, %error, "The room could not be told that the exchange rests.");
        }
    }
}

/// What a filter did to an event that it let pass is told to its sender, where the sender is on the homeserver; what a rule
/// wants the operators to know is told to them. Never repeats what was found.
pub(crate) fn advise(core: &Arc<Core>, lane: &Lane, seq: Seq, event: &Event, findings: &[Finding]) {
    let language = core.settings().language;
    let organisation = organisation(core, &lane.to);
    let (id, to) = (&event.id, &lane.to);
    let mut told: Vec<(String, String)> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.mode == Mode::Enforce) {
        let values = [
            ("partner", &*organisation),
            ("rule", &finding.rule),
            ("reason", finding.notice.as_deref().unwrap_or(&finding.rule)),
        ];
        let text = match finding.action {
            RuleAction::Mask => Text::Masked,
            RuleAction::StripAttachment => Text::Stripped,
            RuleAction::Warn => Text::Warned,
            RuleAction::Notify => {
                let text = format!("{}: {} ({} → {to})", finding.rule, finding.count, event.place);
                spawn_report(core, text, format!("notify-{id}-{}", finding.rule));
                continue;
            }
            _ => continue,
        };
        told.push((finding.rule.clone(), text.say(language, &values)));
    }
    let (Some(home), Some(room)) = (core.home(), room(core, &event.place)) else {
        return;
    };
    if told.is_empty() {
        return;
    }
    let (core, lane, event) = (core.clone(), lane.clone(), event.clone());
    core.tasks.clone().spawn(async move {
        let rules: Vec<&str> = told.iter().map(|(rule, _)| rule.as_str()).collect();
        let mut hint = disputing::hint(&core, &lane, seq, &event, &rules).await;
        for (index, (rule, text)) in told.iter().enumerate() {
            // Once, with the last of them.
            let last = index + 1 == told.len();
            let said = with_hint(text, hint.take_if(|_| last));
            let key = format!("advice-{}-{}-{rule}", event.id, lane.to);
            if let Err(error) = home.notice(&room, &said, Some(event.id.as_str()), &key).await {
                tracing::debug!(%error, "A sender could not be told what a policy did.");
            }
        }
    });
}

/// What a sender is told, and what they can do about it.
pub(crate) fn with_hint(text: &str, hint: Option<String>) -> String {
    match hint {
        Some(hint) => format!("{text}\n{hint}"),
        None => text.to_owned(),
    }
}

/// The operators are told, at most once an hour, that something waits for a second person.
pub(crate) fn review_wanted(core: &Arc<Core>) {
    let core = core.clone();
    core.tasks.clone().spawn(async move {
        let Some(quarantine) = &core.govern.quarantine else {
            return;
        };
        let Ok(held) = quarantine.list().await else { return };
        let waits = |held: &&Held| held.state == HeldState::Waiting && held.release.by_second_person();
        let waiting: Vec<_> = held.iter().filter(waits).collect();
        let Some(oldest) = waiting.iter().map(|held| held.since).min() else {
            return;
        };
        let language = core.settings().language;
        let values = [
            ("count", &*waiting.len().to_string()),
            ("since", &day(Day::of(oldest), language)),
        ];
        let key = format!("review-{}", core.clock.now().as_millis() / HOUR);
        upkeep::tell_operators(&core, &Text::ReviewWanted.say(language, &values), &key).await;
    });
}

/// The sender of what was held, and has arrived since it was let go, is told so, where they are on the homeserver.
pub(crate) fn released(core: &Arc<Core>, held: &Held) {
    let (Some(home), Some(room)) = (core.home(), room(core, &held.from)) else {
        return;
    };
    let organisation = organisation(core, &held.lane.to);
    let said = Text::Released.say(core.settings().language, &[("partner", &organisation)]);
    let (event, key) = (held.event.clone(), format!("released-{}", held.id));
    core.tasks.spawn(async move {
        if let Err(error) = home.notice(&room, &said, Some(event.as_str()), &key).await {
            tracing::debug!(%error, "A sender could not be told that what was held has arrived.");
        }
    });
}

fn spawn_report(core: &Arc<Core>, text: String, key: String) {
    let core = core.clone();
    core.tasks
        .clone()
        .spawn(async move { upkeep::tell_operators(&core, &text, &key).await });
}

/// The partner at a place, as people know it.
pub(crate) fn organisation(core: &Core, place: &Place) -> String {
    let register = core.govern.register();
    let known = register.covering(place).next();
    known.map_or_else(
        || place.network.to_string(),
        |(_, partner)| partner.agreement.organisation.clone(),
    )
}

/// The room of a mirror's Matrix side.
pub(crate) fn room(core: &Core, place: &Place) -> Option<String> {
    if !place.network.is_matrix() {
        return None;
    }
    let mirror = MirrorName::new(place.channel.as_str()).ok()?;
    core.room_of(&mirror)
}

/// The answer to a question about data protection in a room; none if it was none, or the room is not mirrored.
pub(crate) fn asked(core: &Core, room: &str, text: &str) -> Option<String> {
    let words = text.trim().strip_prefix("!viaduct").unwrap_or(text).to_lowercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    let ["help" | "hilfe", "datenschutz" | "privacy"] = words.as_slice() else {
        return None;
    };
    let mirror = core.mirror_of_room(room)?;
    let mirror = core.routes().named(&mirror).cloned()?;
    let language = if words.last() == Some(&"datenschutz") {
        Language::German
    } else {
        Language::English
    };
    let encrypted = mirror.is_encrypted();
    Some(help(&core.govern.register(), &places(&mirror), encrypted, language))
}

/// The answer to somebody who has read the notice of a room; none if they said something else, or the room has no notice. They
/// are counted, once a version.
pub(crate) async fn read(core: &Arc<Core>, room: &str, sender: &str, text: &str) -> Option<String> {
    let text = text.trim();
    let language = match text
        .strip_prefix("!viaduct")
        .unwrap_or(text)
        .trim()
        .to_lowercase()
        .as_str()
    {
        "gelesen" => Language::German,
        "read" => Language::English,
        _ => return None,
    };
    let mirror = core.mirror_of_room(room)?;
    let mirror = core.routes().named(&mirror).cloned()?;
    let (desk, notice) = (core.govern.desk.as_ref()?, notice_of(core, &mirror)?);
    let person = Person {
        network: NetworkName::matrix(),
        id: PersonId::new(sender).ok()?,
        name: sender.to_owned(),
        avatar: None,
        organisation: None,
        bot: false,
    };
    let step = desk.notices.read_by(&mirror.name, &notice, &person);
    let noted = async { core.submit(step.ops, step.entries).await?.await };
    if let Err(error) = noted.await {
        tracing::error!(mirror = %mirror.name, %error, "That a notice was read could not be noted.");
        return Some(error.to_string());
    }
    Some(Text::Acknowledged.say(language, &[]))
}
