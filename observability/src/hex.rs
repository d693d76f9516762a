//! Bytes as hexadecimal digits: ids are written with every request.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends two digits for each byte.
pub(crate) fn push(text: &mut Vec<u8>, bytes: &[u8]) {
    for byte in bytes {
        let digit = |half: u8| DIGITS[usize::from(half & 15)];
        text.extend_from_slice(&[digit(byte >> 4), digit(*byte)]);
    }
}
