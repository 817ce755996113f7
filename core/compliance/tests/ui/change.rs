//! What was cleared cannot be exchanged for something else.

fn swap(cleared: viaduct_compliance::Cleared<String>) {
    *cleared = "something else".to_owned();
}

fn main() {}
