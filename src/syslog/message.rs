//! What a syslog message says, whichever RFC its sender follows.

/// Facility and severity in one number, as both RFCs write it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Priority(u8);

impl Priority {
    /// What a message without a readable priority is (RFC 3164, section 4.3.3).
    pub const USER_NOTICE: Self = Self(13);

    /// `None` above 191, which is local7.debug.
    pub fn new(number: u8) -> Option<Self> {
        (number <= 191).then_some(Self(number))
    }

    /// From 0, kern, to 23, local7.
    pub fn facility(self) -> u8 {
        self.0 / 8
    }

    /// From 0, emergency, to 7, debug.
    pub fn severity(self) -> u8 {
        self.0 % 8
    }

    /// Whether somebody has called it an error, or worse.
    pub fn is_error(self) -> bool {
        self.severity() <= 3
    }
}

/// A message, in the octets of its datagram. What is not there is empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message<'a> {
    /// How bad it is, and whose.
    pub priority: Priority,
    /// The program that sent it, as it calls itself.
    pub tag: &'a [u8],
    /// Its process, as it says.
    pub pid: &'a [u8],
    /// The kind of message (RFC 5424's MSGID).
    pub id: &'a [u8],
    /// Structured data (RFC 5424), each element with its brackets.
    pub data: Vec<&'a [u8]>,
    /// What it says.
    pub text: &'a [u8],
}
