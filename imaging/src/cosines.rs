//! The cosines of the transforms that JPEG is made of, as constants.

/// The cosines of an N-point transform.
pub(crate) struct Cosines<const N: usize>;

impl<const N: usize> Cosines<N> {
    /// By frequency u and position x: cos((2x + 1) u pi / 2N).
    pub(crate) const TABLE: [[f32; N]; N] = {
        let mut table = [[0.0; N]; N];
        let mut u = 0;
        while u < N {
            let mut x = 0;
            while x < N {
                // In quarters of 1/N of a turn, less whole turns.
                let angle = ((2 * x + 1) * u) % (4 * N);
                table[u][x] = cosine(angle as f64 * std::f64::consts::PI / (2 * N) as f64) as f32;
                x += 1;
            }
            u += 1;
        }
        table
    };
}

/// cos(x) for 0 <= x < 2 pi by its power series, as a constant.
const fn cosine(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, 0.0);
    while n < 40.0 {
        term *= -x * x / ((n + 1.0) * (n + 2.0));
        sum += term;
        n += 2.0;
    }
    sum
}

/// Where coefficient `k` of the zigzag order (T.81 figure 5) is in a block: eight times the row plus the column.
pub(crate) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// The same place with row and column exchanged.
pub(crate) const fn transposed(place: u8) -> u8 {
    place % 8 * 8 + place / 8
}

/// What the coefficient at a place of a block is multiplied with to be normalised: T.81's `C(u) C(v) / 4`.
pub(crate) const fn normalisation(place: usize) -> f32 {
    match (place / 8, place % 8) {
        (0, 0) => 0.125,
        (0, _) | (_, 0) => std::f32::consts::FRAC_1_SQRT_2 / 4.0,
        _ => 0.25,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_cosines() {
        for (u, row) in Cosines::<7>::TABLE.iter().enumerate() {
            for (x, value) in row.iter().enumerate() {
                let angle = (2 * x + 1) as f32 * u as f32 * std::f32::consts::PI / 14.0;
                assert!((value - angle.cos()).abs() < 1e-5, "{u}, {x}");
            }
        }
    }
}
