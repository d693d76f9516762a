//! RGB pixels to luma and colours (JFIF 1.02), these at half the size where the file has them so.

use crate::{Error, Meter, Size, bytes::round_to_byte, scratch::blank};

/// The size of the colours of a picture.
pub(crate) fn color_size(size: Size, is_halved: bool) -> Size {
    if !is_halved {
        return size;
    }
    Size {
        width: size.width.div_ceil(2),
        height: size.height.div_ceil(2),
    }
}

/// Splits RGB pixels into the first three of `planes`. Halved colours are means of two by two pixels.
pub(super) fn split(
    pixels: &[u8],
    size: Size,
    is_halved: bool,
    planes: &mut [Vec<u8>; 4],
    meter: &Meter,
) -> Result<(), Error> {
    let [luma, blue, red, _] = planes;
    let color_size = color_size(size, is_halved);
    blank(luma, size.bytes(1))?;
    blank(blue, color_size.bytes(1))?;
    blank(red, color_size.bytes(1))?;
    let width = size.width as usize;
    let rows = luma
        .chunks_exact_mut(width)
        .zip(pixels.chunks_exact(3 * width));
    for (luma, pixels) in rows {
        meter.step(width as u64)?;
        for (value, pixel) in luma.iter_mut().zip(pixels.as_chunks::<3>().0) {
            let [r, g, b] = pixel.map(f32::from);
            *value = round_to_byte(0.299 * r + 0.587 * g + 0.114 * b);
        }
    }
    let lines = if is_halved { 2 } else { 1 };
    let colors = blue
        .chunks_exact_mut(color_size.width as usize)
        .zip(red.chunks_exact_mut(color_size.width as usize));
    for (rows, (blue, red)) in pixels.chunks(3 * width * lines).zip(colors) {
        meter.step((width * lines) as u64)?;
        let (first, second) = rows.split_at(3 * width);
        // The last row of an odd number counts twice.
        let second = if second.is_empty() { first } else { second };
        let first = first.as_chunks::<3>().0.chunks(lines);
        let second = second.as_chunks::<3>().0.chunks(lines);
        for (((first, second), blue), red) in first.zip(second).zip(blue).zip(red) {
            let [r, g, b] = mean(first, second);
            *blue = round_to_byte(-0.168_736 * r - 0.331_264 * g + 0.5 * b + 128.0);
            *red = round_to_byte(0.5 * r - 0.418_688 * g - 0.081_312 * b + 128.0);
        }
    }
    Ok(())
}

/// The mean of the pixels of two rows, as many of each.
#[inline(always)]
fn mean(first: &[[u8; 3]], second: &[[u8; 3]]) -> [f32; 3] {
    let mut sums = [0u32; 3];
    for pixel in first.iter().chain(second) {
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += u32::from(*value);
        }
    }
    let count = (first.len() + second.len()) as f32;
    sums.map(|sum| sum as f32 / count)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    fn split_of(pixels: &[u8], width: u32, height: u32, is_halved: bool) -> [Vec<u8>; 4] {
        let mut planes = <[Vec<u8>; 4]>::default();
        let size = Size { width, height };
        split(pixels, size, is_halved, &mut planes, &Meter::default()).unwrap();
        planes
    }

    #[test]
    fn grey_has_no_color() {
        let planes = split_of(&[0, 0, 0, 255, 255, 255, 77, 77, 77], 3, 1, false);
        assert_eq!(planes[0], [0, 255, 77]);
        assert_eq!((&planes[1], &planes[2]), (&vec![128; 3], &vec![128; 3]));
    }

    #[test]
    fn primary_colors_are_those_of_the_standard() {
        let planes = split_of(&[255, 0, 0, 0, 255, 0, 0, 0, 255], 3, 1, false);
        assert_eq!(planes[0], [76, 150, 29]);
        assert_eq!(planes[1], [85, 44, 255]);
        assert_eq!(planes[2], [255, 21, 107]);
    }

    #[test]
    fn halved_colors_are_means_also_at_odd_edges() {
        let (red, black) = ([255, 0, 0], [0; 3]);
        let pixels = [red, black, red, red, black, red, red, red, black].concat();
        let planes = split_of(&pixels, 3, 3, true);
        assert_eq!(planes[2], [192, 255, 255, 128]);
    }
}
