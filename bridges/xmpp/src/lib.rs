//! XMPP networks: rooms (XEP-0045) and chats between two people, as a component (XEP-0114) of a server that the operator runs,
//! or as a client with an ordinary account where a partner grants only that.
//!
//! | part | holds |
//! |---|---|
//! | [`config`] | the configuration section; its doc comments are the reference |
//! | [`xep`] | payloads that the parser library lacks, one module each, named after its extension |
//! | [`convert`] | stanzas ↔ events, styling ↔ rich text; pure |
//! | [`client`] | the wire: either kind of stream, resumption, keep-alive, requests and their answers |
//! | `session` | the bridge contract: rooms, puppets, delivery, catch-up, direct chats |
//!
//! # How it works
//!
//! The hub sits in every mirrored room under its own nick and reads the room from there. As a component, everybody else it
//! speaks for is a *puppet*: an occupant with an address of the component's domain and a nick of its own, made when first
//! needed. Puppets get a copy of everything, too; those copies are dropped unread. As a client there are no puppets: the hub
//! says who speaks, in the text.
//!
//! - **Ids.** An event's id is the room's stanza-id (XEP-0359); in rooms without, its sender and the id they gave it.
//! - **People** are known by their real address where the room shows it, else by occupant-id (XEP-0421), else by nick. Their
//!   pictures are those they announce (XEP-0153), or, where the room shows their address, have published (XEP-0084); they are
//!   fetched only when a side asks for them. Puppets have both, made small enough for what servers take at once.
//! - **Delivery.** A stanza carries its delivery key as `id` and origin-id. It counts as delivered when the room shows it.
//!   With an unknown outcome the room's archive is searched for the key, among messages of the hub's own only.
//! - **What does not arrive** elsewhere is told to its sender by a private message of the hub's.
//! - **Private chats.** A puppet is written to like anybody. Where there are no puppets people write to the hub: an answer is
//!   for whoever wrote what it answers, or is named at its beginning (`Ada: …`, `@ada:example.org …`), or is the only one the
//!   sender talks with. What may be for several reaches nobody, and its sender is asked whom they mean.
//! - **Reactions** are sets: a stanza carries all of one person. For people without puppets the hub's one set holds whatever at
//!   least one of them has given.
//! - **Catch-up.** After entering a room, its archive is read from the cursor to the end, page by page; live messages wait
//!   meanwhile and follow. A room that forgot the hub is noticed by self-ping (XEP-0410). A destroyed room is not made anew:
//!   the hub comes back when it is invited, or when it starts again.
//! - **A client's broken connection** is taken up again (XEP-0198) within `timeouts.resume`, without anybody noticing; after
//!   that, or if the server has forgotten it, the session starts over.
//! - **Styling** (XEP-0393) cannot be escaped: literal text that looks like it is marked as unstyled, or guarded with an
//!   invisible character; see [`convert::styling`]. XHTML-IM (XEP-0071) is read and never written.
//! - **Files** are uploaded (XEP-0363) and announced in both ways that clients know (0066, 0447). They are fetched only from
//!   hosts that the operator names.
//! - **Throughput.** Whatever the socket has at a time is pushed at once.
//!
//! # Large rooms
//!
//! *n* puppets in a room cost its server *n*² presences once, when they enter, and every message *n* copies. The bridge reads
//! one of each and passes over the others before they are parsed, and has few of them under way at a time. Prosody, which works
//! on one processor, makes none of the others with the module `prosody/mod_viaduct_puppets.lua` of this folder. Without, it
//! needs little more than half the time if it collects its garbage by generations. ejabberd needs `max_users` of `mod_muc`
//! raised above its 200. `deploy/xmpp.md` says how all that is set up.
//!
//! For 1,000 puppets Prosody takes about 20 s of one processor without the module and 1 s with it, ejabberd 13 s of all it has
//! (`cargo test --release -p viaduct-xmpp --test real -- --ignored --nocapture figure_puppets`).
//!
//! # Configuration
//!
//! ```
//! let section: viaduct_xmpp::config::Section = serde_json::from_value(serde_json::json!({
//!     "component": { "domain": "matrix.example.org", "secret_file": "/etc/viaduct/xmpp-secret" },
//!     "muc_services": ["conference.example.org"],
//!     "upload_service": "upload.example.org",
//!     "file_hosts": ["upload.example.org"],
//! }))?;
//! assert!(section.check().is_empty());
//!
//! let section: viaduct_xmpp::config::Section = serde_json::from_value(serde_json::json!({
//!     "account": { "address": "bridge@partner.example", "password_file": "/etc/viaduct/partner-password" },
//!     "muc_services": ["rooms.partner.example"],
//!     "relay_form": "{name}: {text}",
//! }))?;
//! assert!(section.check().is_empty());
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! # Extending
//!
//! A new payload is a module of [`xep`]. If it says something new, it is a variant of [`convert::incoming::Says`], and the
//! compiler shows where the session has to decide about it; on the way out it is a function of [`convert::outgoing`]. What
//! rooms can then express is stated in `capabilities`, and the conformance kit holds it to that.
//!
//! # What is not here
//!
//! End-to-end encrypted messages are labelled, not read. Calls are told of, not carried.

mod capabilities;
pub mod client;
pub mod config;
pub mod convert;
mod factory;
mod files;
mod session;
mod telemetry;
pub mod xep;

pub use factory::XmppFactory;
pub use session::{Xmpp, XmppSession};
