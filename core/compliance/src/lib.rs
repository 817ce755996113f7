//! Policies and decisions: what may cross, decided by pure functions of an event and a policy.
//!
//! This is the only crate that can make a [`Cleared`]; senders accept nothing else. A [`Filter`] turns an outbound event
//! into a [`Decision`]: cleared (perhaps changed), held for a second person, or refused.
//!
//! ```compile_fail
//! // Nobody else can clear anything:
//! let cleared = viaduct_compliance::Cleared { inner: 1 };
//! ```

mod cleared;
mod decision;
mod policy;

pub use cleared::Cleared;
pub use decision::{Decision, Finding, Verdict};
pub use policy::{Direction, Filter, Policy, Rule, RuleAction};
