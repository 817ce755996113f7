//! What `doctor` should know.

use std::net::IpAddr;

use viaduct_bridge::Probe;
use xmpp_parsers::disco::DiscoInfoQuery;
use xmpp_parsers::jid::Jid;

use super::Xmpp;
use super::room::{Room, Seat};
use crate::client::link::LinkError;
use crate::client::wire::{Ask, Wire};

impl Xmpp {
    pub(super) async fn probe_all(&self) -> Vec<Probe> {
        let Some(wire) = self.wire() else {
            return vec![self.probe_login().await];
        };
        let mut probes = vec![Probe::ok(
            self.login_subject(),
            format!("{} is connected", self.address_shown()),
        )];
        probes.push(self.probe_encryption());
        let mut services: Vec<&str> = self.rooms.keys().map(|room| room.domain().as_str()).collect();
        services.sort_unstable();
        services.dedup();
        for service in services {
            probes.push(self.probe_service(&wire, service, "room service").await);
        }
        match &self.section.upload_service {
            Some(service) => probes.push(self.probe_service(&wire, service, "upload service").await),
            None => probes.push(Probe::warning(
                "upload service",
                "none is configured: files cross as links, or by name only",
                "set upload_service",
            )),
        }
        probes.extend(self.rooms.values().map(|room| probe_room(room)));
        probes
    }

    fn login_subject(&self) -> &'static str {
        if self.standing.is_account() {
            "account"
        } else {
            "component"
        }
    }

    fn address_shown(&self) -> String {
        if self.standing.is_account() {
            self.standing.own().to_bare().to_string()
        } else {
            self.standing.domain().to_string()
        }
    }

    fn probe_encryption(&self) -> Probe {
        let Some(component) = &self.section.component else {
            let domain = self.standing.domain();
            return Probe::ok(
                "tls",
                format!("the stream is encrypted, and the server has proven to be {domain}"),
            );
        };
        let host = component.host.as_str();
        let near = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if near {
            Probe::ok("tls", "the component's stream stays on this machine")
        } else {
            Probe::warning(
                "tls",
                format!("the component's stream to {host} is not encrypted"),
                "let the server listen on the loopback interface, or carry the stream inside a tunnel",
            )
        }
    }

    /// Logs in for a moment, with the session not running.
    async fn probe_login(&self) -> Probe {
        let subject = self.login_subject();
        let (refused, lost) = if self.standing.is_account() {
            (
                "compare account.address and the password with the server's account; if it offers no SCRAM, see account.allow_plain",
                "check account.host, account.port and account.tls, and, if its certificate is not trusted, account.ca_file",
            )
        } else {
            (
                "compare component.domain and the secret with the server's configuration",
                "check component.host and component.port, and that the server listens there",
            )
        };
        match self.connect().await {
            Ok(_) => Probe::ok(subject, format!("the server accepts {}", self.address_shown())),
            Err(LinkError::Refused(reason)) => Probe::error(subject, reason, refused),
            Err(LinkError::Lost(reason)) => Probe::error(subject, reason, lost),
        }
    }

    async fn probe_service(&self, wire: &Wire, service: &str, subject: &str) -> Probe {
        let subject = format!("{subject} {service}");
        let Ok(to) = Jid::new(service) else {
            return Probe::error(subject, "it is not an address", "correct it");
        };
        let ask = Ask {
            from: self.standing.domain(),
            to,
            set: false,
            payload: DiscoInfoQuery { node: None }.into(),
        };
        match wire.request(ask).await {
            Ok(_) => Probe::ok(subject, "it answers"),
            Err(error) => Probe::error(
                subject,
                error.to_string(),
                "check that the server runs it and reaches it",
            ),
        }
    }
}

fn probe_room(room: &Room) -> Probe {
    let subject = format!("room {}", room.address);
    let state = room.state();
    match (&state.seat, state.features.archive) {
        (Seat::Out(reason), _) => Probe::error(subject, reason.clone(), "let the hub's address into the room"),
        (Seat::Entering, _) => Probe::warning(subject, "the hub is about to enter", "look again in a moment"),
        (Seat::In, false) => Probe::warning(
            subject,
            "it keeps no archive: what is said while the hub is away is missed, and unknown outcomes stay unknown",
            "have the room's archive switched on",
        ),
        (Seat::In, true) if !state.features.occupant_ids => Probe::warning(
            subject,
            "it gives people no ids: somebody who changes their nick appears as somebody else",
            "have occupant-ids (XEP-0421) switched on",
        ),
        (Seat::In, true) => {
            let moderation = match state.features.moderation {
                Some(_) => "moderators can withdraw messages",
                None => "messages of others cannot be withdrawn (no XEP-0425)",
            };
            let people = state.occupants.len();
            Probe::ok(
                subject,
                format!("the hub is in, with {people} people; it keeps an archive; {moderation}"),
            )
        }
    }
}
