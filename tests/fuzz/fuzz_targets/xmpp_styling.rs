//! Message styling (XEP-0393) becomes a tree, and the tree text again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use viaduct_xmpp::convert::styling;

fuzz_target!(|data: &[u8]| {
    let document = styling::parse(&String::from_utf8_lossy(data));
    let _rendered = styling::render(&document.normal());
});
