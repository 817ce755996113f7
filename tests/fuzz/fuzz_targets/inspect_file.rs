//! A file is looked into within its bounds; a picture is freed of its metadata once and for all.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| viaduct_inspect::fuzz::file(data));
