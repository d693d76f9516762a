//! Any colour space to sRGB, and transparency to white.
//!
//! This happens after the resize, on few pixels, as libvips does it: the resize works on the file's own
//! gamma-encoded values either way.

use moxcms::{ColorProfile, DataColorSpace, TransformOptions};

use crate::{Error, Meter, raster::Layout, scratch::blank};

/// Pixels whose colours are turned at a time: between two pieces the work can be cancelled.
const PIECE: usize = 1 << 16;

/// Turns `pixels` from the embedded profile's colours to sRGB and returns the new layout, which is never
/// CMYK. A profile that is damaged, or is for another kind of picture, is ignored: then grey and RGB are
/// taken for sRGB, and CMYK for ideal inks.
pub(crate) fn to_srgb(
    pixels: &mut Vec<u8>,
    spare: &mut Vec<u8>,
    layout: Layout,
    icc: Option<&[u8]>,
    meter: &Meter,
) -> Result<Layout, Error> {
    let output = if layout == Layout::Rgba {
        Layout::Rgba
    } else {
        Layout::Rgb
    };
    let count = pixels.len() / layout.channels();
    if let Some(profile) = icc.and_then(|bytes| usable(bytes, layout)) {
        blank(spare, count * output.channels())?;
        if transform(&profile, pixels, layout, spare, output, meter)? {
            std::mem::swap(pixels, spare);
            return Ok(output);
        }
    }
    if layout != Layout::Cmyk {
        return Ok(layout);
    }
    blank(spare, count * output.channels())?;
    ideal_inks(pixels, spare);
    std::mem::swap(pixels, spare);
    Ok(output)
}

/// Lays RGBA on white: a JPEG has no transparency.
pub(crate) fn flatten_on_white(pixels: &mut Vec<u8>) {
    let count = pixels.len() / 4;
    for index in 0..count {
        let [red, green, blue, alpha] =
            [0, 1, 2, 3].map(|channel| u32::from(pixels[4 * index + channel]));
        let over_white = |value: u32| ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8;
        pixels[3 * index..3 * index + 3].copy_from_slice(&[red, green, blue].map(over_white));
    }
    pixels.truncate(3 * count);
}

/// Drops the alpha channel if every pixel is opaque, and says whether it did.
pub(crate) fn drop_opaque_alpha(pixels: &mut Vec<u8>) -> bool {
    let opaque = pixels
        .as_chunks::<4>()
        .0
        .iter()
        .all(|pixel| pixel[3] == 255);
    if opaque {
        flatten_on_white(pixels);
    }
    opaque
}

/// The profile, if it describes colours of this layout. Its size was bounded by the limits.
fn usable(icc: &[u8], layout: Layout) -> Option<ColorProfile> {
    let profile = ColorProfile::new_from_slice(icc).ok()?;
    let expected = match layout {
        Layout::Gray => DataColorSpace::Gray,
        Layout::Rgb | Layout::Rgba => DataColorSpace::Rgb,
        Layout::Cmyk => DataColorSpace::Cmyk,
    };
    (profile.color_space == expected).then_some(profile)
}

/// Whether the profile could be applied.
fn transform(
    profile: &ColorProfile,
    from: &[u8],
    layout: Layout,
    to: &mut [u8],
    output: Layout,
    meter: &Meter,
) -> Result<bool, Error> {
    let name = |layout| match layout {
        Layout::Gray => moxcms::Layout::Gray,
        Layout::Rgb => moxcms::Layout::Rgb,
        // Four channels of any meaning.
        Layout::Rgba | Layout::Cmyk => moxcms::Layout::Rgba,
    };
    let options = TransformOptions {
        rendering_intent: profile.rendering_intent,
        ..TransformOptions::default()
    };
    let transform = profile.create_transform_8bit(
        name(layout),
        &ColorProfile::new_srgb(),
        name(output),
        options,
    );
    let Ok(transform) = transform else {
        return Ok(false);
    };
    let pieces = from.chunks(PIECE * layout.channels());
    for (from, to) in pieces.zip(to.chunks_mut(PIECE * output.channels())) {
        meter.step(from.len() as u64)?;
        if transform.transform(from, to).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// RGB of inks that each absorb their colour fully and no other.
fn ideal_inks(cmyk: &[u8], rgb: &mut [u8]) {
    for (ink, pixel) in cmyk
        .as_chunks::<4>()
        .0
        .iter()
        .zip(rgb.as_chunks_mut::<3>().0)
    {
        let [c, m, y, k] = ink.map(|amount| 255 - u32::from(amount));
        *pixel = [c, m, y].map(|left| ((left * k + 127) / 255) as u8);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    #[test]
    fn inks_without_a_profile_are_ideal() {
        let mut pixels = vec![0, 0, 0, 0, 255, 0, 0, 0, 0, 0, 0, 255, 0, 128, 255, 0];
        let layout = to_srgb(
            &mut pixels,
            &mut Vec::new(),
            Layout::Cmyk,
            None,
            &Meter::default(),
        )
        .unwrap();
        assert_eq!(layout, Layout::Rgb);
        assert_eq!(pixels, [255, 255, 255, 0, 255, 255, 0, 0, 0, 255, 127, 0]);
    }

    #[test]
    fn a_profile_that_does_not_fit_is_ignored() {
        let profile = ColorProfile::new_display_p3().encode().unwrap();
        for icc in [&profile[..], &profile[..100], b"", b"not a profile"] {
            let mut pixels = vec![10, 20, 30];
            let layout = to_srgb(
                &mut pixels,
                &mut Vec::new(),
                Layout::Gray,
                Some(icc),
                &Meter::default(),
            )
            .unwrap();
            assert_eq!((layout, &pixels[..]), (Layout::Gray, &[10, 20, 30][..]));
        }
    }

    #[test]
    fn transparency_becomes_white() {
        let mut pixels = vec![9, 9, 9, 0, 0, 100, 200, 255, 0, 0, 0, 128];
        flatten_on_white(&mut pixels);
        assert_eq!(pixels, [255, 255, 255, 0, 100, 200, 127, 127, 127]);
    }
}
