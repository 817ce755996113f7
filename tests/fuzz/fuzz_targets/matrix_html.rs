//! A message's HTML becomes a tree; the tree becomes HTML that reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    viaduct_matrix::fuzz::html(&String::from_utf8_lossy(data));
});
