//! What is measured: the renders, the pictures they are made of, and what each is to reach.

use imaging::{Fidelity, OutputFormat, Size};

/// One render, the same for every contender. Quality is 80 everywhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Task {
    /// Size of the result.
    pub size: Size,
    /// Its format.
    pub output: OutputFormat,
    /// Whether a little quality may be given for speed: only we can.
    pub fidelity: Fidelity,
}

/// The pictures that renders are made of. Each is made from one photograph, by shrinking it and cutting out its middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Input {
    /// 4000 x 3000, baseline, 4:2:0, quality 90.
    Jpeg12Mp,
    /// The same, progressive.
    Progressive12Mp,
    /// 4000 x 3000, lossy, quality 85.
    Webp12Mp,
    /// 2040 x 1400, baseline, 4:2:0, quality 90.
    Jpeg2040,
    /// 1200 x 800, baseline, 4:2:0, quality 90.
    Jpeg1200,
    /// 1200 x 800.
    Png1200,
    /// 1200 x 1200, a soft-edged disc on transparency.
    PngAlpha1200,
    /// 160 x 120, baseline, 4:2:0, quality 90.
    Jpeg160,
}

/// A row of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    /// For `--case`.
    pub name: &'static str,
    /// For readers.
    pub title: &'static str,
    /// Made of what.
    pub input: Input,
    /// The render.
    pub task: Task,
    /// How many times faster than libvips we are to be; `None`: nothing is promised.
    pub ratio: Option<f64>,
    /// By how many SSIMULACRA2 points our result may be worse than libvips'.
    pub slack: f64,
}

/// Every case, in the table's order.
pub(crate) const CASES: &[Case] = {
    use Input::{
        Jpeg12Mp, Jpeg160, Jpeg1200, Jpeg2040, Png1200, PngAlpha1200, Progressive12Mp, Webp12Mp,
    };
    use OutputFormat::{Jpeg, Png, Webp};
    &[
        case(
            "jpeg-12mp-300",
            "JPEG 12 MP → 300",
            Jpeg12Mp,
            (300, 225),
            Jpeg,
        )
        .at_least(2.0),
        case(
            "jpeg-12mp-300-near-equal",
            "same, near-equal",
            Jpeg12Mp,
            (300, 225),
            Jpeg,
        )
        .near_equal()
        .at_least(2.7)
        .slack(0.5),
        case(
            "progressive-12mp-300",
            "progressive JPEG 12 MP → 300",
            Progressive12Mp,
            (300, 225),
            Jpeg,
        )
        .at_least(15.0)
        .slack(0.5),
        case(
            "jpeg-12mp-1200",
            "JPEG 12 MP → 1200",
            Jpeg12Mp,
            (1200, 900),
            Jpeg,
        )
        .at_least(1.8),
        case(
            "jpeg-1200-300",
            "JPEG 1200 → 300",
            Jpeg1200,
            (300, 200),
            Jpeg,
        )
        .at_least(2.2),
        case(
            "jpeg-2040-512",
            "JPEG 2040 → 512",
            Jpeg2040,
            (512, 351),
            Jpeg,
        )
        .at_least(1.8),
        case(
            "jpeg-2040-512-webp",
            "JPEG 2040 → 512 WebP",
            Jpeg2040,
            (512, 351),
            Webp,
        )
        .at_least(1.8),
        case(
            "jpeg-1200-1200",
            "JPEG 1200 → 1200, no resize",
            Jpeg1200,
            (1200, 800),
            Jpeg,
        ),
        case("jpeg-160-64", "JPEG 160 → 64", Jpeg160, (64, 48), Jpeg),
        case(
            "png-alpha-1200-300-webp",
            "PNG alpha 1200 → 300 WebP",
            PngAlpha1200,
            (300, 300),
            Webp,
        )
        .at_least(1.7),
        case(
            "png-alpha-1200-300-png",
            "PNG alpha 1200 → 300 PNG",
            PngAlpha1200,
            (300, 300),
            Png,
        )
        .at_least(2.2),
        case(
            "png-1200-300-jpeg",
            "PNG 1200 → 300 JPEG",
            Png1200,
            (300, 200),
            Jpeg,
        ),
        case(
            "webp-12mp-300-jpeg",
            "WebP 12 MP → 300 JPEG",
            Webp12Mp,
            (300, 225),
            Jpeg,
        )
        .at_least(1.25),
    ]
};

const fn case(
    name: &'static str,
    title: &'static str,
    input: Input,
    (width, height): (u32, u32),
    output: OutputFormat,
) -> Case {
    Case {
        name,
        title,
        input,
        task: Task {
            size: Size { width, height },
            output,
            fidelity: Fidelity::Full,
        },
        ratio: None,
        slack: 0.0,
    }
}

impl Case {
    const fn at_least(mut self, ratio: f64) -> Self {
        self.ratio = Some(ratio);
        self
    }

    const fn near_equal(mut self) -> Self {
        self.task.fidelity = Fidelity::NearEqual;
        self
    }

    const fn slack(mut self, slack: f64) -> Self {
        self.slack = slack;
        self
    }
}
