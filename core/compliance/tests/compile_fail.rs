//! Nobody outside the crate can clear anything.

#[test]
fn nothing_else_can_make_a_cleared() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
