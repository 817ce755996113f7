//! How a delivery ended, and what is to be committed with that.

use viaduct_audit::Entry;
use viaduct_governance::Step;
use viaduct_model::{Receipt, Timestamp};
use viaduct_store::{Copied, DeliveryState};

use crate::deliver::Sending;
use crate::ledger::Trace;
use crate::telemetry;

/// How a delivery ended.
#[derive(Debug)]
pub(crate) struct End {
    /// What arrived there.
    pub(crate) copied: Option<Copied>,
    pub(crate) record: Option<(DeliveryState, String)>,
    /// Its entry in the ledger, if one is kept.
    pub(crate) trace: Option<Box<Trace>>,
    /// What is to be committed with it.
    pub(crate) step: Step,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Delivered,
    Nothing,
    Recorded,
    /// The hub is stopping: the delivery is left as it is.
    Stopped,
}

impl End {
    pub(crate) fn nothing() -> Self {
        Self {
            copied: None,
            record: None,
            trace: None,
            step: Step::default(),
            kind: Kind::Nothing,
        }
    }

    pub(crate) fn delivered(sending: Sending, receipt: Receipt) -> Self {
        Self::arrived_as(Copied {
            from: sending.source,
            id: sending.id,
            ids: receipt.ids,
        })
    }

    /// It is at its destination, for instance because it was seen there.
    pub(crate) fn arrived_as(copied: Copied) -> Self {
        Self {
            copied: (!copied.ids.is_empty()).then_some(copied),
            record: None,
            trace: None,
            step: Step::default(),
            kind: Kind::Delivered,
        }
    }

    pub(crate) fn recorded(state: DeliveryState, reason: String) -> Self {
        Self {
            copied: None,
            record: Some((state, reason)),
            trace: None,
            step: Step::default(),
            kind: Kind::Recorded,
        }
    }

    pub(crate) fn stopped() -> Self {
        Self {
            copied: None,
            record: None,
            trace: None,
            step: Step::default(),
            kind: Kind::Stopped,
        }
    }

    /// With what is to be committed with it, and its entries instead of the delivery's own.
    pub(crate) fn with(self, step: Step) -> Self {
        Self {
            step,
            trace: None,
            ..self
        }
    }

    /// What was held even after its release is refused: nobody would release it again.
    pub(crate) fn not_held(self) -> Self {
        match self.record {
            Some((DeliveryState::Held, reason)) => Self {
                record: Some((DeliveryState::Refused, reason)),
                step: Step::default(),
                ..self
            },
            _ => self,
        }
    }

    /// With its entry in the ledger.
    pub(crate) fn traced(self, trace: Option<Box<Trace>>) -> Self {
        Self { trace, ..self }
    }

    /// Its entries in the ledger, if one is kept.
    pub(crate) fn entries(&mut self, at: Timestamp) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut self.step.entries);
        if let Some(trace) = self.trace.take() {
            entries.extend(trace.settled(at, self));
        }
        entries
    }

    /// Whether the destination took it.
    pub(crate) fn arrived(&self) -> bool {
        self.kind == Kind::Delivered
    }

    /// None if the hub is stopping and nothing may be written down.
    pub(crate) fn into_settled(self) -> Option<Self> {
        (self.kind != Kind::Stopped).then_some(self)
    }

    /// The outcome's name in metrics.
    pub(crate) fn name(&self) -> &'static str {
        match (&self.record, self.kind) {
            (Some((DeliveryState::Held, _)), _) => "held",
            (Some((DeliveryState::Refused, _)), _) => "refused",
            (Some((DeliveryState::Failed, _)), _) => "failed",
            (Some((DeliveryState::Unknown, _)), _) => "unknown",
            (None, Kind::Nothing) => "nothing",
            (None, _) => telemetry::DELIVERED,
        }
    }
}
