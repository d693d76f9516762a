//! From coefficients to the symbols that are coded (T.81 F.1.2): a picture's worth of them, and how often each occurs.

use super::{forward::Coefficients, huffman::Counts};
use crate::{Error, Meter};

/// Sixteen zeros in a row.
const SIXTEEN_ZEROS: u8 = 0xf0;
/// Nothing but zeros from here on.
const END_OF_BLOCK: u8 = 0;

/// Numbers of a piece of memory. Pieces, since a list that grows is for a moment there twice.
const PIECE: usize = 32 << 10;
/// More than a block takes: two numbers for each of 64 coefficients.
const BLOCK: usize = 128;
/// Bits that fit into a number beside the symbol.
const BESIDE: u32 = 6;

/// Symbols in the order of the file, each with its table and the bits that follow it.
///
/// One number each: the table in bits 14 and 15, the symbol in bits 6 to 13, the bits that follow below; if these are more
/// than [`BESIDE`], they are a number of their own.
#[derive(Default)]
pub(super) struct Tokens {
    full: Vec<Vec<u16>>,
    last: Vec<u16>,
}

impl Tokens {
    /// Calls `take` with each table, symbol and the bits that follow it.
    #[inline(always)]
    pub(super) fn for_each(
        &self,
        meter: &Meter,
        mut take: impl FnMut(usize, u8, u16),
    ) -> Result<(), Error> {
        for piece in self.full.iter().chain([&self.last]) {
            meter.step(piece.len() as u64)?;
            let mut numbers = piece.iter();
            while let Some(number) = numbers.next() {
                let symbol = (number >> BESIDE) as u8;
                let beside = number & ((1 << BESIDE) - 1);
                let bits = if u32::from(symbol & 15) <= BESIDE {
                    beside
                } else {
                    numbers.next().copied().unwrap_or(0)
                };
                take(usize::from(number >> 14), symbol, bits);
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn push(&mut self, table: usize, symbol: u8, bits: u16) {
        let number = (table as u16) << 14 | u16::from(symbol) << BESIDE;
        if u32::from(symbol & 15) <= BESIDE {
            self.last.push(number | bits);
        } else {
            self.last.extend_from_slice(&[number, bits]);
        }
    }
}

/// Collects and counts the tokens of a picture.
pub(super) struct Collector<'a> {
    tokens: &'a mut Tokens,
    /// For each table how often its symbols occur.
    pub counts: [Counts; 4],
    /// The last mean of each component.
    means: [i16; 3],
}

impl<'a> Collector<'a> {
    pub(super) fn new(tokens: &'a mut Tokens) -> Self {
        Self {
            tokens,
            counts: [[0; 256]; 4],
            means: [0; 3],
        }
    }

    /// Takes the next block of a component.
    #[inline(always)]
    pub(super) fn block(&mut self, component: usize, coefficients: &Coefficients) {
        let tokens = &mut *self.tokens;
        if tokens.last.len() + BLOCK > tokens.last.capacity() {
            let full = std::mem::replace(&mut tokens.last, Vec::with_capacity(PIECE));
            tokens.full.push(full);
        }
        let mean = coefficients.get(0);
        let difference = mean.wrapping_sub(self.means[component]);
        self.means[component] = mean;
        let (size, bits) = signed(difference);
        self.push(table(component, false), size, bits);

        let table = table(component, true);
        let mut occurring = coefficients.occurring & !1;
        let mut k = 0;
        while occurring != 0 {
            let next = occurring.trailing_zeros();
            occurring &= occurring - 1;
            let mut zeros = next - k - 1;
            while zeros >= 16 {
                self.push(table, SIXTEEN_ZEROS, 0);
                zeros -= 16;
            }
            let (size, bits) = signed(coefficients.get(next));
            self.push(table, (zeros as u8) << 4 | size, bits);
            k = next;
        }
        if k < 63 {
            self.push(table, END_OF_BLOCK, 0);
        }
    }

    #[inline(always)]
    fn push(&mut self, table: usize, symbol: u8, bits: u16) {
        self.counts[table][usize::from(symbol)] += 1;
        self.tokens.push(table, symbol, bits);
    }
}

/// The number of a component's table: luma has its own, both colours share one.
const fn table(component: usize, is_ac: bool) -> usize {
    2 * (component > 0) as usize + is_ac as usize
}

/// How many bits a number takes, and these bits (T.81 F.1.2.1): below zero, one less than its two's complement.
#[inline(always)]
fn signed(value: i16) -> (u8, u16) {
    let size = 16 - value.unsigned_abs().leading_zeros();
    let bits = if value < 0 { value - 1 } else { value };
    (size as u8, bits as u16 & ((1u32 << size) - 1) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(tokens: &Tokens) -> Vec<(usize, u8, u16)> {
        let mut list = Vec::new();
        tokens
            .for_each(&Meter::default(), |table, symbol, bits| {
                list.push((table, symbol, bits));
            })
            .unwrap();
        list
    }

    #[test]
    fn numbers_are_as_long_as_they_must_be() {
        assert_eq!(
            [0, 1, -1, 2, -2, 3, -3].map(signed),
            [(0, 0), (1, 1), (1, 0), (2, 2), (2, 1), (2, 3), (2, 0)]
        );
        assert_eq!(signed(-1024), (11, 1023));
    }

    #[test]
    fn a_block_is_its_difference_runs_and_end() {
        let mut tokens = Tokens::default();
        let mut collector = Collector::new(&mut tokens);
        collector.block(0, &Coefficients::of(&[(0, 5), (1, -1), (20, 2)]));
        collector.block(0, &Coefficients::of(&[(0, 4), (1, -1), (63, 100)]));
        let counts = collector.counts;
        let expected = [
            (0, 0x03, 5),
            (1, 0x01, 0),
            (1, 0xf0, 0),
            (1, 0x22, 2),
            (1, 0x00, 0),
            (0, 0x01, 0),
            (1, 0x01, 0),
            (1, 0xf0, 0),
            (1, 0xf0, 0),
            (1, 0xf0, 0),
            (1, 0xd7, 100),
        ];
        assert_eq!(list(&tokens), expected);
        assert_eq!((counts[1][0xf0], counts[0][3]), (4, 1));
    }

    #[test]
    fn more_than_a_piece_of_memory_holds_is_kept_in_order() {
        let mut tokens = Tokens::default();
        let mut collector = Collector::new(&mut tokens);
        for mean in 0..20_000 {
            collector.block(2, &Coefficients::of(&[(0, mean), (63, mean % 128)]));
        }
        assert!(tokens.full.len() > 1);
        let values: Vec<_> = list(&tokens)
            .into_iter()
            .filter(|(table, symbol, _)| *table == 3 && symbol & 15 > 0)
            .map(|(_, _, bits)| bits as i16)
            .collect();
        let expected: Vec<_> = (0..20_000).map(|mean| mean % 128).collect();
        let expected = expected.into_iter().filter(|value| *value > 0);
        assert!(values.into_iter().eq(expected), "not in order");
    }
}
