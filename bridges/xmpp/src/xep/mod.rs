//! Payloads that the parser library does not have, each in a module named after its extension.
//!
//! Every type only describes XML; what it means for the hub is decided in [`crate::convert`].

#![expect(
    clippy::option_option,
    reason = "the derive macros expand to it for every optional child"
)]

pub mod xep0045_muc_admin;
pub mod xep0045_muc_owner;
pub mod xep0045_muc_user;
pub mod xep0060_items;
pub mod xep0071_xhtml_im;
pub mod xep0106_jid_escaping;
pub mod xep0249_direct_invite;
pub mod xep0313_archive;
pub mod xep0317_hats;
pub mod xep0334_hints;
pub mod xep0372_references;
pub mod xep0382_spoiler;
pub mod xep0393_unstyled;
pub mod xep0422_fastening;
pub mod xep0424_retraction;
pub mod xep0425_moderation;
pub mod xep0428_fallback;
pub mod xep0446_file_metadata;
pub mod xep0447_file_sharing;
pub mod xep0461_reply;
pub mod xep0482_call_invites;
pub mod xep0511_link_metadata;

use xmpp_parsers::minidom::Element;

/// The first payload that is a `T`; payloads that look like one but are malformed count as absent.
pub fn find<T: TryFrom<Element>>(payloads: &[Element], name: &str, namespace: &str) -> Option<T> {
    payloads
        .iter()
        .find(|element| element.is(name, namespace))
        .and_then(|element| T::try_from(element.clone()).ok())
}
