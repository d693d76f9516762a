//! Our quantisation tables beside the example tables of the standard, which nearly every JPEG has: bytes and quality over
//! photographs that ours were not made from. Both in the hands of another encoder, so that nothing else differs.

use std::{fs, path::PathBuf};

use imaging::{Limits, Operation, OutputFormat, Scratch, Size, render};
use jpeg_encoder::{ColorType, Encoder, QuantizationTableType, SamplingFactor};

use crate::{Result, pixels::Pixels, quality::Judge};

/// Of the result.
const WIDTHS: [u32; 3] = [300, 640, 1200];
const QUALITIES: [u8; 4] = [50, 65, 80, 89];

/// With ours less with the standard's, of one photograph or on average.
#[derive(Clone, Copy, Default)]
struct Difference {
    /// In per cent.
    bytes: f64,
    /// Points of SSIMULACRA2.
    points: f64,
    /// The same beside the standard's tables at the quality that gives as many bytes.
    points_at_as_many_bytes: f64,
}

/// Prints a table, and says whether ours are better at as many bytes, on average, at every size and quality.
pub(crate) fn compare(photos: &[PathBuf]) -> Result<bool> {
    println!("| quality | width | bytes | SSIMULACRA2 | the same, at as many bytes |");
    println!("|---|---|---|---|---|");
    let mut is_better = true;
    for quality in QUALITIES {
        for width in WIDTHS {
            let differences = photos
                .iter()
                .map(|photo| Photo::new(&fs::read(photo)?, width)?.difference(quality));
            let mean = mean(&differences.collect::<Result<Vec<_>>>()?);
            println!(
                "| {quality} | {width} | {:+.1} % | {:+.2} | {:+.2} |",
                mean.bytes, mean.points, mean.points_at_as_many_bytes
            );
            is_better &= mean.points_at_as_many_bytes > 0.0;
        }
    }
    Ok(is_better)
}

fn mean(differences: &[Difference]) -> Difference {
    let mean = |of: fn(&Difference) -> f64| {
        differences.iter().map(of).sum::<f64>() / differences.len() as f64
    };
    Difference {
        bytes: mean(|difference| difference.bytes),
        points: mean(|difference| difference.points),
        points_at_as_many_bytes: mean(|difference| difference.points_at_as_many_bytes),
    }
}

/// What is encoded.
struct Photo {
    png: Vec<u8>,
    pixels: Pixels,
    judge: Judge,
}

/// For luma and for colours.
type Tables = [QuantizationTableType; 2];

/// An encoded file, and how good it is.
struct Attempt {
    bytes: f64,
    score: f64,
}

impl Photo {
    fn new(file: &[u8], width: u32) -> Result<Self> {
        let png = rendered(file, width, 100, OutputFormat::Png)?;
        let pixels = Pixels::decode(&png, 3)?;
        let judge = Judge::new(&pixels, pixels.size);
        Ok(Self { png, pixels, judge })
    }

    fn difference(&self, quality: u8) -> Result<Difference> {
        let ours = self.attempt(quality, &self.our_tables(quality)?)?;
        let standard = self.attempt(quality, &standard_tables())?;
        Ok(Difference {
            bytes: (ours.bytes / standard.bytes - 1.0) * 100.0,
            points: ours.score - standard.score,
            points_at_as_many_bytes: ours.score - self.standard_score_at(ours.bytes)?,
        })
    }

    /// The standard tables' score for so many bytes: on the line between the two qualities around it.
    fn standard_score_at(&self, bytes: f64) -> Result<f64> {
        let (mut low, mut high) = (1, 99);
        while high - low > 1 {
            let middle = u8::midpoint(low, high);
            if self.encoded(middle, &standard_tables())?.len() as f64 <= bytes {
                low = middle;
            } else {
                high = middle;
            }
        }
        let below = self.attempt(low, &standard_tables())?;
        let above = self.attempt(high, &standard_tables())?;
        if !(below.bytes <= bytes && bytes < above.bytes) {
            return Err("no quality of the standard's tables gives as many bytes".into());
        }
        let share = (bytes - below.bytes) / (above.bytes - below.bytes);
        Ok(below.score + (above.score - below.score) * share)
    }

    fn attempt(&self, quality: u8, tables: &Tables) -> Result<Attempt> {
        let file = self.encoded(quality, tables)?;
        let shown = rendered(&file, self.pixels.size.width, 100, OutputFormat::Png)?;
        Ok(Attempt {
            bytes: file.len() as f64,
            score: self.judge.score(&shown)?,
        })
    }

    /// With colours at half the resolution and codes made for the picture, as our encoder has them. The quality counts for the
    /// standard's tables only.
    fn encoded(&self, quality: u8, tables: &Tables) -> Result<Vec<u8>> {
        let Size { width, height } = self.pixels.size;
        let [luma, colors] = tables.clone();
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes, quality);
        encoder.set_quantization_tables(luma, colors);
        encoder.set_sampling_factor(SamplingFactor::F_2_2);
        encoder.set_optimized_huffman_tables(true);
        encoder.encode(
            &self.pixels.samples,
            width as u16,
            height as u16,
            ColorType::Rgb,
        )?;
        Ok(bytes)
    }

    /// Read from a file of our encoder (ITU-T T.81 B.2.4.1).
    fn our_tables(&self, quality: u8) -> Result<Tables> {
        let file = rendered(
            &self.png,
            self.pixels.size.width,
            quality,
            OutputFormat::Jpeg,
        )?;
        let mut found = Vec::new();
        let mut at = 2;
        while let Some([0xff, marker, high, low]) =
            file.get(at..).and_then(|rest| rest.first_chunk())
        {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            let content = file.get(at + 4..at + 2 + length).unwrap_or_default();
            // The scan, behind which no tables come.
            if *marker == 0xda {
                break;
            }
            if *marker == 0xdb {
                found.extend(content.chunks_exact(65).map(|table| in_rows(&table[1..])));
            }
            at += 2 + length;
        }
        <[QuantizationTableType; 2]>::try_from(found)
            .map_err(|_| "our encoder did not write two tables of 8 bits".into())
    }
}

fn standard_tables() -> Tables {
    [(); 2].map(|()| QuantizationTableType::Default)
}

/// From the order of coefficients in a file, diagonal by diagonal in turns (T.81 figure A.6), to rows.
fn in_rows(table: &[u8]) -> QuantizationTableType {
    let mut places: Vec<(usize, usize)> = (0..64).map(|place| (place / 8, place % 8)).collect();
    places.sort_by_key(|&(y, x)| (x + y, if (x + y) % 2 == 0 { x } else { y }));
    let mut rows = [0; 64];
    for ((y, x), step) in places.into_iter().zip(table) {
        rows[8 * y + x] = u16::from(*step);
    }
    QuantizationTableType::Custom(Box::new(rows))
}

fn rendered(file: &[u8], width: u32, quality: u8, output: OutputFormat) -> Result<Vec<u8>> {
    let mut operation = Operation::inside(u32::from(u16::MAX), output);
    operation.width = Some(width);
    operation.quality = quality;
    Ok(render(file, &operation, &Limits::default(), &mut Scratch::new())?.bytes)
}
