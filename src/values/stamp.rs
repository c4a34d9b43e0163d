//! Wall-clock time as text: RFC 3339, UTC, to the millisecond.

use std::time::Duration;

/// `2026-11-22T10:03:59.123Z` for this long after 1970 in UTC.
pub fn rfc3339(since_1970: Duration) -> String {
    let seconds = since_1970.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let ms = since_1970.subsec_millis();
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// The time of day in such a text, to the millisecond; the whole text if it is none.
pub fn time_ms(ts: &str) -> &str {
    ts.get(11..23).unwrap_or(ts)
}

/// The time of day in such a text, to the second; the whole text if it is none.
pub fn time(ts: &str) -> &str {
    ts.get(11..19).unwrap_or(ts)
}

/// Year, month and day of the Gregorian calendar, so many days after 1970-01-01. Counted in eras
/// of 400 years that begin on 1 March, so that the leap day is the last of its year.
fn date(days: u64) -> (u64, u64, u64) {
    const ERA: u64 = 146_097;
    let since_march_0 = days + 719_468;
    let day_of_era = since_march_0 % ERA;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = since_march_0 / ERA * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (951_868_799, "2000-02-29T23:59:59.007Z"),
            (1_735_689_599, "2024-12-31T23:59:59.007Z"),
            (1_795_341_839, "2026-11-22T10:03:59.007Z"),
            (4_107_542_400, "2100-03-01T00:00:00.007Z"),
        ] {
            assert_eq!(
                rfc3339(Duration::from_secs(seconds) + Duration::from_millis(7)),
                text
            );
        }
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut last = (1969, 12, 31);
        for day in 0..200_000 {
            let next = date(day);
            assert!(next > last && next.2 <= 31 && (next.2 == last.2 + 1 || next.2 == 1));
            last = next;
        }
    }

    #[test]
    fn parts() {
        assert_eq!(time_ms("2026-11-22T10:03:59.123Z"), "10:03:59.123");
        assert_eq!(time("2026-11-22T10:03:59.123Z"), "10:03:59");
        assert_eq!(time("é nonsense"), "é nonsense");
    }
}
