//! What its sender sends all the same, because every rule that stopped it allows that.

use viaduct_audit::Action;
use viaduct_compliance::{Approval, JUSTIFICATION};
use viaduct_model::Timestamp;

use super::{Held, HeldState, Quarantine};
use crate::GovernanceError;
use crate::agreements::reason_given;
use crate::step::{Step, keep};

impl Quarantine {
    /// The step by which a sender lets go what is held under a [number](super::HeldId::number), and what that is. The entry's actor is
    /// the pseudonym under which it was held. The policies are asked once more on the way, and only rules that allow it give
    /// way.
    ///
    /// # Errors
    ///
    /// [`GovernanceError::NotHeld`] if nothing of theirs waits under this number; [`GovernanceError::NotAllowed`] if a rule
    /// that stopped it does not allow it, or the reason is too short.
    pub async fn override_held(
        &self,
        number: u32,
        approval: &Approval<'_>,
        now: Timestamp,
    ) -> Result<(Held, Step), GovernanceError> {
        let mut held = self.sent(number, approval.approver).await?;
        if !held.release.by_sender() {
            let why = "a rule that stopped it does not let its sender decide".to_owned();
            return Err(GovernanceError::NotAllowed(why));
        }
        if !approval.is_justified() {
            let why = format!("give a reason of at least {JUSTIFICATION} characters");
            return Err(GovernanceError::NotAllowed(why));
        }
        let reason = reason_given(approval.reason)?;
        let mut entry = held.entry(Action::Released, now);
        entry.actor.clone_from(&held.sender);
        entry.findings.clone_from(&held.findings);
        entry.reason = Some(reason.clone());
        held.state = HeldState::Released {
            approver: approval.approver.to_owned(),
            reason,
        };
        let step = Step::entry(entry).with(keep(&held.id.record(), Some(&held))?);
        Ok((held, step))
    }

    /// What waits under a number and was sent by this user of the homeserver.
    async fn sent(&self, number: u32, sender: &str) -> Result<Held, GovernanceError> {
        let mut found = Vec::new();
        for held in self.list().await? {
            if held.id.number() != number || held.state != HeldState::Waiting {
                continue;
            }
            // Their pseudonym would do as long as its key lasts; what they sent says it as long as it is held.
            let event = match self.event(&held).await {
                Ok(event) => event,
                Err(GovernanceError::NoKey(_)) => continue,
                Err(error) => return Err(error),
            };
            if event.sender.network.is_matrix() && event.sender.id.as_str() == sender {
                found.push(held);
            }
        }
        let several = found.len() > 1;
        match found.pop() {
            Some(held) if !several => Ok(held),
            Some(_) => Err(GovernanceError::NotAllowed(
                "several messages have this number".to_owned(),
            )),
            None => Err(GovernanceError::NotHeld(number.to_string())),
        }
    }
}
