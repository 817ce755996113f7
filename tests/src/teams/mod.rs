//! A Microsoft of one's own: login, keys, connector and Graph on loopback, with people who talk in Teams and faults on
//! demand.
//!
//! # Starting it
//!
//! In a test:
//!
//! ```no_run
//! # use viaduct_tests::teams::{Feed, Kind, TeamsStandIn};
//! # async fn starting() -> anyhow::Result<()> {
//! let teams = TeamsStandIn::start().await?;
//! let app = teams.app();                       // app_id, tenant, secret, bot_id
//! // addresses: login = teams.login_url(), openid = teams.openid_url(), graph = teams.graph_url(),
//! //            connector = teams.service_url(), service_hosts = ["127.0.0.1"]
//! teams.set_endpoint(Some("http://127.0.0.1:8091/api/messages"));
//! let channel = teams.add_channel("project", Kind::Standard);
//! let sue = teams.add_user("Sue Miller");
//! teams.join(teams.team(), &sue);
//! let id = teams.say(&channel, &sue, "hello");  // → activity, notification, Graph
//! teams.posted(&channel);                       // what the bridge posted is here, as Graph has it
//! teams.settled(std::time::Duration::from_secs(5)).await?;
//! assert_eq!(teams.counts(Feed::Activities).lost, 0);
//! assert_eq!(teams.violations(), []);           // nothing was asked for that Microsoft does not offer
//! # Ok(())
//! # }
//! ```
//!
//! By hand: `cargo run -p viaduct-tests --no-default-features --bin viaduct-teams-stand-in -- --port 4400` prints the app
//! and all addresses as JSON and then takes commands at `/control`:
//! `curl -d '{"do":"say","channel":"19:…","user":"…","text":"hello"}' http://127.0.0.1:4400/control` ([`Command`]).
//!
//! # What it is like
//!
//! * One tenant with one app ([`Control::app`]), installed in one team, with all consent that a bridge uses; more
//!   tenants and apps by [`Control::add_tenant`], [`Control::register`] and [`Control::of`].
//! * A message is named by its time in milliseconds; the first message of a reply chain has the conversation
//!   `CHANNEL;messageid=ITSELF`. All times differ. Where more than a thousand things happen in a second, they run ahead
//!   of the clock.
//! * The chat of a person and a bot has one name at the connector (`a:…`) and another in Graph
//!   (`19:PERSON_APP@unq.gbl.spaces`), where it can be read only with a permission for the whole tenant.
//! * A person who lets the app act in their name ([`Control::login_of`]) writes, changes and reacts through Graph within
//!   what they allowed. A refresh token is good once; with every token comes another.
//! * A bot is told of people's messages, not of its own nor of other bots'; without consent only where it is addressed;
//!   of reactions only to its own messages. Subscribers are told of everything.
//! * What is about one channel is sent in order, one after another, again until it is taken ([`Patience`]).
//! * Delta has the first messages of reply chains and never replies, as the worst of what Graph does.
//! * Published limits are enforced ([`Limits`]); tests about something else call `set_limits(Limits::none())`.
//! * A request that the connector's published description does not know, a mention that is not in its text, a token
//!   where none belongs and the like are each a [`Violation`]. The description lies beside the project
//!   ([`Contract::get`]); where it is missing, only the rest is checked.
//!
//! # Operations
//!
//! Faults and the record of calls name them: `login.token`, `login.metadata`, `login.keys` · `openid.metadata`,
//! `openid.keys` · `connector.create`, `.reply`, `.edit`, `.delete`, `.react`, `.members`, `.member`, `.conversations`,
//! `.team`, `.team_channels`, `.attachment` · `graph.teams`, `.team`, `.channels`, `.channel`, `.chat`, `.members`,
//! `.grants`, `.user`, `.photo`, `.organization`, `.messages`, `.message`, `.replies`, `.delta`, `.hosted`, `.folder`,
//! `.upload`, `.item`, `.share`, `.subscriptions`, `.subscription` · `files.upload`, `files.download`.
//!
//! | module | holds |
//! |---|---|
//! | [`control`], `persons`, `trouble`, `flood` | what people do, what may go wrong, and how much of it, for tests |
//! | [`command`] | the same over HTTP, for the demonstration |
//! | `server`, `call` | the HTTP side: which address is what; a request and its answer |
//! | `login`, `keys`, `sealed` | tokens, signatures, encrypted notifications |
//! | `connector`, `contract` | what bots ask for, held against the published description |
//! | `graph` | teams, messages, files, subscriptions |
//! | `state`, `view` | what is known, and how it looks on the wire |
//! | `world`, `speech`, `emit` | what happens, and who is told |
//! | `delivery`, `limits`, `faults` | the way out, how often, and how it can fail |
//! | `ids`, `html` | identifiers and times, forms of text |
//!
//! # Kept honest
//!
//! `tests/tests/teams_stand_in.rs` holds activities and answers against the published description, and lets Microsoft's
//! own Python library work with the connector and check the tokens. A new operation is a line in `server` and a function
//! in `connector` or `graph`.

mod call;
pub mod command;
mod connector;
mod contract;
pub mod control;
mod delivery;
mod emit;
mod faults;
mod flood;
mod graph;
mod html;
mod ids;
mod keys;
mod limits;
mod login;
mod persons;
mod sealed;
mod server;
mod speech;
mod state;
mod trouble;
mod view;
mod world;

pub use command::Command;
pub use contract::Contract;
pub use control::{App, Control, TeamsStandIn};
pub use delivery::{Counts, Feed, Patience};
pub use faults::Fault;
pub use flood::Flood;
pub use html::plain;
pub use limits::{Limits, Window};
pub use speech::Draft;
pub use state::{Call, Kind, Violation};
