//! Days as people write them into agreements.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::format_description::well_known::Iso8601;
use time::{Date, Duration, OffsetDateTime};
use viaduct_model::Timestamp;

/// A day has so many milliseconds.
pub(crate) const DAY: u64 = 24 * 60 * 60 * 1000;

/// A day in the calendar, `2026-12-31`, from 1970 to 9999. Its borders are taken in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Day(Date);

impl Day {
    /// Reads a day.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let day = Date::parse(text, &Iso8601::DATE).ok().map(Self);
        // ISO 8601 has other ways to write a day, and its parser takes more than a day; only this one is meant.
        day.filter(|day| (1970..=9999).contains(&day.0.year()) && day.to_string() == text)
            .ok_or_else(|| format!("`{text}` is not a day; write it as 2026-12-31"))
    }

    /// The day on which a time falls.
    pub fn of(at: Timestamp) -> Self {
        let seconds = i64::try_from(at.as_millis() / 1000).unwrap_or(i64::MAX);
        let date = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        Self(date.date())
    }

    /// When it begins.
    pub fn start(self) -> Timestamp {
        let seconds = self.0.midnight().assume_utc().unix_timestamp();
        Timestamp::from_secs(u64::try_from(seconds).unwrap_or_default())
    }

    /// When it is over: the first moment of the next day.
    pub fn end(self) -> Timestamp {
        self.start().plus_millis(DAY)
    }

    /// The day so many days later; the last there is, if that is beyond the year 9999.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        let later = self.0.checked_add(Duration::days(i64::from(days)));
        Self(later.filter(|date| date.year() <= 9999).unwrap_or(Date::MAX))
    }

    /// As it is written in German: `31.12.2026`.
    pub fn german(self) -> String {
        format!(
            "{:02}.{:02}.{:04}",
            self.0.day(),
            u8::from(self.0.month()),
            self.0.year()
        )
    }
}

/// A month in the calendar, `2026-11`. Its borders are taken in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month(Day);

impl Month {
    /// Reads a month.
    ///
    /// # Errors
    ///
    /// What to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        let first = Day::parse(&format!("{text}-01"));
        first
            .map(Self)
            .map_err(|_| format!("`{text}` is not a month; write it as 2026-11"))
    }

    /// Its first day.
    pub fn first(self) -> Day {
        self.0
    }

    /// Its last day.
    pub fn last(self) -> Day {
        let date = self.0.0;
        let days = date.month().length(date.year());
        self.0.plus_days(u32::from(days) - 1)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.0.0.year(), u8::from(self.0.0.month()))
    }
}

impl TryFrom<String> for Month {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Month> for String {
    fn from(month: Month) -> Self {
        month.to_string()
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:04}-{:02}-{:02}",
            self.0.year(),
            u8::from(self.0.month()),
            self.0.day()
        )
    }
}

impl TryFrom<String> for Day {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Day> for String {
    fn from(day: Day) -> Self {
        day.to_string()
    }
}

/// A time to the second, in UTC: `2026-12-31 23:59:59`.
pub fn second(at: Timestamp) -> String {
    let seconds = at.as_millis() / 1000 % (DAY / 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{} {hours:02}:{minutes:02}:{:02}", Day::of(at), seconds % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_begin_and_end() {
        let day = Day::parse("2026-12-31").unwrap();
        assert_eq!(day.to_string(), "2026-12-31");
        assert_eq!(day.german(), "31.12.2026");
        assert_eq!(day.end(), Day::parse("2027-01-01").unwrap().start());
        assert_eq!(day.plus_days(1).to_string(), "2027-01-01");
        assert_eq!(Day::of(Timestamp(day.end().as_millis() - 1)), day);
        for wrong in [
            "",
            "2026-02-30",
            "31.12.2026",
            "soon",
            "1969-12-31",
            "2026-12-31T00:00:00Z",
        ] {
            assert!(Day::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn months_have_a_first_and_a_last_day() {
        for (text, last) in [
            ("2026-11", "2026-11-30"),
            ("2028-02", "2028-02-29"),
            ("2026-12", "2026-12-31"),
        ] {
            let month = Month::parse(text).unwrap();
            assert_eq!(
                (month.to_string(), month.last().to_string()),
                (text.to_owned(), last.to_owned())
            );
            assert_eq!(month.first().to_string(), format!("{text}-01"));
        }
        assert_eq!(second(Timestamp(1_780_272_061_999)), "2026-06-01 00:01:01");
        for wrong in ["", "2026", "2026-13", "2026-11-01", "11.2026"] {
            assert!(Month::parse(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_day_comes_back(millis in 0..250_000_000_000_000_u64) {
            let day = Day::of(Timestamp(millis));
            prop_assert!(day.start().as_millis() <= millis && millis < day.end().as_millis());
            prop_assert_eq!(Day::parse(&day.to_string()).unwrap(), day);
        }
    }
}
