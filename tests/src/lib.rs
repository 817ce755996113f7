//! Real servers and stand-ins behind one launcher, and the people who talk through them.
//!
//! Nothing here is part of the hub. The crate knows the hub only from outside: as a program with a configuration file, an
//! appservice port and an admin port. So every scenario sees what an operator and the people in the rooms would see.
//!
//! | module | holds |
//! |---|---|
//! | [`launch`] | starts Synapse, IRC, XMPP and virus-scan servers, the stand-ins for Slack and Teams as programs and the hub itself: own directory, free loopback ports, bounded ready checks, stopped when dropped |
//! | [`people`] | a Matrix person (matrix-sdk), an IRC person (raw lines), an XMPP person (slixmpp), a Slack and a Teams person (the stand-ins' own doors) who speak, listen and expect |
//! | [`organisation`] | a homeserver and the hub beside it |
//! | [`world`] | a homeserver, an IRC and an XMPP server and a hub joined by mirrors, ready to talk |
//! | [`stub`] | a homeserver that answers at once, late, wrongly or not at all, and remembers all it was sent |
//! | [`stub_world`] | a hub between the stub homeserver and a load server, with numbered messages |
//! | [`kills`] | a hub that ends at any step of an event's way |
//! | [`load`] | an IRC and an XMPP server, a Slack and a Teams that can speak faster than any real one, and count what they hear |
//! | [`slack`] | a Slack of one's own: Web API, Socket Mode, signed events, faults on demand |
//! | [`teams`] | a Microsoft of one's own: login, connector, Graph, encrypted notifications, faults on demand |
//! | [`wait`] | waiting for a condition with a bound |
//!
//! # A new scenario
//!
//! Write `tests/tests/NAME.rs` with `#[tokio::test(flavor = "multi_thread")]` functions that return `anyhow::Result<()>`;
//! begin with [`launch::available`], so that a machine without the servers skips it and says why (with
//! `VIADUCT_REQUIRE=1`, as `tests/run` sets it, it fails instead). Wait with [`wait::wait_until`], never by sleeping. Then
//! name the file in the table of suites in `tests/run`.
//!
//! # A new server
//!
//! Write `src/launch/NAME.rs` with a `start` that finds the program with [`launch::program`], writes its configuration into
//! a [`launch::Place`], starts a [`launch::Process`] and waits until it is ready.

// matrix-sdk's futures nest deeper than the compiler looks by default.
#![recursion_limit = "256"]

pub mod kills;
pub mod launch;
pub mod load;
#[cfg(feature = "people")]
pub mod organisation;
pub mod people;
pub mod slack;
pub mod stub;
pub mod stub_world;
pub mod teams;
pub mod wait;
#[cfg(feature = "people")]
pub mod world;
