//! Those who run in this process: ours, through its public interface, and the image crate, as its users write it.

use image::{codecs::jpeg::JpegEncoder, imageops::FilterType};
use imaging::{Fit, Limits, Operation, OutputFormat, Scratch};

use crate::{Result, task::Task};

/// The same for libvips and the image crate.
const QUALITY: u8 = 80;

/// Ours: one thread's renders, with the memory it keeps from one to the next.
#[derive(Default)]
pub(crate) struct Ours {
    scratch: Scratch,
    limits: Limits,
}

impl Ours {
    /// From file to file.
    pub(crate) fn render(&mut self, input: &[u8], task: &Task) -> Result<Vec<u8>> {
        let mut operation = Operation::inside_box(task.size, task.output);
        operation.fit = Fit::Fill;
        operation.quality = QUALITY;
        operation.fidelity = task.fidelity;
        let encoded = imaging::render(input, &operation, &self.limits, &mut self.scratch)?;
        Ok(encoded.bytes)
    }
}

/// Whether the image crate can do this: it writes WebP only without loss.
pub(crate) fn image_crate_can(task: &Task) -> bool {
    task.output != OutputFormat::Webp
}

/// The image crate: decode, Lanczos3, encode.
pub(crate) fn image_crate(input: &[u8], task: &Task) -> Result<Vec<u8>> {
    let picture = image::load_from_memory(input)?;
    let resized = picture.resize_exact(task.size.width, task.size.height, FilterType::Lanczos3);
    let mut bytes = Vec::new();
    match task.output {
        OutputFormat::Jpeg => {
            JpegEncoder::new_with_quality(&mut bytes, QUALITY).encode_image(&resized)?;
        }
        OutputFormat::Png => {
            resized.write_with_encoder(image::codecs::png::PngEncoder::new(&mut bytes))?;
        }
        OutputFormat::Webp => return Err("the image crate writes no lossy WebP".into()),
    }
    Ok(bytes)
}
