//! Huffman codes made for one picture (T.81 K.2): a few per cent fewer bytes than with the codes of the standard.

/// Longest code that the format has.
const MAX_LENGTH: usize = 16;
/// Longest code that may arise before lengths are evened out.
const LONGEST: usize = 64;

/// How often each symbol occurs.
pub(super) type Counts = [u32; 256];

/// A code in the form that is written, and in the form that writes.
pub(super) struct Code {
    /// Codes of each length from 1 to 16.
    pub lengths: [u8; MAX_LENGTH],
    /// Symbols in the order of their codes.
    pub symbols: Vec<u8>,
    /// For each symbol its code, and its length in bits.
    words: [(u16, u8); 256],
}

impl Code {
    /// The shortest code for symbols that occur so often. No code has ones only, which the format reserves.
    pub(super) fn new(counts: &Counts) -> Self {
        let mut sizes = sizes(counts);
        even_out(&mut sizes.per_length);
        let mut lengths = [0; MAX_LENGTH];
        for (length, count) in lengths.iter_mut().zip(&sizes.per_length[1..]) {
            *length = *count as u8;
        }
        // The longest code is the reserved one.
        if let Some(last) = lengths.iter_mut().rev().find(|count| **count > 0) {
            *last -= 1;
        }
        let mut symbols: Vec<u8> = (0..=255)
            .filter(|s| sizes.of[usize::from(*s)] > 0)
            .collect();
        symbols.sort_by_key(|symbol| (sizes.of[usize::from(*symbol)], *symbol));

        let mut words = [(0, 0); 256];
        let mut code = 0u16;
        let mut next = symbols.iter();
        for (length, count) in (1..).zip(lengths) {
            for symbol in next.by_ref().take(count.into()) {
                words[usize::from(*symbol)] = (code, length);
                code += 1;
            }
            code <<= 1;
        }
        Self {
            lengths,
            symbols,
            words,
        }
    }

    /// How many bits symbols that occur so often take, with the bits that follow them.
    pub(super) fn bits(&self, counts: &Counts) -> usize {
        let bits = |(symbol, count): (u8, &u32)| {
            let (_, length) = self.word(symbol);
            *count as usize * usize::from(length + (symbol & 15))
        };
        (0..=255).zip(counts).map(bits).sum()
    }

    /// A symbol's code, and its length in bits.
    #[inline(always)]
    pub(super) fn word(&self, symbol: u8) -> (u16, u8) {
        self.words[usize::from(symbol)]
    }
}

/// Code lengths before they are evened out.
struct Sizes {
    /// Of each symbol; 0 if it does not occur.
    of: [usize; 256],
    /// How many symbols have each length, with the reserved one.
    per_length: [u32; LONGEST],
}

/// Symbols that are merged.
struct Group {
    count: u64,
    symbols: Vec<usize>,
    is_reserved: bool,
}

impl Group {
    /// Whether this comes before a group that is rarer. Of equals the one with the reserved symbol counts as rarer, so
    /// that its code is never shorter than another.
    fn is_more_frequent(&self, other: &Self) -> bool {
        (self.count, other.is_reserved) > (other.count, self.is_reserved)
    }
}

/// Merges the two rarest groups until one is left (T.81 figure K.1); each merge makes its symbols' codes a bit longer.
fn sizes(counts: &Counts) -> Sizes {
    // The last one is reserved, and so rare that it gets a longest code.
    let counts = counts.iter().copied().chain([1]);
    let mut groups: Vec<Group> = counts
        .enumerate()
        .filter(|(_, count)| *count > 0)
        .map(|(symbol, count)| Group {
            count: count.into(),
            symbols: vec![symbol],
            is_reserved: symbol == 256,
        })
        .collect();
    groups.sort_by_key(|group| (std::cmp::Reverse(group.count), group.is_reserved));
    let mut of = [0; 257];
    if let [only] = &groups[..] {
        of[only.symbols[0]] = 1;
    }
    while let (Some(mut rarest), Some(second)) = (groups.pop(), groups.pop()) {
        rarest.symbols.extend(second.symbols);
        rarest.count += second.count;
        rarest.is_reserved |= second.is_reserved;
        for symbol in &rarest.symbols {
            of[*symbol] += 1;
        }
        let place = groups.partition_point(|group| group.is_more_frequent(&rarest));
        groups.insert(place, rarest);
        if groups.len() == 1 {
            break;
        }
    }
    let mut per_length = [0; LONGEST];
    for size in of.iter().filter(|size| **size > 0) {
        per_length[(*size).min(LONGEST - 1)] += 1;
    }
    let mut sizes = Sizes {
        of: [0; 256],
        per_length,
    };
    sizes.of.copy_from_slice(&of[..256]);
    sizes
}

/// Makes no length longer than 16 (T.81 figure K.3): two of the longest codes give way to one a bit shorter, and a shorter
/// code is split into two.
fn even_out(per_length: &mut [u32; LONGEST]) {
    for long in (MAX_LENGTH + 1..LONGEST).rev() {
        while per_length[long] > 0 {
            let Some(short) = (1..long - 1).rev().find(|length| per_length[*length] > 0) else {
                break;
            };
            per_length[long] -= 2;
            per_length[long - 1] += 1;
            per_length[short + 1] += 2;
            per_length[short] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(occurring: &[(u8, u32)]) -> Code {
        let mut counts = [0; 256];
        for (symbol, count) in occurring {
            counts[usize::from(*symbol)] = *count;
        }
        Code::new(&counts)
    }

    /// No code begins another, and none is all ones.
    fn check(code: &Code) {
        let words: Vec<_> = code
            .symbols
            .iter()
            .map(|symbol| code.word(*symbol))
            .collect();
        for (index, (word, length)) in words.iter().enumerate() {
            assert!((1..=16).contains(length));
            assert!(u32::from(*word) != (1 << length) - 1, "all ones");
            for (other, other_length) in &words[index + 1..] {
                assert!(other_length >= length && other >> (other_length - length) != *word);
            }
        }
    }

    #[test]
    fn frequent_symbols_have_short_codes() {
        let code = code(&[(0, 1000), (1, 500), (7, 10), (200, 1)]);
        check(&code);
        assert_eq!(code.symbols, [0, 1, 7, 200]);
        assert_eq!(code.word(0).1, 1);
        assert_eq!(code.word(1).1, 2);
    }

    #[test]
    fn one_symbol_or_none_is_a_code_too() {
        let one = code(&[(5, 9)]);
        check(&one);
        assert_eq!((one.word(5), &one.symbols[..]), ((0, 1), &[5][..]));
        assert!(code(&[]).symbols.is_empty());
    }

    #[test]
    fn no_code_is_longer_than_sixteen_bits() {
        // Fibonacci's numbers make the longest codes there are.
        let mut counts = [0; 256];
        let (mut a, mut b) = (1u32, 1u32);
        for count in counts.iter_mut().take(44) {
            *count = a;
            (a, b) = (b, a.saturating_add(b));
        }
        let code = Code::new(&counts);
        check(&code);
        assert_eq!(code.symbols.len(), 44);
        let every = Code::new(&[3; 256]);
        check(&every);
        assert_eq!(every.symbols.len(), 256);
    }
}
