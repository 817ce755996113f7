//! What can go wrong, in the operator's words.

use viaduct_audit::LedgerError;
use viaduct_store::StoreError;

use crate::PartnerName;

/// Why something could not be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GovernanceError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger, or the folder of keys, failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no such partner.
    #[error("there is no partner {0}; `viaduct partner list` shows all")]
    NoPartner(PartnerName),
    /// A partner of this name is already there.
    #[error("there is already a partner {0}; renew it, or change it in the configuration")]
    Exists(PartnerName),
    /// Nothing is held under this id.
    #[error("nothing is held under {0}")]
    NotHeld(String),
    /// Somebody may not do this, or not alone.
    #[error("{0}")]
    NotAllowed(String),
    /// What was asked for makes no sense; what does.
    #[error("{0}")]
    Invalid(String),
    /// A partner's key is gone, or never was there: what was sealed with it cannot be read any more.
    #[error("there is no content key of {0}; what was sealed with it cannot be read any more")]
    NoKey(PartnerName),
    /// What was sealed does not open: another hub key, or damaged bytes.
    #[error("what was sealed for {0} does not open; is this the hub's own key file, and the store undamaged?")]
    Sealed(PartnerName),
    /// Something stored cannot be read.
    #[error("a stored record ({key}) cannot be read: {detail}")]
    Damaged {
        /// Its key.
        key: String,
        /// What was seen.
        detail: String,
    },
    /// A network or the homeserver could not be asked now; the work goes on where it stopped.
    #[error("{0}; it goes on from there when it is started again")]
    Later(String),
}

impl GovernanceError {
    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid(what.into())
    }
}
