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

use wide::f32x8;

use crate::{Error, Meter, Size, operation::FULL_COLOR_QUALITY, raster::Layout, scratch::Scratch};

mod channels;
mod file;
mod forward;
mod huffman;
mod tokens;

pub(crate) use channels::color_size;

use channels::split;
use file::Component;
use forward::{Coefficients, Quantisation};
use huffman::{Code, Counts};
use tokens::{Collector, Tokens};

/// Blocks of luma in an MCU if colour is at half size: two by two.
const HALVED: u8 = 0x22;
const ONE: u8 = 0x11;

/// Encodes grey or RGB pixels in `scratch.resized`.
pub(super) fn encode(
    scratch: &mut Scratch,
    size: Size,
    layout: Layout,
    quality: u8,
    meter: &Meter,
) -> Result<Vec<u8>, String> {
    let is_halved = quality < FULL_COLOR_QUALITY;
    let Scratch {
        resized, planes, ..
    } = scratch;
    if layout == Layout::Gray {
        std::mem::swap(resized, &mut planes[0]);
    } else {
        split(resized, size, is_halved, planes, meter).map_err(|error| error.to_string())?;
    }
    encode_channels(scratch, size, layout, quality, meter)
}

/// Encodes the channels in `scratch.planes`: grey, or luma and colours of which [`color_size`] is the size.
pub(super) fn encode_channels(
    scratch: &mut Scratch,
    size: Size,
    layout: Layout,
    quality: u8,
    meter: &Meter,
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
    let planes = &scratch.planes;
    let scan = Scan {
        luma: Channel::new(&planes[0], size, &quantisation[0]),
        colors: planes[1..=colors]
            .iter()
            .map(|plane| Channel::new(plane, color_size(size, is_halved), &quantisation[1]))
            .collect(),
        side: usize::from(components[0].sampling & 15),
    };
    let mut tokens = Tokens::default();
    let ended = |error: Error| error.to_string();
    let counts = scan.collect(&mut tokens, meter).map_err(ended)?;
    let codes: Vec<_> = counts[..2 * quantisation.len()]
        .iter()
        .map(Code::new)
        .collect();
    let bits = codes.iter().zip(&counts);
    let bits: usize = bits.map(|(code, counts)| code.bits(counts)).sum();
    let mut file = Vec::with_capacity(file::capacity(bits));
    file::begin(
        &mut file,
        (width, height),
        &components,
        &quantisation,
        &codes,
    );
    file::finish(&mut file, &codes, &tokens, meter).map_err(ended)?;
    Ok(file)
}

/// Everything that is encoded.
struct Scan<'a> {
    luma: Channel<'a>,
    colors: Vec<Channel<'a>>,
    /// Blocks of luma in an MCU, across and down.
    side: usize,
}

impl Scan<'_> {
    /// Collects everything in the order of the file, MCUs row by row (T.81 A.2.3), and counts the symbols.
    fn collect(&self, tokens: &mut Tokens, meter: &Meter) -> Result<[Counts; 4], Error> {
        let mut collector = Collector::new(tokens);
        let mcu = 8 * self.side;
        let (width, height) = self.luma.size;
        for y in 0..height.div_ceil(mcu) {
            meter.step((width * mcu) as u64)?;
            for x in 0..width.div_ceil(mcu) {
                for row in 0..self.side {
                    for column in 0..self.side {
                        let (x, y) = (x * self.side + column, y * self.side + row);
                        collector.block(0, &self.luma.block(x, y));
                    }
                }
                for (component, channel) in (1..).zip(&self.colors) {
                    collector.block(component, &channel.block(x, y));
                }
            }
        }
        Ok(collector.counts)
    }
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

    /// The coefficients of the block in column `x` and row `y` of blocks.
    #[inline(always)]
    fn block(&self, x: usize, y: usize) -> Coefficients {
        let block = self.samples(x, y).map(|row| {
            // Shifted down by half their range (T.81 A.3.1).
            f32x8::new(row.map(f32::from)) - 128.0
        });
        self.quantisation.apply(&block)
    }

    /// The samples of a block. Beyond the edge, its last samples are repeated.
    #[inline(always)]
    fn samples(&self, x: usize, y: usize) -> [[u8; 8]; 8] {
        let (width, height) = self.size;
        let mut block = [[0; 8]; 8];
        for (row, samples) in block.iter_mut().enumerate() {
            let line = &self.samples[(8 * y + row).min(height - 1) * width..][..width];
            if let Some(inside) = line.get(8 * x..8 * x + 8) {
                samples.copy_from_slice(inside);
            } else {
                for (column, sample) in samples.iter_mut().enumerate() {
                    *sample = line[(8 * x + column).min(width - 1)];
                }
            }
        }
        block
    }
}
