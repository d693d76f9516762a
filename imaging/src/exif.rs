//! The one thing this crate wants from EXIF: the orientation. Everything else in there is never read.
//!
//! The parser looks at the first directory only, checks every offset, and takes no memory.

use crate::{
    Orientation,
    bytes::{be_u16, be_u32, le_u16, le_u32},
};

const ORIENTATION: u16 = 0x0112;
const SHORT: u16 = 3;
const ENTRY_BYTES: usize = 12;

/// The orientation that a block of EXIF says; [`Orientation::Normal`] if it says none or is damaged, for a
/// picture with broken metadata is still a picture.
pub(crate) fn orientation(exif: &[u8]) -> Orientation {
    // PNG and WebP hold the TIFF structure alone, JPEG puts a name before it, and some WebP writers do too.
    let tiff = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    find(tiff).unwrap_or_default()
}

fn find(tiff: &[u8]) -> Option<Orientation> {
    let order = match tiff.get(..4)? {
        b"II*\0" => Order::Little,
        b"MM\0*" => Order::Big,
        _ => return None,
    };
    let directory = tiff.get(order.u32(tiff, 4)? as usize..)?;
    let entries = usize::from(order.u16(directory, 0)?);
    directory
        .get(2..)?
        .chunks_exact(ENTRY_BYTES)
        .take(entries)
        .find_map(|entry| {
            let is_orientation =
                order.u16(entry, 0)? == ORIENTATION && order.u16(entry, 2)? == SHORT;
            let value = is_orientation.then(|| order.u16(entry, 8))??;
            Some(Orientation::from_exif(value))
        })
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        match self {
            Self::Little => le_u16(bytes, at),
            Self::Big => be_u16(bytes, at),
        }
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        match self {
            Self::Little => le_u32(bytes, at),
            Self::Big => be_u32(bytes, at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITTLE: &[u8] = b"II*\0\x08\0\0\0\x02\0\
        \x0f\x01\x02\0\x04\0\0\0abc\0\
        \x12\x01\x03\0\x01\0\0\0\x06\0\0\0";
    const BIG: &[u8] = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0";

    #[test]
    fn both_byte_orders_are_read() {
        assert_eq!(orientation(LITTLE), Orientation::Rotate90);
        assert_eq!(orientation(BIG), Orientation::Rotate270);
        assert_eq!(
            orientation(&[b"Exif\0\0", BIG].concat()),
            Orientation::Rotate270
        );
    }

    #[test]
    fn damaged_exif_means_as_stored() {
        for len in 0..LITTLE.len() {
            assert_eq!(
                orientation(&LITTLE[..len]),
                Orientation::Normal,
                "cut at {len}"
            );
        }
        let far_away = b"II*\0\xff\xff\xff\xff";
        assert_eq!(orientation(far_away), Orientation::Normal);
    }
}
