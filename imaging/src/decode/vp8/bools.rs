//! The arithmetic decoder: yes or no, each with its probability (RFC 6386, section 7).
//!
//! Nothing in a file can be decoded before all that comes before it, so the time of a picture is mostly the length of this
//! chain. What one decision hands to the next is the range; where it is split is looked up rather than calculated, and it is kept as it
//! is left: the shift that the section wants runs beside the look-up, not before it.

/// What remains of a partition.
#[derive(Clone, Copy)]
pub(super) struct Bools<'a> {
    /// The next bits, from the top; the first eight are compared with the split.
    value: u64,
    /// How many bits of `value` count. Behind them are some of those that come next, or zeros.
    known: u32,
    /// 1 to 255, not yet shifted.
    range: u64,
    rest: &'a [u8],
    /// Bits that were taken behind the end of the partition: zeros.
    missing: u32,
}

/// For each probability and each range that was not yet shifted: where the shifted one is split.
static SPLITS: [[u8; 256]; 256] = splits();

#[allow(
    clippy::large_stack_arrays,
    reason = "it is computed when this is compiled"
)]
const fn splits() -> [[u8; 256]; 256] {
    let mut splits = [[0; 256]; 256];
    let mut range: usize = 1;
    while range < 256 {
        let shifted = range << (range as u8).leading_zeros();
        let mut probability = 0;
        while probability < 256 {
            splits[probability][range] = (1 + (((shifted - 1) * probability) >> 8)) as u8;
            probability += 1;
        }
        range += 1;
    }
    splits
}

impl<'a> Bools<'a> {
    pub(super) fn new(partition: &'a [u8]) -> Self {
        let mut bools = Self {
            value: 0,
            known: 0,
            range: 255,
            rest: partition,
            missing: 0,
        };
        bools.refill();
        bools
    }

    /// Whether a decision needed more than the partition holds: each is made with eight bits.
    pub(super) fn is_overrun(&self) -> bool {
        // What is missing is at the end of what is known.
        self.missing + 8 > self.known
    }

    /// Makes the next six decisions possible, each of which shifts by 7 at most: at least 56 bits are known then.
    ///
    /// Without asking whether that is necessary: the answer would be as hard to foresee as the decisions.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let Some(next) = self.rest.first_chunk() else {
            *self = self.with_last();
            return;
        };
        self.value |= u64::from_be_bytes(*next) >> self.known;
        // As many whole bytes as there is room for.
        self.rest = &self.rest[(63 - self.known) as usize / 8 % 8..];
        // Seven bytes, and what is left over of an eighth.
        self.known |= 0x38;
    }

    /// By value: of what was borrowed the compiler would keep every field in memory, also in the loops that never come here.
    #[cold]
    #[inline(never)]
    fn with_last(mut self) -> Self {
        while self.known < 56 {
            let next = if let Some((next, rest)) = self.rest.split_first() {
                self.rest = rest;
                *next
            } else {
                self.missing = self.missing.saturating_add(8);
                0
            };
            self.value |= u64::from(next) << (56 - self.known);
            self.known += 8;
        }
        self
    }

    /// The next decision, where `probability` of 256 is that of no. [`Self::refill`] was called at most six decisions ago.
    #[inline(always)]
    pub(super) fn next(&mut self, probability: u8) -> bool {
        let split = u64::from(SPLITS[usize::from(probability)][self.range as usize]);
        let range = self.normalise();
        let above = split << 56;
        let yes = self.value >= above;
        if yes {
            self.value -= above;
            self.range = range - split;
        } else {
            self.range = split;
        }
        yes
    }

    /// `value` or its negative, both as probable, without a jump that nobody could foresee.
    #[inline(always)]
    pub(super) fn sign(&mut self, value: i32) -> i32 {
        let range = self.normalise();
        let split = (range + 1) >> 1;
        let (difference, is_below) = self.value.overflowing_sub(split << 56);
        self.value = if is_below { self.value } else { difference };
        // Half of it, rounded up below and down above.
        self.range = (range + u64::from(is_below)) >> 1;
        let negative = i32::from(is_below) - 1;
        (value ^ negative) - negative
    }

    /// Shifts so that the range's highest bit is the highest of eight, and returns it.
    #[inline(always)]
    fn normalise(&mut self) -> u64 {
        let shift = self.range.leading_zeros() - 56;
        self.value <<= shift;
        debug_assert!(
            self.known >= shift + 8,
            "too many decisions since the last refill"
        );
        self.known -= shift;
        self.range << shift
    }

    /// A decision where no refill is due to the caller.
    pub(super) fn flag(&mut self, probability: u8) -> bool {
        self.refill();
        self.next(probability)
    }

    /// A number of so many bits, the highest first.
    pub(super) fn number(&mut self, bits: u32) -> u8 {
        (0..bits).fold(0, |number, _| number << 1 | u8::from(self.flag(128)))
    }

    /// A number with its sign behind it, which may be missing.
    pub(super) fn optional(&mut self, bits: u32) -> Option<i8> {
        self.flag(128).then(|| {
            let number = self.number(bits) as i8;
            if self.flag(128) { -number } else { number }
        })
    }
}
