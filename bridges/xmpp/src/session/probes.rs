//! What `doctor` should know.

use viaduct_bridge::Probe;
use xmpp_parsers::disco::DiscoInfoQuery;
use xmpp_parsers::jid::Jid;

use super::Xmpp;
use super::room::{Room, Seat};
use crate::client::link::{LinkError, connect};
use crate::client::wire::{Ask, Wire};

impl Xmpp {
    pub(super) async fn probe_all(&self) -> Vec<Probe> {
        let Some(wire) = self.wire() else {
            return vec![self.probe_login().await];
        };
        let mut probes = vec![Probe::ok("component", format!("{} is connected", self.domain))];
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

    /// Logs in for a moment, with the session not running.
    async fn probe_login(&self) -> Probe {
        match connect(&self.section.component, &self.secret, &self.section.timeouts).await {
            Ok(_) => Probe::ok("component", format!("the server accepts {}", self.domain)),
            Err(LinkError::Refused(reason)) => Probe::error(
                "component",
                reason,
                "compare component.domain and the secret with the server's configuration",
            ),
            Err(LinkError::Lost(reason)) => Probe::error(
                "component",
                reason,
                "check component.host and component.port, and that the server listens there",
            ),
        }
    }

    async fn probe_service(&self, wire: &Wire, service: &str, subject: &str) -> Probe {
        let subject = format!("{subject} {service}");
        let Ok(to) = Jid::new(service) else {
            return Probe::error(subject, "it is not an address", "correct it");
        };
        let ask = Ask {
            from: self.domain_address(),
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
        (Seat::In, true) => Probe::ok(subject, format!("the hub is in, with {} people", state.occupants.len())),
    }
}
