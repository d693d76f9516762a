//! Memory that is reused from one picture to the next: fresh pages for 36 MB cost more than a small resize.

use crate::Error;

/// Buffers of one thread's renders. Reusing it saves page faults; dropping it frees everything.
#[derive(Debug, Default)]
pub struct Scratch {
    /// The decoded picture.
    pub(crate) pixels: Vec<u8>,
    /// A second picture for a step that can't work in place: a GIF frame before it is put on its canvas,
    /// the resize's intermediate, the result of a rotation.
    pub(crate) spare: Vec<u8>,
    /// The picture after the resize.
    pub(crate) resized: Vec<u8>,
    /// The channels of a picture that is put together after the resize.
    pub(crate) planes: [Vec<u8>; 4],
    /// What a JPEG decoder needs besides.
    pub(crate) jpeg: JpegScratch,
}

/// Memory of a JPEG while it is decoded.
#[derive(Debug, Default)]
pub(crate) struct JpegScratch {
    /// A stretch of coded data without stuffing.
    pub window: Vec<u8>,
    /// The coefficients of each component of a progressive picture.
    pub coefficients: [Vec<i16>; 4],
    /// Which coefficients of each block are not zero.
    pub nonzero: [Vec<u64>; 4],
}

impl Scratch {
    /// The most that a scratch keeps between calls, in bytes: enough for a 16-megapixel photograph.
    pub const KEPT_BYTES: usize = 64 << 20;

    /// An empty scratch; it grows on first use.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives back memory beyond [`Self::KEPT_BYTES`]: first what only some pictures need, then the biggest buffer.
    pub(crate) fn trim(&mut self) {
        if self.held_bytes() > Self::KEPT_BYTES {
            self.jpeg = JpegScratch::default();
        }
        while self.held_bytes() > Self::KEPT_BYTES {
            let buffers = [&mut self.pixels, &mut self.spare, &mut self.resized];
            let buffers = buffers.into_iter().chain(&mut self.planes);
            if let Some(biggest) = buffers.max_by_key(|buffer| buffer.capacity()) {
                *biggest = Vec::new();
            }
        }
    }

    fn held_bytes(&self) -> usize {
        let Self {
            pixels,
            spare,
            resized,
            planes,
            jpeg,
        } = self;
        let bytes: usize = [pixels, spare, resized, &jpeg.window]
            .into_iter()
            .chain(planes)
            .map(Vec::capacity)
            .sum();
        let coefficients: usize = jpeg.coefficients.iter().map(Vec::capacity).sum();
        let nonzero: usize = jpeg.nonzero.iter().map(Vec::capacity).sum();
        bytes + 2 * coefficients + 8 * nonzero
    }
}

/// Makes `buffer` exactly `len` zeros.
///
/// Zeros rather than what was there: a decoder that stops early must not show the previous picture.
pub(crate) fn blank(buffer: &mut Vec<u8>, len: usize) -> Result<(), Error> {
    filled(buffer, len, 0)
}

/// Makes `buffer` exactly `len` times `value`.
pub(crate) fn filled<T: Copy>(buffer: &mut Vec<T>, len: usize, value: T) -> Result<(), Error> {
    buffer.clear();
    buffer
        .try_reserve_exact(len)
        .map_err(|_| Error::OutOfMemory {
            bytes: (len as u64).saturating_mul(size_of::<T>() as u64),
        })?;
    buffer.resize(len, value);
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_gives_back_what_a_huge_picture_took() {
        let mut scratch = Scratch::new();
        blank(&mut scratch.pixels, Scratch::KEPT_BYTES + 1).unwrap();
        blank(&mut scratch.resized, 1000).unwrap();
        scratch.trim();
        assert_eq!(scratch.pixels.capacity(), 0);
        assert!(scratch.resized.capacity() >= 1000, "a small buffer is kept");
    }

    #[test]
    fn a_reused_buffer_shows_nothing_of_the_last_picture() {
        let mut buffer = vec![7; 100];
        blank(&mut buffer, 50).unwrap();
        assert_eq!(buffer, [0; 50]);
    }

    #[test]
    fn memory_that_cannot_be_had_is_an_error() {
        assert_eq!(
            blank(&mut Vec::new(), usize::MAX),
            Err(Error::OutOfMemory { bytes: u64::MAX })
        );
    }
}
