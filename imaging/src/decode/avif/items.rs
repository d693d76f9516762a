//! ISO/IEC 23008-12: which items a file holds, where their bytes are, and which properties they have.
//!
//! Everything is looked up in the file's own bytes each time, so that a hostile file can make nothing grow.

use super::boxes::{Boxes, IsoBox, damaged};
use crate::{Error, InputFormat, Limits, Meter};

/// The `meta` box, and the file around it.
pub(super) struct Items<'a> {
    file: &'a [u8],
    meta: Boxes<'a>,
    meter: &'a Meter,
}

/// Most auxiliary pictures that are looked at, and most properties of one picture. Files have one and some five; each of
/// these costs a walk through all that the `meta` box holds.
const MOST_AUXILIARIES: usize = 16;
const MOST_PROPERTIES: usize = 64;

impl<'a> Items<'a> {
    pub(super) fn read(file: &'a [u8], limits: &Limits, meter: &'a Meter) -> Result<Self, Error> {
        let meta = Boxes::of_file(file, meter).require(*b"meta")?;
        limits.check_metadata(meta.content.len() as u64)?;
        let (_, _, reader) = meta.full()?;
        let (content, at) = reader.rest();
        Ok(Self {
            file,
            meta: IsoBox {
                content,
                at,
                ..meta
            }
            .boxes(meter),
            meter,
        })
    }

    /// The item that is the picture.
    pub(super) fn primary(&self) -> Result<u32, Error> {
        let (version, _, mut reader) = self.require(*b"pitm")?.full()?;
        reader.id(version > 0)
    }

    /// The item that describes `item` for a purpose that `is_wanted` knows by its type.
    pub(super) fn auxiliary(
        &self,
        item: u32,
        is_wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<u32>, Error> {
        let (mut found, mut seen) = (None, 0);
        self.references(*b"auxl", |from, to| {
            if to == item && found.is_none() && seen < MOST_AUXILIARIES {
                seen += 1;
                let mut wanted = false;
                self.properties(from, |property, _| {
                    if property.kind == *b"auxC" {
                        wanted |= is_wanted(property.full()?.2.text()?);
                    }
                    Ok(())
                })?;
                found = wanted.then_some(from);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether there is a reference of a kind from an item to another.
    pub(super) fn refers(&self, kind: [u8; 4], from: u32, to: u32) -> Result<bool, Error> {
        let mut found = false;
        self.references(kind, |source, target| {
            found |= (source, target) == (from, to);
            Ok(())
        })?;
        Ok(found)
    }

    fn references(
        &self,
        kind: [u8; 4],
        mut visit: impl FnMut(u32, u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(references) = self.meta.clone().find(*b"iref")? else {
            return Ok(());
        };
        let (version, _, reader) = references.full()?;
        let (content, at) = reader.rest();
        let mut boxes = IsoBox {
            content,
            at,
            ..references
        }
        .boxes(self.meter);
        while let Some(reference) = boxes.next()? {
            if reference.kind != kind {
                continue;
            }
            let mut reader = reference.reader();
            let from = reader.id(version > 0)?;
            for _ in 0..reader.u16()? {
                self.meter.step(1)?;
                visit(from, reader.id(version > 0)?)?;
            }
        }
        Ok(())
    }

    /// Refuses an item that is not one AV1 picture, by the name of what it is.
    pub(super) fn check_kind(&self, item: u32) -> Result<(), Error> {
        let (version, _, mut reader) = self.require(*b"iinf")?.full()?;
        reader.id(version > 0)?;
        let (content, at) = reader.rest();
        let mut entries = IsoBox {
            kind: *b"iinf",
            content,
            at,
        }
        .boxes(self.meter);
        while let Some(entry) = entries.next()? {
            if entry.kind != *b"infe" {
                continue;
            }
            let (version, _, mut reader) = entry.full()?;
            if version < 2 || reader.id(version > 2)? != item {
                continue;
            }
            if reader.u16()? != 0 {
                return Err(unsupported("encryption"));
            }
            return match &reader.bytes()? {
                b"av01" => Ok(()),
                b"grid" => Err(unsupported("a grid of several pictures")),
                b"iovl" => Err(unsupported("an overlay of several pictures")),
                b"tmap" => Err(unsupported("a tone-mapped picture as its primary one")),
                _ => Err(unsupported("a picture that is not coded as AV1")),
            };
        }
        Err(damaged(at, format!("says nothing of its item {item}")))
    }

    /// Calls `visit` with each property of an item, in order, and whether it is essential.
    pub(super) fn properties(
        &self,
        item: u32,
        mut visit: impl FnMut(IsoBox<'a>, bool) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let properties = self.require(*b"iprp")?;
        let mut wanted: Vec<Association> = Vec::new();
        let mut boxes = properties.boxes(self.meter);
        while let Some(associations) = boxes.next()? {
            if associations.kind != *b"ipma" {
                continue;
            }
            let (version, flags, mut reader) = associations.full()?;
            for _ in 0..reader.u32()? {
                self.meter.step(1)?;
                let is_wanted = reader.id(version > 0)? == item;
                for _ in 0..reader.u8()? {
                    self.meter.step(1)?;
                    let (essential, index) = if flags & 1 == 1 {
                        let value = reader.u16()?;
                        (value >> 15 == 1, value & 0x7fff)
                    } else {
                        let value = reader.u8()?;
                        (value >> 7 == 1, u16::from(value & 0x7f))
                    };
                    if is_wanted && index > 0 {
                        if wanted.len() == MOST_PROPERTIES {
                            let reason = format!("more than {MOST_PROPERTIES} properties");
                            return Err(damaged(reader.at(), reason));
                        }
                        wanted.push(Association {
                            index,
                            essential,
                            at: reader.at(),
                        });
                    }
                }
            }
        }
        let container = properties.boxes(self.meter).require(*b"ipco")?;
        let found = self.nth(container, &wanted)?;
        for (property, association) in found.into_iter().zip(&wanted) {
            let Association {
                index,
                essential,
                at,
            } = association;
            let property = property.ok_or_else(|| {
                damaged(*at, format!("names property {index}, which is not there"))
            })?;
            visit(property, *essential)?;
        }
        Ok(())
    }

    /// The property that each association names. One walk finds them all, however far behind they are.
    fn nth(
        &self,
        container: IsoBox<'a>,
        wanted: &[Association],
    ) -> Result<Vec<Option<IsoBox<'a>>>, Error> {
        let mut order: Vec<_> = (0..wanted.len()).collect();
        order.sort_by_key(|place| wanted[*place].index);
        let mut found = vec![None; wanted.len()];
        let mut boxes = container.boxes(self.meter);
        let (mut passed, mut last) = (0, None);
        for place in order {
            while passed < wanted[place].index {
                last = boxes.next()?;
                if last.is_none() {
                    return Ok(found);
                }
                passed += 1;
            }
            found[place] = last;
        }
        Ok(found)
    }

    /// An item's bytes, and where they begin in the file.
    pub(super) fn data(&self, item: u32) -> Result<(&'a [u8], usize), Error> {
        let location = self.require(*b"iloc")?;
        let (version, _, mut reader) = location.full()?;
        let sizes = reader.u16()?;
        let size = |shift: u16| ((sizes >> shift) & 15) as u8;
        let (offset_size, length_size, base_size) = (size(12), size(8), size(4));
        let index_size = if version > 0 { size(0) } else { 0 };
        for _ in 0..reader.id(version > 1)? {
            self.meter.step(1)?;
            let is_wanted = reader.id(version > 1)? == item;
            let method = if version > 0 { reader.u16()? & 15 } else { 0 };
            reader.u16()?; // Another file, which none of these is.
            let base = reader.sized(base_size)?;
            let (at, pieces) = (reader.at(), reader.u16()?);
            if !is_wanted {
                // Fields of no bytes are allowed, so that walking over them would have no end.
                let sizes = [index_size, offset_size, length_size].map(usize::from);
                reader.skip(pieces, sizes.iter().sum())?;
                continue;
            }
            if pieces != 1 {
                return Err(unsupported("a picture stored in several pieces"));
            }
            reader.sized(index_size)?;
            let offset = reader.sized(offset_size)?.saturating_add(base);
            let length = reader.sized(length_size)?;
            return piece(self.source(method)?, offset, length, at);
        }
        Err(damaged(
            location.at,
            format!("says not where its item {item} is"),
        ))
    }

    /// What an item's offsets count in, and where that begins in the file.
    fn source(&self, method: u16) -> Result<(&'a [u8], usize), Error> {
        match method {
            0 => Ok((self.file, 0)),
            1 => self.require(*b"idat").map(|data| (data.content, data.at)),
            _ => Err(unsupported("an item made of other items")),
        }
    }

    fn require(&self, kind: [u8; 4]) -> Result<IsoBox<'a>, Error> {
        self.meta.clone().require(kind)
    }
}

/// That an item has a property.
struct Association {
    /// Which of all properties it is; counts from 1.
    index: u16,
    essential: bool,
    /// Where in the file it is said.
    at: usize,
}

/// A stretch of `source`, whose offset and length stand `at` bytes into the file. No length means all the rest.
fn piece(
    (source, source_at): (&[u8], usize),
    offset: u64,
    length: u64,
    at: usize,
) -> Result<(&[u8], usize), Error> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let end = match length {
        0 => source.len(),
        length => start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)),
    };
    let piece = source.get(start..end).ok_or_else(|| {
        let total = source.len();
        let reason = format!("its picture is said to be {length} bytes at {offset} of {total}");
        damaged(at, reason)
    })?;
    Ok((piece, source_at + start))
}

pub(super) fn unsupported(feature: &'static str) -> Error {
    Error::UnsupportedFeature {
        format: InputFormat::Avif,
        feature,
    }
}
