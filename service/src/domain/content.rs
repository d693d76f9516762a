//! Content: what bytes are (hash, format, colour), what is made of them (presets), and where a stored copy lives.

use std::{fmt, str::FromStr};

use uuid::Uuid;

use super::Unknown;

/// BLAKE3 of the original bytes; printed as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// The raw digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<blake3::Hash> for Hash {
    fn from(hash: blake3::Hash) -> Self {
        Self(*hash.as_bytes())
    }
}

impl From<[u8; 32]> for Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        blake3::Hash::from_hex(text)
            .map(Self::from)
            .map_err(|_| Unknown::new("a hash (64 hexadecimal digits)", text))
    }
}

/// One stored copy of a content. Objects of a blob live under keys made of both fields.
///
/// The generation is new for every upload, so no object key is ever used twice: a late delete of an old copy
/// (a purge that was slow, retried, or applied by the store after its caller gave up) can never hit the copy
/// that a newer upload of the same bytes relies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Blob {
    /// The content.
    pub hash: Hash,
    /// Which upload stored this copy (uuid v7).
    pub generation: Uuid,
}

impl Blob {
    /// A copy of this content that no object key names yet.
    pub fn new(hash: Hash) -> Self {
        Self {
            hash,
            generation: Uuid::now_v7(),
        }
    }
}

/// `hash/generation`, as in object keys.
impl fmt::Display for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.hash, self.generation)
    }
}

impl FromStr for Blob {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let parse = || {
            let (hash, generation) = text.split_once('/')?;
            Some(Self {
                hash: hash.parse().ok()?,
                generation: generation.parse().ok()?,
            })
        };
        parse().ok_or_else(|| Unknown::new("a blob (hash/generation)", text))
    }
}

/// The dominant colour, sRGB; printed as `#rrggbb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Color(pub [u8; 3]);

impl fmt::Display for Color {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

/// A picture's file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Format {
    Jpeg,
    Png,
    Webp,
    Gif,
    #[cfg(feature = "avif")]
    Avif,
}

impl Format {
    /// Every format there is.
    pub const ALL: &[Self] = &[
        Self::Jpeg,
        Self::Png,
        Self::Webp,
        Self::Gif,
        #[cfg(feature = "avif")]
        Self::Avif,
    ];

    /// The name in the API, in metric labels and in the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "jpeg",
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Gif => "gif",
            #[cfg(feature = "avif")]
            Self::Avif => "avif",
        }
    }

    /// The extension of file names and object keys.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            other => other.name(),
        }
    }

    /// The media type of a body in this format.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Gif => "image/gif",
            #[cfg(feature = "avif")]
            Self::Avif => "image/avif",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Format {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let known = if cfg!(feature = "avif") {
            "a format (jpeg, png, webp, gif, avif)"
        } else {
            "a format (jpeg, png, webp, gif)"
        };
        Self::ALL
            .iter()
            .copied()
            .find(|format| format.name() == text)
            .ok_or_else(|| Unknown::new(known, text))
    }
}

/// A named size: the picture is fitted inside a square, never enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it; `side` says how large")]
pub enum Preset {
    Thumb,
    Small,
    Medium,
    Large,
}

impl Preset {
    /// Every preset, smallest first.
    pub const ALL: [Self; 4] = [Self::Thumb, Self::Small, Self::Medium, Self::Large];

    /// The presets that the job after an upload stores, and in which format. Everything else is rendered on demand.
    pub const STORED: [(Self, Format); 3] = [
        (Self::Thumb, Format::Webp),
        (Self::Small, Format::Webp),
        (Self::Medium, Format::Webp),
    ];

    /// The side of the square, in pixels.
    pub const fn side(self) -> u32 {
        match self {
            Self::Thumb => 200,
            Self::Small => 480,
            Self::Medium => 1024,
            Self::Large => 2048,
        }
    }

    /// The name in the API, in the catalog and in object keys.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thumb => "thumb",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        Self::ALL
            .into_iter()
            .find(|preset| preset.name() == text)
            .ok_or_else(|| Unknown::new("a preset (thumb, small, medium, large)", text))
    }
}
