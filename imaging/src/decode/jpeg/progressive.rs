//! Scans of progressive pictures (T.81 G.1, G.2): coefficients are collected over all scans, then transformed.
//!
//! Only those that N samples to a block's side need are kept. Of the others it is remembered which are not zero: where
//! they are refined, each of them has a bit in the data, and so the place of all that follows depends on it. With N = 1
//! nothing but the means is needed, and no other scan is read at all.

use super::{
    bits::{Bits, Segment},
    channel::{Channel, Steps},
    huffman::Table,
    inverse::{Block, clear, inverse, last_needed},
    restarts::{Coded, Outcome},
};
use crate::{Error, Meter, scratch::filled};

/// Steps to visit a block in a scan: these, and one for each four coefficients of its band.
const VISIT_STEPS: usize = 4;
/// Steps to transform a block, besides those of its samples.
const TRANSFORM_STEPS: usize = 16;

/// Which coefficients a scan codes, and which of their bits (T.81 B.2.3).
#[derive(Clone, Copy)]
pub(super) struct Band {
    /// First and last coefficient, in zigzag order.
    pub first: usize,
    pub last: usize,
    /// Whether earlier scans coded higher bits of them.
    pub refines: bool,
    /// The lowest bit that is coded.
    pub shift: u32,
}

/// The coefficients of a component, as far as they are needed.
pub(super) struct Coefficients<'a> {
    /// For each block, row by row, the first `kept` coefficients.
    values: &'a mut Vec<i16>,
    kept: usize,
    /// For each block, which of the 64 are not zero; empty if only means are kept.
    nonzero: &'a mut Vec<u64>,
    blocks_across: usize,
}

/// A component's part in a scan.
pub(super) struct Part<'p, 'a> {
    pub table: Option<&'p Table>,
    pub coefficients: &'p mut Coefficients<'a>,
    /// Blocks in an MCU, across and down.
    pub sampling: (usize, usize),
}

impl<'a> Coefficients<'a> {
    pub(super) fn new(
        channel: &Channel,
        values: &'a mut Vec<i16>,
        nonzero: &'a mut Vec<u64>,
    ) -> Result<Self, Error> {
        let blocks = channel.blocks.0 * channel.blocks.1;
        let kept = last_needed(channel.n) + 1;
        filled(values, blocks * kept, 0)?;
        filled(nonzero, if channel.n == 1 { 0 } else { blocks }, 0)?;
        Ok(Self {
            values,
            kept,
            nonzero,
            blocks_across: channel.blocks.0,
        })
    }

    /// Transforms everything into the channel's samples.
    pub(super) fn transform(
        &self,
        steps: &Steps,
        channel: &mut Channel,
        meter: &Meter,
    ) -> Result<(), Error> {
        match channel.n {
            1 => self.transform_at::<1>(steps, channel, meter),
            2 => self.transform_at::<2>(steps, channel, meter),
            3 => self.transform_at::<3>(steps, channel, meter),
            4 => self.transform_at::<4>(steps, channel, meter),
            5 => self.transform_at::<5>(steps, channel, meter),
            6 => self.transform_at::<6>(steps, channel, meter),
            7 => self.transform_at::<7>(steps, channel, meter),
            _ => self.transform_at::<8>(steps, channel, meter),
        }
    }

    fn transform_at<const N: usize>(
        &self,
        steps: &Steps,
        channel: &mut Channel,
        meter: &Meter,
    ) -> Result<(), Error> {
        let stride = channel.stride;
        let mut block: Block = [0; 64];
        for (index, values) in self.values.chunks_exact(self.kept).enumerate() {
            let (x, y) = (index % self.blocks_across, index / self.blocks_across);
            if x == 0 {
                meter.step((self.blocks_across * (TRANSFORM_STEPS + N * N)) as u64)?;
            }
            clear::<N>(&mut block);
            for (k, value) in values.iter().enumerate() {
                block[steps.place(k)] = (*value).into();
            }
            inverse::<N>(
                &block,
                steps,
                channel.samples,
                y * N * stride + x * N,
                stride,
            );
        }
        Ok(())
    }
}

/// Decodes a scan of means, of one component or several (T.81 G.1.2.1). `across` is its MCUs in a row.
pub(super) fn decode_means(
    coded: Coded,
    band: Band,
    parts: &mut [Part],
    across: usize,
    window: &mut Vec<u8>,
    meter: &Meter,
) -> Result<Outcome, Error> {
    let blocks = parts.iter().map(|part| part.sampling.0 * part.sampling.1);
    let steps = blocks.sum::<usize>() * VISIT_STEPS;
    coded.for_each_interval(window, meter, |segment, mcus| {
        let mut bits = Bits::default();
        let mut means = [0i32; 4];
        let (mut x, mut y) = (mcus.start % across, mcus.start / across);
        // The first MCU of this row that is not counted yet.
        let mut uncounted = x;
        for _ in mcus {
            if segment.is_short(bits) {
                bits = segment.advance(bits);
            }
            for (part, mean) in parts.iter_mut().zip(&mut means) {
                let (width, height) = part.sampling;
                for (row, column) in (0..height).flat_map(|row| (0..width).map(move |c| (row, c))) {
                    let index =
                        (y * height + row) * part.coefficients.blocks_across + x * width + column;
                    bits.refill(segment.data());
                    let kept = part.coefficients.kept;
                    let Some(value) = part.coefficients.values.get_mut(index * kept) else {
                        continue;
                    };
                    if band.refines {
                        *value |= (bits.take(1) << band.shift) as i16;
                    } else if let Some(table) = part.table {
                        let (_, difference) = table.symbol_and_value(&mut bits, segment.data());
                        *mean = mean.wrapping_add(difference);
                        *value = (*mean << band.shift) as i16;
                    }
                }
            }
            if segment.is_overrun(bits) {
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
        Ok(!bits.is_damaged())
    })
}

/// Decodes a scan of other coefficients, which always has one component (T.81 G.1.2.2 and G.1.2.3). `across` is the
/// number of its blocks in a row that show picture.
pub(super) fn decode_band(
    coded: Coded,
    band: Band,
    table: &Table,
    coefficients: &mut Coefficients,
    across: usize,
    window: &mut Vec<u8>,
    meter: &Meter,
) -> Result<Outcome, Error> {
    let steps = VISIT_STEPS + (band.last - band.first) / 4;
    coded.for_each_interval(window, meter, |segment: &mut Segment, blocks| {
        let mut run = BlockRun {
            bits: Bits::default(),
            band,
            table,
            ended_blocks: 0,
        };
        let (mut x, mut y) = (blocks.start % across, blocks.start / across);
        // The first block of this row that is not counted yet.
        let mut uncounted = x;
        for _ in blocks {
            if segment.is_short(run.bits) {
                run.bits = segment.advance(run.bits);
            }
            let index = y * coefficients.blocks_across + x;
            let kept = coefficients.kept;
            let (Some(values), Some(nonzero)) = (
                coefficients
                    .values
                    .get_mut(index * kept..(index + 1) * kept),
                coefficients.nonzero.get_mut(index),
            ) else {
                // No block that shows picture is outside.
                break;
            };
            if band.refines {
                run.refine(segment.data(), values, nonzero);
            } else {
                run.begin(segment.data(), values, nonzero);
            }
            if segment.is_overrun(run.bits) {
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
        Ok(!run.bits.is_damaged())
    })
}

/// The state between the blocks of an interval.
struct BlockRun<'t> {
    bits: Bits,
    band: Band,
    table: &'t Table,
    /// Blocks from here on that have no more coefficients in this band (T.81's EOBRUN).
    ended_blocks: u32,
}

impl BlockRun<'_> {
    /// The first bits of a block's coefficients.
    fn begin(&mut self, data: &[u8], values: &mut [i16], nonzero: &mut u64) {
        if self.ended_blocks > 0 {
            self.ended_blocks -= 1;
            return;
        }
        let mut k = self.band.first;
        while k <= self.band.last {
            self.bits.refill(data);
            let symbol = self.table.symbol(&mut self.bits);
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run < 15 {
                self.ended_blocks = (1 << run) - 1 + self.bits.take(run);
                return;
            }
            let value = self.bits.signed_behind(0, size);
            self.bits.skip(size);
            k += run as usize;
            if size > 0 {
                set(values, nonzero, k, value << self.band.shift);
            }
            k += 1;
        }
    }

    /// One more bit of each coefficient that is not zero yet, and some that begin to be something.
    fn refine(&mut self, data: &[u8], values: &mut [i16], nonzero: &mut u64) {
        let unit = 1 << self.band.shift;
        let mut k = self.band.first;
        if self.ended_blocks == 0 {
            while k <= self.band.last {
                self.bits.refill(data);
                let symbol = self.table.symbol(&mut self.bits);
                let (run, size) = (symbol >> 4, symbol & 15);
                if size == 0 && run < 15 {
                    self.ended_blocks = (1 << run) + self.bits.take(run);
                    break;
                }
                // Any size but 0 means 1: the sign follows.
                let positive = size > 0 && self.bits.take(1) == 1;
                k = self.pass_zeros(data, values, *nonzero, k, run);
                if size > 0 && k <= self.band.last {
                    set(values, nonzero, k, if positive { unit } else { -unit });
                }
                k += 1;
            }
        }
        if self.ended_blocks > 0 {
            self.refine_rest(data, values, *nonzero, k);
            self.ended_blocks -= 1;
        }
    }

    /// Refines all coefficients from `k` on that are not zero. A block without any takes no time, since a run of them takes
    /// next to no data.
    fn refine_rest(&mut self, data: &[u8], values: &mut [i16], nonzero: u64, k: usize) {
        let behind = 2u64.checked_shl(self.band.last as u32).unwrap_or(0);
        let band = behind.wrapping_sub(1) & u64::MAX.checked_shl(k as u32).unwrap_or(0);
        let mut left = nonzero & band;
        while left != 0 {
            self.refine_one(data, values, left.trailing_zeros() as usize);
            left &= left - 1;
        }
    }

    /// One more bit of coefficient `k`.
    #[inline(always)]
    fn refine_one(&mut self, data: &[u8], values: &mut [i16], k: usize) {
        self.bits.refill(data);
        if self.bits.take(1) == 1
            && let Some(value) = values.get_mut(k)
        {
            let unit = 1i16 << self.band.shift;
            if *value & unit == 0 {
                *value = value.wrapping_add(unit * value.signum());
            }
        }
    }

    /// Passes `zeros` coefficients that are zero, refining all others on the way, to the next that is zero.
    fn pass_zeros(
        &mut self,
        data: &[u8],
        values: &mut [i16],
        nonzero: u64,
        mut k: usize,
        mut zeros: u32,
    ) -> usize {
        while k <= self.band.last {
            if nonzero >> k & 1 == 0 {
                if zeros == 0 {
                    break;
                }
                zeros -= 1;
            } else {
                self.refine_one(data, values, k);
            }
            k += 1;
        }
        k
    }
}

#[inline(always)]
fn set(values: &mut [i16], nonzero: &mut u64, k: usize, value: i32) {
    *nonzero |= 1u64.checked_shl(k as u32).unwrap_or(0);
    if let Some(slot) = values.get_mut(k) {
        *slot = value as i16;
    }
}
