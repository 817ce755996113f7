//! Matrix events to the hub's vocabulary and back: pure, total, without I/O.
//!
//! | module | does |
//! |---|---|
//! | [`raw`] | the shapes of JSON that come in |
//! | [`inbound`] | a room event → what happened |
//! | [`message`] | a message's content → a [`Message`](viaduct_model::Message) |
//! | [`html`], [`render`] | `formatted_body` ↔ [`Document`](viaduct_model::Document) |
//! | [`outbound`] | a [`Message`](viaduct_model::Message) → the contents of the events that show it |

pub(crate) mod html;
pub(crate) mod inbound;
pub(crate) mod message;
pub(crate) mod outbound;
pub(crate) mod raw;
pub(crate) mod render;
mod whitespace;
#[cfg(any(test, feature = "fuzz"))]
pub(crate) mod world;

#[cfg(test)]
#[path = "tests.rs"]
mod conversion;
#[cfg(test)]
mod properties;

use percent_encoding::percent_decode_str;

/// Where a link leads within Matrix.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MatrixLink {
    /// A person's user id.
    User(String),
    /// A room's id or alias.
    Room(String),
}

/// The base of links to people and rooms.
const LINK_BASE: &str = "https://matrix.to/#/";

/// Reads a link to a person or room, in either of Matrix's spellings. Links to events stay links.
pub(crate) fn matrix_link(url: &str) -> Option<MatrixLink> {
    let (kind, rest) = if let Some(rest) = url
        .strip_prefix(LINK_BASE)
        .or_else(|| url.strip_prefix("http://matrix.to/#/"))
    {
        (None, rest)
    } else {
        let (kind, rest) = url.strip_prefix("matrix:")?.split_once('/')?;
        (Some(kind), rest)
    };
    let rest = rest.split('?').next()?.trim_end_matches('/');
    if rest.contains('/') {
        return None;
    }
    let id = percent_decode_str(rest).decode_utf8().ok()?;
    let id = match kind {
        None => id.into_owned(),
        Some("u") => format!("@{id}"),
        Some("r") => format!("#{id}"),
        Some("roomid") => format!("!{id}"),
        Some(_) => return None,
    };
    if id.len() > 255 || id.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return None;
    }
    match id.chars().next()? {
        '@' if id.contains(':') => Some(MatrixLink::User(id)),
        '!' | '#' if id.len() > 1 => Some(MatrixLink::Room(id)),
        _ => None,
    }
}

/// A link to a person or room.
pub(crate) fn link_to(id: &str) -> String {
    format!("{LINK_BASE}{}", crate::client::segment(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_read() {
        let user = |id: &str| Some(MatrixLink::User(id.to_owned()));
        assert_eq!(matrix_link("https://matrix.to/#/@a:b.org"), user("@a:b.org"));
        assert_eq!(matrix_link("https://matrix.to/#/%40a%3Ab.org?via=x"), user("@a:b.org"));
        assert_eq!(matrix_link("matrix:u/a:b.org"), user("@a:b.org"));
        assert_eq!(
            matrix_link("https://matrix.to/#/!abc"),
            Some(MatrixLink::Room("!abc".into()))
        );
        assert_eq!(matrix_link("https://matrix.to/#/!abc/$event"), None);
        assert_eq!(matrix_link("https://example.org/@a:b"), None);
        assert_eq!(matrix_link("https://matrix.to/#/@a%00:b"), None);
        assert_eq!(matrix_link(&link_to("@a/b:c.org")), user("@a/b:c.org"));
    }
}
