//! Huffman tables (T.81 annexes C and F.2.2.3): from the code lengths of a file to look-ups.
//!
//! Three of them: a short code with its value at once; several coefficients that nobody needs at once; and the long way
//! for codes longer than a look-up is wide.

use super::bits::Bits;

/// Width of the look-up of one symbol, in bits. Longer codes are rare.
const SYMBOL_WIDTH: u32 = 11;
/// Width of the look-up that skips several coefficients, in bits.
const SKIP_WIDTH: u32 = 13;
/// The longest code that the format has, in bits.
const LONGEST: u32 = 16;
/// What one look-up may skip: two of them fit into the 56 bits that a refill guarantees.
const SKIP_LIMIT: u32 = 28;
/// Run length and size of "no more coefficients in this block".
const END_OF_BLOCK: u32 = 0;

/// A table in the form it is read with.
pub(super) struct Table {
    symbols: Box<[Symbol; 1 << SYMBOL_WIDTH]>,
    /// Empty until [`Self::prepare_skips`].
    skips: Vec<Skip>,
    /// For each code length the largest code of it, or -1.
    largest: [i32; 17],
    /// For each code length what to add to a code for its index in `values`.
    offset: [i32; 17],
    values: [u8; 256],
}

/// A symbol: 4 bits run length of zeros and 4 bits size of the value that follows. Its code's length in bits 8 to 15, the
/// length with the value in bits 0 to 7, the symbol in bits 16 to 23. Zero if the code is longer than the look-up.
#[derive(Clone, Copy, Default)]
struct Symbol(u32);

impl Symbol {
    const fn new(symbol: u8, length: u32) -> Self {
        Self((symbol as u32) << 16 | length << 8 | (length + (symbol & 15) as u32))
    }

    const fn is_known(self) -> bool {
        self.0 != 0
    }

    const fn run_and_size(self) -> u32 {
        self.0 >> 16
    }

    const fn length(self) -> u32 {
        (self.0 >> 8) & 0xff
    }

    const fn length_with_value(self) -> u32 {
        self.0 & 0xff
    }

    /// Whether it ends the block: a value of no bits that is not the run of 16 zeros.
    const fn ends_block(self) -> bool {
        self.run_and_size().trailing_zeros() >= 4 && self.run_and_size() != 0xf0
    }
}

/// Coefficients to pass over at once: bits of input in bits 0 to 5, coefficients in bits 6 to 11, and bit 13 if the block
/// ends behind them. Zero if not even one is known.
#[derive(Clone, Copy, Default)]
struct Skip(u16);

impl Skip {
    const END: u32 = 1 << 7;

    const fn new(bits: u32, coefficients: u32, ends: bool) -> Self {
        let end = if ends { Self::END } else { 0 };
        Self((bits | (coefficients | end) << 6) as u16)
    }

    const fn bits(self) -> u32 {
        (self.0 & 63) as u32
    }

    /// Coefficients, plus [`Self::END`] if the block ends.
    const fn coefficients(self) -> u32 {
        (self.0 >> 6) as u32
    }
}

impl Table {
    /// From a DHT segment's counts of codes of each length, and its values. `None` if these are not a prefix code.
    pub(super) fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut table = Self {
            symbols: vec![Symbol::default(); 1 << SYMBOL_WIDTH]
                .into_boxed_slice()
                .try_into()
                .ok()?,
            skips: Vec::new(),
            largest: [-1; 17],
            offset: [0; 17],
            values: [0; 256],
        };
        table
            .values
            .get_mut(..values.len())?
            .copy_from_slice(values);
        let (mut code, mut index) = (0, 0);
        for length in 1..=16u32 {
            table.offset[length as usize] = index as i32 - code as i32;
            for _ in 0..counts[length as usize - 1] {
                let symbol = Symbol::new(*values.get(index)?, length);
                if code >= 1 << length {
                    return None;
                }
                if length <= SYMBOL_WIDTH {
                    let spread = SYMBOL_WIDTH - length;
                    table.symbols[code << spread..(code + 1) << spread].fill(symbol);
                }
                table.largest[length as usize] = code as i32;
                code += 1;
                index += 1;
            }
            code <<= 1;
        }
        Some(table)
    }

    /// Whether each symbol is the size of a DC difference.
    pub(super) fn is_for_dc(&self) -> bool {
        self.values.iter().all(|size| *size <= 15)
    }

    /// Fills the look-up that [`Self::skip_block`] needs, and returns the steps that it took: as many as some hundred blocks.
    pub(super) fn prepare_skips(&mut self) -> u64 {
        if !self.skips.is_empty() {
            return 0;
        }
        // What `known` bits say, for every number of them: its first symbol, and what the bits behind it say.
        let mut shorter: Vec<Vec<Skip>> = vec![vec![Skip::default()]];
        for known in 1..=SKIP_WIDTH {
            let entries = (0..1usize << known).map(|bits| {
                let aligned = (bits << (16 - known)) >> (16 - SYMBOL_WIDTH);
                let symbol = self.symbols[aligned & ((1 << SYMBOL_WIDTH) - 1)];
                if !symbol.is_known() || symbol.length() > known {
                    return Skip::default();
                }
                if symbol.ends_block() {
                    return Skip::new(symbol.length(), 0, true);
                }
                let first = Skip::new(
                    symbol.length_with_value(),
                    (symbol.run_and_size() >> 4) + 1,
                    false,
                );
                let Some(left) = known.checked_sub(first.bits()) else {
                    return first;
                };
                let rest = shorter[left as usize][bits & ((1 << left) - 1)];
                let coefficients = first.coefficients() + (rest.coefficients() & !Skip::END);
                let bits = first.bits() + rest.bits();
                if coefficients > 63 || bits > SKIP_LIMIT {
                    return first;
                }
                Skip::new(bits, coefficients, rest.coefficients() & Skip::END != 0)
            });
            let entries = entries.collect();
            shorter.push(entries);
        }
        self.skips = shorter.pop().unwrap_or_default();
        // Of all widths together twice as many entries as of the last.
        2 << SKIP_WIDTH
    }

    /// The next symbol, taken. A code that is in no table counts as a 0 of 17 bits, as in libjpeg. Needs
    /// so many.
    #[inline(always)]
    pub(super) fn symbol(&self, bits: &mut Bits) -> u32 {
        let symbol = self.symbols[bits.peek::<SYMBOL_WIDTH>()];
        if symbol.is_known() {
            bits.skip(symbol.length());
            return symbol.run_and_size();
        }
        let (symbol, length) = self.long_symbol(*bits);
        bits.skip(length);
        if length > LONGEST {
            bits.damage();
        }
        symbol
    }

    /// The next symbol and the signed value behind it, taken. Needs 26 bits: the most that a code of the look-up has with its
    /// value, so two of them need one refill. A longer code sees to its bits itself.
    #[inline(always)]
    pub(super) fn symbol_and_value(&self, bits: &mut Bits, data: &[u8]) -> (u32, i32) {
        let symbol = self.symbols[bits.peek::<SYMBOL_WIDTH>()];
        if symbol.is_known() {
            let size = symbol.length_with_value() - symbol.length();
            let value = bits.signed_behind(symbol.length(), size);
            bits.skip(symbol.length_with_value());
            return (symbol.run_and_size(), value);
        }
        bits.refill(data);
        let (symbol, length) = self.long_symbol(*bits);
        if length > LONGEST {
            bits.damage();
        }
        let value = bits.signed_behind(length, symbol & 15);
        bits.skip(length + (symbol & 15));
        (symbol, value)
    }

    /// Passes over the coefficients from `k` to the end of the block without looking at them.
    #[inline(always)]
    pub(super) fn skip_block(&self, bits: &mut Bits, data: &[u8], k: u32) {
        let Ok(skips) = <&[Skip; 1 << SKIP_WIDTH]>::try_from(&self.skips[..]) else {
            *bits = self.skip_block_slowly(*bits, data, k);
            return;
        };
        let mut k = k;
        loop {
            bits.refill(data);
            // Two look-ups for each refill: see SKIP_LIMIT.
            for _ in 0..2 {
                let skip = skips[bits.peek::<SKIP_WIDTH>()];
                let next = k + skip.coefficients();
                let is_inside = next < 64 && skip.bits() > 0;
                let is_end = next == 64 || (next & Skip::END != 0 && next - Skip::END < 64);
                if is_inside || is_end {
                    bits.skip(skip.bits());
                }
                if is_end {
                    return;
                }
                if !is_inside {
                    bits.refill(data);
                    let symbol = self.symbol(bits);
                    let (run, size) = (symbol >> 4, symbol & 15);
                    if size == END_OF_BLOCK && run < 15 {
                        return;
                    }
                    bits.skip(size);
                    k += run + 1;
                    if k >= 64 {
                        return;
                    }
                    break;
                }
                k = next;
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn skip_block_slowly(&self, mut bits: Bits, data: &[u8], mut k: u32) -> Bits {
        while k < 64 {
            bits.refill(data);
            let (symbol, _) = self.symbol_and_value(&mut bits, data);
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == END_OF_BLOCK && run < 15 {
                break;
            }
            k += run + 1;
        }
        bits
    }

    /// Symbol and length of a code that is longer than the look-up. Takes its bits by value: a reference to them would keep
    /// the callers' in memory.
    #[cold]
    #[inline(never)]
    fn long_symbol(&self, bits: Bits) -> (u32, u32) {
        let next = bits.peek::<16>() as i32;
        for length in SYMBOL_WIDTH as usize + 1..=16 {
            let code = next >> (16 - length);
            if code <= self.largest[length] {
                let index = (code + self.offset[length]) as usize;
                let symbol = self.values.get(index).copied().unwrap_or(0);
                return (symbol.into(), length as u32);
            }
        }
        (0, LONGEST + 1)
    }
}
