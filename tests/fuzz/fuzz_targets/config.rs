//! A configuration file is accepted, or every problem names a place in it.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use viaduct_config::{Kinds, check};

struct NoKinds;

impl Kinds for NoKinds {
    fn names(&self) -> Vec<String> {
        vec!["echo".to_owned()]
    }
    fn schema(&self, _kind: &str) -> Option<Value> {
        Some(serde_json::json!({ "type": "object" }))
    }
    fn check(&self, _kind: &str, _section: &Value) -> Vec<(String, String)> {
        Vec::new()
    }
}

fuzz_target!(|data: &[u8]| {
    if let Err(problems) = check(&String::from_utf8_lossy(data), Path::new("viaduct.yaml"), &NoKinds) {
        assert!(!problems.is_empty());
    }
});
