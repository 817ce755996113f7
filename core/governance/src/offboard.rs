//! The end of a partnership: a preview, then one job after the other, each durable before the next, and a signed certificate.
//!
//! ```text
//! suspend ─▶ notices ─▶ redact on every side ─▶ ghosts out ─▶ places closed ─▶ tokens dropped
//!         ─▶ own records ─▶ quarantine ─▶ keys ─▶ certificate
//! ```
//!
//! Every job can be done again: a hub that is killed in between goes on with the job it was at. What a network refuses is noted
//! and does not stop the rest; a network that cannot be reached does, until it can.

mod run;

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use viaduct_model::{MirrorName, NetworkName, Place};
use viaduct_store::Seq;

use crate::PartnerName;
use crate::certificate::Outcome;
use crate::holds::LegalHold;
use crate::records::MirrorPlaces;
use crate::register::Register;

pub use run::Offboarding;

/// One job of winding up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "job", rename_all = "snake_case")]
pub enum Job {
    /// Nothing crosses any more.
    Suspend,
    /// People in a place are told.
    Notify {
        /// The mirror.
        mirror: MirrorName,
        /// The place.
        place: Place,
    },
    /// What was carried to a place is redacted there: at the partner's what came from others, elsewhere what came from the
    /// partner.
    Redact {
        /// The mirror.
        mirror: MirrorName,
        /// The place.
        place: Place,
    },
    /// The people of a place have nobody any more who stands for them, and nobody stands for others there.
    Dismiss {
        /// The mirror.
        mirror: MirrorName,
        /// The partner's place.
        place: Place,
    },
    /// A place is left.
    Close {
        /// The mirror.
        mirror: MirrorName,
        /// The partner's place.
        place: Place,
    },
    /// The access to a network is given up.
    DropTokens {
        /// The network.
        network: NetworkName,
    },
    /// The own records of a mirror that came from the partner are deleted.
    Records {
        /// The mirror.
        mirror: MirrorName,
    },
    /// What is held is deleted.
    Quarantine,
    /// Keys are destroyed.
    Keys,
    /// The certificate is signed.
    Certify,
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Suspend => f.write_str("suspend the agreement for good"),
            Self::Notify { place, .. } => write!(f, "tell the people in {place}"),
            Self::Redact { place, .. } => write!(f, "redact what was carried to {place}"),
            Self::Dismiss { place, .. } => write!(f, "take ghosts and puppets of {place} away"),
            Self::Close { place, .. } => write!(f, "leave {place}"),
            Self::DropTokens { network } => write!(f, "give up the access to {network}"),
            Self::Records { mirror } => write!(f, "delete the own records of {mirror}"),
            Self::Quarantine => f.write_str("delete what is held"),
            Self::Keys => f.write_str("destroy the keys"),
            Self::Certify => f.write_str("sign the certificate"),
        }
    }
}

/// What winding up would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The partner.
    pub partner: PartnerName,
    /// The jobs in their order; for a redaction, of how many messages and how many are under a legal hold.
    pub jobs: Vec<(Job, Option<(u64, u64)>)>,
    /// What is held and would be deleted.
    pub held: u64,
    /// The holds that may keep something.
    pub holds: Vec<LegalHold>,
}

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (job, count)) in self.jobs.iter().enumerate() {
            write!(f, "{:>3}. {job}", number + 1)?;
            match count {
                Some((messages, 0)) => writeln!(f, " ({messages} messages)")?,
                Some((messages, held)) => writeln!(f, " ({messages} messages, {held} kept by a hold)")?,
                None => writeln!(f)?,
            }
        }
        for hold in &self.holds {
            writeln!(f, "hold {}: {}", hold.id, hold.reason)?;
        }
        write!(f, "{} held messages", self.held)
    }
}

/// How far winding up is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The partner.
    pub partner: PartnerName,
    /// Who began it.
    pub by: String,
    /// The jobs.
    pub jobs: Vec<Job>,
    /// How many of them are done.
    pub done: usize,
    /// Within a job that goes through a journal: done up to here.
    #[serde(default)]
    pub cursor: Seq,
    /// What came of it so far.
    pub outcome: Outcome,
    /// The mirrors as they were when it began.
    pub mirrors: Vec<MirrorPlaces>,
}

/// The jobs of winding a partner up.
pub fn jobs(register: &Register, name: &PartnerName, mirrors: &[MirrorPlaces]) -> Vec<Job> {
    let Some(partner) = register.partner(name) else {
        return Vec::new();
    };
    let theirs = |place: &Place| !register.is_own(place) && partner.agreement.covers(place);
    let mut jobs = vec![Job::Suspend];
    let concerned: Vec<&MirrorPlaces> = mirrors
        .iter()
        .filter(|mirror| mirror.members.iter().any(theirs))
        .collect();
    let each = |make: &dyn Fn(MirrorName, Place) -> Job, only_theirs: bool| -> Vec<Job> {
        let places = concerned
            .iter()
            .flat_map(|mirror| mirror.members.iter().map(move |place| (mirror, place)));
        let places = places.filter(|(_, place)| !only_theirs || theirs(place));
        places
            .map(|(mirror, place)| make(mirror.name.clone(), place.clone()))
            .collect()
    };
    jobs.extend(each(&|mirror, place| Job::Notify { mirror, place }, false));
    jobs.extend(each(&|mirror, place| Job::Redact { mirror, place }, false));
    jobs.extend(each(&|mirror, place| Job::Dismiss { mirror, place }, true));
    jobs.extend(each(&|mirror, place| Job::Close { mirror, place }, true));
    let networks: BTreeSet<&NetworkName> = partner.agreement.networks.iter().collect();
    for network in networks {
        let shared = register.partners().iter().any(|(other, partner)| {
            other != name && partner.history.offboarded.is_none() && partner.agreement.networks.contains(network)
        });
        let own = register.networks().get(network).is_some_and(|facts| facts.own);
        if !shared && !own {
            jobs.push(Job::DropTokens {
                network: network.clone(),
            });
        }
    }
    jobs.extend(concerned.iter().map(|mirror| Job::Records {
        mirror: mirror.name.clone(),
    }));
    jobs.extend([Job::Quarantine, Job::Keys, Job::Certify]);
    jobs
}
