//! The file: JFIF's segments around one scan.

use super::{forward::Quantisation, huffman::Code, tokens::Tokens};
use crate::{Error, Meter};

/// A component's sampling factors, as a file has them, and the number of its tables.
#[derive(Clone, Copy)]
pub(super) struct Component {
    pub sampling: u8,
    pub table: u8,
}

/// Room for a file with so many bits of coded data: for its segments, and for a zero behind one byte in 64.
pub(super) const fn capacity(bits: usize) -> usize {
    1024 + bits / 8 + bits / 8 / 64
}

/// Begins a baseline JPEG (T.81 annex B, JFIF 1.02): everything before the coded data. `codes` are DC and AC of each table
/// in turn.
pub(super) fn begin(
    file: &mut Vec<u8>,
    (width, height): (u16, u16),
    components: &[Component],
    quantisation: &[Quantisation],
    codes: &[Code],
) {
    file.extend([0xff, 0xd8]);
    // Version 1.02, pixels that are as wide as high, no thumbnail.
    segment(file, 0xe0, b"JFIF\0\x01\x02\0\0\x01\0\x01\0\0");
    for (number, table) in (0u8..).zip(quantisation) {
        segment(file, 0xdb, &[&[number][..], &table.steps].concat());
    }
    let mut frame = vec![8];
    frame.extend(height.to_be_bytes());
    frame.extend(width.to_be_bytes());
    frame.push(components.len() as u8);
    for (id, component) in (1..).zip(components) {
        frame.extend([id, component.sampling, component.table]);
    }
    segment(file, 0xc0, &frame);
    for (number, code) in (0u8..).zip(codes) {
        let class_and_number = ((number % 2) << 4) | (number / 2);
        let table = [&[class_and_number][..], &code.lengths, &code.symbols].concat();
        segment(file, 0xc4, &table);
    }
    let mut scan = vec![components.len() as u8];
    for (id, component) in (1..).zip(components) {
        scan.extend([id, (component.table << 4) | component.table]);
    }
    // All coefficients, all their bits.
    scan.extend([0, 63, 0]);
    segment(file, 0xda, &scan);
}

fn segment(file: &mut Vec<u8>, marker: u8, content: &[u8]) {
    file.extend([0xff, marker]);
    file.extend((content.len() as u16 + 2).to_be_bytes());
    file.extend(content);
}

/// Writes the scan's data, with a zero after each byte of ones and ones at the end, and ends the file.
pub(super) fn finish(
    file: &mut Vec<u8>,
    codes: &[Code],
    tokens: &Tokens,
    meter: &Meter,
) -> Result<(), Error> {
    let (mut buffer, mut count) = (0u64, 0);
    tokens.for_each(meter, |table, symbol, bits| {
        let (word, length) = codes[table].word(symbol);
        let size = u32::from(symbol & 15);
        // At most 16 + 15, so 31 are left over from before.
        buffer = buffer << length | u64::from(word);
        buffer = buffer << size | u64::from(bits);
        count += u32::from(length) + size;
        if count >= 32 {
            count -= 32;
            put(file, (buffer >> count) as u32);
        }
    })?;
    let missing = 32 - count;
    let ones = (1u64 << missing) - 1;
    let last = ((buffer << missing | ones) as u32).to_be_bytes();
    for byte in last.into_iter().take(count.div_ceil(8) as usize) {
        put_byte(file, byte);
    }
    file.extend([0xff, 0xd9]);
    Ok(())
}

#[inline(always)]
fn put(file: &mut Vec<u8>, word: u32) {
    // A byte of ones is a byte whose complement is zero: the usual test for a zero byte in a word.
    let inverted = !word;
    let has_ones = inverted.wrapping_sub(0x0101_0101) & word & 0x8080_8080 != 0;
    if has_ones {
        for byte in word.to_be_bytes() {
            put_byte(file, byte);
        }
    } else {
        file.extend(word.to_be_bytes());
    }
}

fn put_byte(file: &mut Vec<u8>, byte: u8) {
    file.push(byte);
    if byte == 0xff {
        file.push(0);
    }
}
