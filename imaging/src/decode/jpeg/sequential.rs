//! Scans of baseline and extended sequential pictures (T.81 F.2): each block is decoded once, transformed and written.
//!
//! Coefficients behind the last one that is needed are passed over, several at a time. Damage is never an error here: it
//! is shown as libjpeg shows it, wrong or grey, and reported.

use super::{
    bits::Bits,
    channel::{Channel, Steps},
    huffman::Table,
    inverse::{Block, flat, inverse, last_needed},
    restarts::{Coded, Outcome},
};

/// A component's part in a scan.
pub(super) struct Part<'t, 'c, 'a> {
    pub dc: &'t Table,
    pub ac: &'t Table,
    pub steps: Steps,
    /// Blocks in an MCU, across and down.
    pub sampling: (usize, usize),
    pub channel: &'c mut Channel<'a>,
}

/// Decodes a scan into its channels, `n` samples to a block's side. `across` is its MCUs in a row.
pub(super) fn decode(
    n: usize,
    coded: Coded,
    parts: &mut [Part],
    across: usize,
    window: &mut Vec<u8>,
) -> Outcome {
    match n {
        1 => decode_at::<1>(coded, parts, across, window),
        2 => decode_at::<2>(coded, parts, across, window),
        3 => decode_at::<3>(coded, parts, across, window),
        4 => decode_at::<4>(coded, parts, across, window),
        5 => decode_at::<5>(coded, parts, across, window),
        6 => decode_at::<6>(coded, parts, across, window),
        7 => decode_at::<7>(coded, parts, across, window),
        _ => decode_at::<8>(coded, parts, across, window),
    }
}

fn decode_at<const N: usize>(
    coded: Coded,
    parts: &mut [Part],
    across: usize,
    window: &mut Vec<u8>,
) -> Outcome {
    coded.for_each_interval(window, |segment, mcus| {
        let mut bits = Bits::default();
        let mut means = [0i32; 4];
        let (mut x, mut y) = (mcus.start % across, mcus.start / across);
        for _ in mcus {
            if segment.is_short(bits) {
                bits = segment.advance(bits);
            }
            for (part, mean) in parts.iter_mut().zip(&mut means) {
                bits = part.mcu::<N>(segment.data(), bits, (x, y), mean);
            }
            if segment.is_overrun(bits) {
                return false;
            }
            x += 1;
            if x == across {
                (x, y) = (0, y + 1);
            }
        }
        true
    })
}

impl Part<'_, '_, '_> {
    /// The blocks of this component in the MCU at (x, y).
    #[inline(always)]
    fn mcu<const N: usize>(
        &mut self,
        data: &[u8],
        mut bits: Bits,
        (x, y): (usize, usize),
        mean: &mut i32,
    ) -> Bits {
        let (across, down) = self.sampling;
        let stride = self.channel.stride;
        for row in 0..down {
            let first = (y * down + row) * N * stride + x * across * N;
            for at in (first..).step_by(N).take(across) {
                bits = self.block::<N>(data, bits, mean, at);
            }
        }
        bits
    }

    /// One block, to the samples from `at` on.
    #[inline(always)]
    fn block<const N: usize>(
        &mut self,
        data: &[u8],
        mut bits: Bits,
        mean: &mut i32,
        at: usize,
    ) -> Bits {
        let Channel {
            samples, stride, ..
        } = &mut *self.channel;
        bits.refill(data);
        let (_, difference) = self.dc.symbol_and_value(&mut bits);
        // Kept in 16 bits as libjpeg does, which only matters to damaged files.
        *mean = i32::from(mean.wrapping_add(difference) as i16);
        let (scaled_mean, ..) = self.steps.apply(0, *mean);
        if N == 1 {
            self.ac.skip_block(&mut bits, data, 1);
            flat::<N>(scaled_mean, samples, at, *stride);
            return bits;
        }

        let mut block = Block::default();
        block[0][0] = scaled_mean;
        let mut k = 1;
        let last = const { last_needed(N) };
        while k <= last {
            bits.refill(data);
            let (symbol, value) = self.ac.symbol_and_value(&mut bits);
            let (run, size) = ((symbol >> 4) as usize, symbol & 15);
            k += run;
            if size == 0 {
                if run == 15 {
                    k += 1;
                    continue;
                }
                if k - run == 1 {
                    flat::<N>(scaled_mean, samples, at, *stride);
                } else {
                    inverse::<N>(&block, samples, at, *stride);
                }
                return bits;
            }
            let (value, row, column) = self.steps.apply(k, value);
            block[row][column] = value;
            k += 1;
        }
        if N < 8 && k < 64 {
            self.ac.skip_block(&mut bits, data, k as u32);
        }
        inverse::<N>(&block, samples, at, *stride);
        bits
    }
}
