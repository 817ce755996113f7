//! Drops what only tells a puppet what the hub itself is told, before anything is made of it.
//!
//! A room tells every occupant everything: with *n* puppets in it each message comes *n* + 1 times, and *n* puppets that
//! enter are announced *n*² times. The hub's own copy is the one that is read. Of the copies for puppets, those of messages
//! are passed over element by element, and those of presences are kept aside until their end and then mostly forgotten:
//! only a room's codes (XEP-0045 section 15.6.2: oneself has entered, was removed, …) and errors concern a puppet.
//!
//! Everything is moved into one namespace on the way (see [`super::namespace`]), and stanzas that nest without end are dropped.

use tokio_xmpp::xmlstream::FallibleStreamElement;
use xmpp_parsers::ns;
use xso::error::{Error, FromEventsError};
use xso::exports::rxml::{AttrMap, Event, Namespace, QName};
use xso::{Context, FromEventsBuilder, FromXml};

use super::namespace;
use crate::convert::names::{OWN_LOCAL, RESOURCE};
use crate::telemetry;

/// The most parse events of a presence that are kept aside. Whatever is longer is not what a room says to a newcomer.
const HELD_BOUND: usize = 256;

/// How deep the elements of a stanza may nest. What is made of deeper ones would take the stack with it.
const DEPTH_BOUND: usize = 100;

/// An element of the stream; none if it concerns nobody.
#[derive(Debug)]
pub struct Sifted(pub Option<FallibleStreamElement>);

impl FromXml for Sifted {
    type Builder = Sieve;

    fn from_events(mut name: QName, attributes: AttrMap, context: &Context<'_>) -> Result<Sieve, FromEventsError> {
        if name.0 == ns::JABBER_CLIENT {
            name.0 = Namespace::from(ns::DEFAULT_NS);
        }
        Ok(match Interest::of(&name, &attributes) {
            Interest::Whole => Sieve::Whole {
                builder: Box::new(FallibleStreamElement::from_events(name, attributes, context)?),
                depth: 1,
            },
            Interest::Codes => Sieve::Held(Box::new(Held {
                name,
                attributes,
                events: Vec::new(),
                depth: 1,
                concerns: false,
            })),
            Interest::Nothing => Sieve::Passed { depth: 1 },
        })
    }
}

/// How much of an element matters, as far as its first tag tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interest {
    Whole,
    /// It matters if it carries a room's code.
    Codes,
    Nothing,
}

impl Interest {
    fn of(name: &QName, attributes: &AttrMap) -> Self {
        let attribute = |name| attributes.get(&Namespace::NONE, name).map(String::as_str);
        if !attribute("to").is_some_and(is_puppet) || name.0 != ns::DEFAULT_NS {
            return Self::Whole;
        }
        match (name.1.as_str(), attribute("type")) {
            ("message", Some("groupchat")) => Self::Nothing,
            ("presence", None | Some("unavailable")) => Self::Codes,
            _ => Self::Whole,
        }
    }
}

/// Whether a full address is a puppet's: nobody else connects with the hub's resource, and the hub itself has a name of its
/// own.
pub(super) fn is_puppet(address: &str) -> bool {
    let Some((bare, resource)) = address.split_once('/') else {
        return false;
    };
    resource == RESOURCE && bare.split_once('@').is_some_and(|(local, _)| local != OWN_LOCAL)
}

/// Takes an element in.
pub enum Sieve {
    /// Everything matters.
    Whole {
        /// What makes the element.
        builder: Box<<FallibleStreamElement as FromXml>::Builder>,
        /// How many elements are open.
        depth: usize,
    },
    /// Perhaps it matters.
    Held(Box<Held>),
    /// Nothing matters.
    Passed {
        /// How many elements are open.
        depth: usize,
    },
}

/// A presence that perhaps matters.
pub struct Held {
    name: QName,
    attributes: AttrMap,
    events: Vec<Event>,
    depth: usize,
    concerns: bool,
}

impl FromEventsBuilder for Sieve {
    type Output = Sifted;

    fn feed(&mut self, event: Event, context: &Context<'_>) -> Result<Option<Sifted>, Error> {
        let event = namespace::incoming(event);
        match self {
            Self::Whole { builder, depth } => {
                *depth = depth_after(*depth, &event);
                if *depth > DEPTH_BOUND {
                    telemetry::unreadable_stanza();
                    *self = Self::Passed { depth: *depth };
                    return Ok(None);
                }
                Ok(builder.feed(event, context)?.map(|element| Sifted(Some(element))))
            }
            Self::Passed { depth } => {
                *depth = depth_after(*depth, &event);
                Ok((*depth == 0).then_some(Sifted(None)))
            }
            Self::Held(held) => {
                held.take(event);
                if held.depth > 0 {
                    if held.events.len() > HELD_BOUND {
                        *self = Self::Passed { depth: held.depth };
                    }
                    return Ok(None);
                }
                Ok(Some(Sifted(if held.concerns { held.build(context) } else { None })))
            }
        }
    }
}

impl Held {
    fn take(&mut self, event: Event) {
        self.depth = depth_after(self.depth, &event);
        if let Event::StartElement(_, (namespace, name), _) = &event {
            self.concerns |= *namespace == ns::MUC_USER && (*name == "status" || *name == "destroy");
        }
        self.events.push(event);
    }

    /// Makes of it what would have been made of it at once.
    fn build(&mut self, context: &Context<'_>) -> Option<FallibleStreamElement> {
        let attributes = std::mem::take(&mut self.attributes);
        let built = FallibleStreamElement::from_events(self.name.clone(), attributes, context).ok();
        let built = built.and_then(|mut builder| {
            let events = std::mem::take(&mut self.events);
            events
                .into_iter()
                .find_map(|event| builder.feed(event, context).ok().flatten())
        });
        if built.is_none() {
            telemetry::unreadable_stanza();
        }
        built
    }
}

fn depth_after(depth: usize, event: &Event) -> usize {
    match event {
        Event::StartElement(..) => depth.saturating_add(1),
        Event::EndElement(..) => depth.saturating_sub(1),
        Event::XmlDeclaration(..) | Event::Text(..) => depth,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_xmpp::Stanza;
    use tokio_xmpp::xmlstream::XmppStreamElement;

    const PUPPET: &str = "alice\\3ahs.example@m.example/viaduct";
    const HUB: &str = "viaduct@m.example/viaduct";

    fn sift(to: &str, kind: &str, rest: &str, inner: &str) -> Option<String> {
        let xml = format!(
            "<{kind} xmlns='{}' from='r@c.example/Bob' to='{to}' {rest}>{inner}</{kind}>",
            ns::DEFAULT_NS
        );
        match xso::from_bytes::<Sifted>(xml.as_bytes()).unwrap().0? {
            FallibleStreamElement::Ok(XmppStreamElement::Stanza(stanza)) => Some(match stanza {
                Stanza::Presence(presence) => format!("{} payloads", presence.payloads.len()),
                Stanza::Message(message) => message.bodies.into_values().collect(),
                Stanza::Iq(iq) => iq.id().to_owned(),
            }),
            other => panic!("{other:?}"),
        }
    }

    fn codes(inner: &str) -> String {
        format!(
            "<x xmlns='{}'><item affiliation='none' role='participant'/>{inner}</x><show>away</show>",
            ns::MUC_USER
        )
    }

    #[test]
    fn the_hub_reads_everything() {
        assert_eq!(sift(HUB, "presence", "", &codes("")).as_deref(), Some("1 payloads"));
        let body = "<body>hello</body>";
        assert_eq!(sift(HUB, "message", "type='groupchat'", body).as_deref(), Some("hello"));
        assert_eq!(
            sift("m.example", "message", "type='groupchat'", body).as_deref(),
            Some("hello")
        );
    }

    #[test]
    fn copies_for_puppets_are_dropped() {
        assert_eq!(sift(PUPPET, "presence", "", &codes("")), None);
        assert_eq!(sift(PUPPET, "presence", "type='unavailable'", &codes("")), None);
        assert_eq!(sift(PUPPET, "presence", "", ""), None);
        assert_eq!(sift(PUPPET, "message", "type='groupchat'", "<body>hello</body>"), None);
        let endless = "<status/>".repeat(HELD_BOUND);
        assert_eq!(sift(PUPPET, "presence", "", &codes(&endless)), None);
    }

    #[test]
    fn bottomless_stanzas_are_dropped() {
        let nested = |depth: usize| {
            format!(
                "<body>x</body>{}{}",
                "<a xmlns='y'>".repeat(depth),
                "</a>".repeat(depth)
            )
        };
        assert_eq!(sift(HUB, "message", "", &nested(DEPTH_BOUND - 1)).as_deref(), Some("x"));
        assert_eq!(sift(HUB, "message", "", &nested(DEPTH_BOUND)), None);
        assert_eq!(sift(HUB, "message", "", &nested(100_000)), None);
    }

    #[test]
    fn what_concerns_a_puppet_is_read() {
        for inner in ["<status code='110'/>", "<status code='307'/>", "<destroy/>"] {
            let presence = sift(PUPPET, "presence", "", &codes(inner));
            assert_eq!(presence.as_deref(), Some("1 payloads"), "{inner}");
        }
        let presence = sift(PUPPET, "presence", "type='error'", "");
        assert_eq!(presence.as_deref(), Some("0 payloads"));
        let body = "<body>psst</body>";
        for kind in ["", "type='chat'", "type='normal'", "type='error'"] {
            assert_eq!(sift(PUPPET, "message", kind, body).as_deref(), Some("psst"), "{kind}");
        }
        let ping = "<ping xmlns='urn:xmpp:ping'/>";
        assert_eq!(sift(PUPPET, "iq", "type='get' id='7'", ping).as_deref(), Some("7"));
    }
}
