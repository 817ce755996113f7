//! The pages there are, and who is offered which.

use viaduct_governance::PartnerName;
use viaduct_model::Language;

use super::texts::{self, Text};
use crate::access::Caller;
use crate::order::Order;
use crate::role::Act;

/// A page in the menu.
pub(crate) struct Entry {
    pub path: &'static str,
    pub title: Text,
    may: fn(&Caller) -> bool,
}

/// All of them, the most urgent first.
const ALL: [Entry; 9] = [
    Entry {
        path: "/console",
        title: texts::OVERVIEW,
        may: |caller| caller.may(&Act::Status).is_ok(),
    },
    Entry {
        path: "/console/quarantine",
        title: texts::QUARANTINE,
        may: |caller| may(caller, &Order::Held),
    },
    Entry {
        path: "/console/partners",
        title: texts::PARTNERS,
        may: |caller| may(caller, &Order::Partners),
    },
    Entry {
        path: "/console/mirrors",
        title: texts::MIRRORS,
        may: |caller| caller.may(&Act::Status).is_ok(),
    },
    Entry {
        path: "/console/deliveries",
        title: texts::DELIVERIES,
        may: |caller| caller.may(&Act::Deliveries).is_ok(),
    },
    Entry {
        path: "/console/policies",
        title: texts::POLICIES,
        may: |caller| may(caller, &Order::Disputed { since: None }),
    },
    Entry {
        path: "/console/ledger",
        title: texts::LEDGER,
        may: |caller| caller.may(&Act::Ledger).is_ok(),
    },
    Entry {
        path: "/console/rights",
        title: texts::RIGHTS,
        may: |caller| may(caller, &Order::Holds),
    },
    Entry {
        path: "/console/reports",
        title: texts::REPORTS,
        may: |caller| may(caller, &record()),
    },
];

fn may(caller: &Caller, order: &Order) -> bool {
    caller.may(&Act::Order(order)).is_ok()
}

/// The order that whoever may read reports may give.
pub(crate) fn record() -> Order {
    Order::ProcessingRecord {
        language: Language::English,
    }
}

/// The end of a partnership, as an order.
pub(crate) fn offboard(name: &PartnerName) -> Order {
    Order::Offboard {
        name: name.clone(),
        by: String::new(),
    }
}

/// The pages that somebody may see.
pub(crate) fn entries(caller: &Caller) -> impl Iterator<Item = Entry> {
    ALL.into_iter().filter(|entry| (entry.may)(caller))
}

/// Whether a path is a page's, or of something within it.
pub(crate) fn is_current(entry: &Entry, path: &str) -> bool {
    let rest = path.strip_prefix(entry.path);
    rest.is_some_and(|rest| rest.is_empty() || entry.path != "/console" && rest.starts_with('/'))
}
