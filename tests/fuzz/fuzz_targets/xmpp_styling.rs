//! Message styling (XEP-0393) becomes a tree, and the tree text again that loses no letter.
#![no_main]

use libfuzzer_sys::fuzz_target;
use viaduct_xmpp::convert::styling;

fuzz_target!(|data: &[u8]| {
    let document = styling::parse(&String::from_utf8_lossy(data)).normal();
    let rendered = styling::render(&document).body;
    // The text may have more, such as the language of a block of code.
    let mut shown = rendered.chars();
    for letter in document.to_plain().chars().filter(|c| c.is_alphanumeric()) {
        assert!(
            shown.any(|c| c == letter),
            "{letter:?} of {document:?} is not in {rendered:?}"
        );
    }
});
