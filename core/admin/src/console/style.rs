//! How pages look: one file, in the program.

use axum::http::header;
use axum::response::{IntoResponse, Response};

/// The rules.
const STYLE: &str = include_str!("style.css");

/// `GET /console/style.css`.
pub(super) async fn show() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "max-age=300"),
    ];
    (headers, STYLE).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::STYLE;

    /// The colours of a block, by name.
    fn colours(block: &str) -> BTreeMap<&str, [f64; 3]> {
        let lines = block
            .lines()
            .filter_map(|line| line.trim().strip_prefix("--")?.split_once(": #"));
        let part =
            |hex: &str, at: usize| f64::from(u8::from_str_radix(hex.get(at..at + 2).unwrap(), 16).unwrap()) / 255.0;
        lines
            .map(|(name, hex)| (name, [part(hex, 0), part(hex, 2), part(hex, 4)]))
            .collect()
    }

    /// The contrast of two colours (WCAG 2.1, relative luminance).
    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let linear = |part: f64| {
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        let light =
            |[red, green, blue]: [f64; 3]| 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        let (one, other) = (light(one) + 0.05, light(other) + 0.05);
        one.max(other) / one.min(other)
    }

    #[test]
    fn s27_texts_stand_out_from_their_ground_by_day_and_by_night() {
        assert!((contrast([0.0; 3], [1.0; 3]) - 21.0).abs() < 0.01);
        let blocks: Vec<&str> = STYLE
            .split(":root {")
            .skip(1)
            .map(|rest| rest.split('}').next().unwrap())
            .collect();
        assert_eq!(blocks.len(), 2, "by day and by night");
        let texts = [
            ("text", "ground"),
            ("text", "raised"),
            ("quiet", "ground"),
            ("quiet", "raised"),
            ("link", "ground"),
            ("link", "raised"),
            ("on-accent", "accent"),
            ("on-grave", "grave"),
            ("bad", "bad-ground"),
            ("fine", "fine-ground"),
            ("care", "care-ground"),
            ("bad", "ground"),
            ("bad", "raised"),
        ];
        // What shows where a field or the focus is (WCAG 1.4.11).
        let shapes = [
            ("edge", "ground"),
            ("edge", "raised"),
            ("focus", "ground"),
            ("focus", "raised"),
        ];
        for block in blocks {
            let colours = colours(block);
            for (pairs, least) in [(&texts[..], 4.5), (&shapes[..], 3.0)] {
                for (text, ground) in pairs {
                    let found = contrast(colours[text], colours[ground]);
                    assert!(found >= least, "{text} on {ground}: {found:.2}");
                }
            }
        }
    }
}
