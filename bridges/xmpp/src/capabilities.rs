//! What a room can express.

use viaduct_model::{Capabilities, Lookup, Support};

use crate::config::Section;
use crate::convert::outgoing::TEXT_BOUND;

/// What rooms can express under this configuration; `archive` says whether the room keeps one.
pub fn of_room(section: &Section, archive: bool) -> Capabilities {
    let with_puppets = if section.has_puppets() {
        Support::Native
    } else {
        Support::None
    };
    Capabilities {
        file: if section.upload_service.is_some() {
            Support::Native
        } else {
            Support::Fallback
        },
        membership: with_puppets,
        typing: if section.typing { with_puppets } else { Support::None },
        read: if section.receipts { with_puppets } else { Support::None },
        puppet: if section.has_puppets() {
            Support::Native
        } else {
            Support::Fallback
        },
        history: if archive { Support::Native } else { Support::None },
        name: if section.rename_rooms {
            Support::Native
        } else {
            Support::None
        },
        lookup: if archive { Lookup::Queryable } else { Lookup::None },
        ..of_kind()
    }
}

/// What a chat between two people can express.
pub fn of_direct(section: &Section) -> Capabilities {
    Capabilities {
        thread: Support::None,
        topic: Support::None,
        name: Support::None,
        membership: Support::None,
        moderation: Support::None,
        role: Support::None,
        history: Support::None,
        lookup: Lookup::None,
        ..of_room(section, false)
    }
}

/// What rooms with an archive can express with the usual configuration.
pub fn of_kind() -> Capabilities {
    Capabilities {
        edit: Support::Native,
        edit_window: None,
        delete: Support::Native,
        reply: Support::Native,
        thread: Support::Native,
        reaction: Support::Native,
        custom_emoji: Support::Fallback,
        formatting: Support::Native,
        mention: Support::Native,
        file: Support::Native,
        file_limit: None,
        text_limit: Some(TEXT_BOUND as u64),
        line_limit: None,
        topic: Support::Native,
        name: Support::None,
        membership: Support::Native,
        moderation: Support::Native,
        role: Support::Native,
        pins: Support::None,
        typing: Support::None,
        read: Support::None,
        puppet: Support::Native,
        history: Support::Native,
        direct: Support::Native,
        lookup: Lookup::Queryable,
    }
}
