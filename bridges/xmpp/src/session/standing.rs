//! As what the hub appears on the network.

use viaduct_model::Person;
use xmpp_parsers::jid::{BareJid, FullJid, Jid};

use crate::config::Section;
use crate::convert::names::{ACCOUNT_RESOURCE, OWN_LOCAL, RESOURCE, puppet_address};

/// As what the hub appears on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    own: FullJid,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// It has a domain of its own, and can be anybody there.
    Component,
    /// It is one person on somebody else's server.
    Account,
}

impl Standing {
    /// As the section says; none if it names no possible address.
    pub fn of(section: &Section) -> Option<Self> {
        match (&section.component, &section.account) {
            (Some(component), _) => Some(Self {
                own: FullJid::new(&format!("{OWN_LOCAL}@{}/{RESOURCE}", component.domain)).ok()?,
                kind: Kind::Component,
            }),
            (None, Some(account)) => Some(Self {
                own: BareJid::new(&account.address)
                    .ok()?
                    .with_resource_str(ACCOUNT_RESOURCE)
                    .ok()?,
                kind: Kind::Account,
            }),
            (None, None) => None,
        }
    }

    /// The hub's own address.
    pub fn own(&self) -> &FullJid {
        &self.own
    }

    /// Whether it is a client with an ordinary account.
    pub fn is_account(&self) -> bool {
        self.kind == Kind::Account
    }

    /// The component's own domain, or the account's server.
    pub fn domain(&self) -> Jid {
        Jid::from(BareJid::from_parts(None, self.own.domain()))
    }

    /// Whether an address is the hub's own or a puppet's.
    pub fn owns(&self, address: &BareJid) -> bool {
        match self.kind {
            Kind::Component => address.domain() == self.own.domain(),
            Kind::Account => *address == self.own.to_bare(),
        }
    }

    /// The address of somebody's puppet; none where there are no puppets.
    pub fn puppet(&self, person: &Person) -> Option<BareJid> {
        match self.kind {
            Kind::Component if person.is_hub() => None,
            Kind::Component => puppet_address(self.own.domain().as_str(), person),
            Kind::Account => None,
        }
    }

    /// The address of whoever had this nick in former times, and is not known any more.
    pub fn former(&self, nick: &str) -> String {
        match self.kind {
            Kind::Component => format!("{nick}@{}", self.own.domain()),
            Kind::Account => self.own.to_bare().to_string(),
        }
    }
}
