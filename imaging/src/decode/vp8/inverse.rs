//! From coefficients to differences from what was predicted (RFC 6386, section 14).
//!
//! Four blocks at a time, those beside each other: a vector is one row of samples.

use wide::{i16x16, u8x32};

/// Coefficients of four blocks beside each other, then what is to be added to their samples: four rows of sixteen.
pub(super) type Strip = [[i16; 16]; 4];

/// The square root of 2 times the cosine of an eighth of pi, less 1, in parts of 65,536.
const COSINE: i16 = 20_091;
/// The square root of 2 times the sine of an eighth of pi, less 1, in parts of 65,536.
const SINE: i16 = -30_068;

/// The inverse transform (section 14.3): downwards, then across. In sixteen bits, which overflow in damaged files only.
///
/// Its factors are kept in memory. Of ones that it knows the compiler makes other multiplications, which take twice as long.
pub(super) struct Transform {
    cosine: i16x16,
    sine: i16x16,
    /// Of the second in each group of four.
    second: i16x16,
    fourth: i16x16,
    inner_negative: i16x16,
    last_negative: i16x16,
}

impl Transform {
    pub(super) fn new() -> Self {
        Self {
            cosine: groups([COSINE; 4]),
            sine: groups([SINE; 4]),
            second: groups([COSINE, SINE, SINE, COSINE]),
            fourth: groups([SINE, COSINE, COSINE, SINE]),
            inner_negative: groups([1, -1, -1, 1]),
            last_negative: groups([1, 1, -1, -1]),
        }
    }

    #[inline(always)]
    pub(super) fn apply(&self, strip: &mut Strip) {
        let rows = self.down(strip.map(i16x16::new));
        for (row, downward) in strip.iter_mut().zip(rows) {
            let rounded: i16x16 = (self.across(downward) + 4) >> 3;
            *row = rounded.to_array();
        }
    }

    #[inline(always)]
    fn down(&self, [first, second, third, fourth]: [i16x16; 4]) -> [i16x16; 4] {
        let (sum, difference) = (first + third, first - third);
        let outer = scaled(second, self.cosine) + scaled(fourth, self.sine);
        let inner = scaled(second, self.sine) - scaled(fourth, self.cosine);
        [
            sum + outer,
            difference + inner,
            difference - inner,
            sum - outer,
        ]
    }

    /// The same in each group of four.
    #[inline(always)]
    fn across(&self, row: i16x16) -> i16x16 {
        let (first, second) = (spread(row, 0), spread(row, 1));
        let (third, fourth) = (spread(row, 2), spread(row, 3));
        let sum = first + third * self.inner_negative;
        let odd = scaled(second, self.second) + scaled(fourth, self.fourth) * self.inner_negative;
        sum + odd * self.last_negative
    }
}

#[inline(always)]
fn scaled(row: i16x16, factor: i16x16) -> i16x16 {
    row + row.mul_keep_high(factor)
}

/// Four times these four.
#[inline(always)]
fn groups(values: [i16; 4]) -> i16x16 {
    i16x16::new(std::array::from_fn(|lane| values[lane % 4]))
}

/// In each group of four, the one at this place four times.
#[inline(always)]
fn spread(row: i16x16, place: usize) -> i16x16 {
    let places = std::array::from_fn(|byte| (byte % 16 / 8 * 8 + 2 * place + byte % 2) as u8);
    let bytes: u8x32 = wide::bytemuck::cast(row);
    wide::bytemuck::cast(bytes.swizzle_half_relaxed(u8x32::new(places)))
}

/// The means of the sixteen blocks of luma, from the first block of a strip (section 14.3, the inverse Walsh-Hadamard transform).
pub(super) fn means(strip: &Strip) -> [[i16; 4]; 4] {
    let rows = strip.map(|row| std::array::from_fn(|x| i32::from(row[x])));
    let columns = butterflies(rows);
    let rows = butterflies(transposed(columns));
    transposed(rows).map(|row| row.map(|value| ((value + 3) >> 3) as i16))
}

/// Sums and differences along all columns.
fn butterflies([first, second, third, fourth]: [[i32; 4]; 4]) -> [[i32; 4]; 4] {
    let mut output = [[0; 4]; 4];
    for x in 0..4 {
        let (outer, inner) = (first[x] + fourth[x], second[x] + third[x]);
        let (across, between) = (first[x] - fourth[x], second[x] - third[x]);
        output[0][x] = outer + inner;
        output[1][x] = across + between;
        output[2][x] = outer - inner;
        output[3][x] = across - between;
    }
    output
}

fn transposed(block: [[i32; 4]; 4]) -> [[i32; 4]; 4] {
    std::array::from_fn(|y| std::array::from_fn(|x| block[x][y]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_of_nothing_but_its_mean_is_flat() {
        for mean in [-2000, -5, -4, 0, 3, 4, 2000] {
            let mut strip = Strip::default();
            strip[0][8] = mean;
            Transform::new().apply(&mut strip);
            let flat = [0, 0, (mean + 4) >> 3, 0];
            let expected: [i16; 16] = std::array::from_fn(|x| flat[x / 4]);
            assert_eq!(strip, [expected; 4]);
        }
    }

    #[test]
    fn a_slope_downwards_does_not_change_across() {
        let mut strip = Strip::default();
        strip[1][4] = 800;
        Transform::new().apply(&mut strip);
        let rows = strip.map(|row| [row[4], row[5], row[6], row[7]]);
        assert_eq!(rows, [[131; 4], [54; 4], [-54; 4], [-131; 4]]);
    }

    #[test]
    fn the_mean_of_means_is_that_of_every_block() {
        let mut strip = Strip::default();
        strip[0][0] = 80;
        assert_eq!(means(&strip), [[10; 4]; 4]);
    }
}
