//! The conversation from the first byte to the server's welcome, as a state machine without I/O.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use irc_proto::Message;

use super::isupport::Isupport;
use super::line::{Fields, message};
use crate::config::{Mechanism, Secret};

/// Who logs in.
#[derive(Clone)]
pub struct Identity {
    /// The nick for the n-th attempt, from 0.
    pub nick: Arc<dyn Fn(u32) -> String + Send + Sync>,
    /// The user name.
    pub user: String,
    /// The description.
    pub realname: String,
    /// The server's password.
    pub password: Option<Secret>,
    /// The account.
    pub login: Option<Login>,
    /// What the server is told about the origin: password, gateway, host name, address.
    pub webirc: Option<(Secret, String, String, String)>,
    /// The capabilities to ask for.
    pub capabilities: &'static [&'static str],
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// An account and how to show that it is ours.
#[derive(Debug, Clone)]
pub struct Login {
    /// How.
    pub mechanism: Mechanism,
    /// Its name.
    pub account: String,
    /// Its password, for [`Mechanism::Plain`].
    pub password: Option<Secret>,
}

/// What the reader of the channels asks for.
pub const READER_CAPABILITIES: &[&str] = &[
    "message-tags",
    "server-time",
    "echo-message",
    "labeled-response",
    "account-tag",
    "account-notify",
    "extended-join",
    "away-notify",
    "setname",
    "batch",
    "multi-prefix",
    "chghost",
    "userhost-in-names",
    "draft/chathistory",
    "draft/multiline",
    "sasl",
];

/// What a puppet asks for: only what tells it about itself.
pub const PUPPET_CAPABILITIES: &[&str] = &[
    "message-tags",
    "server-time",
    "echo-message",
    "labeled-response",
    "account-tag",
    "batch",
    "draft/chathistory",
    "draft/multiline",
];

/// Why the server did not let us in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// It refused the password or account; somebody has to act.
    #[error("{0}")]
    Auth(String),
    /// Anything else; it may work later.
    #[error("{0}")]
    Refused(String),
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub enum Step {
    /// Send these (perhaps none) and go on reading.
    Send(Vec<Message>),
    /// We are in.
    Welcome,
}

/// Where the conversation stands.
#[derive(Debug)]
pub struct Register {
    identity: Identity,
    attempt: u32,
    /// The nick we have, or asked for last.
    pub nick: String,
    offered: BTreeMap<String, String>,
    /// The capabilities that were granted, with their values.
    pub granted: BTreeMap<String, String>,
    requests: usize,
    logged_in: bool,
    welcomed: bool,
    /// What the server announced.
    pub isupport: Isupport,
}

/// Attempts to find a free nick.
const ATTEMPTS: u32 = 40;
/// Bytes of capability names in one request.
const REQUEST_BYTES: usize = 380;
/// More capabilities than this are not remembered.
const OFFERS: usize = 200;

impl Register {
    /// Begins, with the lines to send first.
    pub fn start(identity: Identity) -> (Self, Vec<Message>) {
        let nick = (identity.nick)(0);
        let mut lines = Vec::new();
        if let Some((password, gateway, host, address)) = &identity.webirc {
            lines.push(message("WEBIRC", &[password.reveal(), gateway, host, address]));
        }
        lines.push(message("CAP", &["LS", "302"]));
        if let Some(password) = &identity.password {
            lines.push(message("PASS", &[password.reveal()]));
        }
        lines.push(message("NICK", &[&nick]));
        lines.push(message("USER", &[&identity.user, "0", "*", &identity.realname]));
        let register = Self {
            identity,
            attempt: 0,
            nick,
            offered: BTreeMap::new(),
            granted: BTreeMap::new(),
            requests: 0,
            logged_in: false,
            welcomed: false,
            isupport: Isupport::default(),
        };
        (register, lines)
    }

    /// Takes a line of the server.
    ///
    /// # Errors
    ///
    /// [`RegisterError`], when it does not let us in.
    pub fn take(&mut self, line: &Message) -> Result<Step, RegisterError> {
        let said = || format!("the server says: {}", line.last());
        match line.name() {
            "PING" => return Ok(Step::Send(vec![message("PONG", &[line.last()])])),
            "CAP" => return self.capability(line),
            "AUTHENTICATE" => return Ok(Step::Send(self.authenticate(line.parameter(0)))),
            "903" => {
                self.logged_in = true;
                return Ok(Step::Send(vec![message("CAP", &["END"])]));
            }
            "902" | "904" | "905" | "906" | "907" => {
                return Err(RegisterError::Auth(format!("the account was refused; {}", said())));
            }
            "464" => {
                return Err(RegisterError::Auth(format!(
                    "the server's password was refused; {}",
                    said()
                )));
            }
            "ERROR" | "465" | "466" => return Err(RegisterError::Refused(said())),
            "432" | "433" | "436" | "437" if !self.welcomed => return self.next_nick(),
            "001" => {
                self.welcomed = true;
                line.parameter(0).clone_into(&mut self.nick);
                if self.identity.login.is_some() && !self.logged_in {
                    return Err(RegisterError::Refused(
                        "the server let us in without our account: it has no SASL".into(),
                    ));
                }
            }
            "005" => {
                let tokens = line.parameters();
                let tokens = tokens.get(1..tokens.len().saturating_sub(1)).unwrap_or_default();
                self.isupport.take(tokens.iter().map(String::as_str));
            }
            "376" | "422" if self.welcomed => return Ok(Step::Welcome),
            _ => {}
        }
        Ok(Step::Send(Vec::new()))
    }

    fn next_nick(&mut self) -> Result<Step, RegisterError> {
        self.attempt += 1;
        if self.attempt > ATTEMPTS {
            return Err(RegisterError::Refused("all nicks tried are taken".to_owned()));
        }
        self.nick = (self.identity.nick)(self.attempt);
        Ok(Step::Send(vec![message("NICK", &[&self.nick])]))
    }

    fn capability(&mut self, line: &Message) -> Result<Step, RegisterError> {
        match line.parameter(1).to_ascii_uppercase().as_str() {
            "LS" => {
                for offer in line.last().split(' ').filter(|offer| !offer.is_empty()) {
                    let (name, value) = offer.split_once('=').unwrap_or((offer, ""));
                    if self.offered.len() < OFFERS {
                        self.offered.insert(name.to_owned(), value.to_owned());
                    }
                }
                if line.parameter(2) == "*" && line.parameters().len() > 3 {
                    return Ok(Step::Send(Vec::new()));
                }
                self.request()
            }
            "ACK" => {
                for name in line.last().split(' ').filter(|name| !name.is_empty()) {
                    let value = self.offered.get(name).cloned().unwrap_or_default();
                    if self.granted.len() < OFFERS {
                        self.granted.insert(name.to_owned(), value);
                    }
                }
                self.answered()
            }
            "NAK" => self.answered(),
            _ => Ok(Step::Send(Vec::new())),
        }
    }

    fn request(&mut self) -> Result<Step, RegisterError> {
        let login = self.identity.login.is_some();
        let wanted = self
            .identity
            .capabilities
            .iter()
            .filter(|name| **name != "sasl" || login);
        let mut requests: Vec<String> = Vec::new();
        for name in wanted.filter(|name| self.offered.contains_key(**name)) {
            match requests.last_mut() {
                Some(last) if last.len() + name.len() < REQUEST_BYTES => {
                    last.push(' ');
                    last.push_str(name);
                }
                _ => requests.push((*name).to_owned()),
            }
        }
        self.requests = requests.len();
        if requests.is_empty() {
            return self.negotiated();
        }
        Ok(Step::Send(
            requests.iter().map(|names| message("CAP", &["REQ", names])).collect(),
        ))
    }

    fn answered(&mut self) -> Result<Step, RegisterError> {
        if self.welcomed || self.requests == 0 {
            return Ok(Step::Send(Vec::new()));
        }
        self.requests -= 1;
        if self.requests == 0 {
            self.negotiated()
        } else {
            Ok(Step::Send(Vec::new()))
        }
    }

    fn negotiated(&mut self) -> Result<Step, RegisterError> {
        let Some(login) = &self.identity.login else {
            return Ok(Step::Send(vec![message("CAP", &["END"])]));
        };
        let mechanism = match login.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::External => "EXTERNAL",
        };
        let Some(offered) = self.granted.get("sasl") else {
            return Err(RegisterError::Refused(
                "the server offers no SASL now; its services may be away".to_owned(),
            ));
        };
        if !offered.is_empty() && !offered.split(',').any(|name| name.eq_ignore_ascii_case(mechanism)) {
            return Err(RegisterError::Auth(format!(
                "the server offers SASL {offered}, not {mechanism}"
            )));
        }
        Ok(Step::Send(vec![message("AUTHENTICATE", &[mechanism])]))
    }

    /// Answers the server's invitation to show the password, in pieces of 400 bytes.
    fn authenticate(&self, invitation: &str) -> Vec<Message> {
        let Some(login) = self.identity.login.as_ref().filter(|_| invitation == "+") else {
            return Vec::new();
        };
        let password = login.password.as_ref().map(Secret::reveal).unwrap_or_default();
        let proof = match login.mechanism {
            Mechanism::Plain => STANDARD.encode(format!("\0{}\0{password}", login.account)),
            // The certificate says whose it is; services may refuse to be told, even where it is the same.
            Mechanism::External => String::new(),
        };
        let mut lines: Vec<Message> = Vec::new();
        let mut rest = proof.as_str();
        while let Some((piece, after)) = rest
            .split_at_checked(rest.len().min(400))
            .filter(|(piece, _)| !piece.is_empty())
        {
            lines.push(message("AUTHENTICATE", &[piece]));
            rest = after;
        }
        if proof.len().is_multiple_of(400) {
            lines.push(message("AUTHENTICATE", &["+"]));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::line::{parse, write};

    fn identity(login: Option<Login>) -> Identity {
        Identity {
            nick: Arc::new(|attempt| {
                if attempt == 0 {
                    "via".to_owned()
                } else {
                    format!("via{attempt}")
                }
            }),
            user: "via".to_owned(),
            realname: "A bridge".to_owned(),
            password: Some(Secret::new("gate")),
            login,
            webirc: None,
            capabilities: READER_CAPABILITIES,
        }
    }

    fn shown(lines: &[Message]) -> Vec<String> {
        lines
            .iter()
            .map(|line| String::from_utf8(write(line)).unwrap().trim_end().to_owned())
            .collect()
    }

    fn answer(register: &mut Register, line: &str) -> Vec<String> {
        match register.take(&parse(line).unwrap()).unwrap() {
            Step::Send(lines) => shown(&lines),
            Step::Welcome => vec!["welcome".to_owned()],
        }
    }

    #[test]
    fn logs_in_with_sasl_before_the_welcome() {
        let login = Login {
            mechanism: Mechanism::Plain,
            account: "acc".into(),
            password: Some(Secret::new("pw")),
        };
        let (mut register, first) = Register::start(identity(Some(login)));
        assert_eq!(
            shown(&first),
            ["CAP LS 302", "PASS gate", "NICK via", "USER via 0 * :A bridge"]
        );
        assert!(answer(&mut register, "CAP * LS * :sasl=PLAIN,EXTERNAL batch").is_empty());
        assert_eq!(
            answer(&mut register, "CAP * LS :server-time unknown"),
            ["CAP REQ :server-time batch sasl"]
        );
        assert_eq!(
            answer(&mut register, "CAP via ACK :server-time batch sasl "),
            ["AUTHENTICATE PLAIN"]
        );
        assert_eq!(answer(&mut register, "AUTHENTICATE :+"), ["AUTHENTICATE AGFjYwBwdw=="]);
        assert_eq!(answer(&mut register, ":s 433 * via :in use"), ["NICK via1"]);
        assert_eq!(answer(&mut register, ":s 903 via :ok"), ["CAP END"]);
        assert!(answer(&mut register, ":s 001 via1 :Welcome").is_empty());
        assert!(answer(&mut register, ":s 005 via1 NICKLEN=20 :are supported").is_empty());
        assert_eq!(answer(&mut register, ":s 376 via1 :End"), ["welcome"]);
        assert_eq!((register.nick.as_str(), register.isupport.nick_length), ("via1", 20));
        assert!(register.granted.contains_key("batch"));
    }

    #[test]
    fn a_refused_account_is_told_apart_from_a_busy_server() {
        let login = Login {
            mechanism: Mechanism::Plain,
            account: "acc".into(),
            password: None,
        };
        let (mut register, _) = Register::start(identity(Some(login)));
        let mut failed = |line: &str| register.take(&parse(line).unwrap()).unwrap_err();
        assert!(matches!(failed(":s 904 via :wrong"), RegisterError::Auth(_)));
        assert!(matches!(failed(":s 464 via :wrong"), RegisterError::Auth(_)));
        assert!(matches!(
            failed("ERROR :Too many connections"),
            RegisterError::Refused(_)
        ));
        assert!(matches!(failed("CAP * LS :batchless"), RegisterError::Refused(_)));
    }

    #[test]
    fn old_servers_without_capabilities_are_fine_and_nicks_run_out() {
        let (mut register, _) = Register::start(identity(None));
        assert!(answer(&mut register, ":s 421 * CAP :Unknown command").is_empty());
        for number in 1..=ATTEMPTS {
            assert_eq!(
                answer(&mut register, ":s 433 * x :in use"),
                [format!("NICK via{number}")]
            );
        }
        assert!(register.take(&parse(":s 433 * x :in use").unwrap()).is_err());
    }
}
