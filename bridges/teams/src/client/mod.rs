//! The wire.
//!
//! | module | does |
//! |---|---|
//! | `door` | the shared listener: which network a request is for |
//! | `token` | whether an inbound token is to be believed |
//! | `keys` | Microsoft as the issuer of inbound tokens |
//! | `sealed` | what notifications carry |
//! | `hosts` | which hosts may be given a token |
//! | `login`, `person` | tokens of our own: as the app, and in a person's name |
//! | `wire` | calls: pacing, classes of error |
//! | `pace` | how often what may be called |
//! | `connector`, `graph`, `speak` | the calls: as the bot, as the app, in a person's name |
//! | `files` | downloads and uploads |
//! | `json` | reading untrusted JSON |

pub mod connector;
pub mod door;
pub mod error;
pub mod files;
pub mod graph;
pub mod hosts;
pub mod json;
pub mod keys;
pub mod login;
pub mod pace;
pub mod person;
pub mod sealed;
pub mod speak;
pub mod token;
pub mod wire;
