//! From the channels of an AV1 frame to pixels: ranges, matrices, colours of half the resolution, and alpha.

use oxideav_av1::decoder::SpecFrame;

use super::stream::{CodePoints, ColorConfig};
use crate::{bytes::round_to_byte, raster::Layout};

/// What turns the samples of a frame into colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conversion {
    matrix: Matrix,
    /// The sample of black, and what to multiply with to reach 255.
    luma: (f32, f32),
    /// The same for the colour differences: the sample of none.
    chroma: (f32, f32),
    subsampling: (bool, bool),
}

#[derive(Debug, Clone, Copy)]
enum Matrix {
    /// The channels are green, blue and red.
    Identity,
    /// What the colour differences add: blue's to green and blue, red's to red and green.
    Differences { blue: (f32, f32), red: (f32, f32) },
}

impl Conversion {
    /// `None` if the matrix is one that pictures are not stored with.
    pub(super) fn new(color: &ColorConfig, code_points: CodePoints) -> Option<Self> {
        let most = f32::from((1_u16 << color.bit_depth) - 1);
        let unit = f32::from(1_u16 << (color.bit_depth - 8));
        let (luma, chroma) = if code_points.full_range {
            ((0.0, 255.0 / most), (128.0 * unit, 255.0 / most))
        } else {
            (
                (16.0 * unit, 255.0 / (219.0 * unit)),
                (128.0 * unit, 255.0 / (224.0 * unit)),
            )
        };
        let is_full_size = color.subsampling == (false, false);
        Some(Self {
            matrix: Matrix::new(code_points.matrix)
                .filter(|matrix| is_full_size || !matches!(matrix, Matrix::Identity))?,
            luma,
            chroma,
            subsampling: color.subsampling,
        })
    }

    /// Writes a frame's colours, and no transparency, as grey, RGB or RGBA.
    pub(super) fn colors(&self, frame: &SpecFrame, layout: Layout, pixels: &mut [u8]) {
        let width = frame.width as usize;
        let mut rows = [(); 3].map(|()| vec![0.0; width]);
        let mut samples = Vec::new();
        let stride = width * layout.channels();
        for (y, pixels) in pixels.chunks_exact_mut(stride).enumerate() {
            let [first, second, third] = &mut rows;
            read(frame, 0, y, first);
            if frame.planes.len() == 3 {
                self.upsampled(frame, 1, y, second, &mut samples);
                self.upsampled(frame, 2, y, third, &mut samples);
            }
            match layout {
                Layout::Gray => self.grays(first, pixels.as_chunks_mut::<1>().0),
                Layout::Rgba if frame.planes.len() == 1 => {
                    self.grays(first, pixels.as_chunks_mut::<4>().0);
                }
                Layout::Rgba => self.row(&rows, pixels.as_chunks_mut::<4>().0),
                _ => self.row(&rows, pixels.as_chunks_mut::<3>().0),
            }
        }
    }

    /// Writes a frame's luma as the alpha of RGBA, and divides the colours by it if they were multiplied.
    pub(super) fn alpha(&self, frame: &SpecFrame, is_premultiplied: bool, pixels: &mut [u8]) {
        let mut row = vec![0.0; frame.width as usize];
        let rows = pixels.as_chunks_mut::<4>().0.chunks_exact_mut(row.len());
        for (y, pixels) in rows.enumerate() {
            read(frame, 0, y, &mut row);
            for (pixel, sample) in pixels.iter_mut().zip(&row) {
                let alpha = self.level(*sample);
                if is_premultiplied {
                    let share = 255.0 / alpha.max(1.0);
                    let [red, green, blue, _] = *pixel;
                    let [red, green, blue] =
                        [red, green, blue].map(|level| round_to_byte(f32::from(level) * share));
                    *pixel = [red, green, blue, 0];
                }
                pixel[3] = round_to_byte(alpha);
            }
        }
    }

    fn level(&self, sample: f32) -> f32 {
        (sample - self.luma.0) * self.luma.1
    }

    fn grays<const CHANNELS: usize>(&self, row: &[f32], pixels: &mut [[u8; CHANNELS]]) {
        for (pixel, sample) in pixels.iter_mut().zip(row) {
            *pixel = [round_to_byte(self.level(*sample)); CHANNELS];
        }
    }

    fn row<const CHANNELS: usize>(&self, rows: &[Vec<f32>; 3], pixels: &mut [[u8; CHANNELS]]) {
        let [first, second, third] = rows;
        let samples = first.iter().zip(second).zip(third);
        for (pixel, ((first, second), third)) in pixels.iter_mut().zip(samples) {
            let rgb = match self.matrix {
                Matrix::Identity => [*third, *first, *second].map(|sample| self.level(sample)),
                Matrix::Differences { blue, red } => {
                    let luma = self.level(*first);
                    let [cb, cr] =
                        [*second, *third].map(|sample| (sample - self.chroma.0) * self.chroma.1);
                    [
                        luma + red.0 * cr,
                        luma + blue.0 * cb + red.1 * cr,
                        luma + blue.1 * cb,
                    ]
                }
            };
            pixel[..3].copy_from_slice(&rgb.map(round_to_byte));
        }
    }

    /// A row of a colour channel at the luma's resolution: three quarters of the nearest sample and one of the next, each
    /// way, which puts the samples in the middle between those of luma.
    fn upsampled(
        &self,
        frame: &SpecFrame,
        plane: usize,
        y: usize,
        row: &mut [f32],
        samples: &mut Vec<f32>,
    ) {
        let (width, height) = frame.plane_dims[plane];
        let (across, down) = self.subsampling;
        samples.resize(2 * width as usize, 0.0);
        let (near, far) = samples.split_at_mut(width as usize);
        let (nearest, next) = neighbors(y, down, height as usize);
        read(frame, plane, nearest, near);
        if next != nearest {
            read(frame, plane, next, far);
            for (near, far) in near.iter_mut().zip(far) {
                *near = 0.75 * *near + 0.25 * *far;
            }
        }
        for (x, sample) in row.iter_mut().enumerate() {
            let (nearest, next) = neighbors(x, across, width as usize);
            *sample = 0.75 * near[nearest] + 0.25 * near[next];
        }
    }
}

impl Matrix {
    /// ITU-T H.273, table 4. What is unspecified is BT.601, as in JPEG.
    fn new(coefficients: u16) -> Option<Self> {
        let (kr, kb) = match coefficients {
            0 => return Some(Self::Identity),
            1 => (0.2126, 0.0722),
            2 | 5 | 6 => (0.299, 0.114),
            4 => (0.30, 0.11),
            7 => (0.212, 0.087),
            9 => (0.2627, 0.0593),
            _ => return None,
        };
        let kg = 1.0 - kr - kb;
        let (blue, red) = (2.0 * (1.0 - kb), 2.0 * (1.0 - kr));
        Some(Self::Differences {
            blue: (-blue * kb / kg, blue),
            red: (red, -red * kr / kg),
        })
    }
}

/// The nearest sample to a place and the next one on its other side, of a channel of half the resolution or of the full one.
fn neighbors(place: usize, halved: bool, samples: usize) -> (usize, usize) {
    let last = samples - 1;
    if !halved {
        return (place.min(last), place.min(last));
    }
    let nearest = (place / 2).min(last);
    let next = if place.is_multiple_of(2) {
        nearest.saturating_sub(1)
    } else {
        (nearest + 1).min(last)
    };
    (nearest, next)
}

/// Reads a row of a channel: bytes, or pairs of them for more than 8 bits.
fn read(frame: &SpecFrame, plane: usize, y: usize, row: &mut [f32]) {
    let samples = &frame.planes[plane];
    let width = frame.plane_dims[plane].0 as usize;
    if frame.bit_depth == 8 {
        for (value, sample) in row.iter_mut().zip(&samples[y * width..]) {
            *value = f32::from(*sample);
        }
    } else {
        let samples = &samples.as_chunks::<2>().0[y * width..];
        for (value, sample) in row.iter_mut().zip(samples) {
            *value = f32::from(u16::from_le_bytes(*sample));
        }
    }
}
