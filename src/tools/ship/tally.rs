//! What has become of the lines, and the words for it.

/// The counts of one run. Every line that was read is sent, dropped or left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Lines that were taken from the source.
    pub read: u64,
    /// Lines that the kernel has taken to send.
    pub sent: u64,
    /// Of those, lines that may not have arrived: over TCP what the collector's kernel had not
    /// acknowledged when a connection broke, over UDP what was turned away.
    pub unconfirmed: u64,
    /// How long those were, bytes.
    pub unconfirmed_bytes: u64,
    /// Lines that pidone dropped before they came here (`skipped` on the control socket).
    pub skipped: u64,
}

impl Tally {
    /// The last words.
    pub fn report(&self, dropped: u64, left: usize) -> String {
        let mut text = format!(
            "{}: {} sent, {dropped} dropped, {left} left",
            lines(self.read),
            self.sent
        );
        text.push_str("; unconfirmed: ");
        text.push_str(&self.unconfirmed_words());
        if self.skipped > 0 {
            text.push_str("; missed: ");
            text.push_str(&lines(self.skipped));
        }
        text
    }

    /// `3 lines (312 bytes)`.
    fn unconfirmed_words(&self) -> String {
        format!(
            "{} ({} bytes)",
            lines(self.unconfirmed),
            self.unconfirmed_bytes
        )
    }
}

/// `1 line`, `2 lines`.
pub fn lines(count: u64) -> String {
    format!("{count} {}", if count == 1 { "line" } else { "lines" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words() {
        let tally = Tally {
            read: 10,
            sent: 7,
            unconfirmed: 1,
            unconfirmed_bytes: 90,
            skipped: 0,
        };
        assert_eq!(
            tally.report(2, 1),
            "10 lines: 7 sent, 2 dropped, 1 left; unconfirmed: 1 line (90 bytes)"
        );
    }
}
