//! The CPU pool: the only place where pictures are inspected and rendered.
//!
//! As many threads as cores, each with a scratch space that is reused. Work is admitted by the bytes that its decoded
//! pixels will take and by a free thread; waiting for both is bounded in time and in number, and work whose caller left
//! while it waited is never begun. I/O never holds a thread of this pool.

mod admission;
mod pool;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use imaging::{Encoded, Info, InputFormat, Limits, Operation, OutputFormat, Scratch};
use observability::Registry;
use observability::scope::{Scope, stage, stage_sync};

use self::admission::Admission;
use self::pool::Pool;
use crate::config::RenderConfig;
use crate::domain::{Color, Format, Preset};
use crate::telemetry::{CpuMetrics, Stage};

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
    /// The bytes are at fault. The message is made of facts of the file and may be sent to the client.
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
                Stage::Inspect,
                "dominant color",
                input_format(info.format),
                info.decoded_bytes,
                move |scratch| imaging::dominant_color(&source, &limits, scratch),
            )
            .await?;
        Ok(Inspected {
            info,
            color: Color(color),
        })
    }

    /// Fits `source` inside the square of `preset` and encodes it.
    pub async fn render(
        &self,
        source: Bytes,
        preset: Preset,
        format: Format,
    ) -> Result<Encoded, RenderError> {
        let operation = Operation::inside(preset.side(), output_format(format)?);
        let info = self.probe(source.clone()).await?;
        let limits = self.0.limits;
        self.run(
            Stage::Render,
            "render",
            format,
            info.decoded_bytes,
            move |scratch| imaging::render(&source, &operation, &limits, scratch),
        )
        .await
    }

    /// Records how long a stage outside of the pool took: fetching and storing are parts of image work too.
    pub fn record(&self, stage: Stage, format: Format, began: Instant) {
        self.0.metrics.stages.record(stage, format, began.elapsed());
    }

    /// Reading a header takes next to no memory and seldom any time, so it need not wait for a thread of the pool; but a
    /// hostile file can make it slow, so it stays off the threads that answer requests.
    async fn probe(&self, source: Bytes) -> Result<Info, RenderError> {
        let limits = self.0.limits;
        let probing = tokio::task::spawn_blocking(move || imaging::probe(&source, &limits));
        match stage("probe", probing).await {
            Ok(info) => Ok(info?),
            Err(_panicked_or_cancelled) => Err(RenderError::Lost("the probe did not end")),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        kind: Stage,
        name: &'static str,
        format: Format,
        decoded_bytes: u64,
        work: impl FnOnce(&mut Scratch) -> Result<T, imaging::Error> + Send + 'static,
    ) -> Result<T, RenderError> {
        let Inner {
            pool,
            admission,
            metrics,
            ..
        } = &*self.0;
        let began = Instant::now();
        let permit = stage("permit wait", admission.admit(decoded_bytes)).await?;
        metrics.stages.record(Stage::Wait, format, began.elapsed());

        let scope = Scope::current();
        let metrics = Arc::clone(metrics);
        let result = pool
            .run(move |scratch| {
                let began = Instant::now();
                let result = scope.enter(|| {
                    stage_sync(name, || catch_unwind(AssertUnwindSafe(|| work(scratch))))
                });
                drop(permit);
                metrics.stages.record(kind, format, began.elapsed());
                result
            })
            .await?;
        match result {
            Ok(result) => Ok(result?),
            Err(_panic) => Err(RenderError::Lost("it panicked")),
        }
    }
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

fn output_format(format: Format) -> Result<OutputFormat, RenderError> {
    match format {
        Format::Jpeg => Ok(OutputFormat::Jpeg),
        Format::Png => Ok(OutputFormat::Png),
        Format::Webp => Ok(OutputFormat::Webp),
        #[cfg(feature = "avif")]
        Format::Avif => Ok(OutputFormat::Avif),
        Format::Gif => Err(RenderError::Unwritable(format)),
    }
}
