//! What can be wrong with a picture or with what is asked of it, in one sentence that a client may read.

use std::fmt;

use crate::{InputFormat, OutputFormat};

/// Why a picture was refused. The text holds facts of the file and nothing else, so it may be sent to
/// whoever uploaded it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not a picture in a format this crate reads.
    #[error("the file is {found}; send {READ}")]
    UnsupportedFormat {
        /// What it seems to be: `TIFF`, `SVG`, …, or `in an unknown format`.
        found: &'static str,
    },
    /// The format is read, but not this variety of it.
    #[error("this {format} uses {feature}, which is not supported")]
    UnsupportedFeature {
        /// The format of the file.
        format: InputFormat,
        /// The feature, as the format's specification names it.
        feature: &'static str,
    },
    /// The file breaks its format's rules.
    #[error("the {format} is damaged{}: {reason}", At(*.offset))]
    Damaged {
        /// The format of the file.
        format: InputFormat,
        /// Where in the file, in bytes from its start, if known.
        offset: Option<u64>,
        /// What was expected or found.
        reason: String,
    },
    /// A number in the header, or the size asked for, is over a limit.
    #[error("{what} is {value}, over the limit of {limit}")]
    TooLarge {
        /// What was measured.
        what: Quantity,
        /// How much it is.
        value: u64,
        /// How much it may be.
        limit: u64,
    },
    /// The memory for the pixels could not be had. The file may be fine: try again later.
    #[error("no memory for {bytes} bytes of pixels")]
    OutOfMemory {
        /// How much was asked for.
        bytes: u64,
    },
    /// The work's [`crate::Cancel`] token was used. Says nothing of the file.
    #[error("the work was cancelled")]
    Cancelled,
    /// The operation makes no sense.
    #[error("{field} {reason}")]
    BadOperation {
        /// The field of [`crate::Operation`].
        field: &'static str,
        /// What it must be.
        reason: String,
    },
    /// The encoder failed, which no input should cause.
    #[error("the picture could not be written as {format}: {reason}")]
    Encode {
        /// The format asked for.
        format: OutputFormat,
        /// What the encoder said.
        reason: String,
    },
}

/// Whose fault an [`Error`] is, which decides the status a service answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A format or feature that is not read (HTTP 415).
    Unsupported,
    /// A damaged file (HTTP 422).
    Undecodable,
    /// A file over a limit (HTTP 422).
    OverLimit,
    /// An operation that makes no sense, or that asks for more than a limit (HTTP 400).
    BadOperation,
    /// Memory is short at the moment (HTTP 503).
    OutOfMemory,
    /// Nobody waits for the result any more.
    Cancelled,
    /// A fault of ours (HTTP 500).
    Internal,
}

/// What [`Error::TooLarge`] measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantity {
    /// Width of the picture, in pixels.
    Width,
    /// Height of the picture, in pixels.
    Height,
    /// Width times height of the picture.
    Pixels,
    /// Frames times width times height of an animation.
    AnimationPixels,
    /// Bytes of the embedded ICC profile.
    IccBytes,
    /// Bytes of EXIF, XMP, text and other metadata.
    MetadataBytes,
    /// Width asked for, in pixels.
    OutputWidth,
    /// Height asked for, in pixels.
    OutputHeight,
    /// Width times height asked for.
    OutputPixels,
}

/// The formats that this build reads, for people.
const READ: &str = if cfg!(feature = "avif") {
    "JPEG, PNG, WebP, GIF or AVIF"
} else {
    "JPEG, PNG, WebP or GIF"
};

impl Error {
    /// The kind of this error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::UnsupportedFormat { .. } | Self::UnsupportedFeature { .. } => {
                ErrorKind::Unsupported
            }
            Self::Damaged { .. } => ErrorKind::Undecodable,
            Self::BadOperation { .. }
            | Self::TooLarge {
                what: Quantity::OutputWidth | Quantity::OutputHeight | Quantity::OutputPixels,
                ..
            } => ErrorKind::BadOperation,
            Self::TooLarge { .. } => ErrorKind::OverLimit,
            Self::OutOfMemory { .. } => ErrorKind::OutOfMemory,
            Self::Cancelled => ErrorKind::Cancelled,
            Self::Encode { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn damaged(
        format: InputFormat,
        offset: impl Into<Option<usize>>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Damaged {
            format,
            offset: offset.into().map(|offset| offset as u64),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Width => "the picture's width in pixels",
            Self::Height => "the picture's height in pixels",
            Self::Pixels => "the picture's number of pixels",
            Self::AnimationPixels => "the animation's number of pixels in all frames",
            Self::IccBytes => "the colour profile's size in bytes",
            Self::MetadataBytes => "the metadata's size in bytes",
            Self::OutputWidth => "the width asked for",
            Self::OutputHeight => "the height asked for",
            Self::OutputPixels => "the number of pixels asked for",
        })
    }
}

/// ` at byte 17`, or nothing.
struct At(Option<u64>);

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .map_or(Ok(()), |offset| write!(f, " at byte {offset}"))
    }
}
