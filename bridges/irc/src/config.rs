//! The configuration section of an IRC network. The comments on its fields are the operator's reference.

mod check;
mod secret;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use check::{check, is_channel};
pub use secret::{Secret, SecretError};

/// One IRC network.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Where the server is.
    pub server: Server,
    /// Encryption of the connection. Left out: TLS with the system's certificate authorities.
    #[serde(default)]
    pub tls: Tls,
    /// Why the connection need not be encrypted, where TLS is switched off and the server is not on this machine, such as
    /// `VPN to the partner, ticket 17`.
    #[serde(default)]
    pub plaintext: Option<String>,
    /// The password the server asks everybody for (PASS) itself; better `password_file`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file with the server's password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The environment variable with the server's password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// The nick of the hub's own connection, which reads the channels.
    #[serde(default = "defaults::nick")]
    pub nick: String,
    /// The user name shown as `user@host`.
    #[serde(default = "defaults::user")]
    pub user: String,
    /// The description shown by WHOIS.
    #[serde(default = "defaults::realname")]
    pub realname: String,
    /// Logging in to an account before joining anything.
    #[serde(default)]
    pub sasl: Option<Sasl>,
    /// Logging in by a message to a service, for servers without SASL.
    #[serde(default)]
    pub nickserv: Option<NickServ>,
    /// Telling the server each puppet's origin (WEBIRC), where its administrator has allowed it.
    #[serde(default)]
    pub webirc: Option<WebIrc>,
    /// The encoding of lines that are not UTF-8, by its WHATWG label.
    #[serde(default = "defaults::encoding")]
    pub encoding: String,
    /// Connections of their own for people of other sides.
    #[serde(default)]
    pub puppets: Puppets,
    /// What is special about single channels, by their name.
    #[serde(default)]
    pub channels: BTreeMap<String, ChannelOptions>,
    /// How things that IRC cannot express are put in words.
    #[serde(default)]
    pub forms: Forms,
    /// A text with more lines than this is sent as a file or link.
    #[serde(default = "defaults::line_limit")]
    pub line_limit: u32,
    /// How fast lines are sent on one connection, or `off` for a server of your own that allows any rate.
    #[serde(default)]
    pub pacing: Pacing,
    /// What is said on leaving.
    #[serde(default = "defaults::quit_message")]
    pub quit_message: String,
    /// Answering the server's question which user a connection belongs to (RFC 1413).
    #[serde(default)]
    pub ident: Option<Ident>,
    /// How connections are made and watched.
    #[serde(default)]
    pub connect: Connect,
    /// What a person is recognised by.
    #[serde(default)]
    pub identify: Identify,
    /// How people of this network are called elsewhere: `{nick}`, `{realname}` and `{account}` are replaced. Whoever has
    /// not told one of them is called by the nick.
    #[serde(default = "defaults::display")]
    pub display: String,
}

/// Where the server is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// Its host name or address.
    pub host: String,
    /// Its port. Left out: 6697 with TLS, 6667 without.
    #[serde(default)]
    pub port: Option<u16>,
}

/// Encryption of the connection.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// Whether to use TLS. To switch it off beyond this machine needs a reason, under `plaintext`.
    pub enabled: bool,
    /// A file with the certificate authorities to trust instead of the system's (PEM).
    pub ca_file: Option<PathBuf>,
    /// A certificate to show to the server (PEM), for SASL EXTERNAL.
    pub client_cert_file: Option<PathBuf>,
    /// Its private key (PEM).
    pub client_key_file: Option<PathBuf>,
    /// The name in the server's certificate, where it is not the host's.
    pub server_name: Option<String>,
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            enabled: true,
            ca_file: None,
            client_cert_file: None,
            client_key_file: None,
            server_name: None,
        }
    }
}

/// Logging in to an account.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sasl {
    /// How.
    #[serde(default)]
    pub mechanism: Mechanism,
    /// The account's name. Not needed with `external`, where the certificate says whose it is.
    #[serde(default)]
    pub account: String,
    /// The password itself; better `password_file`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The environment variable with the password.
    #[serde(default)]
    pub password_env: Option<String>,
}

/// How to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mechanism {
    /// With account and password.
    #[default]
    Plain,
    /// With the TLS certificate.
    External,
}

/// Logging in by a message to a service.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NickServ {
    /// The service's nick.
    #[serde(default = "defaults::nickserv")]
    pub service: String,
    /// The account, where it is not the nick.
    #[serde(default)]
    pub account: Option<String>,
    /// The password itself; better `password_file`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The environment variable with the password.
    #[serde(default)]
    pub password_env: Option<String>,
    /// Further words by which the service says that it refuses the login, for services that speak neither English nor German:
    /// any part of what it says, in small or capital letters.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Further words by which it says that the login is right.
    #[serde(default)]
    pub accepted: Vec<String>,
}

/// Telling the server where somebody comes from.
#[derive(Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WebIrc {
    /// The gateway's name, as agreed with the server's administrator.
    #[serde(default = "defaults::gateway")]
    pub gateway: String,
    /// The host name shown for everybody; `{localpart}` and `{domain}` are replaced. Some servers, such as `InspIRCd`, show
    /// the address instead.
    pub hostname: String,
    /// The address shown for everybody.
    #[serde(default = "defaults::webirc_address")]
    pub address: String,
    /// The password itself; better `password_file`.
    #[serde(default)]
    pub password: Option<Secret>,
    /// A file with the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The environment variable with the password.
    #[serde(default)]
    pub password_env: Option<String>,
}

/// Connections of their own for people of other sides.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Puppets {
    /// Whether people get connections of their own. If not, the hub says `<name> text` for them.
    pub enabled: bool,
    /// How many at once. Beyond it the one that was silent longest is taken off, if it was silent for
    /// `evict_after_seconds`; else the hub speaks for the newcomer.
    pub max: u32,
    /// Their nicks: `{name}` is the display name, `{localpart}` and `{domain}` are parts of the Matrix id.
    pub nick: String,
    /// Their descriptions, shown by WHOIS; the same placeholders, and `{id}`.
    pub realname: String,
    /// Puppets silent for so long are taken off; 0 for never.
    pub idle_seconds: u64,
    /// A puppet silent for less than this is never taken off for another's sake.
    pub evict_after_seconds: u64,
}

impl Default for Puppets {
    fn default() -> Self {
        Self {
            enabled: true,
            max: 50,
            nick: "{name}[m]".to_owned(),
            realname: "{id}".to_owned(),
            idle_seconds: 0,
            evict_after_seconds: 60,
        }
    }
}

/// What is special about one channel.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChannelOptions {
    /// The channel's key itself; better `key_file`.
    pub key: Option<Secret>,
    /// A file with the channel's key.
    pub key_file: Option<PathBuf>,
    /// The environment variable with the channel's key.
    pub key_env: Option<String>,
}

/// How things that IRC cannot express are put in words: `{text}` is the text, `{name}` the author and `{quote}` the beginning
/// of the message that is meant, `{reaction}` the reaction.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Forms {
    /// A changed message.
    pub edit: String,
    /// An answer to a message.
    pub reply: String,
    /// An answer to a message that is no longer remembered.
    pub reply_unknown: String,
    /// A reaction to a message.
    pub reaction: String,
    /// A reaction taken back; empty to say nothing.
    pub unreact: String,
    /// A withdrawn message.
    pub delete: String,
    /// In front of what the hub says for somebody without a puppet.
    pub relay: String,
}

impl Default for Forms {
    fn default() -> Self {
        Self {
            edit: "(edited) {text}".to_owned(),
            reply: "{name} (re: {quote}): {text}".to_owned(),
            reply_unknown: "{text}".to_owned(),
            reaction: "{reaction} to {name}: {quote}".to_owned(),
            unreact: String::new(),
            delete: "(deleted: {quote})".to_owned(),
            relay: "<{name}> ".to_owned(),
        }
    }
}

/// How fast lines are sent.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Pacing {
    /// `off`: as fast as the server reads.
    Off(Off),
    /// Paced.
    Paced(Rate),
}

/// The word `off`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Off {
    /// No pacing.
    Off,
}

/// As IRC servers count: each line costs some seconds, long ones more, and only so many seconds may be owed.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rate {
    /// Lines that may be sent at once after a silence.
    pub burst: u32,
    /// Lines a second after that.
    pub rate: f64,
}

impl Default for Rate {
    fn default() -> Self {
        Self { burst: 5, rate: 0.8 }
    }
}

impl Default for Pacing {
    fn default() -> Self {
        Self::Paced(Rate::default())
    }
}

/// Answering whose a connection is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Ident {
    /// Address and port to listen at, such as `0.0.0.0:113`.
    pub listen: String,
}

/// How connections are made and watched; all in seconds.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Connect {
    /// How long making a connection and logging in may take.
    pub timeout: u64,
    /// The pause after the first failure; it doubles with each further one, and some chance is added.
    pub retry: u64,
    /// The longest pause.
    pub retry_limit: u64,
    /// After so long without a word from the server it is asked; after twice as long the connection is taken for lost.
    pub ping: u64,
}

impl Default for Connect {
    fn default() -> Self {
        Self {
            timeout: 60,
            retry: 2,
            retry_limit: 300,
            ping: 45,
        }
    }
}

/// What a person is recognised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Identify {
    /// Their nick when they came; it stays theirs when they change it.
    #[default]
    Nick,
    /// Their account, where the server tells it; else their nick.
    Account,
}

impl Section {
    /// The server's port.
    pub fn port(&self) -> u16 {
        self.server.port.unwrap_or(if self.tls.enabled { 6697 } else { 6667 })
    }

    /// How long making a connection may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.connect.timeout.max(1))
    }
}

mod defaults {
    pub(super) fn nick() -> String {
        "viaduct".to_owned()
    }
    pub(super) fn user() -> String {
        "viaduct".to_owned()
    }
    pub(super) fn realname() -> String {
        "Bridge to Matrix".to_owned()
    }
    pub(super) fn display() -> String {
        "{nick}".to_owned()
    }
    pub(super) fn encoding() -> String {
        "windows-1252".to_owned()
    }
    pub(super) fn line_limit() -> u32 {
        5
    }
    pub(super) fn quit_message() -> String {
        "The bridge is stopping".to_owned()
    }
    pub(super) fn nickserv() -> String {
        "NickServ".to_owned()
    }
    pub(super) fn gateway() -> String {
        "viaduct".to_owned()
    }
    pub(super) fn webirc_address() -> String {
        "127.0.0.1".to_owned()
    }
}
