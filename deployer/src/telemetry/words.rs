//! Numbers, times and curves for people. Pure. Times are UTC: so are AWS's, and those of the logs.

/// The heights of a curve. Nothing at all is a dot, so that it differs from little.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

const SECOND_MS: i64 = 1000;
const DAY_MS: i64 = 24 * 60 * 60 * SECOND_MS;

/// A curve, a character a value, the highest one at full height.
pub(crate) fn sparkline(values: &[f64]) -> String {
    let most = values.iter().copied().fold(0.0, f64::max);
    let height = |&value: &f64| {
        if value <= 0.0 || most <= 0.0 {
            return '·';
        }
        let index = HEIGHTS.iter().enumerate().position(|(index, _)| {
            #[expect(clippy::cast_precision_loss, reason = "it is less than eight")]
            let share = (index + 1) as f64 / HEIGHTS.len() as f64;
            value <= most * share
        });
        HEIGHTS[index.unwrap_or(HEIGHTS.len() - 1)]
    };
    values.iter().map(height).collect()
}

/// A number, rounded, with its thousands apart.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.max(0.0));
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A text in lines of so many characters. A word that is longer has a line of its own.
pub(crate) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last().map_or(0, |it| it.chars().count());
        if last > 0 && last + 1 + word.chars().count() > width {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

/// How long ago something was, in the largest unit that it has at least two of.
pub(crate) fn ago(then_s: i64, now_s: i64) -> String {
    let seconds = (now_s - then_s).max(0);
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..172_800 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

/// `03:01:00.123`
pub(crate) fn time_of_day(at_ms: i64) -> String {
    let ms = at_ms.rem_euclid(DAY_MS);
    let seconds = ms / SECOND_MS;
    format!(
        "{:02}:{:02}:{:02}.{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        ms % SECOND_MS
    )
}

/// `2026-11-22`
pub(crate) fn date(at_ms: i64) -> String {
    let text = timestamp(at_ms);
    text.split('T').next().unwrap_or_default().to_owned()
}

/// `2026-11-22T03:01:00.123Z`
pub(super) fn timestamp(at_ms: i64) -> String {
    let ms = u64::try_from(at_ms).unwrap_or_default();
    // No time of AWS's is later; a wrong one must not end the program.
    let ms = ms.min(253_402_300_799_999);
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_millis(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_has_a_dot_for_nothing_and_full_height_for_the_most() {
        for (values, curve) in [
            (&[][..], ""),
            (&[0.0, 0.0], "··"),
            (&[1.0, 1.0], "██"),
            (&[0.0, 1.0, 50.0, 100.0], "·▁▄█"),
            (&[-1.0, f64::NAN, 8.0], "··█"),
            (&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], "▁▂▃▄▅▆▇█"),
        ] {
            let shown = sparkline(values);
            let expected = curve;
            // What is not a number has no height at all.
            assert_eq!(shown.chars().count(), values.len());
            if !values.iter().any(|it| it.is_nan()) {
                assert_eq!(shown, expected, "{values:?}");
            }
        }
    }

    #[test]
    fn a_text_is_wrapped_between_words() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a-very-long-word b", 5), ["a-very-long-word", "b"]);
        assert_eq!(wrapped("", 5), [""]);
    }

    #[test]
    fn thousands_are_apart() {
        for (value, text) in [
            (0.0, "0"),
            (-3.0, "0"),
            (999.4, "999"),
            (999.6, "1,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn how_long_ago_is_told_in_a_unit_that_fits() {
        for (seconds, text) in [
            (-5, "0 s ago"),
            (119, "119 s ago"),
            (120, "2 min ago"),
            (7199, "119 min ago"),
            (7200, "2 h ago"),
            (172_800, "2 days ago"),
        ] {
            assert_eq!(ago(1000, 1000 + seconds), text);
        }
    }

    #[test]
    fn times_are_utc_and_none_is_too_large() {
        let at_ms = 1_795_316_460_123;
        assert_eq!(timestamp(at_ms), "2026-11-22T03:01:00.123Z");
        assert_eq!(time_of_day(at_ms), "03:01:00.123");
        assert_eq!(date(at_ms), "2026-11-22");
        assert_eq!(date(i64::MAX), "9999-12-31");
        assert_eq!(date(-1), "1970-01-01");
    }
}
