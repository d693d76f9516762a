//! JPEG by jpeg-encoder: baseline, in one scan.

use jpeg_encoder::{ChromaSubsamplingMethod, ColorType, Encoder, SamplingFactor};

use crate::{Size, operation::FULL_COLOR_QUALITY, raster::Layout};

pub(super) fn encode(
    pixels: &[u8],
    size: Size,
    layout: Layout,
    quality: u8,
) -> Result<Vec<u8>, String> {
    let too_long = |_| "a side is longer than 65,535 pixels".to_owned();
    let width = u16::try_from(size.width).map_err(too_long)?;
    let height = u16::try_from(size.height).map_err(too_long)?;
    let color = if layout == Layout::Gray {
        ColorType::Luma
    } else {
        ColorType::Rgb
    };
    let sampling = if quality < FULL_COLOR_QUALITY {
        SamplingFactor::F_2_2
    } else {
        SamplingFactor::F_1_1
    };

    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(sampling);
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    // With colour, the encoder would write optimised tables as one scan for each component, which takes every
    // viewer more memory and which our own decoder does not read once the colour is subsampled.
    encoder.set_optimized_huffman_tables(layout == Layout::Gray);
    encoder
        .encode(pixels, width, height, color)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}
