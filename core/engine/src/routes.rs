//! Which place belongs to which mirror.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest, Sha256};
use viaduct_compliance::{Filter, Policy};
use viaduct_matrix::RoomSpec;
use viaduct_model::{ChannelId, MirrorName, NetworkName, Person, Place};

use crate::settings::{Flow, Forms, MirrorSpec, NamedPolicy, Policies, Settings};

/// The Matrix side of a mirror, named by the mirror and not by its room: a room can be upgraded to another, and the room of
/// a direct chat does not exist before the first message.
pub(crate) fn home_of(mirror: &MirrorName) -> Place {
    Place::new(NetworkName::matrix(), ChannelId::from(mirror))
}

/// A policy's name and the beginning of its hash: which wording of it decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyVersion(String);

impl PolicyVersion {
    /// The version of what is said under a name.
    pub(crate) fn of(name: &str, said: &impl Serialize) -> Self {
        let text = serde_json::to_vec(said).unwrap_or_default();
        let hash = Sha256::digest(&text);
        let mut version = format!("{name}@");
        for byte in hash.iter().take(6) {
            write!(version, "{byte:02x}").ok();
        }
        Self(version)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A filter and the version of the policy it was made of.
#[derive(Debug)]
pub(crate) struct Versioned {
    pub(crate) filter: Filter,
    pub(crate) version: PolicyVersion,
}

impl Versioned {
    pub(crate) fn of(name: &str, policy: &Policy) -> Arc<Self> {
        let filter = Filter::new(policy.clone());
        // A policy names the files of its lists; another list is another policy.
        let version = PolicyVersion::of(name, &(policy, filter.lists()));
        Arc::new(Self { filter, version })
    }
}

/// The filters of one member, ready to decide.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filters {
    /// Into the hub, in the order they are asked.
    pub(crate) inward: Vec<Arc<Versioned>>,
    /// Out of the hub.
    pub(crate) outward: Vec<Arc<Versioned>>,
}

impl Filters {
    fn of(policies: &[&Policies]) -> Self {
        let ready = |pick: fn(&Policies) -> Option<&NamedPolicy>| {
            policies
                .iter()
                .filter_map(|p| pick(p))
                .map(|named| Versioned::of(&named.name, &named.policy))
                .collect()
        };
        Self {
            inward: ready(|p| p.inward.as_ref()),
            outward: ready(|p| p.outward.as_ref()),
        }
    }
}

/// One side of a mirror.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) place: Place,
    pub(crate) flow: Flow,
    pub(crate) filters: Filters,
    pub(crate) forms: Arc<Forms>,
}

/// Where a mirror's room comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum RoomOrigin {
    /// The operator's wish.
    Configured(RoomSpec),
    /// A conversation between one remote person and one Matrix user.
    Direct {
        /// The remote person, if already known.
        person: Option<Person>,
        /// The Matrix user.
        with: String,
    },
}

/// One mirror at work. The first member is the Matrix side.
#[derive(Debug)]
pub(crate) struct Mirror {
    pub(crate) name: MirrorName,
    pub(crate) origin: RoomOrigin,
    pub(crate) members: Vec<Member>,
    /// The labels of what is said in it.
    pub(crate) labels: Vec<String>,
}

impl Mirror {
    fn new(name: MirrorName, origin: RoomOrigin, remote: Vec<Member>) -> Self {
        let home = Member {
            place: home_of(&name),
            flow: Flow::Both,
            filters: Filters::default(),
            forms: Arc::new(Forms::default()),
        };
        Self {
            name,
            origin,
            members: std::iter::once(home).chain(remote).collect(),
            labels: Vec::new(),
        }
    }

    /// Whether it is to be end-to-end encrypted. The homeserver side lets nothing cross unless its room is what it is to be.
    pub(crate) fn is_encrypted(&self) -> bool {
        matches!(&self.origin, RoomOrigin::Configured(spec) if spec.encrypted)
    }

    /// The member at a place.
    pub(crate) fn member(&self, place: &Place) -> Option<&Member> {
        self.members.iter().find(|member| member.place == *place)
    }

    /// The members to which something said at `source` goes.
    pub(crate) fn destinations<'a>(&'a self, source: &'a Place) -> impl Iterator<Item = &'a Member> {
        let reads = self.member(source).is_some_and(|member| member.flow.reads());
        self.members
            .iter()
            .filter(move |member| reads && member.flow.writes() && member.place != *source)
    }
}

/// All mirrors, by their sides. Never changed in place: a reload makes another.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    by_place: HashMap<Place, Arc<Mirror>>,
    by_name: HashMap<MirrorName, Arc<Mirror>>,
}

impl Routes {
    /// The configured mirrors.
    pub(crate) fn of(settings: &Settings) -> Self {
        let mut routes = Self::default();
        for spec in &settings.mirrors {
            routes.insert(configured(spec, settings));
        }
        routes
    }

    pub(crate) fn insert(&mut self, mirror: Mirror) {
        let mirror = Arc::new(mirror);
        for member in &mirror.members {
            self.by_place.insert(member.place.clone(), mirror.clone());
        }
        self.by_name.insert(mirror.name.clone(), mirror);
    }

    /// These routes with one mirror more.
    pub(crate) fn with(&self, mirror: Mirror) -> Self {
        let mut routes = Self {
            by_place: self.by_place.clone(),
            by_name: self.by_name.clone(),
        };
        routes.insert(mirror);
        routes
    }

    pub(crate) fn at(&self, place: &Place) -> Option<&Arc<Mirror>> {
        self.by_place.get(place)
    }

    pub(crate) fn named(&self, name: &MirrorName) -> Option<&Arc<Mirror>> {
        self.by_name.get(name)
    }

    /// The versions of all policies in force.
    pub(crate) fn policies(&self) -> BTreeSet<String> {
        let members = self.by_name.values().flat_map(|mirror| &mirror.members);
        let filters = members.flat_map(|member| member.filters.inward.iter().chain(&member.filters.outward));
        filters.map(|filter| filter.version.as_str().to_owned()).collect()
    }

    pub(crate) fn mirrors(&self) -> impl Iterator<Item = &Arc<Mirror>> {
        self.by_name.values()
    }
}

fn network_of<'a>(settings: &'a Settings, name: &NetworkName) -> Option<&'a crate::settings::NetworkSpec> {
    settings.networks.iter().find(|network| network.name == *name)
}

fn configured(spec: &MirrorSpec, settings: &Settings) -> Mirror {
    let members = spec
        .members
        .iter()
        .map(|member| {
            let network = network_of(settings, &member.place.network);
            let policies: Vec<_> = network
                .map(|n| &n.policies)
                .into_iter()
                .chain(std::iter::once(&member.policies))
                .collect();
            Member {
                place: member.place.clone(),
                flow: member.direction,
                filters: Filters::of(&policies),
                forms: Arc::new(network.map(|n| n.forms.clone()).unwrap_or_default()),
            }
        })
        .collect();
    Mirror {
        labels: spec.labels.clone(),
        ..Mirror::new(spec.name.clone(), RoomOrigin::Configured(spec.room.clone()), members)
    }
}

/// The mirror of a conversation between a remote person and a Matrix user.
pub(crate) fn direct(
    name: MirrorName,
    place: Place,
    person: Option<Person>,
    with: String,
    settings: &Settings,
) -> Mirror {
    let network = network_of(settings, &place.network);
    let member = Member {
        filters: Filters::of(&network.map(|n| &n.policies).into_iter().collect::<Vec<_>>()),
        forms: Arc::new(network.map(|n| n.forms.clone()).unwrap_or_default()),
        flow: Flow::Both,
        place,
    };
    Mirror::new(name, RoomOrigin::Direct { person, with }, vec![member])
}
