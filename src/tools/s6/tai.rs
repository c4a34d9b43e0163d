//! TAI64N, the time on disk and in log lines: 8 bytes of seconds, 4 of nanoseconds. Pure.

use std::fmt::Write;
use std::time::Duration;

/// 1970 in TAI64, with the 37 seconds that TAI has been ahead of UTC since 2017. Nothing here is
/// older, and no further leap second has been announced.
const EPOCH: u64 = (1 << 62) + 37;
/// How many bytes a time takes.
pub(super) const BYTES: usize = 12;

/// A time, as so long after 1970.
pub(super) fn unpack(bytes: &[u8]) -> Option<Duration> {
    let seconds = u64::from_be_bytes(bytes.get(..8)?.try_into().ok()?);
    let nanos = u32::from_be_bytes(bytes.get(8..BYTES)?.try_into().ok()?);
    Some(Duration::new(
        seconds.saturating_sub(EPOCH),
        nanos.min(999_999_999),
    ))
}

/// The time as it is on disk.
pub(super) fn pack(since_1970: Duration) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    let (seconds, nanos) = bytes.split_at_mut(8);
    let tai = EPOCH.saturating_add(since_1970.as_secs());
    seconds.copy_from_slice(&tai.to_be_bytes());
    nanos.copy_from_slice(&since_1970.subsec_nanos().to_be_bytes());
    bytes
}

/// `@` and 24 hexadecimal digits.
pub(super) fn label(since_1970: Duration) -> String {
    let mut text = String::with_capacity(25);
    // Writing to memory cannot fail.
    let _ = write!(
        text,
        "@{:016x}{:08x}",
        EPOCH.saturating_add(since_1970.as_secs()),
        since_1970.subsec_nanos()
    );
    text
}

/// Whether a text is a label.
pub(super) fn is_label(text: &[u8]) -> bool {
    let hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    matches!(text, [b'@', digits @ ..] if digits.len() == 24 && digits.iter().all(hex))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_labels() {
        let time = Duration::new(1_792_000_000, 5);
        let text = label(time);
        assert_eq!(text, "@400000006acfc02500000005");
        assert!(is_label(text.as_bytes()) && !is_label(b"@4") && !is_label(b"x"));
        let bytes = [0x40, 0, 0, 0, 0x6a, 0xcf, 0xc0, 0x25, 0, 0, 0, 5];
        assert_eq!(unpack(&bytes), Some(time));
        assert_eq!(pack(time), bytes);
        assert_eq!(unpack(&bytes[..11]), None);
        assert_eq!(unpack(&[0; 12]), Some(Duration::ZERO));
    }
}
