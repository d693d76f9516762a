//! ISO/IEC 14496-12: boxes and the integers in them. Knows nothing of pictures.

use crate::{Error, InputFormat, Meter};

/// A box: a type and what it holds.
#[derive(Clone, Copy)]
pub(super) struct IsoBox<'a> {
    pub kind: [u8; 4],
    pub content: &'a [u8],
    /// Where the content begins, in bytes from the start of the file.
    pub at: usize,
}

/// The boxes in a row of bytes that begins `at` bytes into the file.
#[derive(Clone)]
pub(super) struct Boxes<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Whether the last box may be longer than what is there: so it is with a file that was cut off.
    lenient: bool,
    /// Counts the boxes that are walked over.
    meter: &'a Meter,
}

impl<'a> Boxes<'a> {
    /// The boxes of a file.
    pub(super) const fn of_file(bytes: &'a [u8], meter: &'a Meter) -> Self {
        Self {
            bytes,
            at: 0,
            lenient: true,
            meter,
        }
    }

    /// The next box; `None` behind the last one.
    pub(super) fn next(&mut self) -> Result<Option<IsoBox<'a>>, Error> {
        if self.bytes.is_empty() {
            return Ok(None);
        }
        self.meter.step(1)?;
        let start = self.at;
        let mut reader = Reader::new(self.bytes, start);
        let length = u64::from(reader.u32()?);
        let kind = reader.bytes::<4>()?;
        let length = match length {
            0 => self.bytes.len() as u64,
            1 => reader.u64()?,
            length => length,
        };
        let header = self.bytes.len() - reader.left();
        let room = self.bytes.len();
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length < header || (length > room && !self.lenient) {
            let reason = format!("a box of {length} bytes where there are {room}");
            return Err(damaged(start, reason));
        }
        let (whole, rest) = self.bytes.split_at(length.min(room));
        (self.bytes, self.at) = (rest, start + whole.len());
        Ok(Some(IsoBox {
            kind,
            content: &whole[header..],
            at: start + header,
        }))
    }

    /// The first box of a kind, if there is one.
    pub(super) fn find(mut self, kind: [u8; 4]) -> Result<Option<IsoBox<'a>>, Error> {
        while let Some(found) = self.next()? {
            if found.kind == kind {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first box of a kind that must be there.
    pub(super) fn require(self, kind: [u8; 4]) -> Result<IsoBox<'a>, Error> {
        let at = self.at;
        self.find(kind)?.ok_or_else(|| {
            let name = String::from_utf8_lossy(&kind);
            damaged(at, format!("has no '{name}' box"))
        })
    }
}

impl<'a> IsoBox<'a> {
    /// The boxes inside.
    pub(super) const fn boxes(&self, meter: &'a Meter) -> Boxes<'a> {
        Boxes {
            bytes: self.content,
            at: self.at,
            lenient: false,
            meter,
        }
    }

    /// The integers inside.
    pub(super) const fn reader(&self) -> Reader<'a> {
        Reader::new(self.content, self.at)
    }

    /// The integers behind the version and the flags of a full box, and these two.
    pub(super) fn full(&self) -> Result<(u8, u32, Reader<'a>), Error> {
        let mut reader = self.reader();
        let head = reader.u32()?;
        Ok(((head >> 24) as u8, head & 0xff_ffff, reader))
    }
}

/// Big-endian integers, one after the other.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// Where the next byte is, from the start of the file.
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) const fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let (taken, rest) = self
            .bytes
            .split_first_chunk()
            .ok_or_else(|| damaged(self.at, "a box ends inside a field"))?;
        (self.bytes, self.at) = (rest, self.at + N);
        Ok(*taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Error> {
        Ok(u8::from_be_bytes(self.bytes()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, Error> {
        Ok(u16::from_be_bytes(self.bytes()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Error> {
        Ok(u32::from_be_bytes(self.bytes()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, Error> {
        Ok(u64::from_be_bytes(self.bytes()?))
    }

    /// An integer of 16 bits, or of 32.
    pub(super) fn id(&mut self, long: bool) -> Result<u32, Error> {
        if long {
            self.u32()
        } else {
            self.u16().map(u32::from)
        }
    }

    /// An integer of 0, 4 or 8 bytes.
    pub(super) fn sized(&mut self, bytes: u8) -> Result<u64, Error> {
        match bytes {
            0 => Ok(0),
            4 => self.u32().map(u64::from),
            8 => self.u64(),
            _ => Err(damaged(self.at, format!("integers of {bytes} bytes"))),
        }
    }

    /// Passes over so many fields of so many bytes each.
    pub(super) fn skip(&mut self, fields: u16, bytes: usize) -> Result<(), Error> {
        let length = usize::from(fields) * bytes;
        let rest = self.bytes.get(length..);
        self.bytes = rest.ok_or_else(|| damaged(self.at, "a box ends inside a field"))?;
        self.at += length;
        Ok(())
    }

    /// The rest, and where it begins.
    pub(super) const fn rest(self) -> (&'a [u8], usize) {
        (self.bytes, self.at)
    }

    /// A text up to its final zero, without that.
    pub(super) fn text(&mut self) -> Result<&'a [u8], Error> {
        let length = memchr::memchr(0, self.bytes)
            .ok_or_else(|| damaged(self.at, "a text without an end"))?;
        let text = &self.bytes[..length];
        (self.bytes, self.at) = (&self.bytes[length + 1..], self.at + length + 1);
        Ok(text)
    }
}

pub(super) fn damaged(at: usize, reason: impl Into<String>) -> Error {
    Error::damaged(InputFormat::Avif, at, reason)
}
