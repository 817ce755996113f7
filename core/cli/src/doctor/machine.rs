//! What `doctor` asks of the machine itself: disk and clock.

use std::path::Path;

use viaduct_bridge::Probe;
use viaduct_config::Config;
use viaduct_model::{Clock, Timestamp};

use crate::system::SystemClock;

/// Below this much free space, in bytes, the store may soon stand still.
const LOW: u64 = 1024 * 1024 * 1024;
/// Below this much it does.
const NONE: u64 = 64 * 1024 * 1024;
/// No clock that is right shows a time before this: 2026-01-01.
const EARLIEST: Timestamp = Timestamp(1_767_225_600_000);

pub(super) fn probes(config: &Config) -> Vec<Probe> {
    vec![disk(&config.store.path), clock(SystemClock.now())]
}

/// The space left where the store is or will be.
fn disk(path: &Path) -> Probe {
    let subject = format!("disk {}", path.display());
    let Some(existing) = path.ancestors().find(|folder| folder.exists()) else {
        return Probe::error(subject, "there is no such folder", "choose another store.path");
    };
    if rustix::fs::access(existing, rustix::fs::Access::WRITE_OK).is_err() {
        return Probe::error(
            subject,
            "it cannot be written",
            "give the folder to the user that viaduct runs as",
        );
    }
    match rustix::fs::statvfs(existing) {
        Ok(space) => judge(subject, space.f_bavail.saturating_mul(space.f_frsize)),
        Err(error) => Probe::warning(
            subject,
            format!("the free space is not known: {error}"),
            "look at it yourself",
        ),
    }
}

fn judge(subject: String, free: u64) -> Probe {
    let found = format!("{} MiB free", free / 1024 / 1024);
    match free {
        ..NONE => Probe::error(
            subject,
            format!("only {found}"),
            "make room: viaduct stops accepting messages when it is full",
        ),
        NONE..LOW => Probe::warning(subject, format!("only {found}"), "make room before it is full"),
        LOW.. => Probe::ok(subject, found),
    }
}

fn clock(now: Timestamp) -> Probe {
    if now < EARLIEST {
        Probe::error(
            "clock",
            "this machine's clock is years behind",
            "set it, and keep it set with NTP",
        )
    } else {
        Probe::ok("clock", "plausible")
    }
}

#[cfg(test)]
mod tests {
    use viaduct_bridge::ProbeStatus::{Error, Ok as Fine, Warning};

    use super::*;

    #[test]
    fn disk_and_clock_are_judged() {
        assert_eq!(judge(String::new(), 10 * LOW).status, Fine);
        assert_eq!(judge(String::new(), LOW - 1).status, Warning);
        assert_eq!(judge(String::new(), NONE - 1).status, Error);
        assert_eq!(clock(Timestamp(0)).status, Error);
        assert_eq!(disk(Path::new("/")).subject, "disk /");
    }
}
