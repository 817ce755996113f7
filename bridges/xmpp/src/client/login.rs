//! Proving who one is to a server (SASL, RFC 6120 section 6): SCRAM, bound to the encryption where both sides can.

use std::collections::BTreeSet;

use futures_util::SinkExt;
use sasl::client::Mechanism;
use sasl::client::mechanisms::{Plain, Scram};
use sasl::common::scram::{Sha1, Sha256};
use sasl::common::{ChannelBinding, Credentials};
use tokio_xmpp::xmlstream::XmppStreamElement;
use xmpp_parsers::sasl::{Auth, DefinedCondition, Mechanism as Named, Nonza, Response};
use xmpp_parsers::sasl_cb::Type;
use xmpp_parsers::stream_features::StreamFeatures;

use super::account::next;
use super::link::{LinkError, Stream};
use crate::config::Secret;

/// The most rounds a server may ask to spend on a password. Common are 4,096 to 100,000.
const ROUNDS: u32 = 1_000_000;

/// Who logs in.
pub struct Identity<'a> {
    /// The address's local part.
    pub name: &'a str,
    /// The password.
    pub password: &'a Secret,
    /// Whether the password may be sent as it is.
    pub allow_plain: bool,
}

/// Logs in with the strongest mechanism that both sides have. The server has proven with SCRAM that it knows the password,
/// too, when this returns.
///
/// # Errors
///
/// [`LinkError::Refused`] if the server does not let us in, or does not prove itself.
pub async fn prove(
    stream: &mut Stream,
    features: &StreamFeatures,
    identity: &Identity<'_>,
    binding: Option<ChannelBinding>,
) -> Result<(), LinkError> {
    let mut mechanism = choose(features, identity, binding)?;
    let name: Named = mechanism
        .name()
        .parse()
        .map_err(|_| LinkError::Refused("the login mechanism has no name".into()))?;
    let auth = Auth {
        mechanism: name,
        data: mechanism.initial(),
    };
    send(stream, Nonza::Auth(auth)).await?;
    loop {
        match next(stream).await? {
            Ok(XmppStreamElement::Sasl(Nonza::Challenge(challenge))) => {
                check_rounds(&challenge.data)?;
                let data = mechanism
                    .response(&challenge.data)
                    .map_err(|error| LinkError::Refused(error.to_string()))?;
                send(stream, Nonza::Response(Response { data })).await?;
            }
            Ok(XmppStreamElement::Sasl(Nonza::Success(success))) => {
                return mechanism
                    .success(&success.data)
                    .map_err(|error| LinkError::Refused(format!("the server does not prove itself: {error}")));
            }
            Ok(XmppStreamElement::Sasl(Nonza::Failure(failure))) => {
                let text = failure.texts.values().next().cloned().unwrap_or_default();
                let reason = format!("{:?} {text}", failure.defined_condition);
                return Err(match failure.defined_condition {
                    DefinedCondition::TemporaryAuthFailure => LinkError::Lost(reason),
                    _ => LinkError::Refused(reason.trim_end().to_owned()),
                });
            }
            Ok(_) | Err(_) => {}
        }
    }
}

async fn send(stream: &mut Stream, nonza: Nonza) -> Result<(), LinkError> {
    stream
        .send(&XmppStreamElement::Sasl(nonza))
        .await
        .map_err(|error| LinkError::Lost(error.to_string()))
}

type Chosen = Box<dyn Mechanism + Send + Sync>;

fn choose(
    features: &StreamFeatures,
    identity: &Identity<'_>,
    binding: Option<ChannelBinding>,
) -> Result<Chosen, LinkError> {
    let offered = &features.sasl_mechanisms;
    let plus = offered.iter().any(|name| name.ends_with("-PLUS"));
    let named = features.sasl_cb.as_ref();
    let bound = binding.filter(|_| plus && named.is_some_and(|named| named.types.contains(&Type::TlsExporter)));
    // To say that the server lacks what it offers would look like an attack to it.
    let unbound = if plus {
        ChannelBinding::None
    } else {
        ChannelBinding::Unsupported
    };
    let credentials = |binding: ChannelBinding| {
        Credentials::default()
            .with_username(scram_name(identity.name))
            .with_password(identity.password.reveal())
            .with_channel_binding(binding)
    };
    let mut tried: Vec<Chosen> = Vec::new();
    for binding in bound.into_iter().chain([unbound]) {
        let sha256 = Scram::<Sha256>::from_credentials(credentials(binding.clone()));
        let sha1 = Scram::<Sha1>::from_credentials(credentials(binding));
        tried.extend(sha256.ok().map(|one| Box::new(one) as Chosen));
        tried.extend(sha1.ok().map(|one| Box::new(one) as Chosen));
    }
    if identity.allow_plain {
        let plain = Credentials::default().with_username(identity.name);
        let plain = Plain::from_credentials(plain.with_password(identity.password.reveal()));
        tried.extend(plain.ok().map(|one| Box::new(one) as Chosen));
    }
    tried
        .into_iter()
        .find(|mechanism| offered.contains(mechanism.name()))
        .ok_or_else(|| LinkError::Refused(no_mechanism(offered)))
}

fn no_mechanism(offered: &BTreeSet<String>) -> String {
    let names: Vec<&str> = offered.iter().map(String::as_str).take(20).collect();
    let advice = if offered.contains("PLAIN") {
        "; account.allow_plain lets the hub send the password as it is"
    } else {
        ""
    };
    format!(
        "the server offers no login that the hub knows, only {}{advice}",
        names.join(", ")
    )
}

/// A name as SCRAM writes it (RFC 5802 section 5.1).
fn scram_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

/// Refuses a server that asks for endless work.
fn check_rounds(challenge: &[u8]) -> Result<(), LinkError> {
    let text = String::from_utf8_lossy(challenge);
    let rounds = text.split(',').find_map(|part| part.strip_prefix("i="));
    match rounds.map(str::parse::<u32>) {
        None => Ok(()),
        Some(Ok(rounds)) if rounds <= ROUNDS => Ok(()),
        Some(_) => Err(LinkError::Refused(
            "the server asks for too much work on the password".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(offered: &[&str], allow_plain: bool, binding: Option<ChannelBinding>) -> Result<String, LinkError> {
        let features = StreamFeatures {
            sasl_mechanisms: offered.iter().map(|name| (*name).to_owned()).collect(),
            sasl_cb: Some(xmpp_parsers::sasl_cb::SaslChannelBinding {
                types: vec![Type::TlsExporter],
            }),
            ..StreamFeatures::default()
        };
        let password = Secret::new("p");
        let identity = Identity {
            name: "a",
            password: &password,
            allow_plain,
        };
        choose(&features, &identity, binding).map(|mechanism| mechanism.name().to_owned())
    }

    #[test]
    fn the_strongest_is_taken() {
        let all = ["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"];
        let binding = Some(ChannelBinding::TlsExporter(vec![0; 32]));
        assert_eq!(chosen(&all, true, binding).unwrap(), "SCRAM-SHA-256-PLUS");
        assert_eq!(chosen(&all, true, None).unwrap(), "SCRAM-SHA-256");
        assert_eq!(chosen(&["PLAIN"], true, None).unwrap(), "PLAIN");
        assert!(matches!(chosen(&["PLAIN"], false, None), Err(LinkError::Refused(_))));
    }

    #[test]
    fn endless_work_is_refused() {
        assert!(check_rounds(b"r=x,s=y,i=4096").is_ok());
        assert!(check_rounds(b"r=x,s=y,i=4000000000").is_err());
        assert!(check_rounds(b"r=x,s=y,i=99999999999").is_err());
    }
}
