//! The example policies that come with the hub keep their own promises.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use std::path::Path;

use viaduct_compliance::{Filter, Policy};

#[test]
fn the_example_policies_pass_their_own_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/policies");
    let mut tried = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Those that need lists are tried with the command that makes them.
        if path.is_dir() {
            continue;
        }
        let policy: Policy = serde_norway::from_str(&std::fs::read_to_string(&path).unwrap())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let results = policy.test().unwrap();
        let bad: Vec<_> = results.iter().filter(|result| !result.is_good()).collect();
        assert!(bad.is_empty(), "{}: {bad:#?}", path.display());
        assert_eq!(Filter::new(policy).problem(), None);
        tried += 1;
    }
    assert!(tried >= 5, "only {tried} policies");
}
