//! What the service talks about: pictures, their contents and variants, and the jobs that follow an upload.
//!
//! Plain values without I/O. Nothing here knows HTTP, SQL or the object store.

mod content;
mod image;
mod job;

pub use content::{Blob, Color, Format, Hash, Preset};
pub use image::{Cursor, Image, ImageId, NewImage, Owner, Page, PageRequest, Variant};
pub use job::{ClaimedJob, Job, JobId, JobState, QueueStats, Work};

/// Text that should be one of our values and is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {expected}")]
pub struct Unknown {
    /// What was expected, with its article: "a preset (thumb, small, medium, large)".
    pub expected: &'static str,
    /// What was given, cut to a length that is safe to print.
    pub text: String,
}

impl Unknown {
    /// The longest part of a rejected text that is repeated to whoever sent it.
    const SHOWN: usize = 80;

    pub(crate) fn new(expected: &'static str, text: &str) -> Self {
        Self {
            expected,
            text: text.chars().take(Self::SHOWN).collect(),
        }
    }
}
