//! The cluster's key, and datagrams sealed with it (XChaCha20-Poly1305): nobody without the key can
//! read one, make one or change one. One that comes a second time says nothing new: every record
//! carries its life and its number.
//!
//! A sealed datagram is [`SEALED`], the nonce of 24 bytes, the text and its tag of 16. Without a
//! key it is [`OPEN`] and the text.

use std::fmt;

use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};

/// A key's length, in bytes.
pub const KEY_BYTES: usize = 32;

/// The longest datagram, sealed, in bytes: overlay networks carry it in one piece.
pub const SEALED_BYTES_MAX: usize = 1200;

/// The first byte of a datagram that is sealed.
pub const SEALED: u8 = 0xA1;

/// The first byte of one that is not.
pub const OPEN: u8 = 0xA0;

const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;
/// So many bytes of a nonce count the datagrams; the others are chance, drawn at each start.
const COUNT_BYTES: usize = 8;

/// The cluster's key. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(pub [u8; KEY_BYTES]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

impl Key {
    /// Reads a key as files have it: 32 bytes as they are, or 64 hexadecimal digits, with a line
    /// end or without.
    ///
    /// # Errors
    /// A sentence for the user.
    pub fn read(bytes: &[u8]) -> Result<Self, String> {
        if let Ok(raw) = <[u8; KEY_BYTES]>::try_from(bytes) {
            return Ok(Self(raw));
        }
        let text = bytes.trim_ascii();
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let digits: Option<Vec<u32>> = text.iter().map(digit).collect();
        let fault = || "the key is neither 32 bytes nor 64 hexadecimal digits".to_owned();
        let digits = digits.filter(|digits| digits.len() == 2 * KEY_BYTES);
        let digits = digits.ok_or_else(fault)?;
        let mut key = [0; KEY_BYTES];
        for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
            let value = pair.iter().fold(0, |high, low| high * 16 + low);
            *byte = u8::try_from(value).map_err(|_| fault())?;
        }
        Ok(Self(key))
    }
}

/// Seals and opens datagrams.
pub struct Sealer {
    cipher: Option<XChaCha20Poly1305>,
    /// Chance, then the count.
    nonce: [u8; NONCE_BYTES],
    count: u64,
}

impl Sealer {
    /// With this key, or none; `chance` makes its nonces differ from everybody else's.
    pub fn new(key: Option<&Key>, chance: [u8; NONCE_BYTES]) -> Self {
        Self {
            cipher: key.map(|key| XChaCha20Poly1305::new(&key.0.into())),
            nonce: chance,
            count: 0,
        }
    }

    /// The datagram of this text; `None` if it is too long.
    pub fn seal(&mut self, text: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(1 + NONCE_BYTES + text.len() + TAG_BYTES);
        let Some(cipher) = &self.cipher else {
            out.push(OPEN);
            out.extend(text);
            return (out.len() <= SEALED_BYTES_MAX).then_some(out);
        };
        self.count += 1;
        let (_, count) = self.nonce.split_at_mut(NONCE_BYTES - COUNT_BYTES);
        count.copy_from_slice(&self.count.to_be_bytes());
        let mut body = text.to_vec();
        let nonce = XNonce::from(self.nonce);
        let tag = cipher.encrypt_in_place_detached(&nonce, &[], &mut body);
        let tag = tag.ok()?;
        out.push(SEALED);
        out.extend(self.nonce);
        out.extend(body);
        out.extend(tag);
        (out.len() <= SEALED_BYTES_MAX).then_some(out)
    }

    /// The text of a datagram; `None` for one that nobody with our key has sealed.
    pub fn open(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        if datagram.len() > SEALED_BYTES_MAX {
            return None;
        }
        let (kind, rest) = datagram.split_first()?;
        match (&self.cipher, *kind) {
            (None, OPEN) => Some(rest.to_vec()),
            (Some(cipher), SEALED) => {
                let (nonce, rest) = rest.split_at_checked(NONCE_BYTES)?;
                let at = rest.len().checked_sub(TAG_BYTES)?;
                let (body, tag) = rest.split_at_checked(at)?;
                let mut body = body.to_vec();
                let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
                let tag: [u8; TAG_BYTES] = tag.try_into().ok()?;
                let (nonce, tag) = (XNonce::from(nonce), Tag::from(tag));
                let opened = cipher.decrypt_in_place_detached(&nonce, &[], &mut body, &tag);
                opened.ok().map(|()| body)
            }
            (_, _other) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(key: u8) -> Sealer {
        Sealer::new(Some(&Key([key; KEY_BYTES])), [7; NONCE_BYTES])
    }

    #[test]
    fn only_the_same_key_opens() {
        let mut ours = sealer(1);
        let sealed = ours.seal(b"text").unwrap();
        assert_ne!(ours.seal(b"text").unwrap(), sealed);
        assert_eq!(ours.open(&sealed).unwrap(), b"text");
        assert_eq!(sealer(2).open(&sealed), None);
        let open = Sealer::new(None, [0; NONCE_BYTES]).seal(b"text").unwrap();
        assert_eq!(ours.open(&open), None);
        assert_eq!(Sealer::new(None, [0; NONCE_BYTES]).open(&sealed), None);
    }

    #[test]
    fn nothing_that_was_changed_opens() {
        let mut ours = sealer(1);
        let sealed = ours.seal(&[3; 40]).unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(ours.open(&changed), None);
            assert_eq!(ours.open(&sealed[..at]), None);
        }
        assert_eq!(ours.open(&[SEALED; SEALED_BYTES_MAX + 1]), None);
    }

    #[test]
    fn the_longest_text_fits() {
        use crate::agent::gossip::driver::DATAGRAM_BYTES_MAX;
        let text = vec![1; DATAGRAM_BYTES_MAX];
        assert_eq!(sealer(1).seal(&text).unwrap().len(), SEALED_BYTES_MAX);
        assert_eq!(sealer(1).seal(&[text, vec![1]].concat()), None);
    }

    #[test]
    fn keys_are_bytes_or_digits() {
        let digits = "0a".repeat(32);
        assert_eq!(Key::read(digits.as_bytes()), Ok(Key([10; 32])));
        assert_eq!(
            Key::read(format!("{digits}\n").as_bytes()),
            Ok(Key([10; 32]))
        );
        assert_eq!(Key::read(&[0xff; 32]), Ok(Key([0xff; 32])));
        for bad in [&b""[..], b"secret", &[b'0'; 63], &[b'x'; 64], &[b'0'; 66]] {
            assert!(Key::read(bad).is_err());
        }
    }
}
