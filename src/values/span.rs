//! Durations and sizes, as definitions write them and screens show them.

use std::time::Duration;

/// The longest duration a definition may name: a year. Longer is a slip of the pen, and sums of
/// durations cannot overflow.
const SPAN_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// Reads `250ms`, `10s`, `2m`, `1h`, `1d`, `1.5s`, `1m30s`. A bare number is refused: nobody
/// agrees whether it means seconds (systemd) or milliseconds (s6); bare `0` is fine.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    let bad = || format!("`{text}` is not a duration");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return Err(bad());
    }
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or_else(bad)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail
            .find(|c: char| !c.is_ascii_alphabetic())
            .unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return Err(bad()),
        };
        total += number.parse::<f64>().map_err(|_| bad())? * seconds;
        rest = tail;
    }
    if total > SPAN_MAX.as_secs_f64() {
        return Err(format!("`{text}` is longer than a year"));
    }
    // Durations are written in milliseconds at the finest; rounding hides the binary fractions.
    Ok(Duration::from_secs_f64((total * 1000.0).round() / 1000.0))
}

/// Writes a duration as screens show it: `0.4s`, `9s`, `2m`, `2h 04m`, `3d 02h`.
pub fn show_span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 if span.as_millis() < 100 => format!("{}ms", span.as_millis()),
        0..10 => {
            let tenths = span.as_millis() / 100;
            let (whole, tenth) = (tenths / 10, tenths % 10);
            if tenth == 0 {
                format!("{whole}s")
            } else {
                format!("{whole}.{tenth}s")
            }
        }
        10..60 => format!("{seconds}s"),
        60..600 if !seconds.is_multiple_of(60) => {
            format!("{}m {:02}s", seconds / 60, seconds % 60)
        }
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {:02}h", seconds / 86400, seconds / 3600 % 24),
    }
}

/// Reads `512`, `64KiB`, `10MiB`, `1GiB` (and `64k`, `10M`, `1G`, which mean the same), in bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let bad = || format!("`{text}` is not a size");
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit {
        "" | "B" => 1,
        "KiB" | "k" | "K" => 1 << 10,
        "MiB" | "M" => 1 << 20,
        "GiB" | "G" => 1 << 30,
        _ => return Err(bad()),
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(factor))
        .ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_show() {
        let ms = Duration::from_millis;
        for (text, span) in [
            ("250ms", ms(250)),
            ("10s", ms(10_000)),
            ("1.5s", ms(1_500)),
            ("2m", ms(120_000)),
            ("1m30s", ms(90_000)),
            ("0", ms(0)),
        ] {
            assert_eq!(parse_span(text), Ok(span), "{text}");
        }
        for bad in [
            "", "10", "s", "10 s", "-1s", "1e9s", "1..5s", "9999999d", "10sec", "é",
        ] {
            assert!(parse_span(bad).is_err(), "{bad:?}");
        }
        for (span, text) in [
            (ms(0), "0ms"),
            (ms(420), "0.4s"),
            (ms(9_000), "9s"),
            (ms(42_900), "42s"),
            (ms(90_000), "1m 30s"),
            (ms(720_000), "12m"),
            (ms(7_440_000), "2h 04m"),
            (ms(266_400_000), "3d 02h"),
        ] {
            assert_eq!(show_span(span), text);
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(parse_size("10MiB"), Ok(10 << 20));
        assert_eq!(parse_size("64k"), Ok(64 << 10));
        for bad in ["", "MiB", "-1", "1.5G", "99999999999G", "1 k"] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
    }
}
