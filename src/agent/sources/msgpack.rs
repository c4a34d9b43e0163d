//! As much of MessagePack (msgpack.org, its specification) as Serf's RPC speaks: read with a bound
//! on everything, written from the same values. Pure.

/// Maps and lists within each other: Serf needs three.
const DEPTH_MAX: usize = 16;
/// The items of one list or map: as many as members that are looked at.
const ITEMS_MAX: usize = 20_000;

/// A value. Texts and bytes are one kind: older agents write both as the old raw type.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Nothing.
    Nil,
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A text, or bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<Value>),
    /// A map, in its order.
    Map(Vec<(Value, Value)>),
}

impl Value {
    /// A text.
    pub fn text(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }

    /// What a map holds by this name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        let is_named = |key: &Self| matches!(key, Self::Bytes(key) if key == name.as_bytes());
        let pair = pairs.iter().find(|(key, _)| is_named(key));
        pair.map(|(_, value)| value)
    }

    /// It as a text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
            Self::Nil | Self::Bool(_) | Self::Int(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// It as a number.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Nil | Self::Bool(_) | Self::Bytes(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// Appends its bytes.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.push(0xc0),
            Self::Bool(value) => out.push(0xc2 | u8::from(*value)),
            Self::Int(number) => match u8::try_from(*number) {
                Ok(small) if small < 0x80 => out.push(small),
                Ok(_) | Err(_) => {
                    out.push(0xd3);
                    out.extend(number.to_be_bytes());
                }
            },
            Self::Bytes(bytes) => {
                head(out, 0xa0, 31, [0xda, 0xdb], bytes.len());
                out.extend(bytes);
            }
            Self::List(items) => {
                head(out, 0x90, 15, [0xdc, 0xdd], items.len());
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(pairs) => {
                head(out, 0x80, 15, [0xde, 0xdf], pairs.len());
                for (key, value) in pairs {
                    key.write(out);
                    value.write(out);
                }
            }
        }
    }
}

/// A map with texts as its keys.
pub fn map<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    let pairs = pairs.into_iter();
    Value::Map(
        pairs
            .map(|(key, value)| (Value::text(key), value))
            .collect(),
    )
}

/// A length in its shortest form that old readers know too: in the type's byte, 16 or 32 bits.
fn head(out: &mut Vec<u8>, small: u8, small_max: u8, long: [u8; 2], length: usize) {
    let [of_16, of_32] = long;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(length), _) if length <= small_max => out.push(small | length),
        (_, Ok(length)) => {
            out.push(of_16);
            out.extend(length.to_be_bytes());
        }
        (_, Err(_)) => {
            out.push(of_32);
            out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

/// Why bytes are not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    /// They end too early: more may come.
    Short,
    /// They are no MessagePack, or more than anybody sends.
    Bad,
}

/// Reads one value; gives what follows it.
///
/// # Errors
/// There is not one yet, or never will be.
pub fn read(bytes: &[u8]) -> Result<(Value, &[u8]), Fault> {
    let mut input = Input(bytes);
    let value = input.value(0)?;
    Ok((value, input.0))
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn value(&mut self, depth: usize) -> Result<Value, Fault> {
        if depth > DEPTH_MAX {
            return Err(Fault::Bad);
        }
        let kind = *self.take(1)?.first().ok_or(Fault::Short)?;
        let low = u64::from(kind);
        Ok(match kind {
            0x00..=0x7f => Value::Int(i64::from(kind)),
            0x80..=0x8f => self.map(low & 0x0f, depth)?,
            0x90..=0x9f => self.list(low & 0x0f, depth)?,
            0xa0..=0xbf => self.bytes(low & 0x1f)?,
            0xc0 => Value::Nil,
            0xc2 | 0xc3 => Value::Bool(kind == 0xc3),
            0xc4 | 0xd9 => self.sized(1, Self::bytes)?,
            0xc5 | 0xda => self.sized(2, Self::bytes)?,
            0xc6 | 0xdb => self.sized(4, Self::bytes)?,
            // Floating point numbers: passed over, for nobody here needs one.
            0xca => self.skip(4)?,
            0xcb => self.skip(8)?,
            0xcc => Value::Int(self.number(1)?.cast_signed()),
            0xcd => Value::Int(self.number(2)?.cast_signed()),
            0xce => Value::Int(self.number(4)?.cast_signed()),
            0xcf => Value::Int(i64::try_from(self.number(8)?).unwrap_or(i64::MAX)),
            0xd0 => Value::Int(self.signed(1)?),
            0xd1 => Value::Int(self.signed(2)?),
            0xd2 => Value::Int(self.signed(4)?),
            0xd3 => Value::Int(self.signed(8)?),
            0xdc => self.sized(2, |input, count| input.list(count, depth))?,
            0xdd => self.sized(4, |input, count| input.list(count, depth))?,
            0xde => self.sized(2, |input, count| input.map(count, depth))?,
            0xdf => self.sized(4, |input, count| input.map(count, depth))?,
            0xe0..=0xff => Value::Int(i64::from(kind.cast_signed())),
            // Extensions, and what nobody uses.
            0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return Err(Fault::Bad),
        })
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Fault::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    /// A number of so many bytes, big-endian.
    fn number(&mut self, bytes: usize) -> Result<u64, Fault> {
        let taken = self.take(bytes)?.iter();
        Ok(taken.fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn signed(&mut self, bytes: u32) -> Result<i64, Fault> {
        let shift = 64 - 8 * bytes;
        let number = self.number(bytes as usize)?;
        Ok((number << shift).cast_signed() >> shift)
    }

    fn sized(
        &mut self,
        bytes: usize,
        rest: impl FnOnce(&mut Self, u64) -> Result<Value, Fault>,
    ) -> Result<Value, Fault> {
        let length = self.number(bytes)?;
        rest(self, length)
    }

    fn skip(&mut self, bytes: usize) -> Result<Value, Fault> {
        self.take(bytes).map(|_| Value::Nil)
    }

    fn bytes(&mut self, length: u64) -> Result<Value, Fault> {
        let length = usize::try_from(length).map_err(|_| Fault::Bad)?;
        Ok(Value::Bytes(self.take(length)?.to_vec()))
    }

    fn count(count: u64) -> Result<usize, Fault> {
        let count = usize::try_from(count).ok();
        count.filter(|count| *count <= ITEMS_MAX).ok_or(Fault::Bad)
    }

    fn list(&mut self, count: u64, depth: usize) -> Result<Value, Fault> {
        let count = Self::count(count)?;
        // No room is taken for what is only announced.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(self.value(depth + 1)?);
        }
        Ok(Value::List(items))
    }

    fn map(&mut self, count: u64, depth: usize) -> Result<Value, Fault> {
        let count = Self::count(count)?;
        let mut pairs = Vec::new();
        for _ in 0..count {
            pairs.push((self.value(depth + 1)?, self.value(depth + 1)?));
        }
        Ok(Value::Map(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_is_byte_for_byte_serfs() {
        let mut out = Vec::new();
        map([
            ("Command", Value::text("handshake")),
            ("Seq", Value::Int(0)),
        ])
        .write(&mut out);
        map([("Version", Value::Int(1))]).write(&mut out);
        assert_eq!(
            out,
            b"\x82\xa7Command\xa9handshake\xa3Seq\x00\x81\xa7Version\x01"
        );
        let answer = b"\x82\xa5Error\xa0\xa3Seq\x00rest";
        let (value, rest) = read(answer).unwrap();
        assert_eq!(value.get("Error").unwrap().as_text(), Some(""));
        assert_eq!(value.get("Seq").unwrap().as_int(), Some(0));
        assert_eq!(rest, b"rest");
    }

    #[test]
    fn what_is_written_is_read() {
        let long = "x".repeat(70_000);
        let value = Value::List(vec![
            Value::Nil,
            Value::Bool(true),
            Value::Int(-5),
            Value::Int(127),
            Value::Int(1 << 40),
            Value::text(""),
            Value::text(&long[..300]),
            Value::text(&long),
            map([("a", Value::List(vec![Value::Nil; 20]))]),
        ]);
        let mut out = Vec::new();
        value.write(&mut out);
        assert_eq!(read(&out), Ok((value, &b""[..])));
        for end in 0..200 {
            assert_eq!(read(&out[..end]), Err(Fault::Short), "{end}");
        }
    }

    #[test]
    fn no_bytes_take_more_than_they_are() {
        for bad in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\x7f\xff\xff\xff",
            b"\xc1",
            b"\xc7\x01\x00\x00",
            &[0x91; 100],
        ] {
            assert_eq!(read(bad), Err(Fault::Bad), "{bad:?}");
        }
        assert_eq!(read(b"\xdb\xff\xff\xff\xff"), Err(Fault::Short));
        for (bytes, number) in [
            (&b"\xff"[..], -1),
            (b"\xd0\x80", -128),
            (b"\xd1\xff\xfe", -2),
            (b"\xcd\x1d\xcd", 7629),
            (b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff", i64::MAX),
        ] {
            assert_eq!(read(bytes), Ok((Value::Int(number), &b""[..])));
        }
        // Every start of anything is an answer, and never a panic.
        let mut seed = 1_u32;
        for _ in 0..20_000 {
            let mut bytes = [0_u8; 12];
            for byte in &mut bytes {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (seed >> 24) as u8;
            }
            let _ = read(&bytes);
        }
    }
}
