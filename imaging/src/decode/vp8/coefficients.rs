//! The coefficients of a block (RFC 6386, section 13).

use super::{bools::Bools, inverse::Strip, tables::Probabilities};

/// Row and column of the coefficient of each number (section 13).
const ZIGZAG: [(u8, u8); 16] = [
    (0, 0),
    (0, 1),
    (1, 0),
    (2, 0),
    (1, 1),
    (0, 2),
    (0, 3),
    (1, 2),
    (2, 1),
    (3, 0),
    (3, 1),
    (2, 2),
    (1, 3),
    (2, 3),
    (3, 2),
    (3, 3),
];
/// The band of each number. One behind the last, since a block's end is looked for there too.
const BANDS: [usize; 17] = [0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0];

/// Branches of the tree by the coefficient before: none or zero, one, more.
type Branches = [[u8; 11]; 3];

/// The probabilities of one kind of block, for each number of a coefficient.
pub(super) struct Tree([Branches; 17]);

impl Tree {
    /// Of each kind (section 13.3): luma without means, means of luma, colour, luma.
    pub(super) fn all(probabilities: &Probabilities) -> [Self; 4] {
        probabilities.map(|of_kind| Self(BANDS.map(|band| of_kind[band])))
    }
}

/// Reads the coefficients of a block from number `first` on, times their step, to where it begins in a strip of zeros. Returns
/// the number behind the last one.
///
/// `context`: how many of the blocks above and to the left have coefficients.
#[inline(always)]
pub(super) fn read(
    bools: &mut Bools,
    tree: &Tree,
    context: usize,
    first: usize,
    steps: [i32; 2],
    strip: &mut Strip,
    column: usize,
) -> usize {
    let mut number = first;
    let mut branches = &tree.0[first][context];
    while number < 16 {
        bools.refill();
        if !bools.next(branches[0]) {
            return number;
        }
        'zeros: loop {
            // Before them one decision may have been taken since the refill, and two will follow.
            for _ in 0..3 {
                if bools.next(branches[1]) {
                    break 'zeros;
                }
                number += 1;
                if number == 16 {
                    return 16;
                }
                branches = &tree.0[number][0];
            }
            bools.refill();
        }
        let following = &tree.0[number + 1];
        let size;
        (size, branches) = if bools.next(branches[2]) {
            (large(bools, branches), &following[2])
        } else {
            (1, &following[1])
        };
        let value = bools.sign(size) * steps[usize::from(number > 0)];
        // Sixteen bits, as other decoders have it: more comes from damaged files only.
        let (y, x) = ZIGZAG[number];
        strip[usize::from(y)][(column + usize::from(x)) % 16] = value as i16;
        number += 1;
    }
    16
}

/// The size of a coefficient that is 2 or more. Leaves enough for its sign.
#[inline(always)]
fn large(bools: &mut Bools, branches: &[u8; 11]) -> i32 {
    bools.refill();
    if !bools.next(branches[3]) {
        if !bools.next(branches[4]) {
            return 2;
        }
        return 3 + i32::from(bools.next(branches[5]));
    }
    if !bools.next(branches[6]) {
        if !bools.next(branches[7]) {
            return 5 + extra(bools, &[159]);
        }
        return 7 + extra(bools, &[165, 145]);
    }
    bools.refill();
    let high = bools.next(branches[8]);
    match (high, bools.next(branches[9 + usize::from(high)])) {
        (false, false) => 11 + extra(bools, &[173, 148, 140]),
        (false, true) => 19 + extra(bools, &[176, 155, 140, 135]),
        (true, false) => 35 + extra(bools, &[180, 157, 141, 134, 130]),
        (true, true) => {
            67 + extra(
                bools,
                &[254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129],
            )
        }
    }
}

/// The bits that a range of sizes is told apart by (section 13.2), and a refill.
#[inline(always)]
fn extra(bools: &mut Bools, probabilities: &[u8]) -> i32 {
    bools.refill();
    let mut number = 0;
    for probability in probabilities {
        number = number << 1 | i32::from(bools.next(*probability));
        bools.refill();
    }
    number
}
