//! How each macroblock is predicted (RFC 6386, sections 10, 11 and 19.3).

use super::{bools::Bools, header::Header, tables::BLOCK_MODES};

/// How the samples of a macroblock's luma or colours are predicted from those around it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// The mean of what is above and to the left.
    Dc,
    /// What is above, repeated downwards.
    Vertical,
    /// What is to the left, repeated.
    Horizontal,
    /// "True motion": what is above, plus how what is to the left differs from the corner.
    TrueMotion,
}

/// How a block of 4 x 4 samples of luma is predicted, in the order of the file format.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum BlockMode {
    Dc,
    TrueMotion,
    Vertical,
    Horizontal,
    RightDown,
    VerticalRight,
    LeftDown,
    VerticalLeft,
    HorizontalDown,
    HorizontalUp,
}

/// How a macroblock's luma is predicted.
#[derive(Clone, Copy)]
pub(super) enum Luma {
    /// As a whole; the means of its blocks are then coded in a block of their own.
    Whole(Mode),
    /// Each of its 16 blocks by itself.
    Blocks([BlockMode; 16]),
}

/// What a macroblock says of itself.
pub(super) struct Macroblock {
    pub segment: usize,
    pub has_coefficients: bool,
    pub luma: Luma,
    pub color: Mode,
}

/// The modes of the blocks to the left and above, by which the next are coded.
pub(super) struct Neighbours {
    left: [BlockMode; 4],
    /// For each macroblock across.
    above: Vec<[BlockMode; 4]>,
}

impl Neighbours {
    pub(super) fn new(across: usize) -> Self {
        Self {
            left: [BlockMode::Dc; 4],
            above: vec![[BlockMode::Dc; 4]; across],
        }
    }

    pub(super) fn begin_row(&mut self) {
        self.left = [BlockMode::Dc; 4];
    }

    /// Reads what the macroblock number `x` of a row says of itself.
    #[inline]
    pub(super) fn read(&mut self, bools: &mut Bools, header: &Header, x: usize) -> Macroblock {
        // In registers.
        let mut local = *bools;
        // For six decisions: two of the segment, one each of skipping and of luma, two of the mode.
        local.refill();
        let segment = header.segment_tree.map_or(0, |[both, low, high]| {
            if local.next(both) {
                2 + usize::from(local.next(high))
            } else {
                usize::from(local.next(low))
            }
        });
        let has_coefficients = header
            .not_skipped
            .is_none_or(|not_skipped| !local.next(not_skipped));
        let luma = if local.next(145) {
            let mode = whole_luma(&mut local);
            let same = [mode.of_block(); 4];
            (self.left, self.above[x]) = (same, same);
            Luma::Whole(mode)
        } else {
            Luma::Blocks(self.blocks(&mut local, x))
        };
        local.refill();
        let color = color(&mut local);
        *bools = local;
        Macroblock {
            segment,
            has_coefficients,
            luma,
            color,
        }
    }

    #[inline(always)]
    fn blocks(&mut self, bools: &mut Bools, x: usize) -> [BlockMode; 16] {
        let above = &mut self.above[x];
        let mut modes = [BlockMode::Dc; 16];
        for (modes, left) in modes.as_chunks_mut::<4>().0.iter_mut().zip(&mut self.left) {
            for (mode, above) in modes.iter_mut().zip(&mut *above) {
                *mode = block(bools, &BLOCK_MODES[*above as usize][*left as usize]);
                (*above, *left) = (*mode, *mode);
            }
        }
        modes
    }
}

impl Mode {
    /// What a block of a macroblock of this mode counts as.
    const fn of_block(self) -> BlockMode {
        match self {
            Self::Dc => BlockMode::Dc,
            Self::Vertical => BlockMode::Vertical,
            Self::Horizontal => BlockMode::Horizontal,
            Self::TrueMotion => BlockMode::TrueMotion,
        }
    }
}

#[inline(always)]
fn whole_luma(bools: &mut Bools) -> Mode {
    let high = bools.next(156);
    match (high, bools.next(if high { 128 } else { 163 })) {
        (false, false) => Mode::Dc,
        (false, true) => Mode::Vertical,
        (true, false) => Mode::Horizontal,
        (true, true) => Mode::TrueMotion,
    }
}

#[inline(always)]
fn color(bools: &mut Bools) -> Mode {
    if !bools.next(142) {
        Mode::Dc
    } else if !bools.next(114) {
        Mode::Vertical
    } else if !bools.next(183) {
        Mode::Horizontal
    } else {
        Mode::TrueMotion
    }
}

#[inline(always)]
fn block(bools: &mut Bools, probabilities: &[u8; 9]) -> BlockMode {
    let p = probabilities;
    bools.refill();
    if !bools.next(p[0]) {
        return BlockMode::Dc;
    }
    if !bools.next(p[1]) {
        return BlockMode::TrueMotion;
    }
    if !bools.next(p[2]) {
        return BlockMode::Vertical;
    }
    if !bools.next(p[3]) {
        return match bools.next(p[4]) {
            false => BlockMode::Horizontal,
            true if bools.next(p[5]) => BlockMode::VerticalRight,
            true => BlockMode::RightDown,
        };
    }
    bools.refill();
    if !bools.next(p[6]) {
        return BlockMode::LeftDown;
    }
    match bools.next(p[7]) {
        false => BlockMode::VerticalLeft,
        true if bools.next(p[8]) => BlockMode::HorizontalUp,
        true => BlockMode::HorizontalDown,
    }
}
