//! The measures, one file each.

pub mod ghosts;
pub mod kill;
pub mod latency;
pub mod start;
pub mod throughput;
