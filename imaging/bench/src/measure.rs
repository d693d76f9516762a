//! Measures one case: contenders take turns in each round, so that the machine's mood hits all alike.

use std::path::Path;

use crate::{
    Result,
    clock::{cpu_milliseconds, median},
    contenders::{Ours, image_crate, image_crate_can},
    libvips::{Program, Worker},
    memory,
    quality::Judge,
    task::{Case, Task},
};

/// The least that one turn takes, in milliseconds: a short render is repeated until it does.
const TURN: f64 = 20.0;

/// What one contender came to.
pub(crate) struct Side {
    /// CPU time of one render, the median of the rounds.
    pub milliseconds: f64,
    /// SSIMULACRA2 against the ideal.
    pub score: f64,
    /// Bytes of the result.
    pub bytes: usize,
    /// Peak of the heap, in bytes.
    pub heap: usize,
    /// Growth of the peak of the resident memory, in bytes.
    pub resident: usize,
}

/// What one case came to.
pub(crate) struct Figures {
    /// Bytes of the input.
    pub input: usize,
    /// libvips.
    pub libvips: Side,
    /// Ours.
    pub ours: Side,
    /// How many times as long libvips took as we did: the median of the rounds.
    pub ratio: f64,
    /// CPU time of the image crate in milliseconds, where it can do the task.
    pub image_crate: Option<f64>,
}

/// Measures `case`; `folder` is for files that are looked at and forgotten.
pub(crate) fn measure(
    case: &Case,
    input: &Path,
    libvips: &Program,
    folder: &Path,
    rounds: usize,
) -> Result<Figures> {
    let bytes = std::fs::read(input)?;
    let judge = Judge::new(
        &libvips
            .start()?
            .decode(input, &folder.join("decoded.raw"))?,
        case.task.size,
    );

    // The first render of a new worker tells its peaks of memory; the results to judge are by-products.
    let mut worker = libvips.start()?;
    let result = folder.join("libvips-result");
    let alone = worker.thumbnail(input, &case.task, 1, Some(&result))?;
    let theirs = std::fs::read(&result)?;
    let peak = memory::peak(case, input)?;
    let ours = Ours::default().render(&bytes, &case.task)?;

    let times = Turns::new(worker, input, &bytes, &case.task)?.take(rounds)?;
    let ratios: Vec<f64> = times.iter().map(|turn| turn.libvips / turn.ours).collect();
    let middle = |of: fn(&Times) -> f64| median(&times.iter().map(of).collect::<Vec<_>>());
    Ok(Figures {
        input: bytes.len(),
        libvips: Side {
            milliseconds: middle(|turn| turn.libvips),
            score: judge.score(&theirs)?,
            bytes: alone.bytes,
            heap: alone.heap,
            resident: alone.resident,
        },
        ours: Side {
            milliseconds: middle(|turn| turn.ours),
            score: judge.score(&ours)?,
            bytes: ours.len(),
            heap: peak.heap,
            resident: peak.resident,
        },
        ratio: median(&ratios),
        image_crate: image_crate_can(&case.task).then(|| middle(|turn| turn.image_crate)),
    })
}

/// CPU time of one render in one round, in milliseconds.
#[derive(Debug, Default, Clone, Copy)]
struct Times {
    libvips: f64,
    ours: f64,
    /// 0 where it can't.
    image_crate: f64,
}

/// The contenders, warmed up, and how often each repeats in its turn.
struct Turns<'a> {
    libvips: Worker,
    ours: Ours,
    path: &'a Path,
    input: &'a [u8],
    task: &'a Task,
    repeats: [usize; 3],
}

impl<'a> Turns<'a> {
    fn new(libvips: Worker, path: &'a Path, input: &'a [u8], task: &'a Task) -> Result<Self> {
        let mut turns = Self {
            libvips,
            ours: Ours::default(),
            path,
            input,
            task,
            repeats: [2, 2, 1],
        };
        let warm = turns.round()?;
        let repeats = |milliseconds: f64| (TURN / milliseconds).ceil().clamp(1.0, 500.0) as usize;
        turns.repeats = [warm.libvips, warm.ours, warm.image_crate].map(repeats);
        Ok(turns)
    }

    fn take(&mut self, rounds: usize) -> Result<Vec<Times>> {
        (0..rounds).map(|_| self.round()).collect()
    }

    fn round(&mut self) -> Result<Times> {
        let [libvips, ours, image] = self.repeats;
        let libvips = self
            .libvips
            .thumbnail(self.path, self.task, libvips, None)?;
        let ours = mean(ours, || self.ours.render(self.input, self.task))?;
        let image_crate = if image_crate_can(self.task) {
            mean(image, || image_crate(self.input, self.task))?
        } else {
            0.0
        };
        Ok(Times {
            libvips: libvips.milliseconds,
            ours,
            image_crate,
        })
    }
}

/// CPU time of one call in milliseconds, over some.
fn mean(repeats: usize, mut render: impl FnMut() -> Result<Vec<u8>>) -> Result<f64> {
    let (result, milliseconds) =
        cpu_milliseconds(|| (0..repeats).try_for_each(|_| render().map(drop)));
    result?;
    Ok(milliseconds / repeats as f64)
}
