//! JPEG: baseline, one scan, with Huffman codes made for the picture.
//!
//! Works on channels: luma at full size, colours at half (below [`FULL_COLOR_QUALITY`]) or full size. What comes from
//! another JPEG is there already; pixels are converted first. Two passes: symbols are collected and counted, then written.
//!
//! | file | concern |
//! |---|---|
//! | `channels` | pixels to channels |
//! | `forward` | samples to quantised coefficients |
//! | `tokens`, `huffman` | coefficients to symbols, and codes for these |
//! | `file` | everything into a file |

use crate::{Size, operation::FULL_COLOR_QUALITY, raster::Layout, scratch::Scratch};

mod channels;
mod file;
mod forward;
mod huffman;
mod tokens;

pub(crate) use channels::color_size;
pub(crate) use tokens::Token;

use channels::split;
use file::Component;
use forward::{Quantisation, Samples};
use huffman::Code;
use tokens::Tokens;

/// Blocks of luma in an MCU if colour is at half size: two by two.
const HALVED: u8 = 0x22;
const ONE: u8 = 0x11;

/// Encodes grey or RGB pixels in `scratch.resized`.
pub(super) fn encode(
    scratch: &mut Scratch,
    size: Size,
    layout: Layout,
    quality: u8,
) -> Result<Vec<u8>, String> {
    let is_halved = quality < FULL_COLOR_QUALITY;
    let Scratch {
        resized, planes, ..
    } = scratch;
    if layout == Layout::Gray {
        std::mem::swap(resized, &mut planes[0]);
    } else {
        split(resized, size, is_halved, planes).map_err(|error| error.to_string())?;
    }
    encode_channels(scratch, size, layout, quality)
}

/// Encodes the channels in `scratch.planes`: grey, or luma and colours of which [`color_size`] is the size.
pub(super) fn encode_channels(
    scratch: &mut Scratch,
    size: Size,
    layout: Layout,
    quality: u8,
) -> Result<Vec<u8>, String> {
    let too_long = |_| "a side is longer than 65,535 pixels".to_owned();
    let width = u16::try_from(size.width).map_err(too_long)?;
    let height = u16::try_from(size.height).map_err(too_long)?;
    let is_halved = quality < FULL_COLOR_QUALITY;
    let colors = if layout == Layout::Gray { 0 } else { 2 };
    let mut quantisation = vec![Quantisation::luma(quality)];
    let mut components = vec![Component {
        sampling: if is_halved && colors > 0 { HALVED } else { ONE },
        table: 0,
    }];
    if colors > 0 {
        quantisation.push(Quantisation::color(quality));
        components.extend(
            [Component {
                sampling: ONE,
                table: 1,
            }; 2],
        );
    }
    let Scratch {
        planes,
        tokens: memory,
        ..
    } = scratch;
    let mut tokens = Tokens::new(memory);
    let luma = Channel::new(&planes[0], size, &quantisation[0]);
    let color_size = color_size(size, is_halved);
    let colors: Vec<_> = planes[1..=colors]
        .iter()
        .map(|plane| Channel::new(plane, color_size, &quantisation[1]))
        .collect();
    let side = usize::from(components[0].sampling & 15);
    let mcu = 8 * side as u32;
    for y in 0..size.height.div_ceil(mcu) as usize {
        for x in 0..size.width.div_ceil(mcu) as usize {
            for row in 0..side {
                for column in 0..side {
                    luma.block(x * side + column, y * side + row, 0, &mut tokens);
                }
            }
            for (component, channel) in (1..).zip(&colors) {
                channel.block(x, y, component, &mut tokens);
            }
        }
    }
    let codes: Vec<_> = tokens.counts[..2 * quantisation.len()]
        .iter()
        .map(Code::new)
        .collect();
    Ok(file::write(
        (width, height),
        &components,
        &quantisation,
        &codes,
        tokens.list(),
    ))
}

/// A channel that is encoded.
struct Channel<'a> {
    samples: &'a [u8],
    size: (usize, usize),
    quantisation: &'a Quantisation,
}

impl<'a> Channel<'a> {
    fn new(samples: &'a [u8], size: Size, quantisation: &'a Quantisation) -> Self {
        Self {
            samples,
            size: (size.width as usize, size.height as usize),
            quantisation,
        }
    }

    /// Encodes the block in column `x` and row `y` of blocks. Beyond the edge, its last samples are repeated.
    fn block(&self, x: usize, y: usize, component: usize, tokens: &mut Tokens) {
        let (width, height) = self.size;
        let mut block = Samples::default();
        for (row, values) in block.iter_mut().enumerate() {
            let line = &self.samples[(8 * y + row).min(height - 1) * width..][..width];
            let shifted = |sample: u8| f32::from(sample) - 128.0;
            if let Some(samples) = line.get(8 * x..8 * x + 8) {
                for (value, sample) in values.iter_mut().zip(samples) {
                    *value = shifted(*sample);
                }
            } else {
                for (column, value) in values.iter_mut().enumerate() {
                    *value = shifted(line[(8 * x + column).min(width - 1)]);
                }
            }
        }
        tokens.block(component, &self.quantisation.apply(&block));
    }
}
