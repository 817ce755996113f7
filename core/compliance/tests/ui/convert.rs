//! A `Cleared` cannot be had by conversion or default either.

fn main() {
    let _: viaduct_compliance::Cleared<u8> = 1.into();
    let _: viaduct_compliance::Cleared<u8> = Default::default();
}
