//! Datagrams become messages: RFC 3164 as programs really write it (with a host name or without,
//! as `/dev/log` has it, or without a time), and RFC 5424. Every datagram is a message: what cannot
//! be read as a part of a header belongs to the text.

use crate::syslog::message::{Message, Priority};

/// The longest word that is taken for a program's name, in octets; RFC 5424 has 48.
const TAG_BYTES_MAX: usize = 64;

/// Reads one datagram.
pub fn parse(datagram: &[u8]) -> Message<'_> {
    let datagram = trim_end(datagram);
    let Some((priority, rest)) = priority(datagram) else {
        return bare(Priority::USER_NOTICE, datagram);
    };
    rfc5424(priority, rest).unwrap_or_else(|| rfc3164(priority, rest))
}

/// A message that is only text.
fn bare(priority: Priority, text: &[u8]) -> Message<'_> {
    Message {
        priority,
        tag: b"",
        pid: b"",
        id: b"",
        data: Vec::new(),
        text,
    }
}

/// Senders end a message with a line feed, a NUL, or nothing.
fn trim_end(mut octets: &[u8]) -> &[u8] {
    while let Some((b'\n' | b'\r' | 0, rest)) = octets.split_last() {
        octets = rest;
    }
    octets
}

/// `<0>` to `<191>`, without leading zeros.
fn priority(datagram: &[u8]) -> Option<(Priority, &[u8])> {
    let rest = datagram.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|octet| *octet == b'>')?;
    let (digits, rest) = rest.split_at(end);
    if digits.starts_with(b"0") && digits.len() > 1 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((Priority::new(number)?, rest.get(1..)?))
}

/// The octets before the first space, and those behind it.
fn word(octets: &[u8]) -> (&[u8], &[u8]) {
    match octets.iter().position(|octet| *octet == b' ') {
        None => (octets, b""),
        Some(at) => (
            octets.get(..at).unwrap_or_default(),
            octets.get(at + 1..).unwrap_or_default(),
        ),
    }
}

/// `[TIME ][HOST ]TAG[PID]: TEXT`. A host name stands only behind a time and before a tag, so that
/// no word of a text is taken for one.
fn rfc3164(priority: Priority, rest: &[u8]) -> Message<'_> {
    let (timed, body) = match after_time(rest) {
        Some(body) => (true, body),
        None => (false, rest),
    };
    let tagged = tag(body).or_else(|| {
        let (host, behind) = word(body);
        tag(behind).filter(|_| timed && !host.is_empty())
    });
    match tagged {
        None => bare(priority, body),
        Some((name, pid, text)) => Message {
            tag: name,
            pid,
            ..bare(priority, text)
        },
    }
}

/// What follows `Nov  2 11:25:09 `, or a time as RFC 3339 has it; `None` if there is none.
fn after_time(rest: &[u8]) -> Option<&[u8]> {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    if let Some((stamp, b' ')) = rest.get(..16).and_then(split_last)
        && MONTHS.chunks(3).any(|month| stamp.starts_with(month))
        && fits(stamp.get(3..)?, b" dd dd:dd:dd")
    {
        return rest.get(16..);
    }
    let (first, behind) = word(rest);
    is_rfc3339(first).then_some(behind)
}

fn split_last(octets: &[u8]) -> Option<(&[u8], u8)> {
    octets.split_last().map(|(last, rest)| (rest, *last))
}

/// Whether the octets begin as the pattern says, where `d` is a digit (or a space before one, as
/// RFC 3164 pads days).
fn fits(octets: &[u8], pattern: &[u8]) -> bool {
    octets.len() >= pattern.len()
        && octets.iter().zip(pattern).all(|(octet, form)| match form {
            b'd' => octet.is_ascii_digit() || *octet == b' ',
            other => octet == other,
        })
}

fn is_rfc3339(word: &[u8]) -> bool {
    fits(word, b"dddd-dd-ddTdd:dd:dd") && word.iter().all(u8::is_ascii_graphic)
}

/// `NAME: TEXT`, `NAME[PID]: TEXT` or `NAME[PID] TEXT`: the name, the process, the text.
fn tag(body: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let end = body
        .iter()
        .take(TAG_BYTES_MAX + 1)
        .position(|octet| matches!(octet, b':' | b'[') || !octet.is_ascii_graphic())?;
    let (name, rest) = body.split_at(end);
    if name.is_empty() {
        return None;
    }
    let (pid, rest) = match rest.strip_prefix(b"[") {
        None => (&b""[..], rest),
        Some(inner) => {
            let close = inner
                .iter()
                .take(TAG_BYTES_MAX)
                .position(|octet| *octet == b']' || !octet.is_ascii_graphic())?;
            let (pid, rest) = inner.split_at(close);
            (pid, rest.strip_prefix(b"]")?)
        }
    };
    let text = match (rest, pid) {
        ([], []) => return None,
        ([] | [b':'], _) => &b""[..],
        // Behind a process, the colon or the space may be missing: it cannot be an address.
        ([b':', b' ', text @ ..], _) | ([b':' | b' ', text @ ..], [_, ..]) => text,
        _ => return None,
    };
    Some((name, pid, text))
}

/// `1 TIME HOST APP PROCID MSGID DATA[ TEXT]`; `None` if it is not that, whole.
fn rfc5424(priority: Priority, rest: &[u8]) -> Option<Message<'_>> {
    let rest = rest.strip_prefix(b"1 ")?;
    let (time, rest) = word(rest);
    if time != b"-" && !is_rfc3339(time) {
        return None;
    }
    let (host, rest) = word(rest);
    let (tag, rest) = word(rest);
    let (pid, rest) = word(rest);
    let (id, rest) = word(rest);
    let (data, text) = structured_data(rest)?;
    if [host, tag, pid, id].iter().any(|word| word.is_empty()) {
        return None;
    }
    Some(Message {
        priority,
        tag: or_nil(tag),
        pid: or_nil(pid),
        id: or_nil(id),
        data,
        text: text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text),
    })
}

/// RFC 5424 writes `-` for what is not there.
fn or_nil(word: &[u8]) -> &[u8] {
    if word == b"-" { b"" } else { word }
}

/// `-` or `[id name="value"…]…`, and the text behind it.
fn structured_data(octets: &[u8]) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut data = Vec::new();
    let mut rest = octets;
    if let Some(behind) = rest.strip_prefix(b"-") {
        rest = behind;
    } else {
        while rest.starts_with(b"[") {
            let (element, behind) = rest.split_at(element_length(rest)?);
            data.push(element);
            rest = behind;
        }
        if data.is_empty() {
            return None;
        }
    }
    match rest {
        [] => Some((data, b"")),
        [b' ', text @ ..] => Some((data, text)),
        _ => None,
    }
}

/// How long the element is that begins here; a bracket within quotes does not end it.
fn element_length(octets: &[u8]) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, octet) in octets.iter().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b']' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_octets_are_a_message() {
        let seed = b"<34>1 2003-10-11T22:14:15.003Z h su 7 ID [a b=\"\\]\"] x: y[1]: z";
        for start in 0..seed.len() {
            for end in start..=seed.len() {
                let _ = parse(&seed[start..end]);
            }
        }
        for octet in 0..=255_u8 {
            for at in 0..seed.len() {
                let mut spoilt = seed.to_vec();
                spoilt[at] = octet;
                let _ = parse(&spoilt);
            }
        }
    }

    #[test]
    fn a_priority_is_strict() {
        for (text, number) in [
            ("<0>x", Some(0)),
            ("<191>x", Some(191)),
            ("<192>x", None),
            ("<00>x", None),
            ("<013>x", None),
            ("<>x", None),
            ("<1234>x", None),
            ("<-1>x", None),
            ("<+1>x", None),
            ("< 1>x", None),
            ("<1", None),
            ("x", None),
            ("", None),
        ] {
            let found = priority(text.as_bytes()).map(|(priority, _)| priority);
            assert_eq!(found, number.and_then(Priority::new), "{text}");
        }
    }

    #[test]
    fn what_has_no_priority_is_text() {
        let message = parse(b"<999>Nov 22 11:25:09 su[1]: no\n");
        assert_eq!(message.priority, Priority::USER_NOTICE);
        assert_eq!((message.tag, message.pid), (&b""[..], &b""[..]));
        assert_eq!(message.text, b"<999>Nov 22 11:25:09 su[1]: no");
    }
}
