//! Which colour a picture mostly is: what a page shows while the picture loads.

use crate::{
    Error, Fidelity, Limits, Meter, Operation, OutputFormat, Scratch, raster::Layout,
    render::decode,
};

/// Enough to tell a picture's colours by, and few enough to count in no time.
const SIDE: u32 = 32;
/// A channel's values are counted in so many groups.
const LEVELS: usize = 8;

/// The sRGB colour that most of the picture is near to: of the fullest of 8 x 8 x 8 groups of colours, the
/// mean. Transparent parts count by their opacity; a picture that is transparent all over is white.
pub fn dominant_color(
    bytes: &[u8],
    limits: &Limits,
    scratch: &mut Scratch,
    meter: &Meter,
) -> Result<[u8; 3], Error> {
    let tiny = Operation {
        fidelity: Fidelity::NearEqual,
        ..Operation::inside(SIDE, OutputFormat::Png)
    };
    let painted = decode(bytes, &tiny, limits, scratch, meter)?.pixels()?;
    Ok(dominant(painted.rows(), painted.layout))
}

/// Sums of one group: red, green, blue, each times opacity, and opacity.
type Group = [u64; 4];

fn dominant(pixels: &[u8], layout: Layout) -> [u8; 3] {
    let mut groups = vec![Group::default(); LEVELS.pow(3)];
    for pixel in pixels.chunks_exact(layout.channels()) {
        let [red, green, blue, alpha] = match *pixel {
            [gray] => [gray, gray, gray, 255],
            [red, green, blue] => [red, green, blue, 255],
            [red, green, blue, alpha, ..] => [red, green, blue, alpha],
            _ => [0; 4],
        };
        let index = [red, green, blue].iter().fold(0, |index, value| {
            index * LEVELS + usize::from(*value) * LEVELS / 256
        });
        let weight = u64::from(alpha);
        for (sum, value) in groups[index].iter_mut().zip([red, green, blue, 1]) {
            *sum += u64::from(value) * weight;
        }
    }
    // The first of equals, so that the answer does not depend on anything but the picture.
    let fullest = groups.iter().rev().max_by_key(|group| group[3]);
    match fullest {
        Some([red, green, blue, weight]) if *weight > 0 => {
            [red, green, blue].map(|sum| ((sum + weight / 2) / weight) as u8)
        }
        _ => [255; 3],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_area_wins_over_the_mean() {
        let pixels: Vec<u8> = [[200, 30, 30]; 60]
            .into_iter()
            .chain([[20, 20, 220]; 40])
            .flatten()
            .collect();
        assert_eq!(dominant(&pixels, Layout::Rgb), [200, 30, 30]);
    }

    #[test]
    fn transparent_pixels_do_not_count() {
        let pixels: Vec<u8> = [[0, 0, 0, 0]; 90]
            .into_iter()
            .chain([[20, 200, 20, 255]; 10])
            .flatten()
            .collect();
        assert_eq!(dominant(&pixels, Layout::Rgba), [20, 200, 20]);
        assert_eq!(dominant(&[0; 40], Layout::Rgba), [255; 3]);
    }
}
