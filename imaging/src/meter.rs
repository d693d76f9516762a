//! How much work a file makes, and whether its result is still wanted.
//!
//! Counting costs an addition a row, a marker or a box, so it is always on. It is what keeps a small file from holding a
//! core: whatever a decoder does for each byte or each pixel is bounded, and [`Meter`] notices if that is not so.

use std::{
    cell::Cell,
    io::{self, BufRead, Cursor, Read, Seek, SeekFrom},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{Error, InputFormat};

/// Steps that a decode may take for each byte of the file.
const STEPS_PER_BYTE: u64 = 16;
/// Steps that a decode may take for each pixel that the header announces. A JPEG of four channels takes some 16 at
/// most, if each scan brings something new.
const STEPS_PER_PIXEL: u64 = 32;
/// Steps that any decode may take: tables and whole MCUs of pictures that are smaller than these.
const STEPS_AT_LEAST: u64 = 4_000_000;
/// What a library is handed at a time, in bytes: between two pieces its work can be cancelled.
const PIECE: usize = 8 << 10;

/// A cancellation token: tells work on another thread that nobody waits for its result. Clones are the same token.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// The steps after which the work ends: none once it is cancelled.
    after: Arc<AtomicU64>,
}

impl Cancel {
    /// A token that cancels its work by itself when that has taken more than so many steps.
    #[must_use]
    pub fn after(steps: u64) -> Self {
        Self {
            after: Arc::new(AtomicU64::new(steps)),
        }
    }

    /// Ends the work that was given this token, at its next step; what has ended already stays as it is.
    pub fn cancel(&self) {
        self.after.store(0, Ordering::Relaxed);
    }

    fn ends(&self, steps: u64) -> bool {
        let after = self.after.load(Ordering::Relaxed);
        after == 0 || steps > after
    }
}

impl Default for Cancel {
    /// A token that cancels nothing before [`Self::cancel`].
    fn default() -> Self {
        Self::after(u64::MAX)
    }
}

/// Counts the steps of one piece of work, and ends it with [`Error::Cancelled`] if its token says so.
///
/// A step is about what a byte of coded data or a sample of the picture takes: some nanoseconds.
#[derive(Debug, Default)]
pub struct Meter {
    cancel: Cancel,
    steps: Cell<u64>,
    bound: Cell<Option<Bound>>,
}

/// Where the steps of a file end.
#[derive(Debug, Clone, Copy)]
struct Bound {
    format: InputFormat,
    steps: u64,
}

impl Meter {
    /// A meter of work that `cancel` ends.
    #[must_use]
    pub fn new(cancel: Cancel) -> Self {
        Self {
            cancel,
            ..Self::default()
        }
    }

    /// The steps taken so far.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps.get()
    }

    /// The most steps that decoding a file of so many bytes, with so many pixels, takes.
    #[must_use]
    pub const fn most_steps(bytes: u64, pixels: u64) -> u64 {
        bytes
            .saturating_mul(STEPS_PER_BYTE)
            .saturating_add(pixels.saturating_mul(STEPS_PER_PIXEL))
            .saturating_add(STEPS_AT_LEAST)
    }

    /// Counts steps that are about to be taken, or just were. The error ends the work.
    #[inline]
    pub(crate) fn step(&self, steps: u64) -> Result<(), Error> {
        self.steps.set(self.steps.get().saturating_add(steps));
        if self.cancel.ends(self.steps.get()) {
            return Err(Error::Cancelled);
        }
        match self.bound.get() {
            Some(bound) if self.steps.get() > bound.steps => Err(bound.exceeded()),
            _ => Ok(()),
        }
    }

    /// Does `work`, which may take as many steps as a file of this kind and size deserves.
    pub(crate) fn bounded<T>(
        &self,
        format: InputFormat,
        bytes: usize,
        pixels: u64,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let most = Self::most_steps(bytes as u64, pixels);
        self.bound.set(Some(Bound {
            format,
            steps: self.steps.get().saturating_add(most),
        }));
        let result = work();
        // A library that could read no further says so in its own words.
        let result = result.or_else(|error| self.step(0).and(Err(error)));
        self.bound.set(None);
        result
    }
}

impl Bound {
    #[cold]
    fn exceeded(self) -> Error {
        let reason = "takes more work to decode than a file of its size should";
        Error::damaged(self.format, None, reason)
    }
}

/// A file as libraries read it: piece by piece, and no further once its meter ends the work.
pub(crate) struct Pieces<'a> {
    file: Cursor<&'a [u8]>,
    meter: &'a Meter,
}

impl<'a> Pieces<'a> {
    pub(crate) const fn new(file: &'a [u8], meter: &'a Meter) -> Self {
        Self {
            file: Cursor::new(file),
            meter,
        }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let length = self.fill_buf()?.read(to)?;
        self.consume(length);
        Ok(length)
    }
}

impl BufRead for Pieces<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.meter.step(1).map_err(io::Error::other)?;
        let rest = self.file.fill_buf()?;
        Ok(&rest[..rest.len().min(PIECE)])
    }

    fn consume(&mut self, length: usize) {
        // Noticed when the next piece is asked for.
        let _ = self.meter.step(length as u64);
        self.file.consume(length);
    }
}

impl Seek for Pieces<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cancelled_token_ends_the_work_of_every_clone_at_its_next_step() {
        let cancel = Cancel::default();
        let meter = Meter::new(cancel.clone());
        assert_eq!(meter.step(3), Ok(()));
        cancel.cancel();
        assert_eq!(meter.step(4), Err(Error::Cancelled));
        assert_eq!(meter.steps(), 7);
        assert!(Pieces::new(b"abc", &meter).fill_buf().is_err());
    }

    #[test]
    fn more_steps_than_a_file_deserves_are_an_undecodable_file() {
        let meter = Meter::default();
        let most = Meter::most_steps(10, 100);
        let work = || meter.step(most + 1);
        let error = meter.bounded(InputFormat::Gif, 10, 100, work).err();
        let kind = error.map(|error| error.kind());
        assert_eq!(kind, Some(crate::ErrorKind::Undecodable));
        assert_eq!(meter.step(u64::MAX), Ok(()), "outside of it nothing ends");
    }

    #[test]
    fn what_a_library_says_of_a_piece_that_it_did_not_get_is_not_what_is_wrong() {
        let meter = Meter::default();
        let work = || -> Result<(), Error> {
            meter.cancel.cancel();
            Err(Error::damaged(InputFormat::Png, None, "an odd end"))
        };
        assert_eq!(
            meter.bounded(InputFormat::Png, 1, 1, work),
            Err(Error::Cancelled)
        );
    }
}
