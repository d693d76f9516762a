//! Turns a painting into a file of one of the kinds that people upload.

use std::io::Cursor;

use image_webp::{ColorType as WebpColor, WebPEncoder};
use jpeg_encoder::{ColorType as JpegColor, Encoder as JpegEncoder, SamplingFactor};
use moxcms::ColorProfile;

use super::paint::{Layers, Painting};

const JPEG_QUALITY: u8 = 86;

/// Format and what is special about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JPEG, sequential, 4:2:0.
    BaselineJpeg,
    /// JPEG in several scans.
    ProgressiveJpeg,
    /// JPEG stored lying, with the EXIF orientation that sets it upright (6: turn clockwise).
    RotatedJpeg,
    /// JPEG with a Display P3 profile.
    WideGamutJpeg,
    /// PNG with an alpha channel.
    TransparentPng,
    /// WebP, lossless.
    Webp,
}

impl Kind {
    #[cfg(test)]
    pub(super) const ALL: [Self; 6] = [
        Self::BaselineJpeg,
        Self::ProgressiveJpeg,
        Self::RotatedJpeg,
        Self::WideGamutJpeg,
        Self::TransparentPng,
        Self::Webp,
    ];

    /// For file names.
    pub fn name(self) -> &'static str {
        match self {
            Self::BaselineJpeg => "baseline",
            Self::ProgressiveJpeg => "progressive",
            Self::RotatedJpeg => "rotated",
            Self::WideGamutJpeg => "wide-gamut",
            Self::TransparentPng => "transparent",
            Self::Webp => "lossless",
        }
    }

    /// Of the file, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::TransparentPng => "png",
            Self::Webp => "webp",
            _ => "jpg",
        }
    }

    /// Files without loss get less grain: it can't be compressed away there.
    pub(super) fn layers(self) -> Layers {
        match self {
            Self::TransparentPng => Layers {
                alpha: true,
                grain_bits: 2,
            },
            Self::Webp => Layers {
                alpha: false,
                grain_bits: 1,
            },
            _ => Layers {
                alpha: false,
                grain_bits: 4,
            },
        }
    }
}

/// The file's bytes. The error is a sentence.
pub(super) fn encode(painting: &Painting, kind: Kind) -> Result<Vec<u8>, String> {
    match kind {
        Kind::TransparentPng => png(painting),
        Kind::Webp => webp(painting),
        _ => jpeg(painting, kind),
    }
}

fn jpeg(painting: &Painting, kind: Kind) -> Result<Vec<u8>, String> {
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| format!("{pixels} pixels are too many for a JPEG's side"))
    };
    let mut bytes = Vec::new();
    let mut encoder = JpegEncoder::new(&mut bytes, JPEG_QUALITY);
    encoder.set_sampling_factor(SamplingFactor::R_4_2_0);
    let prepared = match kind {
        Kind::ProgressiveJpeg => {
            encoder.set_progressive(true);
            Ok(())
        }
        Kind::RotatedJpeg => encoder.add_exif_metadata(&exif_orientation(6)),
        Kind::WideGamutJpeg => encoder.add_icc_profile(&display_p3()?),
        _ => Ok(()),
    };
    prepared.map_err(|error| error.to_string())?;
    encoder
        .encode(
            &painting.pixels,
            side(painting.width)?,
            side(painting.height)?,
            JpegColor::Rgb,
        )
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// A Display P3 profile made at the beginning of 2000: the clock's date would make every set of pictures another one.
fn display_p3() -> Result<Vec<u8>, String> {
    const DATE: std::ops::Range<usize> = 24..36;
    let mut profile = ColorProfile::new_display_p3()
        .encode()
        .map_err(|error| format!("ICC profile: {error:?}"))?;
    let date = profile
        .get_mut(DATE)
        .ok_or("the ICC profile has no header")?;
    date.copy_from_slice(&[2000_u16, 1, 1, 0, 0, 0].map(u16::to_be_bytes).concat());
    Ok(profile)
}

/// The smallest EXIF block: a little-endian TIFF header and one directory with one entry, the orientation.
fn exif_orientation(orientation: u8) -> Vec<u8> {
    const TAG_ORIENTATION: [u8; 2] = [0x12, 0x01];
    const TYPE_SHORT: [u8; 2] = [3, 0];
    let mut exif = b"II\x2a\0".to_vec();
    exif.extend(8_u32.to_le_bytes()); // where the directory begins
    exif.extend(1_u16.to_le_bytes()); // entries
    exif.extend(TAG_ORIENTATION);
    exif.extend(TYPE_SHORT);
    exif.extend(1_u32.to_le_bytes()); // values
    exif.extend([orientation, 0, 0, 0]);
    exif.extend(0_u32.to_le_bytes()); // no further directory
    exif
}

fn png(painting: &Painting) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, painting.width, painting.height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder
        .write_header()
        .and_then(|mut writer| {
            writer.write_image_data(&painting.pixels)?;
            writer.finish()
        })
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn webp(painting: &Painting) -> Result<Vec<u8>, String> {
    let mut bytes = Cursor::new(Vec::new());
    WebPEncoder::new(&mut bytes)
        .encode(
            &painting.pixels,
            painting.width,
            painting.height,
            WebpColor::Rgb8,
        )
        .map_err(|error| error.to_string())?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pictures::{Spec, jpeg};

    fn made(kind: Kind) -> Vec<u8> {
        Spec {
            kind,
            width: 96,
            height: 64,
            seed: 5,
        }
        .make()
        .expect("made")
    }

    #[test]
    fn every_kind_is_what_its_name_says() {
        let has =
            |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
        let (sequential, progressive) = ([0xff, 0xc0], [0xff, 0xc2]);
        assert!(has(&made(Kind::BaselineJpeg), &sequential));
        assert!(has(&made(Kind::ProgressiveJpeg), &progressive));
        assert!(has(
            &made(Kind::RotatedJpeg),
            b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06"
        ));
        assert!(has(&made(Kind::WideGamutJpeg), b"ICC_PROFILE\0"));
        assert!(made(Kind::Webp).starts_with(b"RIFF"));
        for kind in [
            Kind::BaselineJpeg,
            Kind::ProgressiveJpeg,
            Kind::RotatedJpeg,
            Kind::WideGamutJpeg,
        ] {
            assert_eq!(jpeg::dimensions(&made(kind)), Some((96, 64)), "{kind:?}");
        }
        let file = made(Kind::TransparentPng);
        let reader = png::Decoder::new(Cursor::new(file))
            .read_info()
            .expect("PNG");
        assert_eq!(reader.info().color_type, png::ColorType::Rgba);
    }
}
