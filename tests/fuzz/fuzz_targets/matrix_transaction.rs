//! A room event as the homeserver could send it is converted or ignored, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    viaduct_matrix::fuzz::event(data);
});
