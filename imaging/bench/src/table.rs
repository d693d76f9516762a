//! The figures as a Markdown table, a row at a time.

use imaging::OutputFormat;

use crate::{
    measure::Figures,
    task::{Case, Input},
};

/// The table's head.
pub(crate) const HEAD: &str = "\
| case (input) | libvips ms | ours ms | ratio | image crate ms | SSIMULACRA2 ours / libvips | bytes ours / libvips | peak heap ours / libvips | resident ours / libvips | target | reached |
|---|---|---|---|---|---|---|---|---|---|---|";

/// One case's row.
pub(crate) fn row(case: &Case, figures: &Figures) -> String {
    let Figures {
        input,
        libvips,
        ours,
        ratio,
        image_crate,
    } = figures;
    let image_crate = image_crate.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1}"));
    let target = case
        .ratio
        .map_or_else(|| "–".to_owned(), |ratio| format!("{ratio}x"));
    format!(
        "| {} ({}) | {:.2} | {:.2} | {ratio:.2}x | {image_crate} | {} | {} / {} | {} / {} | {} / {} | {target} | {} |",
        case.title,
        mebibytes(*input),
        libvips.milliseconds,
        ours.milliseconds,
        scores(case, figures),
        ours.bytes,
        libvips.bytes,
        mebibytes(ours.heap),
        mebibytes(libvips.heap),
        mebibytes(ours.resident),
        mebibytes(libvips.resident),
        verdict(case, figures),
    )
}

fn scores(case: &Case, figures: &Figures) -> String {
    let (ours, libvips) = (figures.ours.score, figures.libvips.score);
    if lossless(case) {
        format!("{ours:.2} / {libvips:.2}")
    } else {
        format!("{ours:.1} / {libvips:.1}")
    }
}

fn lossless(case: &Case) -> bool {
    case.task.output == OutputFormat::Png
}

/// `yes`, or what is missing. Compares what is printed: half a unit of its last digit is noise.
fn verdict(case: &Case, figures: &Figures) -> String {
    let tenths = |score: f64| (score * 10.0).round();
    let (ours, libvips) = (&figures.ours, &figures.libvips);
    let mut missing = Vec::new();
    if case.ratio.is_some_and(|ratio| figures.ratio < ratio) {
        missing.push("speed");
    }
    if tenths(ours.score) < tenths(libvips.score) - case.slack * 10.0 {
        missing.push("quality");
    }
    if reads_jpeg(case.input) && ours.heap > libvips.heap {
        missing.push("memory");
    }
    if missing.is_empty() {
        "yes".to_owned()
    } else {
        format!("no: {}", missing.join(", "))
    }
}

/// Where we promise to need at most libvips' memory.
fn reads_jpeg(input: Input) -> bool {
    use Input::{Png1200, PngAlpha1200, Webp12Mp};
    !matches!(input, Png1200 | PngAlpha1200 | Webp12Mp)
}

fn mebibytes(bytes: usize) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
