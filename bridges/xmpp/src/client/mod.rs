//! The wire: one stream, with keep-alive, and requests with their answers.
//!
//! [`component::connect`] and [`account::connect`] log in and give a [`link::Link`]; the link's task moves stanzas between the
//! socket and two bounded queues. [`wire::Wire`] is the handle that everything else sends through.
//!
//! | part | holds |
//! |---|---|
//! | [`component`] | logging in as a component (XEP-0114) |
//! | [`account`] | logging in as a client (RFC 6120), with `tls` and `login` (SASL) |
//! | [`link`] | the running stream, whichever it is |
//! | `resume` | counting what arrived, so that a client's broken connection goes on (XEP-0198) |
//! | `namespace` | the namespace of a client's stanzas ↔ the one that the parser library is built for |
//! | `sift` | drops copies of what the hub is told anyway, while they are read |
//! | `skim` | takes most of them out even before |
//! | `bounded` | refuses endless stanzas |
//! | [`wire`] | sending, and requests with their answers |

pub mod account;
mod bounded;
pub mod component;
pub mod link;
mod login;
mod namespace;
mod resume;
mod sift;
mod skim;
mod tls;
pub mod wire;
mod words;
