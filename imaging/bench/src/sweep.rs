//! No cliffs: the quality over many scale factors, beside libvips'. A decoder that scales while it decodes switches to the next
//! cheaper size at some factors, and just past these it loses most.

use std::path::{Path, PathBuf};

use imaging::{Fidelity, OutputFormat, Size};

use crate::{
    Result, contenders::Ours, libvips::Program, pixels::Pixels, quality::Judge, task::Task,
};

/// By how many points we may be worse than libvips, at any factor, on any photograph.
const TOLERANCE: f64 = 1.0;

/// Where sloppy pipelines switch.
const JUST_PAST: [f64; 4] = [2.02, 4.04, 8.08, 16.16];

/// One photograph at one factor.
struct Difference {
    photo: String,
    ours: f64,
    libvips: f64,
}

impl Difference {
    fn points(&self) -> f64 {
        self.ours - self.libvips
    }
}

/// Prints a table, and says whether the quality is good enough everywhere. `output` JPEG is what people get; PNG shows the scaling
/// alone.
pub(crate) fn sweep(
    photos: &[PathBuf],
    libvips: &Program,
    folder: &Path,
    output: OutputFormat,
) -> Result<bool> {
    let factors = factors();
    let mut by_factor: Vec<Vec<Difference>> = factors.iter().map(|_| Vec::new()).collect();
    for photo in photos {
        let source = libvips
            .start()?
            .decode(photo, &folder.join("decoded.raw"))?;
        for (factor, differences) in factors.iter().zip(&mut by_factor) {
            differences.push(compare(photo, &source, *factor, libvips, folder, output)?);
        }
        eprintln!("bench-imaging: swept {}", photo.display());
    }

    println!(
        "| factor | worst, ours − libvips | on | ours / libvips there | mean, ours − libvips |"
    );
    println!("|---|---|---|---|---|");
    let mut good = true;
    for (factor, differences) in factors.iter().zip(&by_factor) {
        let mean =
            differences.iter().map(Difference::points).sum::<f64>() / differences.len() as f64;
        let worst = differences
            .iter()
            .min_by(|a, b| a.points().total_cmp(&b.points()));
        if let Some(worst) = worst {
            let Difference {
                photo,
                ours,
                libvips,
            } = worst;
            let points = worst.points();
            println!(
                "| {factor:.2} | {points:+.2} | {photo} | {ours:.1} / {libvips:.1} | {mean:+.2} |"
            );
            good &= points >= -TOLERANCE;
        }
    }
    Ok(good)
}

/// From 1.1 to 20 in 24 even steps of the logarithm, and just past the powers of two.
fn factors() -> Vec<f64> {
    const STEPS: i32 = 24;
    let ratio = (20.0f64 / 1.1).powf(1.0 / f64::from(STEPS - 1));
    let mut factors: Vec<f64> = (0..STEPS).map(|step| 1.1 * ratio.powi(step)).collect();
    factors.extend(JUST_PAST);
    factors.sort_by(f64::total_cmp);
    factors
}

fn compare(
    photo: &Path,
    source: &Pixels,
    factor: f64,
    libvips: &Program,
    folder: &Path,
    output: OutputFormat,
) -> Result<Difference> {
    let shrunk = |side: u32| (f64::from(side) / factor).round() as u32;
    let size = Size {
        width: shrunk(source.size.width),
        height: shrunk(source.size.height),
    };
    let task = Task {
        size,
        output,
        fidelity: Fidelity::Full,
    };
    let result = folder.join("libvips-result");
    libvips.start()?.thumbnail(photo, &task, 1, Some(&result))?;
    let judge = Judge::new(source, size);
    Ok(Difference {
        photo: photo
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        ours: judge.score(&Ours::default().render(&std::fs::read(photo)?, &task)?)?,
        libvips: judge.score(&std::fs::read(result)?)?,
    })
}
