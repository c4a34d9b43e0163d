//! A line on its way to a collector: a JSON object, or a message of RFC 5424; in a stream (a line
//! feed behind JSON, the octets counted before RFC 5424 as RFC 6587 has it) or in a datagram.

use serde::Serialize;

/// RFC 5424, section 6: the longest HOSTNAME and APP-NAME, in characters.
const HOST_MAX: usize = 255;
const APP_MAX: usize = 48;

/// How records are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// One JSON object each.
    Json,
    /// RFC 5424.
    Rfc5424,
}

/// How a record ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// TCP: the record says where it ends.
    Stream,
    /// UDP: the datagram is the record.
    Datagram,
}

/// How bad a record is, as RFC 5424 numbers it, with the facility `user`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// Written to stderr. Many programs write everything there, so it is no error.
    Warning,
    /// Something happened to a service.
    Notice,
    /// Anything else.
    Info,
}

impl Level {
    /// The PRI of RFC 5424.
    fn priority(self) -> u8 {
        const USER: u8 = 8;
        USER + match self {
            Self::Warning => 4,
            Self::Notice => 5,
            Self::Info => 6,
        }
    }
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// When: RFC 3339, UTC.
    pub ts: &'a str,
    /// The container.
    pub host: &'a str,
    /// The service.
    pub service: &'a str,
    /// Where it was written, if that is known.
    pub stream: Option<&'a str>,
    /// How bad it is.
    pub level: Level,
    /// What it says, without its line feed.
    pub text: &'a [u8],
    /// The same for programs, if there is such a thing: a JSON object.
    pub event: Option<&'a [u8]>,
}

/// The octets that go to the collector.
pub fn frame(format: Format, carrier: Carrier, record: &Record<'_>) -> Vec<u8> {
    let mut frame = match format {
        Format::Json => json(record),
        Format::Rfc5424 => rfc5424(record),
    };
    match (format, carrier) {
        (_, Carrier::Datagram) => {}
        (Format::Json, Carrier::Stream) => frame.push(b'\n'),
        (Format::Rfc5424, Carrier::Stream) => {
            let mut counted = format!("{} ", frame.len()).into_bytes();
            counted.append(&mut frame);
            frame = counted;
        }
    }
    frame
}

/// The fields of `PIDONE_LOG_FORMAT=json`, the host, and the event as an object of its own.
fn json(record: &Record<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    struct Object<'a> {
        ts: &'a str,
        host: &'a str,
        service: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        stream: Option<&'a str>,
        msg: &'a str,
    }
    let object = Object {
        ts: record.ts,
        host: record.host,
        service: record.service,
        stream: record.stream,
        msg: &String::from_utf8_lossy(record.text),
    };
    // Strings only: it cannot fail.
    let mut json = serde_json::to_vec(&object).unwrap_or_default();
    if let Some(event) = record.event {
        json.pop();
        json.extend_from_slice(b",\"event\":");
        json.extend_from_slice(event);
        json.push(b'}');
    }
    json
}

fn rfc5424(record: &Record<'_>) -> Vec<u8> {
    let mut frame = format!(
        "<{}>1 {} {} {} - - - ",
        record.level.priority(),
        record.ts,
        field(record.host, HOST_MAX),
        field(record.service, APP_MAX),
    )
    .into_bytes();
    frame.extend_from_slice(record.event.unwrap_or(record.text));
    frame
}

/// A header field: printable ASCII without spaces, `-` for nothing.
fn field(text: &str, max: usize) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '_' };
    let field: String = text.chars().take(max).map(plain).collect();
    if field.is_empty() {
        "-".to_owned()
    } else {
        field
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record<'static> = Record {
        ts: "2026-11-22T11:25:09.123Z",
        host: "box",
        service: "web app",
        stream: None,
        level: Level::Info,
        text: b"a \"b\"\t\xff\x00",
        event: None,
    };

    fn text(format: Format, carrier: Carrier) -> String {
        String::from_utf8_lossy(&frame(format, carrier, &RECORD)).into_owned()
    }

    #[test]
    fn json_is_a_line() {
        let object = "{\"ts\":\"2026-11-22T11:25:09.123Z\",\"host\":\"box\",\
                      \"service\":\"web app\",\
                      \"msg\":\"a \\\"b\\\"\\t\u{fffd}\\u0000\"}";
        assert_eq!(text(Format::Json, Carrier::Datagram), object);
        assert_eq!(text(Format::Json, Carrier::Stream), format!("{object}\n"));
    }

    #[test]
    fn an_event_is_an_object_and_no_text() {
        let record = Record {
            text: b"ready",
            event: Some(b"{\"to\":\"ready\"}"),
            ..RECORD
        };
        let text = |format| String::from_utf8(frame(format, Carrier::Datagram, &record)).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text(Format::Json)).unwrap();
        assert_eq!(json["msg"], "ready");
        assert_eq!(json["event"]["to"], "ready");
        assert!(text(Format::Rfc5424).ends_with(" - - - {\"to\":\"ready\"}"));
    }

    #[test]
    fn octets_are_counted() {
        let message = "<14>1 2026-11-22T11:25:09.123Z box web_app - - - a \"b\"\t\u{fffd}\0";
        assert_eq!(text(Format::Rfc5424, Carrier::Datagram), message);
        let datagram = frame(Format::Rfc5424, Carrier::Datagram, &RECORD);
        let stream = frame(Format::Rfc5424, Carrier::Stream, &RECORD);
        let counted = [format!("{} ", datagram.len()).as_bytes(), &datagram].concat();
        assert_eq!(stream, counted);
    }

    #[test]
    fn a_header_has_no_holes() {
        assert_eq!(field("", 48), "-");
        assert_eq!(field("a b\né", 48), "a_b__");
        assert_eq!(field(&"x".repeat(100), 48).len(), 48);
    }
}
