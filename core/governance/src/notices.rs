//! What people in a mirrored room are told before the first message is passed on, when they join, and when it changes.

use std::num::NonZeroU32;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use viaduct_audit::{Action, Entry};
use viaduct_compliance::Direction;
use viaduct_model::{Language, MirrorName, Person, Timestamp};
use viaduct_store::Store;

use crate::agreement::{Agreement, Period};
use crate::date::{DAY, Day};
use crate::keys::Keys;
use crate::records::MirrorPlaces;
use crate::register::{Partner, Register};
use crate::step::{OWNER, Step, keep, load, raw};
use crate::texts::Text;
use crate::{GovernanceError, PartnerName};

const ROOM: &str = "notice/";
const MEMBER: &str = "notice-to/";
const READ: &str = "notice-read/";

/// What a room has to be told. The same facts always give the same version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Changes whenever anything in it does.
    pub version: String,
    /// In German.
    pub german: String,
    /// In English.
    pub english: String,
    /// After how many days it is said again; none: only when it changes.
    pub every_days: Option<NonZeroU32>,
}

impl Notice {
    /// Both languages in one text, as it is said in the room.
    pub fn text(&self) -> String {
        format!("{}\n\n{}", self.german, self.english)
    }

    /// In one language.
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::German => &self.german,
            Language::English => &self.english,
        }
    }
}

/// The notice of a mirror; none if no partner has a part in it and its Matrix room is not `encrypted`: in an encrypted one
/// people are told in any case that the bridge decrypts.
pub fn notice(register: &Register, mirror: &MirrorPlaces, encrypted: bool) -> Option<Notice> {
    let mut covering: Vec<(&PartnerName, &Partner)> = Vec::new();
    for place in &mirror.members {
        for (name, partner) in register.covering(place) {
            let living = partner.history.offboarded.is_none();
            if living && !covering.iter().any(|(known, _)| *known == name) {
                covering.push((name, partner));
            }
        }
    }
    if covering.is_empty() && !encrypted {
        return None;
    }
    let [german, english] = Language::ALL.map(|language| {
        let first = encrypted.then(|| Text::NoticeEncrypted.say(language, &[]));
        let each = covering.iter().map(|(_, partner)| about(partner, mirror, language));
        let own = covering.iter().filter_map(|(_, partner)| {
            let words = partner.agreement.notice.words.as_ref()?;
            Some(language.pick(&words.en, &words.de).to_owned())
        });
        let last = Text::NoticeAcknowledge.say(language, &[]);
        let parts = first.into_iter().chain(each).chain(own).chain([last]);
        parts.collect::<Vec<_>>().join("\n")
    });
    let every_days = covering
        .iter()
        .filter_map(|(_, partner)| partner.agreement.notice.every_days)
        .min();
    let digest = Sha256::new()
        .chain_update(&german)
        .chain_update([0])
        .chain_update(&english)
        .finalize();
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    let version = digest
        .iter()
        .take(6)
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect();
    Some(Notice {
        version,
        german,
        english,
        every_days,
    })
}

fn about(partner: &Partner, mirror: &MirrorPlaces, language: Language) -> String {
    let agreement = &partner.agreement;
    let mut networks: Vec<&str> = mirror
        .members
        .iter()
        .filter(|place| agreement.covers(place))
        .map(|place| place.network.as_str())
        .collect();
    networks.dedup();
    Text::Notice.say(
        language,
        &[
            ("partner", &agreement.organisation),
            ("network", &networks.join(", ")),
            ("region", &agreement.region.to_string()),
            ("purpose", &agreement.purpose),
            ("controller", &agreement.controller),
            ("periods", &periods(agreement, language)),
            ("until", &day(partner.last_day(), language)),
            ("contact", &contact(agreement)),
        ],
    )
}

pub(crate) fn periods(agreement: &Agreement, language: Language) -> String {
    let days = |period: Period| {
        let [inward, outward] = [Direction::In, Direction::Out].map(|direction| period.days(direction).to_string());
        if inward == outward {
            inward
        } else {
            Text::BothWays.say(language, &[("in", &inward), ("out", &outward)])
        }
    };
    let retention = &agreement.retention;
    Text::Periods.say(
        language,
        &[
            ("messages", &days(retention.messages)),
            ("files", &days(retention.files)),
            ("versions", &days(retention.versions)),
            ("metadata", &days(retention.metadata)),
        ],
    )
}

/// A day as it is written in a language.
pub fn day(day: Day, language: Language) -> String {
    match language {
        Language::German => day.german(),
        Language::English => day.to_string(),
    }
}

/// Whom to ask under an agreement, with the address.
pub fn contact(agreement: &Agreement) -> String {
    let contact = agreement.contact();
    contact.map_or_else(
        || agreement.controller.clone(),
        |contact| format!("{} ({})", contact.name, contact.address),
    )
}

/// The answer to `!viaduct help datenschutz` in a room of this mirror.
pub fn help(register: &Register, mirror: &MirrorPlaces, encrypted: bool, language: Language) -> String {
    let Some(notice) = notice(register, mirror, encrypted) else {
        return Text::HelpDataProtectionOwn.say(language, &[]);
    };
    let first = mirror.members.iter().find_map(|place| register.covering(place).next());
    let contact = first
        .map(|(_, partner)| contact(&partner.agreement))
        .unwrap_or_default();
    let values = [("notice", notice.in_language(language)), ("contact", &contact)];
    Text::HelpDataProtection.say(language, &values)
}

/// What is remembered of a room that was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Remembered")]
struct Said {
    version: String,
    at: Timestamp,
}

/// The same as it may be written down: earlier versions of viaduct kept no time.
#[derive(Deserialize)]
#[serde(untagged)]
enum Remembered {
    Version(String),
    Said { version: String, at: Timestamp },
}

impl From<Remembered> for Said {
    fn from(remembered: Remembered) -> Self {
        let (version, at) = match remembered {
            Remembered::Version(version) => (version, Timestamp::default()),
            Remembered::Said { version, at } => (version, at),
        };
        Self { version, at }
    }
}

/// Whether a room has to be told, and if not, until when that holds; without an end: until something changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// It has to be told now.
    Due,
    /// It knows.
    Known {
        /// When it has to be told again.
        until: Option<Timestamp>,
    },
}

/// Which notices were said already, and who has read them.
#[derive(Debug)]
pub struct Notices {
    store: Arc<dyn Store>,
    keys: Arc<Keys>,
}

impl Notices {
    /// The notices in a store.
    pub fn new(store: Arc<dyn Store>, keys: Arc<Keys>) -> Self {
        Self { store, keys }
    }

    /// Whether a room has to be told: never before, something else, or long ago.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn telling(
        &self,
        mirror: &MirrorName,
        notice: &Notice,
        now: Timestamp,
    ) -> Result<Telling, GovernanceError> {
        let said: Option<Said> = load(&*self.store, &format!("{ROOM}{mirror}")).await?;
        let Some(said) = said.filter(|said| said.version == notice.version) else {
            return Ok(Telling::Due);
        };
        let until = again(notice, said.at);
        Ok(match until {
            Some(until) if until <= now => Telling::Due,
            until => Telling::Known { until },
        })
    }

    /// The step after the room was told, and until when that holds. What was remembered of members and of another wording is
    /// dropped with it.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn said(
        &self,
        mirror: &MirrorName,
        notice: &Notice,
        now: Timestamp,
    ) -> Result<(Step, Telling), GovernanceError> {
        let mut entry = Entry::new(now, Action::Notified);
        entry.mirror = Some(mirror.clone());
        entry.reason = Some(format!("notice {}", notice.version));
        let said = Said {
            version: notice.version.clone(),
            at: now,
        };
        let mut step = Step::entry(entry).with(keep(&format!("{ROOM}{mirror}"), Some(&said))?);
        for kind in [MEMBER, READ] {
            let kept = format!("{kind}{mirror}/{}/", notice.version);
            for (key, _) in self.store.state_scan(OWNER, &format!("{kind}{mirror}/")).await? {
                if !key.starts_with(&kept) {
                    step.ops.push(raw(&key, None));
                }
            }
        }
        let until = again(notice, now);
        Ok((step, Telling::Known { until }))
    }

    /// Whether a new member has to be told, which happens once a version. Members are remembered by pseudonym.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn is_due_to(
        &self,
        mirror: &MirrorName,
        notice: &Notice,
        person: &Person,
    ) -> Result<bool, GovernanceError> {
        let Some(key) = self.key_of(MEMBER, mirror, notice, person) else {
            return Ok(true);
        };
        Ok(self.store.state(OWNER, &key).await?.is_none())
    }

    /// The step after a member was told.
    pub fn said_to(&self, mirror: &MirrorName, notice: &Notice, person: &Person, now: Timestamp) -> Step {
        let mut entry = Entry::new(now, Action::Notified);
        entry.mirror = Some(mirror.clone());
        entry.actor = self.keys.person(&PartnerName::own(), person);
        entry.reason = Some(format!("notice {} to a member", notice.version));
        let step = Step::entry(entry);
        match self.key_of(MEMBER, mirror, notice, person) {
            Some(key) => step.with(raw(&key, Some(Vec::new()))),
            None => step,
        }
    }

    /// The step after somebody said that they have read the notice. No entry in the ledger: only how many there are is of
    /// interest, and who they are is remembered by pseudonym, so that each counts once.
    pub fn read_by(&self, mirror: &MirrorName, notice: &Notice, person: &Person) -> Step {
        let key = self.key_of(READ, mirror, notice, person);
        let ops = key.map(|key| raw(&key, Some(Vec::new())));
        Step {
            ops: ops.into_iter().collect(),
            entries: Vec::new(),
        }
    }

    /// How many have read the notice in this version.
    ///
    /// # Errors
    ///
    /// When the store fails.
    pub async fn readers(&self, mirror: &MirrorName, notice: &Notice) -> Result<u64, GovernanceError> {
        let prefix = format!("{READ}{mirror}/{}/", notice.version);
        Ok(self.store.state_scan(OWNER, &prefix).await?.len() as u64)
    }

    fn key_of(&self, kind: &str, mirror: &MirrorName, notice: &Notice, person: &Person) -> Option<String> {
        let tag = self.keys.person(&PartnerName::own(), person)?;
        Some(format!("{kind}{mirror}/{}/{tag}", notice.version))
    }
}

/// When a notice that was said at a time has to be said again.
fn again(notice: &Notice, at: Timestamp) -> Option<Timestamp> {
    let days = u64::from(notice.every_days?.get());
    Some(at.plus_millis(days.saturating_mul(DAY)))
}
