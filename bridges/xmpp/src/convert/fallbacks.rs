//! What a body only repeats for old clients (XEP-0428).

use xmpp_parsers::minidom::Element;
use xmpp_parsers::ns;

use crate::xep::xep0428_fallback::{self, Fallback};
use crate::xep::{xep0447_file_sharing, xep0461_reply};

/// The body without the parts that only repeat, for old clients, what a payload says.
pub fn without_fallbacks(body: &str, payloads: &[Element]) -> String {
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for payload in payloads
        .iter()
        .filter(|payload| payload.is("fallback", xep0428_fallback::NS))
    {
        let Ok(fallback) = Fallback::try_from(payload.clone()) else {
            continue;
        };
        if !matches!(
            fallback.extension.as_deref(),
            Some(xep0461_reply::NS | xep0447_file_sharing::NS | ns::OOB)
        ) {
            continue;
        }
        if fallback.parts.is_empty() {
            ranges.push((0, usize::MAX));
        }
        ranges.extend(
            fallback
                .parts
                .iter()
                .map(|part| (part.start.unwrap_or(0), part.end.unwrap_or(usize::MAX))),
        );
    }
    if ranges.is_empty() {
        return body.to_owned();
    }
    let kept = body
        .chars()
        .enumerate()
        .filter(|(at, _)| !ranges.iter().any(|(start, end)| (start..end).contains(&at)));
    kept.map(|(_, character)| character).collect()
}
