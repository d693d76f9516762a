//! From coefficients to the symbols that are coded (T.81 F.1.2): a picture's worth of them, and how often each occurs.

use super::{forward::Coefficients, huffman::Counts};

/// Sixteen zeros in a row.
const SIXTEEN_ZEROS: u8 = 0xf0;
/// Nothing but zeros from here on.
const END_OF_BLOCK: u8 = 0;

/// A symbol with the bits that follow it: the bits in 0 to 15, the symbol in 16 to 23, and its table in 24 to 25.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token(u32);

impl Token {
    const fn new(table: usize, symbol: u8, bits: u16) -> Self {
        Self((table as u32) << 24 | (symbol as u32) << 16 | bits as u32)
    }

    /// Number of the table: [`Tokens::table`].
    #[inline(always)]
    pub(super) const fn table(self) -> usize {
        (self.0 >> 24) as usize
    }

    #[inline(always)]
    pub(super) const fn symbol(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// How many bits follow, and which.
    #[inline(always)]
    pub(super) const fn bits(self) -> (u32, u32) {
        ((self.0 >> 16) & 15, self.0 & 0xffff)
    }
}

/// The tokens of a picture, in the order of the file.
pub(super) struct Tokens<'a> {
    list: &'a mut Vec<Token>,
    /// For each table how often its symbols occur.
    pub counts: [Counts; 4],
    /// The last mean of each component.
    means: [i16; 3],
}

impl<'a> Tokens<'a> {
    /// None yet, in memory that is reused.
    pub(super) fn new(tokens: &'a mut Vec<Token>) -> Self {
        tokens.clear();
        Self {
            list: tokens,
            counts: [[0; 256]; 4],
            means: [0; 3],
        }
    }

    pub(super) fn list(&self) -> &[Token] {
        self.list
    }

    /// Takes the next block of a component.
    pub(super) fn block(&mut self, component: usize, coefficients: &Coefficients) {
        let mean = coefficients[0];
        let difference = mean.wrapping_sub(self.means[component]);
        self.means[component] = mean;
        let (dc, ac) = (Self::table(component, false), Self::table(component, true));
        let (size, bits) = signed(difference);
        self.push(dc, size, bits);

        let mut occurring = 0u64;
        for (k, value) in coefficients.iter().enumerate().skip(1) {
            occurring |= u64::from(*value != 0) << k;
        }
        let mut k = 0;
        while occurring != 0 {
            let next = occurring.trailing_zeros();
            occurring &= occurring - 1;
            let mut zeros = next - k - 1;
            while zeros >= 16 {
                self.push(ac, SIXTEEN_ZEROS, 0);
                zeros -= 16;
            }
            let (size, bits) = signed(coefficients[next as usize]);
            self.push(ac, (zeros as u8) << 4 | size, bits);
            k = next;
        }
        if k < 63 {
            self.push(ac, END_OF_BLOCK, 0);
        }
    }

    /// The number of a component's table: luma has its own, both colours share one.
    pub(super) const fn table(component: usize, is_ac: bool) -> usize {
        2 * (component > 0) as usize + is_ac as usize
    }

    #[inline(always)]
    fn push(&mut self, table: usize, symbol: u8, bits: u16) {
        self.counts[table][usize::from(symbol)] += 1;
        self.list.push(Token::new(table, symbol, bits));
    }
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
        let mut memory = Vec::new();
        let mut tokens = Tokens::new(&mut memory);
        let mut block = [0; 64];
        (block[0], block[1], block[20]) = (5, -1, 2);
        tokens.block(0, &block);
        (block[0], block[20], block[63]) = (4, 0, 1);
        tokens.block(0, &block);
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
            (1, 0xd1, 1),
        ];
        let expected = expected.map(|(table, symbol, bits)| Token::new(table, symbol, bits));
        assert_eq!(tokens.list(), expected);
        assert_eq!((tokens.counts[1][0xf0], tokens.counts[0][3]), (4, 1));
    }
}
