//! XHTML-IM (XEP-0071) becomes a tree of bounded depth, and text again that loses no letter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use viaduct_xmpp::convert::{styling, xhtml};
use xmpp_parsers::minidom::Element;

fuzz_target!(|data: &[u8]| {
    let inner = String::from_utf8_lossy(data);
    let xml = format!("<body xmlns='http://www.w3.org/1999/xhtml'>{inner}</body>");
    let Ok(body) = xml.parse::<Element>() else { return };
    let document = xhtml::parse(&body);
    let rendered = styling::render(&document).body;
    // The text may have more, such as the address of a link.
    let mut shown = rendered.chars();
    for letter in document.to_plain().chars().filter(|c| c.is_alphanumeric()) {
        assert!(
            shown.any(|c| c == letter),
            "{letter:?} of {document:?} is not in {rendered:?}"
        );
    }
});
