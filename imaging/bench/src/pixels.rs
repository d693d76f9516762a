//! Decoded pictures: 8 bits a sample, three channels or four with alpha.

use imaging::Size;

use crate::Result;

/// Rows from top to bottom, without padding, gamma-encoded.
pub(crate) struct Pixels {
    /// Width and height.
    pub size: Size,
    /// 3, or 4 with alpha that the colours are not multiplied by.
    pub channels: usize,
    /// One byte a channel of a pixel.
    pub samples: Vec<u8>,
}

impl Pixels {
    /// Checks that there are as many samples as the size says.
    pub(crate) fn new(
        width: usize,
        height: usize,
        channels: usize,
        samples: Vec<u8>,
    ) -> Result<Self> {
        if !(3..=4).contains(&channels) || samples.len() != width * height * channels {
            let bytes = samples.len();
            return Err(format!(
                "{bytes} bytes are not {width} x {height} pixels of {channels} channels"
            )
            .into());
        }
        Ok(Self {
            size: Size {
                width: width as u32,
                height: height as u32,
            },
            channels,
            samples,
        })
    }

    /// Decodes a file by the image crate, into as many channels as asked for.
    pub(crate) fn decode(bytes: &[u8], channels: usize) -> Result<Self> {
        let picture = image::load_from_memory(bytes)?;
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let samples = if channels == 4 {
            picture.into_rgba8().into_raw()
        } else {
            picture.into_rgb8().into_raw()
        };
        Self::new(width, height, channels, samples)
    }
}
