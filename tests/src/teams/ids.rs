//! Times and identifiers in Microsoft's shapes.

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use aws_lc_rs::digest::{SHA256, digest};
use time::{Date, Month, OffsetDateTime, Time};

/// The time now, in milliseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is the outside world, which has a clock of its own"
)]
pub(super) fn now_millis() -> u64 {
    let since = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}

/// The time now, in seconds since 1970.
pub(super) fn now_seconds() -> u64 {
    now_millis() / 1000
}

/// Milliseconds since 1970 as Microsoft writes them, `2026-11-23T10:20:46.077Z`.
pub(super) fn written(millis: u64) -> String {
    let at = i64::try_from(millis / 1000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let (date, time) = (at.date(), at.time());
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        millis % 1000
    )
}

/// Reads a time in UTC, with any number of decimals. None where it is no such time.
pub(super) fn read(text: &str) -> Option<u64> {
    let (date, time) = text.trim().split_once(['T', ' '])?;
    let time = time
        .strip_suffix('Z')
        .or_else(|| time.strip_suffix("+00:00"))
        .unwrap_or(time);
    let mut date = date.split('-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let (time, decimals) = time.split_once('.').unwrap_or((time, ""));
    let mut time = time.split(':');
    let (hour, minute, second) = (time.next()?, time.next()?, time.next()?);
    let month = Month::try_from(month.parse::<u8>().ok()?).ok()?;
    let date = Date::from_calendar_date(year.parse().ok()?, month, day.parse().ok()?).ok()?;
    let time = Time::from_hms(hour.parse().ok()?, minute.parse().ok()?, second.parse().ok()?).ok()?;
    let seconds = u64::try_from(OffsetDateTime::new_utc(date, time).unix_timestamp()).ok()?;
    let millis: String = format!("{decimals:0<3}").chars().take(3).collect();
    Some(seconds * 1000 + millis.parse::<u64>().ok()?)
}

/// Hands out what must never repeat: identifiers and times.
#[derive(Debug, Default)]
pub(super) struct Ids {
    count: u64,
    last: u64,
}

impl Ids {
    /// 32 hexadecimal digits that look random and are the same in every run.
    pub(super) fn hex(&mut self) -> String {
        self.count += 1;
        let mut out = String::new();
        for byte in digest(&SHA256, &self.count.to_be_bytes()).as_ref().iter().take(16) {
            write!(out, "{byte:02x}").unwrap_or_default();
        }
        out
    }

    /// An identifier such as `c33aafc4-646d-4543-9d4c-abd28e4c3ac8`.
    pub(super) fn guid(&mut self) -> String {
        let hex: Vec<char> = self.hex().chars().collect();
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
        let parts = parts.map(|range| hex.get(range).unwrap_or_default().iter().collect::<String>());
        parts.join("-")
    }

    /// The identifier of a channel or a chat.
    pub(super) fn thread(&mut self, end: &str) -> String {
        format!("19:{}@{end}", self.hex())
    }

    /// A fresh secret. Not secret at all: the stand-in listens on loopback and guards nothing.
    pub(super) fn secret(&mut self, prefix: &str) -> String {
        format!("{prefix}~{}", self.hex())
    }

    /// Leaves out so many times.
    pub(super) fn skip(&mut self, count: u64) {
        self.last += count;
    }

    /// The time now in milliseconds, later than every time before.
    pub(super) fn time(&mut self) -> u64 {
        self.last = now_millis().max(self.last + 1);
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_and_write_themselves() {
        assert_eq!(written(1_485_983_408_511), "2017-02-01T21:10:08.511Z");
        for text in ["2017-02-01T21:10:08.511Z", "2017-02-01T21:10:08.5110000+00:00"] {
            assert_eq!(read(text), Some(1_485_983_408_511), "{text}");
        }
        assert_eq!(read("2017-02-01T21:10:08Z"), Some(1_485_983_408_000));
        for wrong in ["", "2017-02-01", "2017-13-01T00:00:00Z", "x"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn nothing_repeats() {
        let mut ids = Ids::default();
        let guids: std::collections::HashSet<String> = (0..1000).map(|_| ids.guid()).collect();
        assert_eq!(guids.len(), 1000);
        assert!(guids.iter().all(|guid| guid.len() == 36));
        let mut before = ids.time();
        for _ in 0..1000 {
            let after = ids.time();
            assert!(after > before);
            before = after;
        }
    }
}
