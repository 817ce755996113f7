//! The tests of this crate, by what they are about. A number in a name (`s35`) is that of the statement about the product
//! which the test holds it to.

mod agreements;
mod alarms;
mod keys;
mod notices;
mod offboarding;
mod quarantine;
mod reports;
mod retention;
mod subject;
