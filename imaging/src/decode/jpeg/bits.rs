//! Coded data as bits (T.81 B.1.1.5, F.2.2.5): removes the stuffing and hands out up to 56 bits at a time.
//!
//! Data that ends too early is continued with zeros, as libjpeg does it; who reads asks [`Segment::is_overrun`].
//! Knows nothing of Huffman codes.

use memchr::memchr;

/// Bytes without stuffing that are held at a time: a part of a core's second-level cache.
const WINDOW: usize = 64 << 10;
/// Zeros behind the last byte, so that eight bytes can be read from anywhere in it.
const PADDING: usize = 8;
/// More than one MCU can take: ten blocks of 64 coefficients of at most 16 + 15 bits.
const MCU_BYTES: usize = 4096;

/// The coded data between two markers, a window at a time.
pub(super) struct Segment<'a> {
    input: &'a [u8],
    /// The first byte of `input` that is not in the window yet.
    at: usize,
    window: &'a mut Vec<u8>,
    /// How much of the window is data; the rest is padding.
    filled: usize,
    /// No data is left in `input`: a marker or the end was found.
    ended: bool,
}

impl<'a> Segment<'a> {
    /// The segment that begins at byte `at` of the file. `window` is memory to use.
    pub(super) fn new(input: &'a [u8], at: usize, window: &'a mut Vec<u8>) -> Self {
        window.clear();
        let mut segment = Self {
            input,
            at,
            window,
            filled: 0,
            ended: false,
        };
        segment.fill();
        segment
    }

    /// The window, for [`Bits`].
    #[inline(always)]
    pub(super) fn data(&self) -> &[u8] {
        self.window
    }

    /// Whether the window may end inside the next MCU though there is more data: then [`Self::advance`].
    #[inline(always)]
    pub(super) fn is_short(&self, bits: Bits) -> bool {
        bits.at + MCU_BYTES > self.filled && !self.ended
    }

    /// Moves the window on, and the position with it.
    #[cold]
    pub(super) fn advance(&mut self, mut bits: Bits) -> Bits {
        let done = bits.at.min(self.filled);
        self.window.truncate(self.filled);
        self.window.drain(..done);
        bits.at -= done;
        self.fill();
        bits
    }

    /// Whether more was read than there is.
    #[inline(always)]
    pub(super) fn is_overrun(&self, bits: Bits) -> bool {
        self.ended && bits.at * 8 > self.filled * 8 + bits.count as usize
    }

    /// Where in the file the marker is that ended the data. Whatever was not read is skipped.
    pub(super) fn end(mut self) -> usize {
        while !self.ended {
            self.window.clear();
            self.fill();
        }
        self.at
    }

    fn fill(&mut self) {
        while self.window.len() < WINDOW && !self.ended {
            let rest = &self.input[self.at.min(self.input.len())..];
            let room = rest.len().min(WINDOW - self.window.len());
            let plain = memchr(0xff, &rest[..room]).unwrap_or(room);
            self.window.extend_from_slice(&rest[..plain]);
            self.at += plain;
            if plain == room && room < rest.len() {
                break;
            }
            match rest.get(plain + 1) {
                _ if plain == rest.len() => self.ended = true,
                Some(0) => {
                    self.window.push(0xff);
                    self.at += 2;
                }
                // A marker may be preceded by any number of these.
                Some(0xff) => self.at += 1,
                Some(_) => self.ended = true,
                None => {
                    self.at = self.input.len();
                    self.ended = true;
                }
            }
        }
        self.filled = self.window.len();
        self.window.resize(self.filled + PADDING, 0);
    }
}

/// A position in a segment's window, and the next bits of it. Small and copied, so that it stays in registers.
#[derive(Clone, Copy, Default)]
pub(super) struct Bits {
    /// The next bits, from the top.
    buffer: u64,
    /// How many of them are there.
    count: u32,
    /// The next byte of the window.
    at: usize,
    /// Something was read that means nothing.
    is_damaged: bool,
}

impl Bits {
    /// Remembers that something was read that means nothing.
    #[inline(always)]
    pub(super) fn damage(&mut self) {
        self.is_damaged = true;
    }

    pub(super) const fn is_damaged(self) -> bool {
        self.is_damaged
    }

    /// Makes at least 56 bits available.
    #[inline(always)]
    pub(super) fn refill(&mut self, data: &[u8]) {
        let next = data.get(self.at..).and_then(|rest| rest.first_chunk());
        self.buffer |= u64::from_be_bytes(*next.unwrap_or(&[0; 8])) >> self.count;
        self.at += ((63 - self.count) >> 3) as usize;
        self.count |= 0b11_1000;
    }

    /// The next `WIDTH` bits, which stay.
    #[inline(always)]
    pub(super) fn peek<const WIDTH: u32>(self) -> usize {
        (self.buffer >> (64 - WIDTH)) as usize
    }

    /// Drops bits, at most as many as are there.
    #[inline(always)]
    pub(super) fn skip(&mut self, count: u32) {
        debug_assert!(count <= self.count, "refill comes before");
        self.buffer <<= count;
        self.count -= count;
    }

    /// Takes up to 16 bits as a number.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let value = (self.buffer >> 1 >> (63 - count)) as u32;
        self.skip(count);
        value
    }

    /// The signed number of `size` bits that follows `behind` bits (T.81 F.2.2.1, EXTEND); nothing is taken.
    ///
    /// A leading 0 stands for a negative number, `size` ones below zero.
    #[inline(always)]
    pub(super) fn signed_behind(self, behind: u32, size: u32) -> i32 {
        let from_here = self.buffer << behind;
        let value = (from_here >> 1 >> (63 - size)) as i32;
        let is_negative = !(from_here as i64 >> 63) as i32;
        value - (((1 << size) - 1) & is_negative)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(input: &[u8]) -> (Vec<u8>, usize) {
        let mut window = Vec::new();
        let mut segment = Segment::new(input, 0, &mut window);
        let mut bits = Bits::default();
        let mut bytes = Vec::new();
        loop {
            if segment.is_short(bits) {
                bits = segment.advance(bits);
            }
            bits.refill(segment.data());
            let byte = bits.take(8) as u8;
            if segment.is_overrun(bits) {
                return (bytes, segment.end());
            }
            bytes.push(byte);
        }
    }

    #[test]
    fn stuffing_and_fill_bytes_are_removed_and_a_marker_ends_the_data() {
        let (bytes, end) = bytes_of(&[1, 0xff, 0, 2, 0xff, 0xff, 0xd9, 7]);
        assert_eq!(bytes, [1, 0xff, 2]);
        assert_eq!(end, 5);
        assert_eq!(bytes_of(&[1, 2, 0xff]), (vec![1, 2], 3));
        assert_eq!(bytes_of(&[]), (vec![], 0));
    }

    #[test]
    fn data_longer_than_the_window_is_read_without_a_seam() {
        let input: Vec<u8> = (0..3 * WINDOW).map(|n| (n % 251) as u8).collect();
        let (bytes, end) = bytes_of(&input);
        assert!(bytes == input);
        assert_eq!(end, input.len());
    }

    #[test]
    fn stuffing_across_the_end_of_the_window_is_one_byte() {
        for before in WINDOW - 3..WINDOW + 3 {
            let mut input = vec![7; before];
            input.extend([0xff, 0, 9, 0xff, 0xd0]);
            let (bytes, end) = bytes_of(&input);
            assert_eq!(bytes[before..], [0xff, 9], "{before}");
            assert_eq!(end, before + 3);
        }
    }

    #[test]
    fn numbers_have_their_sign_in_the_first_bit() {
        let value = |bits: u64, size: u32| {
            let bits = Bits {
                buffer: bits << (61 - size),
                count: 64,
                ..Bits::default()
            };
            bits.signed_behind(3, size)
        };
        assert_eq!(value(0, 0), 0);
        assert_eq!([value(0, 1), value(1, 1)], [-1, 1]);
        assert_eq!(
            [0b00, 0b01, 0b10, 0b11].map(|b| value(b, 2)),
            [-3, -2, 2, 3]
        );
        assert_eq!([value(0, 11), value(2047, 11)], [-2047, 2047]);
    }
}
