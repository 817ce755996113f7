//! What others ask of the hub and its puppets.

use std::sync::Arc;

use xmpp_parsers::disco::{DiscoInfoResult, Identity};
use xmpp_parsers::iq::Iq;
use xmpp_parsers::jid::{BareJid, Jid};
use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;
use xmpp_parsers::stanza_error::{DefinedCondition, ErrorType, StanzaError};

use super::Xmpp;
use crate::client::wire::Wire;

/// How many answers that need a file are worked on side by side; further questions are refused.
pub(super) const WORKERS: usize = 8;

impl Xmpp {
    /// Answers a request. Never waits: what takes its time is done beside.
    pub(super) fn answer(self: &Arc<Self>, wire: &Arc<Wire>, iq: &Iq) {
        let reply = Reply::to(iq);
        let Iq::Get { payload, .. } = iq else {
            return wire.send_or_drop(reply.refusal());
        };
        let asked = iq.to().map(Jid::to_bare);
        if payload.is("ping", ns::PING) {
            return wire.send_or_drop(reply.result(None));
        }
        if payload.is("query", ns::DISCO_INFO) && payload.attr("node").is_none() {
            let info = self.information(asked.as_ref());
            return wire.send_or_drop(reply.result(Some(info)));
        }
        let profile = asked.and_then(|asked| self.profile(&asked));
        let node = published_node(payload);
        let question = payload.is("vCard", ns::VCARD) || node.is_some();
        let (Some(profile), true) = (profile, question) else {
            return wire.send_or_drop(reply.refusal());
        };
        let Ok(permit) = Arc::clone(&self.answering).try_acquire_owned() else {
            return wire.send_or_drop(reply.refusal());
        };
        let (session, wire) = (Arc::clone(self), Arc::clone(wire));
        tokio::spawn(async move {
            let payload = match node {
                Some(node) => session.puppet_published(profile, node).await,
                None => Some(session.puppet_vcard(profile).await),
            };
            let answer = match payload {
                Some(payload) => reply.result(Some(payload)),
                None => reply.refusal(),
            };
            drop(wire.send(answer).await);
            drop(permit);
        });
    }

    fn information(&self, asked: Option<&BareJid>) -> Element {
        let puppet = asked.is_some_and(|asked| asked.node().is_some() && asked != &self.standing.own().to_bare());
        let identity = if puppet {
            Identity::new_anonymous::<_, _, String, String>("account", "registered")
        } else if self.standing.is_account() {
            Identity::new_anonymous::<_, _, String, String>("client", "bot")
        } else {
            Identity::new_anonymous::<_, _, String, String>("gateway", "matrix")
        };
        let mut features = vec![ns::DISCO_INFO, ns::PING];
        if puppet {
            features.push(ns::VCARD);
        }
        DiscoInfoResult {
            node: None,
            identities: vec![identity],
            features: features.into_iter().map(str::to_owned).collect(),
            extensions: Vec::new(),
        }
        .into()
    }
}

/// The node of somebody's published avatar, if that is what is asked for.
fn published_node(payload: &Element) -> Option<String> {
    let pubsub = Some(payload).filter(|payload| payload.is("pubsub", ns::PUBSUB))?;
    let node = pubsub.get_child("items", ns::PUBSUB)?.attr("node")?;
    matches!(node, ns::AVATAR_DATA | ns::AVATAR_METADATA).then(|| node.to_owned())
}

/// Where an answer goes.
struct Reply {
    to: Option<Jid>,
    from: Option<Jid>,
    id: String,
}

impl Reply {
    fn to(iq: &Iq) -> Self {
        Self {
            to: iq.from().cloned(),
            from: iq.to().cloned(),
            id: iq.id().to_owned(),
        }
    }

    fn result(self, payload: Option<Element>) -> Iq {
        Iq::Result {
            from: self.from,
            to: self.to,
            id: self.id,
            payload,
        }
    }

    fn refusal(self) -> Iq {
        let (kind, condition) = (ErrorType::Cancel, DefinedCondition::ServiceUnavailable);
        Iq::Error {
            from: self.from,
            to: self.to,
            id: self.id,
            error: StanzaError::new(kind, condition, "en", "not offered here"),
            payload: None,
        }
    }
}
