//! The README's table of what crosses is the program's own.
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::process::Command;

#[test]
fn the_table_of_capabilities_is_current() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../README.md")).unwrap();
    let (_, rest) = readme.split_once("<!-- capabilities:start -->").unwrap();
    let (table, _) = rest.split_once("<!-- capabilities:end -->").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_viaduct"))
        .args(["capabilities", "--markdown"])
        .output()
        .unwrap();
    let current = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        table.trim(),
        current.trim(),
        "run `viaduct capabilities --markdown` and put its table into the README"
    );
}
