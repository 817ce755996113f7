//! Reading untrusted JSON: what is not there, or is something else than expected, is as if it were not there.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use viaduct_model::Timestamp;

/// The value at a path of keys.
pub fn at<'v>(value: &'v Value, path: &[&str]) -> &'v Value {
    path.iter()
        .fold(value, |inner, key| inner.get(key).unwrap_or(&Value::Null))
}

/// The text at a path; none if it is empty.
pub fn text<'v>(value: &'v Value, path: &[&str]) -> Option<&'v str> {
    at(value, path).as_str().filter(|text| !text.is_empty())
}

/// The list at a path.
pub fn list<'v>(value: &'v Value, path: &[&str]) -> &'v [Value] {
    at(value, path).as_array().map_or(&[], Vec::as_slice)
}

/// The time at a path.
pub fn time(value: &Value, path: &[&str]) -> Option<Timestamp> {
    instant(text(value, path)?)
}

/// A time as RFC 3339 has it.
pub fn instant(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    let millis = at.unix_timestamp_nanos().checked_div(1_000_000)?;
    u64::try_from(millis).ok().map(Timestamp)
}

/// A time, to the millisecond, as Graph wants it.
pub fn rfc3339(at: Timestamp) -> String {
    let millis = i128::from(at.as_millis()).saturating_mul(1_000_000);
    let at = OffsetDateTime::from_unix_timestamp_nanos(millis).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_survive_and_nonsense_is_none() {
        let at = instant("2026-11-23T10:20:46.077Z").unwrap();
        assert_eq!(instant(&rfc3339(at)), Some(at));
        assert_eq!(instant("2026-11-23T11:20:46.077+01:00"), Some(at));
        assert_eq!(instant("yesterday"), None);
        assert_eq!(instant("1066-01-01T00:00:00Z"), None);
    }
}
