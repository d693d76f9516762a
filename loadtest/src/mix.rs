//! Repeatable choices: the same numbers on every machine and in every version, so that a run can be run again.

/// A well-mixed 64-bit value of `seed` and `index` (the finalizer of `SplitMix64`).
pub(crate) fn mix(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sequence of such values.
pub(crate) struct Sequence {
    seed: u64,
    drawn: u64,
}

impl Sequence {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// A value in `0..bound`; `bound` is far below 2^32 wherever this is used, so the bias of the remainder is too small
    /// to matter.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.drawn += 1;
        mix(self.seed, self.drawn) % bound.max(1)
    }

    /// A value in `from..=to`.
    pub(crate) fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from + 1) as u64) as i64
    }
}
