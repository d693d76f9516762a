//! Scans of baseline and extended sequential pictures (T.81 F.2): each block is decoded once, transformed and written.
//!
//! Coefficients behind the last one that is needed are passed over, several at a time. Damage is never an error here: it
//! is shown as libjpeg shows it, wrong or grey, and reported.

use super::{
    bits::Bits,
    channel::{Channel, Steps},
    huffman::Table,
    inverse::{Block, clear, flat, inverse, last_needed},
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

/// What changes from block to block of a component.
struct State {
    bits: Bits,
    /// The mean of the block before; the next is coded as a difference to it.
    means: [i32; 4],
    block: Block,
}

/// Decodes a scan into its channels. `across` is its MCUs in a row.
pub(super) fn decode(
    coded: Coded,
    parts: &mut [Part],
    across: usize,
    window: &mut Vec<u8>,
) -> Outcome {
    coded.for_each_interval(window, |segment, mcus| {
        let mut state = State {
            bits: Bits::default(),
            means: [0; 4],
            block: [0; 64],
        };
        let (mut x, mut y) = (mcus.start % across, mcus.start / across);
        for _ in mcus {
            if segment.is_short(state.bits) {
                state.bits = segment.advance(state.bits);
            }
            for (index, part) in parts.iter_mut().enumerate() {
                let data = segment.data();
                match part.channel.n {
                    1 => part.mcu::<1>(data, &mut state, index, (x, y)),
                    2 => part.mcu::<2>(data, &mut state, index, (x, y)),
                    3 => part.mcu::<3>(data, &mut state, index, (x, y)),
                    4 => part.mcu::<4>(data, &mut state, index, (x, y)),
                    5 => part.mcu::<5>(data, &mut state, index, (x, y)),
                    6 => part.mcu::<6>(data, &mut state, index, (x, y)),
                    7 => part.mcu::<7>(data, &mut state, index, (x, y)),
                    _ => part.mcu::<8>(data, &mut state, index, (x, y)),
                }
            }
            if segment.is_overrun(state.bits) {
                return false;
            }
            x += 1;
            if x == across {
                (x, y) = (0, y + 1);
            }
        }
        !state.bits.is_damaged()
    })
}

impl Part<'_, '_, '_> {
    /// The blocks of this component, number `index` of the scan, in the MCU at (x, y). A function of its own, so that its
    /// loop has the registers to itself.
    #[inline(never)]
    fn mcu<const N: usize>(
        &mut self,
        data: &[u8],
        state: &mut State,
        index: usize,
        (x, y): (usize, usize),
    ) {
        let (across, down) = self.sampling;
        let stride = self.channel.stride;
        let mut bits = state.bits;
        let mut mean = state.means[index];
        for row in 0..down {
            let first = (y * down + row) * N * stride + x * across * N;
            for at in (first..).step_by(N).take(across) {
                bits = self.block::<N>(data, bits, &mut mean, at, &mut state.block);
            }
        }
        state.bits = bits;
        state.means[index] = mean;
    }

    /// One block, to the samples from `at` on.
    #[inline(always)]
    fn block<const N: usize>(
        &mut self,
        data: &[u8],
        mut bits: Bits,
        mean: &mut i32,
        at: usize,
        block: &mut Block,
    ) -> Bits {
        let Channel {
            samples, stride, ..
        } = &mut *self.channel;
        bits.refill(data);
        let (_, difference) = self.dc.symbol_and_value(&mut bits);
        // Kept in 16 bits as libjpeg does, which only matters to damaged files.
        *mean = i32::from(mean.wrapping_add(difference) as i16);
        let (scaled_mean, _) = self.steps.apply(0, *mean);
        if N == 1 {
            self.ac.skip_block(&mut bits, data, 1);
            flat::<N>(scaled_mean, samples, at, *stride);
            return bits;
        }

        clear::<N>(block);
        block[0] = scaled_mean;
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
                    inverse::<N>(block, samples, at, *stride);
                }
                return bits;
            }
            let (value, place) = self.steps.apply(k, value);
            block[place] = value;
            k += 1;
        }
        if N < 8 && k < 64 {
            self.ac.skip_block(&mut bits, data, k as u32);
        }
        inverse::<N>(block, samples, at, *stride);
        bits
    }
}
