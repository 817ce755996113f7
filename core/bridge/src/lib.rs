//! The contract between the engine and every side of a mirror.
//!
//! A *side* is one configured network, or the homeserver. The engine knows each only as a [`Session`]; a session knows the
//! engine only through its [`Context`]. Data flows two ways and no other:
//!
//! ```text
//!   network ──▶ Session::run ──▶ Inbox::push ──▶ journal          (await the Ticket, then acknowledge upstream)
//!   network ◀── Session::deliver ◀── Cleared<Outbound> ◀── engine (the Receipt settles the delivery)
//! ```
//!
//! # Writing a bridge
//!
//! 1. Make a folder `bridges/NAME` with three parts: `convert` (pure: rich text and ids, no I/O), `client` (the wire) and
//!    `session` (this contract).
//! 2. Implement [`Factory`]: the kind's name, the schema of its configuration section, and how a session is opened.
//! 3. Implement [`Session`]: `run`, `deliver`, `capabilities`, `probe`; the other methods have defaults that say "not here".
//! 4. Add the folder to the workspace, one line to the registry in `core/cli`, one row to the conformance table in `tests`.
//!
//! # Rules every session keeps
//!
//! - **Order.** Events of one channel are pushed in the channel's order; history before what is live. After a reconnect, a
//!   session fetches from [`Inbox::cursor`] to the end before it pushes live events of that channel.
//! - **Acknowledge after the ticket.** Upstream is acknowledged only after the [`Ticket`] of the event resolved.
//! - **Never lose, never leave.** A transient error is a [`DeliveryError`] with [`Failure::Retry`]; it never leaves a room.
//! - **Echo.** What the session itself sent is not pushed again, or is pushed with [`Event::echo_of`] set.
//! - **Total.** Remote input is data. It cannot panic a parser or make the hub fetch an address the operator did not allow.
//! - **Quick stop.** When [`Context::stop`] is cancelled, `run` returns within five seconds with open deliveries finished.
//!
//! The feature `conformance` adds the kit that holds every bridge to these rules, see its module `conformance`, and a small hub
//! for a bridge's own tests, see `testing`.
//!
//! [`Event::echo_of`]: viaduct_model::Event::echo_of

#[cfg(feature = "conformance")]
pub mod conformance;
mod context;
mod error;
mod media;
mod pace;
pub mod secret;
mod session;
#[cfg(feature = "conformance")]
pub mod testing;

pub use context::{Connection, Context, Inbox, InboxClosed, State, StateError, Ticket};
pub use error::{DeliveryError, Failure, SessionError};
pub use media::{Media, MediaError, MediaSource, MediaStream, bounded};
pub use pace::{Pacer, Rate, Turn};
pub use session::{AppFile, Factory, Feedback, OpenError, Outcome, Probe, ProbeStatus, Session};
