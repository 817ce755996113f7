//! What the compliance side of a hub is ordered to do, by command line, bot or API: one type, one route, one answer.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use viaduct_audit::{Action, Tag};
use viaduct_compliance::{Filter, Policy};
use viaduct_engine::rehearse::Wanted;
use viaduct_engine::{Engine, EngineError};
use viaduct_governance::{
    Agreement, Coverage, Day, GovernanceError, HeldId, Month, Office, PartnerName, Register, Scope,
};
use viaduct_model::{Language, MessageId, NetworkName, PersonId, Timestamp};

use crate::hub::HubError;

/// An order. `by` is always the Matrix user id of whoever gives it; it is noted in the ledger as a pseudonym. Whoever asks the
/// API may leave it out: it is who they showed to be, and an order that says otherwise is refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case", deny_unknown_fields)]
pub enum Order {
    /// Lists what is held.
    Held,
    /// Shows one of what is held, content included.
    ShowHeld {
        /// Which.
        id: HeldId,
        /// Who wants to see it.
        #[serde(default)]
        by: String,
        /// Why.
        reason: String,
    },
    /// Releases what is held, as a second person.
    ReleaseHeld {
        /// Which.
        id: HeldId,
        /// Who releases it.
        #[serde(default)]
        by: String,
        /// Why.
        reason: String,
    },
    /// Rejects what is held.
    RejectHeld {
        /// Which.
        id: HeldId,
        /// Who rejects it.
        #[serde(default)]
        by: String,
        /// Why.
        reason: String,
    },
    /// Lists the agreements, and how they stand.
    Partners,
    /// Makes an agreement.
    AddPartner {
        /// Its partner's name.
        name: PartnerName,
        /// What was agreed.
        agreement: Box<Agreement>,
        /// Who makes it.
        #[serde(default)]
        by: String,
    },
    /// Lets an agreement go on.
    RenewPartner {
        /// Its partner.
        name: PartnerName,
        /// Its new last day.
        until: Day,
        /// Who renews it.
        #[serde(default)]
        by: String,
    },
    /// Stops an agreement for now.
    SuspendPartner {
        /// Its partner.
        name: PartnerName,
        /// Why.
        reason: String,
        /// Who stops it.
        #[serde(default)]
        by: String,
    },
    /// Takes a suspension back.
    ResumePartner {
        /// Its partner.
        name: PartnerName,
        /// Who takes it back.
        #[serde(default)]
        by: String,
    },
    /// Signs an agreement that was made by command.
    SignPartner {
        /// Its partner.
        name: PartnerName,
        /// For which office.
        office: Office,
        /// Who signs.
        #[serde(default)]
        by: String,
    },
    /// Puts the journal through a candidate policy.
    Replay {
        /// The candidate.
        policy: Box<Policy>,
        /// Which part of the journal.
        wanted: Wanted,
    },
    /// Says what the policies in force make of an event.
    Explain {
        /// Its id, at its source or at a destination.
        event: MessageId,
    },
    /// Says what the end of a partnership would do.
    PreviewOffboarding {
        /// The partner.
        name: PartnerName,
    },
    /// Ends a partnership: the answer is the signed certificate.
    Offboard {
        /// The partner.
        name: PartnerName,
        /// Who ends it.
        #[serde(default)]
        by: String,
    },
    /// Lists the legal holds.
    Holds,
    /// Places a legal hold.
    PlaceHold {
        /// What it covers.
        scope: Scope,
        /// Why.
        reason: String,
        /// Who places it.
        #[serde(default)]
        by: String,
    },
    /// Lifts a legal hold.
    LiftHold {
        /// Which.
        id: String,
        /// Why.
        reason: String,
        /// Who lifts it.
        #[serde(default)]
        by: String,
    },
    /// Gathers everything about a person.
    ExportSubject {
        /// Their ids, each on its network.
        ids: Vec<(NetworkName, PersonId)>,
        /// Why.
        reason: String,
        /// Who does it.
        #[serde(default)]
        by: String,
    },
    /// Erases what a person said and did.
    EraseSubject {
        /// Their ids, each on its network.
        ids: Vec<(NetworkName, PersonId)>,
        /// Why.
        reason: String,
        /// Who does it.
        #[serde(default)]
        by: String,
    },
    /// Lets somebody else find out who is behind a pseudonym, once, within a day.
    GrantUnmask {
        /// The pseudonym, as it is in the ledger.
        tag: String,
        /// Who may ask, by their Matrix user id.
        to: String,
        /// Who grants it.
        #[serde(default)]
        by: String,
        /// Why.
        reason: String,
    },
    /// Finds who is behind a pseudonym, where somebody else granted it.
    Unmask {
        /// The pseudonym, as it is in the ledger.
        tag: String,
        /// Who asks.
        #[serde(default)]
        by: String,
        /// Who granted it: nobody says so, it is found by the desk.
        #[serde(skip)]
        granted_by: String,
        /// Why.
        reason: String,
    },
    /// Reports a month with a partner.
    PartnerReport {
        /// The partner.
        name: PartnerName,
        /// The month.
        month: Month,
    },
    /// Lists the rules that senders call wrong.
    Disputed {
        /// Only since this day.
        #[serde(default)]
        since: Option<Day>,
    },
    /// Gathers what a breach at a partner concerns.
    Incident {
        /// The partner.
        name: PartnerName,
        /// The first day.
        since: Day,
        /// The last day.
        until: Day,
        /// Who asks.
        #[serde(default)]
        by: String,
        /// Why.
        reason: String,
    },
    /// Writes the record of processing activities.
    ProcessingRecord {
        /// In which language.
        language: Language,
    },
    /// Deletes what is due now.
    Retain,
    /// Notes in the ledger that records were exported.
    NoteExport {
        /// Which, and to where.
        what: String,
    },
}

impl Order {
    /// Its name, as the API takes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::ShowHeld { .. } => "show_held",
            Self::ReleaseHeld { .. } => "release_held",
            Self::RejectHeld { .. } => "reject_held",
            Self::Partners => "partners",
            Self::AddPartner { .. } => "add_partner",
            Self::RenewPartner { .. } => "renew_partner",
            Self::SuspendPartner { .. } => "suspend_partner",
            Self::ResumePartner { .. } => "resume_partner",
            Self::SignPartner { .. } => "sign_partner",
            Self::Replay { .. } => "replay",
            Self::Explain { .. } => "explain",
            Self::PreviewOffboarding { .. } => "preview_offboarding",
            Self::Offboard { .. } => "offboard",
            Self::Holds => "holds",
            Self::PlaceHold { .. } => "place_hold",
            Self::LiftHold { .. } => "lift_hold",
            Self::ExportSubject { .. } => "export_subject",
            Self::EraseSubject { .. } => "erase_subject",
            Self::GrantUnmask { .. } => "grant_unmask",
            Self::Unmask { .. } => "unmask",
            Self::PartnerReport { .. } => "partner_report",
            Self::Disputed { .. } => "disputed",
            Self::Incident { .. } => "incident",
            Self::ProcessingRecord { .. } => "processing_record",
            Self::Retain => "retain",
            Self::NoteExport { .. } => "note_export",
        }
    }

    /// Who gives it; none where nobody acts as a person.
    pub(crate) fn by_mut(&mut self) -> Option<&mut String> {
        match self {
            Self::ShowHeld { by, .. }
            | Self::ReleaseHeld { by, .. }
            | Self::RejectHeld { by, .. }
            | Self::AddPartner { by, .. }
            | Self::RenewPartner { by, .. }
            | Self::SuspendPartner { by, .. }
            | Self::ResumePartner { by, .. }
            | Self::SignPartner { by, .. }
            | Self::Offboard { by, .. }
            | Self::PlaceHold { by, .. }
            | Self::LiftHold { by, .. }
            | Self::ExportSubject { by, .. }
            | Self::EraseSubject { by, .. }
            | Self::GrantUnmask { by, .. }
            | Self::Unmask { by, .. }
            | Self::Incident { by, .. } => Some(by),
            Self::Held
            | Self::Partners
            | Self::Replay { .. }
            | Self::Explain { .. }
            | Self::PreviewOffboarding { .. }
            | Self::Holds
            | Self::PartnerReport { .. }
            | Self::Disputed { .. }
            | Self::ProcessingRecord { .. }
            | Self::Retain
            | Self::NoteExport { .. } => None,
        }
    }
}

/// How an agreement stands, for lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerStatus {
    /// The partner.
    pub name: String,
    /// Its organisation.
    pub organisation: String,
    /// One word: `active`, `draft` …
    pub standing: String,
    /// The same in a sentence.
    pub says: String,
    /// The networks.
    pub networks: Vec<String>,
    /// The first day.
    pub valid_from: String,
    /// The last day.
    pub valid_until: String,
}

/// Has an order carried out by a hub.
///
/// # Errors
///
/// What is wrong with the order, or with the hub.
pub(crate) async fn obey(engine: &Engine, order: Order) -> Result<Value, HubError> {
    let done = |()| json!({ "done": true });
    match order {
        Order::Held => Ok(json!(engine.held().await?)),
        Order::ShowHeld { id, by, reason } => {
            let (held, event) = engine.show_held(&id, &by, &reason).await?;
            Ok(json!({ "held": held, "event": event }))
        }
        Order::ReleaseHeld { id, by, reason } => Ok(engine.release_held(&id, &by, &reason).await.map(done)?),
        Order::RejectHeld { id, by, reason } => {
            let rejected = engine.reject_held(&id, &by, &reason).await?;
            Ok(json!({ "rejected": rejected }))
        }
        Order::Partners => {
            let (register, now) = engine.partners();
            Ok(json!(statuses(&register, now)))
        }
        Order::AddPartner { name, agreement, by } => {
            engine.add_partner(&name, *agreement, &by).await?;
            let (register, now) = engine.partners();
            Ok(json!(
                statuses(&register, now)
                    .into_iter()
                    .find(|status| status.name == name.as_str())
            ))
        }
        Order::RenewPartner { name, until, by } => Ok(engine.renew_partner(&name, until, &by).await.map(done)?),
        Order::SuspendPartner { name, reason, by } => {
            Ok(engine.suspend_partner(&name, &reason, &by).await.map(done)?)
        }
        Order::ResumePartner { name, by } => Ok(engine.resume_partner(&name, &by).await.map(done)?),
        Order::SignPartner { name, office, by } => Ok(engine.sign_partner(&name, office, &by).await.map(done)?),
        Order::Replay { policy, wanted } => {
            let filter = Filter::compile(*policy).map_err(|errors| {
                let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
                HubError::Wrong(told.join("; "))
            })?;
            Ok(json!(engine.replay(&filter, &wanted).await?))
        }
        Order::Explain { event } => Ok(json!(engine.explain(&event).await?)),
        Order::PreviewOffboarding { name } => {
            let preview = engine.preview_offboarding(&name).await?;
            Ok(json!({ "text": preview.to_string(), "preview": preview }))
        }
        Order::Offboard { name, by } => Ok(json!(engine.offboard(&name, &by).await?)),
        Order::Holds => Ok(json!(engine.holds().await?)),
        Order::PlaceHold { scope, reason, by } => Ok(json!(engine.place_hold(scope, &reason, &by).await?)),
        Order::LiftHold { id, reason, by } => Ok(engine.lift_hold(&id, &reason, &by).await.map(done)?),
        Order::ExportSubject { ids, reason, by } => Ok(json!(engine.export_subject(ids, &by, &reason).await?)),
        Order::EraseSubject { ids, reason, by } => Ok(json!(engine.erase_subject(ids, &by, &reason).await?)),
        // Grants are kept at the desk; the ledger has them when they are used.
        Order::GrantUnmask { .. } => Ok(done(())),
        Order::Unmask {
            tag,
            by,
            granted_by,
            reason,
        } => {
            let found = engine.unmask(&Tag::from_text(tag), &by, &granted_by, &reason).await?;
            Ok(json!({ "person": found.map(|(network, person)| format!("{network}/{person}")) }))
        }
        Order::PartnerReport { name, month } => Ok(json!(engine.partner_report(&name, month).await?)),
        Order::Disputed { since } => {
            let since = since.map_or_else(Timestamp::default, Day::start);
            Ok(json!(engine.disputed(since).await?))
        }
        Order::Incident {
            name,
            since,
            until,
            by,
            reason,
        } => {
            let interval = (since.start(), until.end());
            Ok(json!(engine.incident(&name, interval, &by, &reason).await?))
        }
        Order::ProcessingRecord { language } => Ok(json!({ "text": engine.processing_record(language) })),
        Order::Retain => Ok(json!(engine.retain().await?)),
        Order::NoteExport { what } => Ok(engine.note(Action::Exported, &what).await.map(done)?),
    }
}

/// How the agreements stand at a time, by name.
pub fn statuses(register: &Register, now: Timestamp) -> Vec<PartnerStatus> {
    let status = |(name, partner): (&PartnerName, &viaduct_governance::Partner)| {
        let standing = register.standing(name, now)?;
        Some(PartnerStatus {
            name: name.to_string(),
            organisation: partner.agreement.organisation.clone(),
            standing: standing.as_str().to_owned(),
            says: standing.to_string(),
            networks: partner.agreement.networks.iter().map(ToString::to_string).collect(),
            valid_from: partner.agreement.valid_from.to_string(),
            valid_until: partner.last_day().to_string(),
        })
    };
    register.partners().iter().filter_map(status).collect()
}

/// Why nothing may cross to or from each channel of a hub; empty where something may.
pub fn obstacles<'a>(
    register: &Register,
    places: impl IntoIterator<Item = &'a viaduct_model::Place>,
    now: Timestamp,
) -> Vec<(String, String)> {
    let told = places.into_iter().filter_map(|place| {
        let coverage: Coverage = register.standing_of(place, now);
        Some((place.to_string(), coverage.obstacle()?))
    });
    told.collect()
}

impl From<GovernanceError> for HubError {
    fn from(error: GovernanceError) -> Self {
        match &error {
            GovernanceError::NoPartner(_) | GovernanceError::NotHeld(_) => Self::NotFound(error.to_string()),
            GovernanceError::Store(_) | GovernanceError::Ledger(_) | GovernanceError::Damaged { .. } => {
                Self::Failed(error.to_string())
            }
            _ => Self::Wrong(error.to_string()),
        }
    }
}

impl From<EngineError> for HubError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NoDelivery => Self::NotFound(error.to_string()),
            EngineError::Governance(error) => error.into(),
            EngineError::NoLedger | EngineError::Barred(_) => Self::Wrong(error.to_string()),
            other => Self::Failed(other.to_string()),
        }
    }
}
