//! Pictures as the API shows them, and pages of them.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Blob, Color, Format, Preset, Unknown};

/// A picture's name, uuid v7: ids of later uploads sort after those of earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(pub Uuid);

impl ImageId {
    /// An id that nobody has.
    #[expect(
        clippy::new_without_default,
        reason = "every call differs: there is no default id"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ImageId {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        text.parse()
            .map(Self)
            .map_err(|_| Unknown::new("an image id (a uuid)", text))
    }
}

/// Whose a picture is. Everything belongs to the default owner until there are API keys.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Owner(pub String);

impl Default for Owner {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

/// A picture of the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its name.
    pub id: ImageId,
    /// Whose it is.
    pub owner: Owner,
    /// The stored copy of its bytes.
    pub blob: Blob,
    /// A title, when one was given.
    pub title: Option<String>,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// The original's format.
    pub format: Format,
    /// Pixels, after orientation.
    pub width: u32,
    /// Pixels, after orientation.
    pub height: u32,
    /// Whether some pixel may be transparent.
    pub alpha: bool,
    /// Size of the original.
    pub bytes: u64,
    /// Dominant colour.
    pub color: Color,
    /// When the upload was accepted, in whole microseconds.
    pub created_at: Timestamp,
    /// Stored renders, smallest first. Always empty in the items of a list.
    pub variants: Vec<Variant>,
}

impl Image {
    /// The stored render of this preset and format, if there is one already.
    pub fn variant(&self, preset: Preset, format: Format) -> Option<&Variant> {
        self.variants
            .iter()
            .find(|variant| variant.preset == preset && variant.format == format)
    }
}

/// A picture whose bytes are in the store already, about to be entered.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// Whose it will be.
    pub owner: Owner,
    /// The copy that was just stored.
    pub blob: Blob,
    /// The original's format.
    pub format: Format,
    /// Pixels, after orientation.
    pub width: u32,
    /// Pixels, after orientation.
    pub height: u32,
    /// Whether some pixel may be transparent.
    pub alpha: bool,
    /// Size of the original.
    pub bytes: u64,
    /// Dominant colour.
    pub color: Color,
    /// `traceparent` of the upload, which the job's first attempt continues.
    pub traceparent: Option<String>,
}

/// A stored render of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variant {
    /// Its named size.
    pub preset: Preset,
    /// Its format.
    pub format: Format,
    /// Pixels.
    pub width: u32,
    /// Pixels.
    pub height: u32,
    /// Size of the file.
    pub bytes: u64,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// Whose pictures.
    pub owner: Owner,
    /// At most this many.
    pub limit: u32,
    /// Continue after this place; `None` starts with the newest.
    pub after: Option<Cursor>,
}

/// A part of a list, newest first.
#[derive(Debug, Clone)]
pub struct Page {
    /// The pictures, without their variants.
    pub images: Vec<Image>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Cursor>,
}

/// A place in the list: after the picture with this time and id. Opaque to clients, 48 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// `created_at` of the last picture of the page before.
    pub created_at: Timestamp,
    /// Its id, which tells pictures of the same microsecond apart.
    pub id: ImageId,
}

impl Cursor {
    const DIGITS: usize = 48;
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:016x}{:032x}",
            self.created_at.as_microsecond(),
            self.id.0.as_u128()
        )
    }
}

impl FromStr for Cursor {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let parse = || {
            let digits =
                text.len() == Self::DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            let (time, id) = digits.then(|| text.split_at(16))?;
            let micros = i64::from_str_radix(time, 16).ok()?;
            let id = u128::from_str_radix(id, 16).ok()?;
            Some(Self {
                created_at: Timestamp::from_microsecond(micros).ok()?,
                id: ImageId(Uuid::from_u128(id)),
            })
        };
        parse().ok_or_else(|| Unknown::new("a cursor of this list", text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_form() {
        let cursor = Cursor {
            created_at: Timestamp::from_microsecond(1_700_000_000_123_456).expect("in range"),
            id: ImageId::new(),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }

    #[test]
    fn a_forged_cursor_is_refused_and_its_repetition_is_short() {
        for text in [
            "",
            "zz",
            &"f".repeat(48),
            &"é".repeat(24),
            &"0".repeat(10_000),
        ] {
            let refused = text.parse::<Cursor>().expect_err("not a cursor");
            assert!(refused.text.chars().count() <= 80);
        }
    }
}
