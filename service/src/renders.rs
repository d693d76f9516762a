//! The CPU pool: the only place where pictures are inspected and rendered.
//!
//! As many threads as cores, each with a scratch space that is reused. Work is admitted by the bytes that its decoded
//! pixels will take and by a free thread; waiting for both is bounded in time and in number, and work whose caller left
//! while it waited is never begun. Work whose caller leaves later (the request's deadline passes, the client goes away) ends
//! within a few rows of the picture, but for what a library does in one call; with it its thread and its memory are free.
//! I/O never holds a thread of this pool.

mod admission;
mod pool;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use imaging::{
    Encoded, ErrorKind, Info, InputFormat, Limits, Meter, Operation, OutputFormat, Scratch, Size,
};
use observability::Registry;
use observability::scope::{Scope, stage, stage_sync};

use self::admission::Admission;
use self::pool::{CancelOnDrop, Pool};
use crate::config::RenderConfig;
use crate::domain::{Color, Format, Preset};
use crate::telemetry::{CpuMetrics, Outcome, Stage, Work};

/// What an upload turned out to be.
#[derive(Debug, Clone, Copy)]
pub struct Inspected {
    /// The facts of its header.
    pub info: Info,
    /// Its dominant colour.
    pub color: Color,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// The bytes, or what is asked of them, are at fault. The message holds nothing else and may be sent to the client.
    #[error(transparent)]
    Picture(#[from] imaging::Error),
    /// The pool is busy and the wait would be, or was, too long. Worth trying again later.
    #[error("the CPU pool is busy")]
    Busy,
    /// The format can't be written.
    #[error("{0} can't be written")]
    Unwritable(Format),
    /// A defect of ours: the work panicked, or the pool is gone.
    #[error("the CPU pool lost the work: {0}")]
    Lost(&'static str),
}

/// A handle on the pool. The threads end with the last clone.
#[derive(Clone)]
pub struct Renderer(Arc<Inner>);

struct Inner {
    pool: Pool,
    admission: Admission,
    limits: Limits,
    metrics: Arc<CpuMetrics>,
}

impl Renderer {
    /// Starts the threads.
    pub fn new(config: &RenderConfig, registry: &Registry) -> std::io::Result<Self> {
        let metrics = Arc::new(CpuMetrics::new(
            registry,
            config.threads,
            config.decoded_bytes,
        ));
        Ok(Self(Arc::new(Inner {
            pool: Pool::start(config.threads)?,
            admission: Admission::new(config, Arc::clone(&metrics)),
            limits: Limits::default(),
            metrics,
        })))
    }

    /// Reads the header of `source`, refuses what is over a limit, and finds the dominant colour.
    pub async fn inspect(&self, source: Bytes) -> Result<Inspected, RenderError> {
        let info = self.probe(source.clone()).await?;
        let limits = self.0.limits;
        let color = self
            .run(
                Work::Inspect,
                input_format(info.format),
                info.decoded_bytes,
                move |scratch, meter, clock| {
                    clock.time(Stage::Inspect, "dominant color", || {
                        imaging::dominant_color(&source, &limits, scratch, meter)
                    })
                },
            )
            .await?;
        Ok(Inspected {
            info,
            color: Color(color),
        })
    }

    /// Makes what `operation` asks for out of `source`.
    pub async fn render(
        &self,
        source: Bytes,
        operation: Operation,
    ) -> Result<Encoded, RenderError> {
        let info = self.probe(source.clone()).await?;
        let limits = self.0.limits;
        let peak_bytes = operation.peak_bytes(&info, &limits)?;
        let format = written_format(operation.format);
        self.run(
            Work::Render,
            format,
            peak_bytes,
            move |scratch, meter, clock| {
                let decoded = clock.time(Stage::Decode, "decode", || {
                    imaging::decode(&source, &operation, &limits, scratch, meter)
                })?;
                let transformed =
                    clock.time(Stage::Transform, "transform", || decoded.transform())?;
                clock.time(Stage::Encode, "encode", || transformed.encode())
            },
        )
        .await
    }

    /// The size of the result of `operation`, before anything is made. Refuses what [`Self::render`] would refuse.
    pub fn result_size(&self, operation: &Operation, displayed: Size) -> Result<Size, RenderError> {
        Ok(operation.result_size(displayed, &self.0.limits)?)
    }

    /// The longest side that a render may have, in pixels.
    pub fn longest_side(&self) -> u32 {
        self.0.limits.side
    }

    /// Records how long a stage outside of the pool took: fetching and storing are parts of image work too.
    pub fn record(&self, stage: Stage, format: Format, began: Instant) {
        self.0.metrics.stages.record(stage, format, began.elapsed());
    }

    /// Reading a header takes next to no memory and seldom any time, so it need not wait for a thread of the pool; but a
    /// hostile file can make it slow, so it stays off the threads that answer requests.
    async fn probe(&self, source: Bytes) -> Result<Info, RenderError> {
        let limits = self.0.limits;
        let waiting = CancelOnDrop::default();
        let meter = waiting.meter();
        let ending = Ending::new(&self.0.metrics, Work::Probe);
        let probing = tokio::task::spawn_blocking(move || {
            ending.of(|| imaging::probe(&source, &limits, &meter))
        });
        match stage("probe", probing).await {
            Ok(info) => info,
            Err(_panicked_or_cancelled) => Err(RenderError::Lost("the probe did not end")),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work_kind: Work,
        format: Format,
        peak_bytes: u64,
        work: impl FnOnce(&mut Scratch, &Meter, &Clock) -> Result<T, imaging::Error> + Send + 'static,
    ) -> Result<T, RenderError> {
        let Inner {
            pool,
            admission,
            metrics,
            ..
        } = &*self.0;
        let began = Instant::now();
        let permit = stage("permit wait", admission.admit(peak_bytes)).await?;
        metrics.stages.record(Stage::Wait, format, began.elapsed());

        let scope = Scope::current();
        let clock = Clock {
            metrics: Arc::clone(metrics),
            format,
        };
        let ending = Ending::new(metrics, work_kind);
        pool.run(move |scratch, meter| {
            let result = scope.enter(|| ending.of(|| work(scratch, meter, &clock)));
            drop(permit);
            result
        })
        .await?
    }
}

/// Counts how a piece of work ends: as cancelled if it is dropped before it begins.
struct Ending {
    metrics: Arc<CpuMetrics>,
    work: Work,
    outcome: Outcome,
}

impl Ending {
    fn new(metrics: &Arc<CpuMetrics>, work: Work) -> Self {
        Self {
            metrics: Arc::clone(metrics),
            work,
            outcome: Outcome::Cancelled,
        }
    }

    /// Does the work. A panic ends it and nothing else.
    fn of<T>(mut self, work: impl FnOnce() -> Result<T, imaging::Error>) -> Result<T, RenderError> {
        let result = catch_unwind(AssertUnwindSafe(work));
        self.outcome = match &result {
            Ok(Ok(_)) => Outcome::Ok,
            Ok(Err(error)) if error.kind() == ErrorKind::Cancelled => Outcome::Cancelled,
            Ok(Err(_)) => Outcome::Error,
            Err(_panic) => Outcome::Panic,
        };
        match result {
            Ok(result) => Ok(result?),
            Err(_panic) => Err(RenderError::Lost("it panicked")),
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.metrics.ended(self.work, self.outcome);
    }
}

/// Times the stages of one piece of work.
struct Clock {
    metrics: Arc<CpuMetrics>,
    format: Format,
}

impl Clock {
    /// Runs `work` as this stage, with a span `name` around it.
    fn time<T>(&self, stage: Stage, name: &'static str, work: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let result = stage_sync(name, work);
        self.metrics
            .stages
            .record(stage, self.format, began.elapsed());
        result
    }
}

/// What a preset asks for.
pub fn preset(preset: Preset, format: Format) -> Result<Operation, RenderError> {
    Ok(Operation::inside(preset.side(), output_format(format)?))
}

/// The format of a file that can be read, as the domain names it.
pub fn input_format(format: InputFormat) -> Format {
    match format {
        InputFormat::Jpeg => Format::Jpeg,
        InputFormat::Png => Format::Png,
        InputFormat::Webp => Format::Webp,
        InputFormat::Gif => Format::Gif,
        #[cfg(feature = "avif")]
        InputFormat::Avif => Format::Avif,
    }
}

/// The same of one that is to be written.
pub fn output_format(format: Format) -> Result<OutputFormat, RenderError> {
    match format {
        Format::Jpeg => Ok(OutputFormat::Jpeg),
        Format::Png => Ok(OutputFormat::Png),
        Format::Webp => Ok(OutputFormat::Webp),
        #[cfg(feature = "avif")]
        Format::Avif => Ok(OutputFormat::Avif),
        Format::Gif => Err(RenderError::Unwritable(format)),
    }
}

fn written_format(format: OutputFormat) -> Format {
    match format {
        OutputFormat::Jpeg => Format::Jpeg,
        OutputFormat::Png => Format::Png,
        OutputFormat::Webp => Format::Webp,
        #[cfg(feature = "avif")]
        OutputFormat::Avif => Format::Avif,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use observability::testing::{Scrape, service};

    use super::*;

    /// A PNG of 2 x 2 pixels whose data are missing: its header is fine.
    const CUT: &[u8] =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x02\0\0\0\x02\x08\x02\0\0\0\xfd\xd4\x9a\x73\
        \0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82";

    /// A renderer with one thread, and its registry.
    fn renderer() -> (Renderer, Registry) {
        let registry = Registry::new(&service());
        let config = RenderConfig {
            threads: 1,
            decoded_bytes: 256 << 20,
            wait: Duration::from_mins(1),
            queue: 8,
        };
        let renderer = Renderer::new(&config, &registry).expect("threads");
        (renderer, registry)
    }

    fn value(registry: &Registry, name: &str, labels: &[(&str, &str)]) -> u64 {
        let scrape = Scrape::parse(&registry.render());
        scrape.value(name, labels).unwrap_or_default() as u64
    }

    /// Waits until a value is what it should be, and no longer than nobody would.
    async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
        let began = Instant::now();
        while !is_so() {
            assert!(began.elapsed() < Duration::from_mins(1), "never {what}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// A picture whose render at its own size takes a second or more, of which decoding, resizing and encoding each take a
    /// part that nobody misses.
    fn large() -> Bytes {
        let operation = Operation {
            fit: imaging::Fit::Fill,
            ..Operation::inside(4_000, OutputFormat::Jpeg)
        };
        let mut source = Vec::new();
        let mut encoder = png::Encoder::new(&mut source, 64, 64);
        encoder.set_color(png::ColorType::Rgb);
        let mut writer = encoder.write_header().expect("a header");
        let pixels: Vec<u8> = (0..64 * 64 * 3u32)
            .map(|at| ((at * at) >> 3) as u8)
            .collect();
        writer.write_image_data(&pixels).expect("pixels");
        writer.finish().expect("an end");
        let mut scratch = Scratch::new();
        let large = imaging::render(&source, &operation, &Limits::default(), &mut scratch);
        Bytes::from(large.expect("a picture").bytes)
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_caller_that_leaves_frees_the_thread_whatever_it_was_doing() {
        let (renderer, registry) = renderer();
        let source = large();
        let operation = Operation {
            fit: imaging::Fit::Fill,
            ..Operation::inside(4_400, OutputFormat::Webp)
        };
        let cancelled = |work| {
            let labels = [("work", work), ("outcome", "cancelled")];
            value(&registry, "chitram_image_work_total", &labels)
        };
        let stage = |stage| {
            let name = "chitram_image_stage_duration_seconds_count";
            value(&registry, name, &[("stage", stage), ("format", "webp")])
        };
        let in_use = || value(&registry, "chitram_cpu_permits_in_use", &[]);
        for before in ["wait", "decode", "transform"] {
            let ended = cancelled("render");
            // On a busy machine the render may be done before its caller leaves: then the next caller leaves.
            while cancelled("render") == ended {
                let seen = stage(before);
                let render = tokio::spawn({
                    let (renderer, source) = (renderer.clone(), source.clone());
                    async move { renderer.render(source, operation).await.map(drop) }
                });
                until(before, || stage(before) > seen).await;
                render.abort();
                until("free again", || in_use() == 0).await;
            }
            // The one thread does what comes next.
            let next = renderer.render(Bytes::from_static(CUT), operation).await;
            assert!(matches!(next, Err(RenderError::Picture(_))), "{next:?}");
        }
        assert_eq!(value(&registry, "chitram_decoded_bytes_in_use", &[]), 0);

        while cancelled("inspect") == 0 {
            let inspection = tokio::spawn({
                let (renderer, source) = (renderer.clone(), source.clone());
                async move { renderer.inspect(source).await.map(drop) }
            });
            until("begun", || in_use() == 1 || inspection.is_finished()).await;
            inspection.abort();
            until("free again", || in_use() == 0).await;
        }
    }

    #[tokio::test]
    async fn work_is_counted_by_how_it_ended() {
        let (renderer, registry) = renderer();
        let operation = preset(Preset::Thumb, Format::Jpeg).expect("a format that is written");
        let result = renderer.render(Bytes::from_static(CUT), operation).await;
        assert!(result.is_err(), "{result:?}");
        let count = |work, outcome| {
            let labels = [("work", work), ("outcome", outcome)];
            value(&registry, "chitram_image_work_total", &labels)
        };
        let outcomes = ["ok", "error", "cancelled", "panic"];
        assert_eq!(outcomes.map(|o| count("probe", o)), [1, 0, 0, 0]);
        assert_eq!(outcomes.map(|o| count("render", o)), [0, 1, 0, 0]);
        assert_eq!(outcomes.map(|o| count("inspect", o)), [0; 4]);
    }

    #[tokio::test]
    async fn a_render_that_fails_counts_the_stage_it_failed_in_and_none_after_it() {
        let (renderer, registry) = renderer();
        let operation = preset(Preset::Thumb, Format::Jpeg).expect("a format that is written");
        let result = renderer.render(Bytes::from_static(CUT), operation).await;
        assert!(
            matches!(&result, Err(RenderError::Picture(error)) if error.kind() == imaging::ErrorKind::Undecodable),
            "{result:?}"
        );
        let scrape = Scrape::parse(&registry.render());
        let count = |stage| {
            let name = "chitram_image_stage_duration_seconds_count";
            scrape.value(name, &[("stage", stage), ("format", "jpeg")])
        };
        let counts = ["wait", "decode", "transform", "encode"].map(count);
        assert_eq!(counts, [Some(1.0), Some(1.0), None, None]);
        assert_eq!(scrape.value("chitram_cpu_permits_in_use", &[]), Some(0.0));
    }
}
