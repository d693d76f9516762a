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
use crate::{Error, Meter};

/// What a block's next coefficient is called when there is none: it ended, or ended before its first.
const ENDED: u32 = 64;
const ONLY_MEAN: u32 = u32::MAX;
/// Steps of a block besides those of its samples.
const BLOCK_STEPS: usize = 16;

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
    meter: &Meter,
) -> Result<Outcome, Error> {
    let steps: usize = parts.iter().map(Part::steps_of_mcu).sum();
    coded.for_each_interval(window, meter, |segment, mcus| {
        let mut state = State {
            bits: Bits::default(),
            means: [0; 4],
            block: [0; 64],
        };
        let (mut x, mut y) = (mcus.start % across, mcus.start / across);
        // The first MCU of this row that is not counted yet.
        let mut uncounted = x;
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
                meter.step(((x + 1 - uncounted) * steps) as u64)?;
                return Ok(false);
            }
            x += 1;
            if x == across {
                meter.step(((x - uncounted) * steps) as u64)?;
                (x, y, uncounted) = (0, y + 1, 0);
            }
        }
        meter.step(((x - uncounted) * steps) as u64)?;
        Ok(!state.bits.is_damaged())
    })
}

impl Part<'_, '_, '_> {
    fn steps_of_mcu(&self) -> usize {
        self.sampling.0 * self.sampling.1 * (BLOCK_STEPS + self.channel.n * self.channel.n)
    }

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
        let (_, difference) = self.dc.symbol_and_value(&mut bits, data);
        // Kept in 16 bits as libjpeg does, which only matters to damaged files.
        *mean = i32::from(mean.wrapping_add(difference) as i16);
        let scaled_mean = self.steps.dequantised(0, *mean);
        if N == 1 {
            self.ac.skip_block(&mut bits, data, 1);
            flat::<N>(scaled_mean, samples, at, *stride);
            return bits;
        }

        clear::<N>(block);
        block[0] = *mean;
        let k = kept_coefficients::<N>(self.ac, &self.steps, &mut bits, data, block);
        if N < 8 && k < 64 {
            self.ac.skip_block(&mut bits, data, k);
        }
        if k == ONLY_MEAN {
            flat::<N>(scaled_mean, samples, at, *stride);
        } else {
            inverse::<N>(block, &self.steps, samples, at, *stride);
        }
        bits
    }
}

/// Decodes the coefficients behind the mean that N x N samples need, and returns the number of the next one: 64 or more if
/// the block has ended.
#[inline(always)]
fn kept_coefficients<const N: usize>(
    ac: &Table,
    steps: &Steps,
    bits: &mut Bits,
    data: &[u8],
    block: &mut Block,
) -> u32 {
    let last = const { last_needed(N) };
    let mut k = 1;
    loop {
        bits.refill(data);
        // Two for each refill; the chain from one code to the next is what the time goes by.
        for _ in 0..2 {
            let (symbol, value) = ac.symbol_and_value(bits, data);
            let (run, size) = ((symbol >> 4) as usize, symbol & 15);
            if size == 0 && run < 15 {
                return if k == 1 { ONLY_MEAN } else { ENDED };
            }
            k += run;
            // A run of sixteen zeros stores its last one.
            block[steps.place(k)] = value;
            k += 1;
            if k > last {
                return k as u32;
            }
        }
    }
}
