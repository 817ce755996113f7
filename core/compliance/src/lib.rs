//! Policies and decisions: what may cross, decided by pure functions of an event and a policy.
//!
//! This is the only crate that can make a [`Cleared`]; senders accept nothing else. A [`Filter`] turns an outbound event
//! into a [`Decision`]: cleared (perhaps changed), held for a second person, or refused.
//!
//! ```compile_fail
//! // Nobody else can clear anything:
//! let cleared = viaduct_compliance::Cleared { inner: 1 };
//! ```
//!
//! ```
//! use viaduct_compliance::{Decision, Filter, Policy};
//! # use viaduct_model::*;
//! # fn message(text: &str) -> Outbound {
//! #     let place = |network: &str| Place::new(NetworkName::new(network).unwrap(), ChannelId::new("c").unwrap());
//! #     let id = MessageId::new("m").unwrap();
//! #     let person = Person {
//! #         network: NetworkName::matrix(), id: PersonId::new("@a:b").unwrap(), name: "a".into(),
//! #         avatar: None, organisation: None, bot: false,
//! #     };
//! #     Outbound {
//! #         key: DeliveryKey::derive(&place("matrix"), &id, &place("acme")), to: place("acme"), from: place("matrix"),
//! #         author: Author { person, display: "a".into() }, at: Timestamp(0),
//! #         content: Content::Message(Message::plain(text)), parts: Vec::new(),
//! #     }
//! # }
//! let policy: Policy = serde_norway::from_str("
//!   rules:
//!     - name: accounts
//!       detectors: [iban]
//!       action: mask
//!       examples: { match: ['DE89 3704 0044 0532 0130 00'], pass: ['DE89'] }
//! ").unwrap();
//! assert!(policy.test().unwrap().iter().all(|result| result.is_good()));
//! let filter = Filter::compile(policy).unwrap();
//! match filter.decide(message("Bitte auf DE89 3704 0044 0532 0130 00")) {
//!     Decision::Pass { outbound, findings } => {
//!         let message = outbound.content.message().unwrap();
//!         assert_eq!(message.body.to_plain(), "Bitte auf ████ ████ ████ ████ ████ ██");
//!         assert_eq!(findings[0].sorts, ["iban"]);
//!     }
//!     Decision::Hold(verdict) | Decision::Refuse(verdict) => panic!("{verdict:?}"),
//! }
//! ```
//!
//! # The way of a decision
//!
//! ```text
//! Outbound ─▶ parts: every text a reader could see ─▶ views: normalised, folded ─▶ scan: detectors, patterns, words
//!                                                                                        │
//! Context (time, labels, previous wording, evidence about files) ──▶ admit, barriers, labels, rules
//!                                                                                        │
//!                     Cleared, Hold, Refuse  ◀── the strictest wins ◀── mask, strip ◀────┘
//! ```
//!
//! | module | reason |
//! |---|---|
//! | `policy` | what an operator writes |
//! | `context` | what a decision may know besides the event |
//! | `text` | every text of an event, normalised against evasion, with the way back to the original characters |
//! | `detect` | one detector a file |
//! | `scan` | one pass over a text for all rules together |
//! | `protect` | lists of keyed hashes: values and fingerprints of documents |
//! | `compile` | a policy made ready, and what can be wrong with it |
//! | `rules` | whether one rule matches |
//! | `policy_list` | whom a policy room does not want |
//! | `filter` | what one policy makes of an event |
//! | `decide` | what all policies on its way make of it together, and who may let go what they hold |
//! | `examples` | the rules' own tests |
//!
//! A decision looks at no clock, disk or network. Making a policy ready reads the lists that it names, and nothing else.
//!
//! # Extending
//!
//! A new detector is a file in `detect` with a function from text to places and the tests that show its precision, a variant
//! of [`Detector`] and a line in its table. A new condition is a field of [`Rule`] and a line in `filter`; a new text that
//! crosses is a line in `text::parts`, and nothing else, because reading and masking walk the same way.

mod cleared;
mod compile;
mod context;
mod decide;
mod decision;
mod detect;
mod examples;
mod filter;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
mod places;
mod policy;
mod policy_list;
pub mod protect;
mod rules;
mod scan;
mod text;
mod wildcard;

pub use cleared::Cleared;
pub use compile::PolicyError;
pub use context::{Approval, Context, Evidence, FileText, JUSTIFICATION, Member, Metadata, sniff};
pub use decide::{decide_all, release_all};
pub use decision::{Decision, Finding, Release, Verdict};
pub use detect::Detector;
pub use examples::{EventExample, Example, ExampleOutcome, ExampleResult, Examples, FileExample};
pub use filter::Filter;
pub use policy::{
    AttachmentCondition, Barrier, Dictionary, Direction, Fingerprints, Group, Mode, Overriding, Policy, Rule,
    RuleAction, ScanResult, TextPart, Values,
};
pub use policy_list::{EntityKind, ListRule, PolicyList};
