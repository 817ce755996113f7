//! What operators do with agreements while the hub runs. Every change is in the ledger, and takes effect at once.

use viaduct_governance::{Agreement, Agreements, Day, Office, PartnerName, Register};
use viaduct_model::Timestamp;

use crate::{Engine, EngineError, upkeep};

impl Engine {
    fn agreements(&self) -> Result<&Agreements, EngineError> {
        self.core.govern.agreements.as_ref().ok_or(EngineError::NoLedger)
    }

    /// An agreement changed: lanes go on, or rest.
    async fn agreements_changed(&self) -> Result<(), EngineError> {
        self.core.govern.changed();
        upkeep::look(&self.core).await?;
        for mirror in self.core.routes().mirrors() {
            self.core.wake_all(mirror);
        }
        Ok(())
    }

    /// All agreements as they stand, and the time it is for the hub.
    pub fn partners(&self) -> (std::sync::Arc<Register>, Timestamp) {
        (self.core.govern.register(), self.core.clock.now())
    }

    /// Makes an agreement; `by` is the Matrix user id of whoever does.
    ///
    /// # Errors
    ///
    /// If the name is taken, or no ledger is kept.
    pub async fn add_partner(&self, name: &PartnerName, agreement: Agreement, by: &str) -> Result<(), EngineError> {
        self.agreements()?.add(name, agreement, by).await?;
        self.agreements_changed().await
    }

    /// Lets an agreement go on until another day.
    ///
    /// # Errors
    ///
    /// If there is none, or the day is not later than its last.
    pub async fn renew_partner(&self, name: &PartnerName, until: Day, by: &str) -> Result<(), EngineError> {
        self.agreements()?.renew(name, until, by).await?;
        self.agreements_changed().await
    }

    /// Stops an agreement for now.
    ///
    /// # Errors
    ///
    /// If there is none, or no reason is given.
    pub async fn suspend_partner(&self, name: &PartnerName, reason: &str, by: &str) -> Result<(), EngineError> {
        self.agreements()?.suspend(name, reason, by).await?;
        self.agreements_changed().await
    }

    /// Takes a suspension by command back.
    ///
    /// # Errors
    ///
    /// If it was not suspended by command.
    pub async fn resume_partner(&self, name: &PartnerName, by: &str) -> Result<(), EngineError> {
        self.agreements()?.resume(name, by).await?;
        self.agreements_changed().await
    }

    /// Signs an agreement that was made by command.
    ///
    /// # Errors
    ///
    /// If there is none, or it is one of the configuration.
    pub async fn sign_partner(&self, name: &PartnerName, office: Office, by: &str) -> Result<(), EngineError> {
        self.agreements()?.sign(name, office, by).await?;
        self.agreements_changed().await
    }
}
