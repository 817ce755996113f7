//! A bridge cannot write a `Cleared` down.

fn main() {
    let _ = viaduct_compliance::Cleared { inner: 1 };
}
