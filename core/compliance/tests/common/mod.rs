//! What the tests and the bench build events and policies with.
#![allow(dead_code, reason = "every test uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

pub mod lists;
pub mod numbers;
pub mod prose;

use viaduct_compliance::{Context, Decision, Filter, Policy};
use viaduct_model::{
    Author, ChannelId, Content, DeliveryKey, Document, Message, MessageId, NetworkName, Outbound, Person, PersonId,
    Place, Timestamp,
};

/// A policy as an operator writes it.
pub fn policy(yaml: &str) -> Policy {
    serde_norway::from_str(yaml).unwrap()
}

/// The filter of a policy as an operator writes it.
pub fn filter(yaml: &str) -> Filter {
    Filter::compile(policy(yaml)).unwrap()
}

/// A content on its way from the homeserver to the network `acme-slack`.
pub fn outbound(content: Content) -> Outbound {
    let from = Place::new(NetworkName::matrix(), ChannelId::new("!room:example.org").unwrap());
    let to = Place::new(NetworkName::new("acme-slack").unwrap(), ChannelId::new("C1").unwrap());
    let id = MessageId::new("$event").unwrap();
    Outbound {
        key: DeliveryKey::derive(&from, &id, &to),
        from,
        to,
        author: Author {
            person: Person {
                network: NetworkName::matrix(),
                id: PersonId::new("@anna:example.org").unwrap(),
                name: "Anna".to_owned(),
                avatar: None,
                organisation: Some("example.org".to_owned()),
                bot: false,
            },
            display: "Anna".to_owned(),
        },
        at: Timestamp(0),
        content,
        parts: Vec::new(),
    }
}

/// A plain message.
pub fn said(text: &str) -> Outbound {
    outbound(Content::Message(Message::plain(text)))
}

/// A message with this body.
pub fn written(body: Document) -> Outbound {
    outbound(Content::Message(Message {
        body,
        ..Message::default()
    }))
}

/// In one word what was decided.
pub fn verdict(decision: &Decision) -> &'static str {
    match decision {
        Decision::Pass { .. } => "pass",
        Decision::Hold(_) => "hold",
        Decision::Refuse(_) => "refuse",
    }
}

/// In one word what is decided about an event.
pub fn decided(filter: &Filter, outbound: Outbound) -> &'static str {
    verdict(&filter.decide(outbound))
}

/// In one word what is decided about an event, of which more is known.
pub fn decided_with(filter: &Filter, context: &Context<'_>, outbound: Outbound) -> &'static str {
    verdict(&filter.decide_with(context, outbound))
}

/// The plain text of a message that passes.
pub fn passed(filter: &Filter, outbound: Outbound) -> String {
    match filter.decide(outbound) {
        Decision::Pass { outbound, .. } => outbound.content.message().unwrap().body.to_plain(),
        other => panic!("{other:?}"),
    }
}
