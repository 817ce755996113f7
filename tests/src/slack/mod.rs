//! A Slack of one's own: Web API, Socket Mode and signed HTTP events on loopback, with people who talk and faults on
//! demand.
//!
//! # Starting it
//!
//! In a test:
//!
//! ```no_run
//! # use viaduct_tests::slack::{Kind, SlackStandIn};
//! # async fn starting() -> anyhow::Result<()> {
//! let slack = SlackStandIn::start().await?;
//! let app = slack.app();              // bot_token, app_token, signing_secret, bot_user, team …
//! // network: api_url = slack.api_url()  ("http://127.0.0.1:PORT/api"), sockets are found by apps.connections.open
//! let channel = slack.add_channel("project", Kind::Public);
//! let sue = slack.add_user("sue");
//! slack.join(&channel, &sue);
//! slack.join(&channel, &app.bot_user);
//! let ts = slack.say(&channel, &sue, "hello");          // → event, history
//! slack.history(&channel);                              // what the bridge posted is here, as raw messages
//! assert_eq!(slack.violations(), []);                   // nothing was asked for that Slack does not offer
//! # Ok(())
//! # }
//! ```
//!
//! By hand: `cargo run -p viaduct-tests --no-default-features --bin viaduct-slack-stand-in -- --port 4300` prints the
//! tokens as JSON and then takes commands at `/control`:
//! `curl -d '{"do":"say","channel":"C…","user":"U…","text":"hello"}' http://127.0.0.1:4300/control` ([`Command`]).
//!
//! # What it is like
//!
//! * One workspace with one installed app ([`Control::app`]) and a person `owner` from the start; more workspaces
//!   ([`Control::add_team`]), apps in them ([`Control::install`]) and shared channels ([`Control::share`]);
//!   all of them one organisation's where a test says so ([`Control::organise`]).
//! * An event goes to one of the app's sockets in turn, and comes again until it is acknowledged ([`Patience`]). An
//!   event that finds no socket is **lost**, as the worst of what Slack does; history has the message.
//! * Rate limits are enforced ([`Limits`]), and more strictly than Slack does: any minute holds so many calls of a
//!   method and no burst more. Tests about something else call `slack.set_limits(Limits::none())`.
//! * Scopes are enforced; the app begins with all that a bridge uses ([`Control::set_scopes`]).
//! * A request with an unknown method or parameter, without a required one, with a token in the address or with JSON
//!   where Slack takes none is a [`Violation`].
//!
//! | module | holds |
//! |---|---|
//! | [`control`], `trouble` | what people do, and what may go wrong, for tests |
//! | [`command`] | the same over HTTP, for the demonstration |
//! | `server` | the HTTP side |
//! | `call`, `methods` | the Web API: arguments, tokens, scopes, and each method |
//! | `limits`, `faults` | how often, and how it can fail |
//! | `state`, `view` | what is known, and how it looks on the wire |
//! | `speech`, `channels`, `world`, `emit` | what happens, and who is told |
//! | `grid` | organisations of several workspaces |
//! | `delivery` | sockets, signed requests, acknowledgements, retries |
//! | [`line`](Line) | a wire between the app and the stand-in, that lags on demand |
//! | `ids`, `text` | identifiers and timestamps, Slack's marks in text |
//!
//! # Kept honest
//!
//! `tests/tests/slack_stand_in.rs` holds the table of methods and all events against the published descriptions, and
//! lets the official Python client work with it. A new method is a row and a function in `methods`; a new event is
//! made where its change is made, and belongs into the test that compares events with the published samples.

mod call;
mod channels;
pub mod command;
pub mod control;
mod delivery;
mod emit;
mod faults;
mod grid;
mod ids;
mod limits;
mod line;
mod methods;
mod server;
mod speech;
mod state;
mod text;
mod trouble;
mod view;
mod world;

pub use command::Command;
pub use control::{App, Control, SlackStandIn};
pub use delivery::{DeliveryCounts, Patience, Which};
pub use faults::Fault;
pub use ids::{NotATimestamp, Ts};
pub use limits::{Limits, Tier};
pub use line::Line;
pub use state::{Call, Kind, Violation};
pub use trouble::Flood;

/// A method as the stand-in describes it, for the test that compares it with the published description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: &'static str,
    /// Its parameters, and whether each is required.
    pub parameters: Vec<(&'static str, bool)>,
    /// Any of these scopes will do.
    pub scopes: &'static [&'static str],
}

/// All methods.
pub fn described() -> Vec<Described> {
    let row = |method: &methods::Method| Described {
        name: method.name,
        parameters: method
            .parameters
            .iter()
            .map(|parameter| (parameter.name, parameter.required))
            .collect(),
        scopes: method.scopes,
    };
    methods::METHODS.iter().map(row).collect()
}
