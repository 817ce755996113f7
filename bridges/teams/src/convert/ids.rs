//! Message ids. Teams names a message by its time within a channel; a reply also needs the first message of its chain. So the
//! hub's id of a first message is `N`, and of a reply `ROOT/N`.

use viaduct_model::MessageId;

/// Where a message is in its channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spot<'a> {
    /// The first message of the chain, for replies.
    pub root: Option<&'a str>,
    /// The message itself.
    pub id: &'a str,
}

/// Whether a text may be a message's id: digits.
pub fn is_id(text: &str) -> bool {
    (1..=24).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The hub's id of a message.
pub fn message_id(root: Option<&str>, id: &str) -> Option<MessageId> {
    if !is_id(id) {
        return None;
    }
    match root.filter(|root| *root != id) {
        Some(root) if is_id(root) => MessageId::new(format!("{root}/{id}")).ok(),
        Some(_) => None,
        None => MessageId::new(id).ok(),
    }
}

/// Where a message of the hub's is; none if it is none of Teams'.
pub fn spot(id: &MessageId) -> Option<Spot<'_>> {
    let (root, id) = match id.as_str().split_once('/') {
        Some((root, id)) => (Some(root), id),
        None => (None, id.as_str()),
    };
    (is_id(id) && root.is_none_or(is_id)).then_some(Spot { root, id })
}

/// The first message of a message's chain: itself, where it is one.
pub fn root_of<'a>(spot: &Spot<'a>) -> &'a str {
    spot.root.unwrap_or(spot.id)
}

/// A conversation's id as activities have it → the thread of messages and the first message of the chain.
pub fn conversation(id: &str) -> (&str, Option<&str>) {
    match id.split_once(";messageid=") {
        Some((thread, root)) => (thread, Some(root).filter(|root| is_id(root))),
        None => (id, None),
    }
}

/// Whether a text may be a conversation's id.
pub fn is_conversation(text: &str) -> bool {
    text.len() <= 256 && (text.starts_with("19:") || text.starts_with("a:")) && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_their_chain() {
        let root = message_id(Some("17"), "17").unwrap();
        assert_eq!(root.as_str(), "17");
        let reply = message_id(Some("17"), "18").unwrap();
        assert_eq!(reply.as_str(), "17/18");
        assert_eq!(
            spot(&reply),
            Some(Spot {
                root: Some("17"),
                id: "18"
            })
        );
        assert_eq!(root_of(&spot(&root).unwrap()), "17");
        for bad in ["x", "17/x", "../17", "1/2/3"] {
            assert_eq!(spot(&MessageId::new(bad).unwrap()), None, "{bad}");
        }
        assert_eq!(message_id(Some("x"), "17"), None);
        assert_eq!(
            conversation("19:a@thread.tacv2;messageid=17"),
            ("19:a@thread.tacv2", Some("17"))
        );
        assert_eq!(conversation("19:a@thread.v2"), ("19:a@thread.v2", None));
    }
}
