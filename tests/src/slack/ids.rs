//! Timestamps and identifiers in Slack's shape.

use std::fmt;
use std::str::FromStr;
use std::time::UNIX_EPOCH;

/// The time now, in microseconds since 1970.
#[expect(
    clippy::disallowed_methods,
    reason = "the stand-in is the outside world, which has a clock of its own"
)]
pub(super) fn now_micros() -> u64 {
    let since = std::time::SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or_default()
}

/// A Slack timestamp: seconds since 1970 with six decimals. A message is named by its channel and this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ts(u64);

impl Ts {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970.
    pub const fn seconds(self) -> u64 {
        self.0 / 1_000_000
    }
}

impl fmt::Display for Ts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.seconds(), self.0 % 1_000_000)
    }
}

/// The text is no timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATimestamp;

impl fmt::Display for NotATimestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a timestamp is seconds with up to six decimals, such as 1700000000.000100")
    }
}

impl std::error::Error for NotATimestamp {}

impl FromStr for Ts {
    type Err = NotATimestamp;

    fn from_str(text: &str) -> Result<Self, NotATimestamp> {
        let (seconds, decimals) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if seconds.is_empty() || decimals.len() > 6 || !digits(seconds) || !digits(decimals) {
            return Err(NotATimestamp);
        }
        let whole: u64 = seconds.parse().map_err(|_| NotATimestamp)?;
        let micros: u64 = format!("{decimals:0<6}").parse().map_err(|_| NotATimestamp)?;
        whole
            .checked_mul(1_000_000)
            .and_then(|whole| whole.checked_add(micros))
            .map(Self)
            .ok_or(NotATimestamp)
    }
}

/// Hands out what must never repeat: identifiers and timestamps.
#[derive(Debug, Default)]
pub(super) struct Ids {
    count: u64,
    last: u64,
}

impl Ids {
    /// A fresh identifier with this prefix, such as `U` for a user.
    pub(super) fn next(&mut self, prefix: &str) -> String {
        self.count += 1;
        // Spread, so that no test comes to rely on neighbours.
        format!("{prefix}0{}", base36(self.count.wrapping_mul(7_919) + 60_466_176))
    }

    /// A fresh secret with this prefix. Not secret at all: the stand-in listens on loopback and guards nothing.
    pub(super) fn secret(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!(
            "{prefix}-stand-in-{:016x}",
            self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15)
        )
    }

    /// The time now, later than every timestamp before.
    pub(super) fn ts(&mut self) -> Ts {
        self.last = now_micros().max(self.last + 1);
        Ts(self.last)
    }
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 || digits.is_empty() {
        let digit = u32::try_from(number % 36).unwrap_or_default();
        digits.push(char::from_digit(digit, 36).unwrap_or('0').to_ascii_uppercase());
        number /= 36;
    }
    let padding = std::iter::repeat_n('0', 9_usize.saturating_sub(digits.len()));
    padding.chain(digits.into_iter().rev()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_reads_and_writes_itself() {
        let ts: Ts = "1700000000.000100".parse().unwrap();
        assert_eq!(
            (ts.to_string().as_str(), ts.micros()),
            ("1700000000.000100", 1_700_000_000_000_100)
        );
        assert_eq!("1700000000".parse(), Ok(Ts(1_700_000_000_000_000)));
        assert_eq!("5.1".parse(), Ok(Ts(5_100_000)));
        for wrong in ["", ".5", "-1", "1.1234567", "x", "99999999999999999999", "1.+1"] {
            assert_eq!(wrong.parse::<Ts>(), Err(NotATimestamp), "{wrong}");
        }
    }

    #[test]
    fn identifiers_and_timestamps_never_repeat() {
        let mut ids = Ids::default();
        let names: std::collections::HashSet<String> = (0..1000).map(|_| ids.next("U")).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.len() == 11), "{names:?}");
        let mut before = ids.ts();
        for _ in 0..1000 {
            let after = ids.ts();
            assert!(after > before);
            before = after;
        }
    }
}
