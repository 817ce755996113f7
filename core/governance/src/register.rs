//! All agreements as they stand: who is covered, who may speak, what is due. A value; [`Agreements`](crate::Agreements)
//! replaces it when something changes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use viaduct_compliance::{Decision, Filter, Group, Policy};
use viaduct_model::{Author, Content, DeliveryKey, Language, MessageId, Outbound, Person, Place, Timestamp};

use crate::agreement::{Agreement, PartnerName};
use crate::date::Day;
use crate::notices::day;
use crate::standing::{History, Networks, Standing, WARNINGS, days_left, last_day, standing};
use crate::texts::Text;

/// Where an agreement is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// In the configuration.
    Configuration,
    /// In the store, by command.
    Command,
}

/// A partner with everything that is known of the agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Partner {
    /// What was agreed.
    pub agreement: Agreement,
    /// What happened since.
    pub history: History,
    /// Where it is written down.
    pub source: Source,
}

impl Partner {
    /// The last day, renewals counted.
    pub fn last_day(&self) -> Day {
        last_day(&self.agreement, &self.history)
    }
}

/// Under which agreements a place is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Coverage {
    /// It belongs to the own organisation.
    Own,
    /// Under none.
    Missing,
    /// Under these. All of them have to be in force.
    Under(Vec<(PartnerName, Standing)>),
}

impl Coverage {
    /// Whether anything may cross from or to the place.
    pub fn permits(&self) -> bool {
        match self {
            Self::Own => true,
            Self::Missing => false,
            Self::Under(partners) => partners.iter().all(|(_, standing)| standing.permits()),
        }
    }

    /// Why nothing may cross, in the operator's words; none if something may.
    pub fn obstacle(&self) -> Option<String> {
        match self {
            Self::Own => None,
            Self::Missing => Some("no agreement covers it: describe the partner under `partners`".to_owned()),
            Self::Under(partners) => {
                let first = partners.iter().find(|(_, standing)| !standing.permits());
                first.map(|(name, standing)| format!("the agreement with {name} {standing}"))
            }
        }
    }
}

/// The policies that follow from the agreements of one place, to be asked besides the operator's own.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Terms {
    /// For what comes from the place: who may speak there, and the highest label.
    pub inward: Policy,
    /// For what goes to the place: the highest label.
    pub outward: Policy,
}

/// Something the operator should be told, once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Due {
    /// The partner.
    pub partner: PartnerName,
    /// What.
    pub what: DueWhat,
    /// The last day of what ends.
    pub last_day: Day,
    /// What is remembered as told, this and what it makes superfluous.
    pub(crate) told: Vec<String>,
}

impl Due {
    /// What the operator is told.
    pub fn say(&self, language: Language) -> String {
        let (text, days) = match self.what {
            DueWhat::Began => (Text::AgreementBegan, 0),
            DueWhat::Ends(days) => (Text::AgreementEnds, days),
            DueWhat::Ended => (Text::AgreementEnded, 0),
            DueWhat::ContractEnds(days) => (Text::ContractEnds, days),
            DueWhat::ContractEnded => (Text::ContractEnded, 0),
        };
        let (until, days) = (day(self.last_day, language), days.to_string());
        text.say(
            language,
            &[("partner", self.partner.as_str()), ("until", &until), ("days", &days)],
        )
    }
}

/// What there is to tell of an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DueWhat {
    /// It came into force.
    Began,
    /// It ends after so many days (one of [`WARNINGS`]).
    Ends(u32),
    /// Its processing contract ends after so many days.
    ContractEnds(u32),
    /// Its processing contract has ended: nothing crosses.
    ContractEnded,
    /// It has ended: nothing crosses, and it should be wound up.
    Ended,
}

/// All agreements, and the networks they are about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Register {
    networks: Networks,
    partners: BTreeMap<PartnerName, Partner>,
}

impl Register {
    /// A register of these networks and partners.
    pub fn new(networks: Networks, partners: BTreeMap<PartnerName, Partner>) -> Self {
        Self { networks, partners }
    }

    /// All networks.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// All partners, by name.
    pub fn partners(&self) -> &BTreeMap<PartnerName, Partner> {
        &self.partners
    }

    /// One partner.
    pub fn partner(&self, name: &PartnerName) -> Option<&Partner> {
        self.partners.get(name)
    }

    /// How a partner's agreement stands.
    pub fn standing(&self, name: &PartnerName, now: Timestamp) -> Option<Standing> {
        let partner = self.partners.get(name)?;
        Some(standing(&partner.agreement, &partner.history, &self.networks, now))
    }

    /// Whether a place belongs to the own organisation: the homeserver, and networks declared as such.
    pub fn is_own(&self, place: &Place) -> bool {
        place.network.is_matrix() || self.networks.get(&place.network).is_some_and(|facts| facts.own)
    }

    /// The partners whose agreements a place is under, also those that are wound up.
    pub fn covering<'a>(&'a self, place: &'a Place) -> impl Iterator<Item = (&'a PartnerName, &'a Partner)> {
        let own = self.is_own(place);
        self.partners
            .iter()
            .filter(move |(_, partner)| !own && partner.agreement.covers(place))
    }

    /// The one partner in whose name records about a place are kept: the first that covers it, or the own organisation.
    pub fn keeper(&self, place: &Place) -> PartnerName {
        let first = self.covering(place).next();
        first.map_or_else(PartnerName::own, |(name, _)| name.clone())
    }

    /// The partner on the way from one place to another, in whose name records of it are kept: of the place it goes to, or of
    /// the one it comes from.
    pub fn keeper_between(&self, from: &Place, to: &Place) -> PartnerName {
        self.keeper(if self.is_own(to) { from } else { to })
    }

    /// Under which agreements a mirror's member is, and how these stand. A wound-up agreement no longer counts where another
    /// one covers the place.
    pub fn standing_of(&self, place: &Place, now: Timestamp) -> Coverage {
        if self.is_own(place) {
            return Coverage::Own;
        }
        let mut under: Vec<_> = self
            .covering(place)
            .filter_map(|(name, _)| Some((name.clone(), self.standing(name, now)?)))
            .collect();
        if under.iter().any(|(_, standing)| *standing != Standing::Offboarded) {
            under.retain(|(_, standing)| *standing != Standing::Offboarded);
        }
        if under.is_empty() {
            Coverage::Missing
        } else {
            Coverage::Under(under)
        }
    }

    /// Whether the partnerships that a place was under are all wound up.
    pub fn is_wound_up(&self, place: &Place) -> bool {
        let mut covering = self.covering(place).peekable();
        covering.peek().is_some() && covering.all(|(_, partner)| partner.history.offboarded.is_some())
    }

    /// The policies that follow from the agreements of a place; none for the own organisation. Where nothing may cross they
    /// admit nobody.
    pub fn terms_of(&self, place: &Place, now: Timestamp) -> Option<Terms> {
        if self.is_own(place) {
            return None;
        }
        let permits = self.standing_of(place, now).permits();
        let mut admitted = Group::default();
        let mut terms = Terms::default();
        let open = self
            .covering(place)
            .filter(|(name, _)| permits && self.standing(name, now).is_some_and(|standing| standing.permits()));
        for (_, partner) in open {
            let agreement = &partner.agreement;
            admitted.people.extend(agreement.people.iter().cloned());
            admitted.organisations.extend(agreement.organisations.iter().cloned());
            for policy in [&mut terms.inward, &mut terms.outward] {
                lower_ceiling(policy, agreement);
                lower_floor(policy, agreement);
            }
        }
        let closed = admitted == Group::default();
        for (policy, admits) in [(&mut terms.inward, true), (&mut terms.outward, closed)] {
            if admits {
                policy.groups.insert(PARTNERS.to_owned(), admitted.clone());
                policy.admit = Some(vec![PARTNERS.to_owned()]);
            }
        }
        Some(terms)
    }

    /// Whether somebody at a place may speak, by the agreements alone; if not, why.
    ///
    /// # Errors
    ///
    /// Why not, in the operator's words.
    pub fn admits(&self, place: &Place, person: &Person, now: Timestamp) -> Result<(), String> {
        if let Some(obstacle) = self.standing_of(place, now).obstacle() {
            return Err(obstacle);
        }
        let Some(terms) = self.terms_of(place, now) else {
            return Ok(());
        };
        let to = Place::new(viaduct_model::NetworkName::matrix(), place.channel.clone());
        let Ok(id) = MessageId::new("admits") else {
            return Err("the question could not be put".to_owned());
        };
        let outbound = Outbound {
            key: DeliveryKey::derive(place, &id, &to),
            to,
            from: place.clone(),
            author: Author {
                person: person.clone(),
                display: String::new(),
            },
            at: now,
            content: Content::Opened,
            parts: Vec::new(),
        };
        match Filter::new(terms.inward).decide(outbound) {
            Decision::Pass { .. } => Ok(()),
            Decision::Hold(verdict) | Decision::Refuse(verdict) => Err(verdict.reason),
        }
    }

    /// What the operator should be told now and was not told before. Of several warnings that are due at once, because the
    /// hub was down, only the last is given.
    pub fn due(&self, now: Timestamp) -> Vec<Due> {
        let mut due = Vec::new();
        for (name, partner) in &self.partners {
            match self.standing(name, now) {
                None | Some(Standing::Draft(_) | Standing::NotYet | Standing::Offboarded) => {}
                Some(_) if partner.history.offboarding => {}
                Some(standing) => tell(&mut due, name, partner, &standing, now),
            }
        }
        due
    }
}

/// The group of everybody whom the agreements admit.
const PARTNERS: &str = "partners";

/// Of several agreements about one place the lowest ceiling counts.
fn lower_ceiling(policy: &mut Policy, agreement: &Agreement) {
    let height = |labels: &[String], ceiling: &str| labels.iter().position(|label| label == ceiling);
    let lower = match &policy.ceiling {
        None => true,
        Some(known) => height(&policy.labels, known) > height(&agreement.labels, &agreement.ceiling),
    };
    if lower {
        policy.labels.clone_from(&agreement.labels);
        policy.ceiling = Some(agreement.ceiling.clone());
    }
}

/// Of several agreements about one place the one that asks for encryption soonest counts. Called after [`lower_ceiling`]: a label
/// that is not among the policy's asks for it in any case.
fn lower_floor(policy: &mut Policy, agreement: &Agreement) {
    let height = |label: &String| policy.labels.iter().position(|step| step == label);
    let Some(floor) = &agreement.encrypted_from else {
        return;
    };
    if policy
        .encrypted_from
        .as_ref()
        .is_none_or(|known| height(floor) < height(known))
    {
        policy.encrypted_from = Some(floor.clone());
    }
}

fn tell(due: &mut Vec<Due>, name: &PartnerName, partner: &Partner, standing: &Standing, now: Timestamp) {
    let last = partner.last_day();
    let mut add = |what: DueWhat, last_day: Day, told: Vec<String>| {
        // The last of them is the one that is said.
        if told.last().is_some_and(|key| !partner.history.told.contains(key)) {
            due.push(Due {
                partner: name.clone(),
                what,
                last_day,
                told,
            });
        }
    };
    if *standing == Standing::Ended {
        add(DueWhat::Ended, last, vec![format!("{last}/ended")]);
        return;
    }
    if standing.permits() {
        add(DueWhat::Began, last, vec!["began".to_owned()]);
    }
    let contract = partner.agreement.contract.as_ref().map(|contract| contract.valid_until);
    let contract = contract.filter(|contract| *contract < last);
    let ends = [
        ("", last, DueWhat::Ends as fn(u32) -> DueWhat),
        ("contract/", contract.unwrap_or(last), DueWhat::ContractEnds),
    ];
    // A contract that outlives the agreement is no matter.
    for (prefix, last, what) in ends.into_iter().take(if contract.is_some() { 2 } else { 1 }) {
        let left = days_left(last, now);
        let passed: Vec<u32> = WARNINGS.into_iter().filter(|days| left <= *days).collect();
        if left == 0 {
            add(DueWhat::ContractEnded, last, vec![format!("{prefix}{last}/ended")]);
        } else if let Some(days) = passed.last() {
            let told = passed.iter().map(|days| format!("{prefix}{last}/{days}")).collect();
            add(what(*days), last, told);
        }
    }
}
