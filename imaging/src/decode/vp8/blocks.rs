//! Prediction of blocks of 4 x 4 samples of luma (RFC 6386, section 12.3).

use wide::{i16x16, u8x16};

use super::{modes::BlockMode, predict::narrowed};

/// The samples around a block, from the bottom left up to the corner, [`CORNER`], and on to the right; the first and the last are
/// repeated. The first is in the lowest byte.
#[derive(Clone, Copy)]
pub(super) struct Edge(u128);

const CORNER: usize = 5;

impl Edge {
    /// Of what is to the left, downwards; of what is above from the corner on; and of the last above to the right.
    #[inline(always)]
    pub(super) fn new(left: [u8; 4], above: [u8; 8], last: u8) -> Self {
        let left = u128::from(u32::from_be_bytes(left));
        let above = u128::from(u64::from_le_bytes(above));
        let last = u128::from(last) * 0x01_01_01;
        Self(left & 0xff | left << 8 | above << (8 * CORNER) | last << (8 * (CORNER + 8)))
    }
}

/// Predicts a block.
#[inline(always)]
pub(super) fn predict(mode: BlockMode, edge: Edge) -> u8x16 {
    match mode {
        BlockMode::Dc => u8x16::splat(mean(edge)),
        BlockMode::TrueMotion => true_motion(edge),
        _ => directed(edge, &DIRECTIONS[mode as usize]),
    }
}

#[inline(always)]
fn bytes(edge: u128) -> u8x16 {
    u8x16::new(edge.to_le_bytes())
}

#[inline(always)]
fn mean(Edge(edge): Edge) -> u8 {
    let edge = edge.to_le_bytes();
    let beside = edge[1..CORNER].iter().chain(&edge[CORNER + 1..][..4]);
    let sum: u16 = beside.map(|sample| u16::from(*sample)).sum();
    ((sum + 4) / 8) as u8
}

#[inline(always)]
fn true_motion(Edge(edge): Edge) -> u8x16 {
    let corner = CORNER as u8;
    let [left, above, corner] = [
        std::array::from_fn(|i| corner - 1 - i as u8 / 4),
        std::array::from_fn(|i| corner + 1 + i as u8 % 4),
        [corner; 16],
    ]
    .map(|places| i16x16::from(bytes(edge).shuffle_zeroing(u8x16::new(places))));
    narrowed(left + above - corner)
}

/// For each sample of a block which mean it is: of two neighbours or of three, from which place of the edge on.
struct Direction {
    of_two: [u8; 16],
    of_three: [u8; 16],
}

/// No place of the edge: gives zero.
const NONE: u8 = 255;

#[inline(always)]
fn directed(Edge(edge): Edge, direction: &Direction) -> u8x16 {
    let [first, second, third] = [edge, edge >> 8, edge >> 16];
    let of_two = half_sum(first, second);
    // A quarter of the sum of one, twice the next, and a third: half of two means, of which the first is rounded down.
    let outer = half_sum(first, third) - ((first ^ third) & LOWEST);
    let of_three = half_sum(outer, second);
    let [of_two, of_three] = [(of_two, direction.of_two), (of_three, direction.of_three)]
        .map(|(means, places)| bytes(means).shuffle_zeroing(u8x16::new(places)));
    of_two | of_three
}

/// The lowest bit of each byte.
const LOWEST: u128 = u128::from_le_bytes([1; 16]);

/// The mean of each byte, rounded up.
#[inline(always)]
const fn half_sum(a: u128, b: u128) -> u128 {
    (a | b) - (((a ^ b) & !LOWEST) >> 1)
}

/// In the order of [`BlockMode`]; the first two have none.
const DIRECTIONS: [Direction; 10] = [
    Direction::new([[(0, 0); 4]; 4]),
    Direction::new([[(0, 0); 4]; 4]),
    // Vertical: smoothed, unlike that of a whole macroblock.
    Direction::new([[(3, 0), (3, 1), (3, 2), (3, 3)]; 4]),
    // Horizontal.
    Direction::new([[(3, -2); 4], [(3, -3); 4], [(3, -4); 4], [(3, -5); 4]]),
    // Down to the right.
    Direction::new([
        [(3, -1), (3, 0), (3, 1), (3, 2)],
        [(3, -2), (3, -1), (3, 0), (3, 1)],
        [(3, -3), (3, -2), (3, -1), (3, 0)],
        [(3, -4), (3, -3), (3, -2), (3, -1)],
    ]),
    // Down and a little to the right.
    Direction::new([
        [(2, 0), (2, 1), (2, 2), (2, 3)],
        [(3, -1), (3, 0), (3, 1), (3, 2)],
        [(3, -2), (2, 0), (2, 1), (2, 2)],
        [(3, -3), (3, -1), (3, 0), (3, 1)],
    ]),
    // Down to the left.
    Direction::new([
        [(3, 1), (3, 2), (3, 3), (3, 4)],
        [(3, 2), (3, 3), (3, 4), (3, 5)],
        [(3, 3), (3, 4), (3, 5), (3, 6)],
        [(3, 4), (3, 5), (3, 6), (3, 7)],
    ]),
    // Down and a little to the left.
    Direction::new([
        [(2, 1), (2, 2), (2, 3), (2, 4)],
        [(3, 1), (3, 2), (3, 3), (3, 4)],
        [(2, 2), (2, 3), (2, 4), (3, 5)],
        [(3, 2), (3, 3), (3, 4), (3, 6)],
    ]),
    // To the right and a little down.
    Direction::new([
        [(2, -1), (3, -1), (3, 0), (3, 1)],
        [(2, -2), (3, -2), (2, -1), (3, -1)],
        [(2, -3), (3, -3), (2, -2), (3, -2)],
        [(2, -4), (3, -4), (2, -3), (3, -3)],
    ]),
    // To the right and a little up.
    Direction::new([
        [(2, -2), (3, -3), (2, -3), (3, -4)],
        [(2, -3), (3, -4), (2, -4), (3, -5)],
        [(2, -4), (3, -5), (2, -5), (2, -5)],
        [(2, -5), (2, -5), (2, -5), (2, -5)],
    ]),
];

impl Direction {
    /// Of pairs: the mean of how many, and where the first of these is from the corner on.
    const fn new(samples: [[(u8, isize); 4]; 4]) -> Self {
        let mut direction = Self {
            of_two: [NONE; 16],
            of_three: [NONE; 16],
        };
        let mut at = 0;
        while at < 16 {
            let (count, place) = samples[at / 4][at % 4];
            let place = CORNER.wrapping_add_signed(place) as u8;
            if count == 2 {
                direction.of_two[at] = place;
            } else {
                direction.of_three[at] = place;
            }
            at += 1;
        }
        direction
    }
}
