//! References to files that lead to the very bytes that were looked into.

use viaduct_model::{MediaRef, NetworkName};

use crate::spool::Digest256;

/// The reserved name of a network that stands for files that were looked into.
const NETWORK: &str = "inspected";

/// Which bytes are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Original,
    /// Without metadata.
    Stripped,
}

/// A file, and what it held when it was looked into. As a reference: `FORM:SHA256:NETWORK:LOCATOR`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// Where the file came from.
    pub(crate) media: MediaRef,
    /// What it held.
    pub(crate) digest: Digest256,
    pub(crate) form: Form,
}

impl Pin {
    pub(crate) fn new(media: &MediaRef, digest: Digest256, form: Form) -> Self {
        Self {
            media: media.clone(),
            digest,
            form,
        }
    }

    /// The pin that a reference is, if it is one.
    pub(crate) fn of(reference: &MediaRef) -> Option<Self> {
        if reference.network.as_str() != NETWORK {
            return None;
        }
        let mut parts = reference.locator.splitn(4, ':');
        let form = match parts.next()? {
            "original" => Form::Original,
            "stripped" => Form::Stripped,
            _ => return None,
        };
        let digits = parts.next()?.as_bytes();
        let mut digest = Digest256::default();
        if digits.len() != digest.len() * 2 {
            return None;
        }
        for (byte, pair) in digest.iter_mut().zip(digits.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        let network = NetworkName::new(parts.next()?).ok()?;
        let locator = parts.next()?.to_owned();
        Some(Self {
            media: MediaRef { network, locator },
            digest,
            form,
        })
    }

    /// It as a reference.
    pub(crate) fn reference(&self) -> MediaRef {
        let form = match self.form {
            Form::Original => "original",
            Form::Stripped => "stripped",
        };
        let digits: String = self
            .digest
            .iter()
            .flat_map(|byte| [byte >> 4, byte & 15])
            .filter_map(|half| char::from_digit(u32::from(half), 16))
            .collect();
        let network = NetworkName::new(NETWORK).unwrap_or_else(|_| self.media.network.clone());
        MediaRef {
            network,
            locator: format!("{form}:{digits}:{}:{}", self.media.network, self.media.locator),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_leads_back() {
        let media = MediaRef {
            network: NetworkName::new("acme-slack").unwrap(),
            locator: "https://files.example.org/a:b".to_owned(),
        };
        for form in [Form::Original, Form::Stripped] {
            let pin = Pin::new(&media, [0xa5; 32], form);
            assert_eq!(Pin::of(&pin.reference()), Some(pin));
        }
        assert_eq!(Pin::of(&media), None);
        for bad in ["", "original", "original:ab:matrix:x", "other:00:matrix:x"] {
            let reference = MediaRef {
                network: NetworkName::new(NETWORK).unwrap(),
                locator: bad.to_owned(),
            };
            assert_eq!(Pin::of(&reference), None, "{bad}");
        }
    }
}
