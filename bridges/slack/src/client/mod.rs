//! The wire: everything that speaks to Slack, and nothing that knows mirrors.
//!
//! | module | does |
//! |---|---|
//! | [`hosts`] | which hosts are Slack's; a token goes to no other |
//! | [`web`] | HTTP under `slack-morphism`'s Web API client: proxy, certificates, bounds, classes of error |
//! | [`pace`] | how often each method may be called |
//! | [`calls`], [`answers`] | the methods the bridge uses, and what they answer |
//! | [`payload`], [`enclosed`], [`loose`] | what Slack sends, read loosely |
//! | [`dial`], [`socket`] | Socket Mode |
//! | [`events`] | signed HTTP events |
//! | [`files`] | files down and up, streamed |
//! | [`error`] | why a call failed |

pub mod answers;
pub mod calls;
pub mod dial;
pub mod enclosed;
pub mod error;
pub mod events;
pub mod files;
pub mod hosts;
pub mod loose;
pub mod pace;
pub mod payload;
pub mod socket;
pub mod web;
