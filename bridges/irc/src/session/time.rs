//! The server's times.

use viaduct_model::Timestamp;

/// Reads a time such as `2026-11-23T12:00:00.123Z`; none if it is not one of the years 1970 to 9999.
pub fn parse(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.split('-').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut time = time.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (time.next()?.ok()?, time.next()?.ok()?, time.next()?.ok()?);
    let sound = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !sound {
        return None;
    }
    // Days since 1970 in the Gregorian calendar, with years that begin in March.
    let (shifted_year, shifted_month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 365 * shifted_year + shifted_year / 4 - shifted_year / 100
        + shifted_year / 400
        + (153 * shifted_month + 2) / 5
        + day
        - 1;
    let days = days.checked_sub(719_468)?;
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp(seconds * 1000 + millis.parse::<u64>().ok()?))
}

/// Writes a time as the server would.
pub fn format(at: Timestamp) -> String {
    let (seconds, millis) = (at.as_millis() / 1000, at.as_millis() % 1000);
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{millis:03}Z",
        rest / 3600,
        rest / 60 % 60,
        rest % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_times() {
        assert_eq!(parse("1970-01-01T00:00:00.000Z"), Some(Timestamp(0)));
        assert_eq!(parse("2026-02-28T23:59:59.5Z"), Some(Timestamp(1_772_323_199_500)));
        assert_eq!(parse("2000-02-29T12:00:00Z"), Some(Timestamp(951_825_600_000)));
        for wrong in [
            "",
            "Z",
            "2026-13-01T00:00:00Z",
            "1969-01-01T00:00:00Z",
            "99999999999-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(wrong), None);
        }
    }

    proptest! {
        #[test]
        fn there_and_back(millis in 0_u64..250_000_000_000_000) {
            prop_assert_eq!(parse(&format(Timestamp(millis))), Some(Timestamp(millis)));
        }

        #[test]
        fn any_text(text in any::<String>()) {
            prop_assert!(parse(&text).is_none_or(|at| at.as_millis() < 253_402_300_800_000 + 1000));
        }
    }
}
