//! A message as one line of the container's log: `TAG[PID] TEXT`, and nothing in it that could
//! break the line or move a cursor.

use std::fmt::Write;

use crate::syslog::message::Message;

/// Elements of structured data that describe the sender, not the message (RFC 5424, section 7).
const ABOUT_SENDER: [&[u8]; 3] = [b"[timeQuality", b"[origin", b"[meta"];

/// Writes the line with its line feed. `sent` is how long the datagram was, if it was cut.
pub fn write(out: &mut String, message: &Message<'_>, sent: Option<usize>) {
    if message.tag.is_empty() {
        out.push('-');
    } else {
        visible(out, message.tag);
    }
    if !message.pid.is_empty() {
        out.push('[');
        visible(out, message.pid);
        out.push(']');
    }
    let data = message.data.iter().copied().filter(|element| {
        let name = element
            .split(|octet| matches!(octet, b' ' | b']'))
            .next()
            .unwrap_or_default();
        !ABOUT_SENDER.contains(&name)
    });
    for part in [message.id].into_iter().chain(data).chain([message.text]) {
        if !part.is_empty() {
            out.push(' ');
            visible(out, part);
        }
    }
    if let Some(octets) = sent {
        // Writing to a string cannot fail.
        let _ = write!(out, " [cut: {octets} octets were sent]");
    }
    out.push('\n');
}

/// Text as it is; control characters as `\n`, `\t`, `\r` or their number, and octets that are no
/// UTF-8 as `\xNN`. A backslash stands for itself.
fn visible(out: &mut String, octets: &[u8]) {
    for chunk in octets.utf8_chunks() {
        for c in chunk.valid().chars() {
            let written = match c {
                '\n' => out.write_str("\\n"),
                '\t' => out.write_str("\\t"),
                '\r' => out.write_str("\\r"),
                c if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c)),
                c if c.is_control() => write!(out, "\\u{{{:x}}}", u32::from(c)),
                c => out.write_char(c),
            };
            // Writing to a string cannot fail.
            let _ = written;
        }
        for octet in chunk.invalid() {
            let _ = write!(out, "\\x{octet:02x}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syslog::parse::parse;

    fn line(datagram: &[u8]) -> String {
        let mut out = String::new();
        write(&mut out, &parse(datagram), None);
        out
    }

    #[test]
    fn nothing_breaks_the_line() {
        let octets: Vec<u8> = b"<13>t: ".iter().copied().chain(0..=255).collect();
        let shown = line(&octets);
        assert!(!shown.trim_end_matches('\n').contains(char::is_control));
        assert_eq!(
            line(b"<13>a\x1b[2Jb: x\ny\0\xff\xc2\x9b\\"),
            "- a\\x1b[2Jb: x\\ny\\x00\\xff\\u{9b}\\\n"
        );
    }

    #[test]
    fn a_cut_one_says_so() {
        let mut out = String::new();
        write(&mut out, &parse(b"<13>t[1]: xx"), Some(65_536));
        assert_eq!(out, "t[1] xx [cut: 65536 octets were sent]\n");
    }
}
