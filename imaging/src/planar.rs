//! Channels of the same size put together to pixels.

use crate::{bytes::round_to_byte, raster::Encoding};

/// Writes pixels, in the layout of `encoding`, from as many channels as it has. Four inks become amounts: 255 is full.
pub(crate) fn interleave(channels: &[&[u8]], encoding: Encoding, pixels: &mut [u8]) {
    match (encoding, channels) {
        (Encoding::Gray, [gray, ..]) => pixels.copy_from_slice(&gray[..pixels.len()]),
        (Encoding::YCbCr, [y, cb, cr, ..]) => {
            let pixels = pixels.as_chunks_mut::<3>().0.iter_mut();
            for (pixel, ((y, cb), cr)) in pixels.zip(y.iter().zip(*cb).zip(*cr)) {
                *pixel = ycbcr_to_rgb(*y, *cb, *cr);
            }
        }
        (Encoding::VideoYCbCr, [y, cb, cr, ..]) => {
            let pixels = pixels.as_chunks_mut::<3>().0.iter_mut();
            for (pixel, ((y, cb), cr)) in pixels.zip(y.iter().zip(*cb).zip(*cr)) {
                *pixel = video_to_rgb(*y, *cb, *cr);
            }
        }
        (Encoding::Rgb, [r, g, b, ..]) => {
            let pixels = pixels.as_chunks_mut::<3>().0.iter_mut();
            for (pixel, ((r, g), b)) in pixels.zip(r.iter().zip(*g).zip(*b)) {
                *pixel = [*r, *g, *b];
            }
        }
        (Encoding::Cmyk { inverted }, [c, m, y, k, ..]) => {
            let pixels = pixels.as_chunks_mut::<4>().0.iter_mut();
            for (pixel, (((c, m), y), k)) in pixels.zip(c.iter().zip(*m).zip(*y).zip(*k)) {
                let stored = [*c, *m, *y, *k];
                *pixel = if inverted {
                    stored.map(|ink| 255 - ink)
                } else {
                    stored
                };
            }
        }
        (Encoding::Ycck, [y, cb, cr, k, ..]) => {
            let pixels = pixels.as_chunks_mut::<4>().0.iter_mut();
            for (pixel, (((y, cb), cr), k)) in pixels.zip(y.iter().zip(*cb).zip(*cr).zip(*k)) {
                let [c, m, y] = ycbcr_to_rgb(*y, *cb, *cr);
                *pixel = [c, m, y, 255 - k];
            }
        }
        // Decoders hand out as many channels as their encoding has.
        _ => {}
    }
}

/// JFIF 1.02's matrix in 16-bit fixed point, the rounding libjpeg's.
fn ycbcr_to_rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let half = 1 << 15;
    [
        y + ((91_881 * cr + half) >> 16),
        y + ((-22_554 * cb - 46_802 * cr + half) >> 16),
        y + ((116_130 * cb + half) >> 16),
    ]
    .map(|value| value.clamp(0, 255) as u8)
}

/// BT.601's matrix for the range of video.
fn video_to_rgb(y: u8, cb: u8, cr: u8) -> [u8; 3] {
    let luma = (f32::from(y) - 16.0) * (255.0 / 219.0);
    let (cb, cr) = (f32::from(cb) - 128.0, f32::from(cr) - 128.0);
    [
        luma + 1.596_027 * cr,
        luma - 0.391_762 * cb - 0.812_968 * cr,
        luma + 2.017_232 * cb,
    ]
    .map(round_to_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_colours_come_out() {
        let mut pixels = [0; 15];
        interleave(
            &[
                &[255, 0, 76, 150, 29],
                &[128, 128, 85, 44, 255],
                &[128, 128, 255, 21, 107],
            ],
            Encoding::YCbCr,
            &mut pixels,
        );
        assert_eq!(
            pixels,
            [255, 255, 255, 0, 0, 0, 254, 0, 0, 0, 255, 1, 0, 0, 254]
        );
    }

    #[test]
    fn the_range_of_video_is_stretched() {
        let mut pixels = [0; 12];
        interleave(
            &[
                &[16, 235, 126, 82],
                &[128, 128, 128, 90],
                &[128, 128, 128, 240],
            ],
            Encoding::VideoYCbCr,
            &mut pixels,
        );
        assert_eq!(pixels, [0, 0, 0, 255, 255, 255, 128, 128, 128, 255, 1, 0]);
    }

    #[test]
    fn inks_become_amounts() {
        let mut pixel = [0; 4];
        interleave(
            &[&[1], &[2], &[3], &[4]],
            Encoding::Cmyk { inverted: false },
            &mut pixel,
        );
        assert_eq!(pixel, [1, 2, 3, 4]);
        interleave(
            &[&[1], &[2], &[3], &[4]],
            Encoding::Cmyk { inverted: true },
            &mut pixel,
        );
        assert_eq!(pixel, [254, 253, 252, 251]);
        interleave(&[&[200], &[128], &[128], &[9]], Encoding::Ycck, &mut pixel);
        assert_eq!(pixel, [200, 200, 200, 246]);
    }
}
