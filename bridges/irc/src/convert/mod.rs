//! Everything about IRC that is a pure function: text, names, modes. No I/O, no clock.
//!
//! Every function here is total: any input gives a value, and no value holds a byte that could end an IRC line.

pub mod casemap;
pub mod ctcp;
pub mod forms;
pub mod mention;
pub mod mirc;
pub mod modes;
pub mod nick;
pub mod palette;
pub mod render;
pub mod split;

pub use casemap::{Casemapping, Folded};
