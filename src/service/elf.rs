//! As much of an ELF file (elf(5)) as tells whether the kernel could execute it.

/// What an ELF file says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Elf {
    /// Nothing that can be judged.
    Unknown,
    /// It is for another machine.
    Foreign,
    /// It is for this one.
    Native {
        /// The dynamic loader that it names; `None`: it needs none, or none was seen.
        loader: Option<String>,
    },
}

/// So many bytes of a file are looked at; linkers put the loader's name right behind the headers.
pub const ELF_BYTES: usize = 4096;

/// The number of this machine.
const MACHINE: u16 = if cfg!(target_arch = "aarch64") {
    183
} else {
    62
};

const PT_INTERP: u32 = 3;

/// Reads the beginning of a file.
pub fn read(bytes: &[u8]) -> Elf {
    // The class of 64 bits, and little-endian numbers.
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        return Elf::Unknown;
    }
    match short(bytes, 18) {
        None => Elf::Unknown,
        Some(MACHINE) => Elf::Native {
            loader: loader(bytes),
        },
        Some(_other) => Elf::Foreign,
    }
}

fn loader(bytes: &[u8]) -> Option<String> {
    let (table, size, count) = (long(bytes, 32)?, short(bytes, 54)?, short(bytes, 56)?);
    let entry = (0..usize::from(count).min(64)).find_map(|at| {
        let entry = bytes.get(table.checked_add(at * usize::from(size))?..)?;
        let kind = u32::from_le_bytes(entry.get(..4)?.try_into().ok()?);
        (kind == PT_INTERP).then_some(entry)
    })?;
    let (start, length) = (long(entry, 8)?, long(entry, 32)?);
    let name = bytes.get(start..start.checked_add(length)?)?;
    let name = name.strip_suffix(b"\0").unwrap_or(name);
    String::from_utf8(name.to_owned()).ok()
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<usize> {
    let number = u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?);
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one entry of the table, which names this loader.
    fn file(machine: u16, loader: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 120];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = 3;
        bytes[72] = 120;
        bytes[96] = u8::try_from(loader.len()).unwrap();
        bytes.extend(loader);
        bytes
    }

    #[test]
    fn what_it_says_is_read_and_nothing_breaks_it() {
        let native = file(MACHINE, b"/lib/ld.so\0");
        let loader = Some("/lib/ld.so".to_owned());
        assert_eq!(read(&native), Elf::Native { loader });
        assert_eq!(read(&file(243, b"")), Elf::Foreign);
        assert_eq!(read(b"#!/bin/sh"), Elf::Unknown);
        for end in 0..native.len() {
            read(&native[..end]);
        }
        for at in 0..native.len() {
            let mut bent = native.clone();
            bent[at] = 0xff;
            read(&bent);
        }
    }
}
