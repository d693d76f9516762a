//! The files that renders are made of: from real photographs, by libvips, kept in a folder from one run to the next.
//!
//! Photographs are only shrunk and cut, never enlarged: an enlarged one has nothing in its highest frequencies, and a decoder
//! that skips these would have it easy.

use std::{
    io::Cursor,
    path::{Path, PathBuf},
};

use image::{ImageFormat, Rgba, RgbaImage};

use crate::{Result, libvips::Program, task::Input};

/// What the inputs of the table are made of: 17.9 megapixels, the largest photograph that `make photos` brings.
const PHOTO: &str = "mate-Elephants_5640x3172.jpg";

/// What the sweep runs over, besides the 12-megapixel input: baseline JPEGs from several hands, 4:2:0 and 4:2:2.
const SWEEP: [&str; 5] = [
    "mate-TwoWings.jpg",
    "mate-LadyBird.jpg",
    "mate-Wood.jpg",
    "mate-Storm.jpg",
    "mate-RainDrops.jpg",
];

/// Photographs that our quantisation tables were not made from.
const UNSEEN: [&str; 12] = [
    "mate-FreshFlower.jpg",
    "mate-YellowFlower.jpg",
    "mate-Dune.jpg",
    "mate-Spring.png",
    "mate-Aqua.jpg",
    "skimage-chelsea.png",
    "skimage-coffee.png",
    "skimage-astronaut.png",
    "skimage-retina.jpg",
    "skimage-hubble_deep_field.jpg",
    "mate-GreenMeadow.jpg",
    "mate-Blinds.jpg",
];

const JPEG: &str = "Q=90,subsample_mode=on,strip";

/// Where photographs are and inputs go.
pub(crate) struct Inputs {
    /// The cache of `scripts/photos`.
    pub photos: PathBuf,
    /// A folder of our own.
    pub made: PathBuf,
    /// Who makes them.
    pub libvips: Program,
}

impl Inputs {
    /// The file of an input; made, if it is not there.
    pub(crate) fn path(&self, input: Input) -> Result<PathBuf> {
        let (name, size, options) = match input {
            Input::Jpeg12Mp => ("12mp.jpg", (4000, 3000), JPEG),
            Input::Progressive12Mp => (
                "12mp-progressive.jpg",
                (4000, 3000),
                "Q=90,subsample_mode=on,interlace,strip",
            ),
            Input::Webp12Mp => ("12mp.webp", (4000, 3000), "Q=85,strip"),
            Input::Jpeg2040 => ("2040.jpg", (2040, 1400), JPEG),
            Input::Jpeg1200 => ("1200.jpg", (1200, 800), JPEG),
            Input::Png1200 => ("1200.png", (1200, 800), "strip"),
            Input::PngAlpha1200 => ("1200-alpha.png", (1200, 1200), "strip"),
            Input::Jpeg160 => ("160.jpg", (160, 120), JPEG),
        };
        let path = self.made.join(name);
        if path.exists() {
            return Ok(path);
        }
        // Under another name until it is whole, so that an interrupted run leaves nothing that looks like an input.
        let draft = self.made.join(format!("draft-{name}"));
        let photo = self.photo(PHOTO)?;
        self.libvips.start()?.make(&photo, size, &draft, options)?;
        if input == Input::PngAlpha1200 {
            cut_out_disc(&draft)?;
        }
        std::fs::rename(&draft, &path)?;
        Ok(path)
    }

    /// The six photographs of the sweep.
    pub(crate) fn sweep(&self) -> Result<Vec<PathBuf>> {
        let mut photos = vec![self.path(Input::Jpeg12Mp)?];
        for name in SWEEP {
            photos.push(self.photo(name)?);
        }
        Ok(photos)
    }

    /// Twelve photographs for the quantisation tables.
    pub(crate) fn unseen(&self) -> Result<Vec<PathBuf>> {
        UNSEEN.iter().map(|name| self.photo(name)).collect()
    }

    fn photo(&self, name: &str) -> Result<PathBuf> {
        let path = self.photos.join(name);
        if path.exists() {
            Ok(path)
        } else {
            Err(format!(
                "{}: no such photograph; `make photos` brings it",
                path.display()
            )
            .into())
        }
    }
}

/// Makes everything transparent but a disc with a soft edge.
fn cut_out_disc(file: &Path) -> Result<()> {
    /// Of the picture's width.
    const RADIUS: f32 = 0.42;
    const SOFT: f32 = 0.05;
    let photo = image::load_from_memory(&std::fs::read(file)?)?.into_rgb8();
    let side = photo.width() as f32;
    let disc = RgbaImage::from_fn(photo.width(), photo.height(), |x, y| {
        let offset = |at: u32| at as f32 / side - 0.5;
        let inside = (RADIUS - offset(x).hypot(offset(y))) / SOFT + 0.5;
        let [red, green, blue] = photo.get_pixel(x, y).0;
        match (inside.clamp(0.0, 1.0) * 255.0).round() as u8 {
            // What editors write where nothing is seen.
            0 => Rgba([0; 4]),
            alpha => Rgba([red, green, blue, alpha]),
        }
    });
    let mut bytes = Vec::new();
    disc.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
    Ok(std::fs::write(file, bytes)?)
}
