//! Jobs: work that follows a change of the catalog, done later by a worker.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use uuid::Uuid;

use super::{Blob, ImageId, Unknown};

/// A job's name, uuid v7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub Uuid);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for JobId {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        text.parse()
            .map(Self)
            .map_err(|_| Unknown::new("a job id (a uuid)", text))
    }
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// Store the renders that most readers ask for ([`super::Preset::STORED`]).
    RenderPresets {
        /// Of this picture.
        image: ImageId,
    },
    /// Delete every object of a copy that no picture refers to any more.
    Purge {
        /// The copy.
        blob: Blob,
    },
}

impl Work {
    /// Every kind there is.
    pub const KINDS: [&'static str; 2] = ["render_presets", "purge"];

    /// The kind's name in the API, in the catalog and in the label `queue`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::RenderPresets { .. } => Self::KINDS[0],
            Self::Purge { .. } => Self::KINDS[1],
        }
    }

    /// What the work is done on, as the catalog keeps it beside the kind.
    pub fn subject(&self) -> String {
        match self {
            Self::RenderPresets { image } => image.to_string(),
            Self::Purge { blob } => blob.to_string(),
        }
    }

    /// The inverse of [`Work::kind`] and [`Work::subject`].
    pub fn parse(kind: &str, subject: &str) -> Result<Self, Unknown> {
        match kind {
            "render_presets" => Ok(Self::RenderPresets {
                image: subject.parse()?,
            }),
            "purge" => Ok(Self::Purge {
                blob: subject.parse()?,
            }),
            _ => Err(Unknown::new("a kind of job (render_presets, purge)", kind)),
        }
    }
}

/// How far a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waits for a worker, perhaps until a backoff is over.
    Queued,
    /// A worker holds its lease.
    Running,
    /// Done.
    Done,
    /// Given up after too many attempts; somebody must look.
    Dead,
}

impl JobState {
    /// The name in the API and in the catalog.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for JobState {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        [Self::Queued, Self::Running, Self::Done, Self::Dead]
            .into_iter()
            .find(|state| state.name() == text)
            .ok_or_else(|| Unknown::new("a job state (queued, running, done, dead)", text))
    }
}

/// A job as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What it does.
    pub work: Work,
    /// How far it is.
    pub state: JobState,
    /// Attempts begun so far. One is counted when a worker takes the job, so a job that kills its worker is
    /// counted too.
    pub attempts: u32,
    /// What the last failed attempt said.
    pub error: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub updated_at: Timestamp,
}

/// A job that this worker holds until its lease ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimedJob {
    /// Its name.
    pub id: JobId,
    /// Names this claim; a later claim of the same job has another one, and this one is then without effect.
    pub lease: Uuid,
    /// What to do.
    pub work: Work,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// `traceparent` of the request that enqueued it.
    pub traceparent: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
}

/// The state of one kind's queue at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueStats {
    /// One of [`Work::KINDS`].
    pub kind: &'static str,
    /// Jobs waiting or running.
    pub depth: u64,
    /// Age of the oldest of them; zero when there is none.
    pub oldest: Duration,
    /// Jobs given up.
    pub dead: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_survives_the_form_that_the_catalog_keeps() {
        let blob = Blob::new(blake3::hash(b"content").into());
        for work in [
            Work::RenderPresets {
                image: ImageId::new(),
            },
            Work::Purge { blob },
        ] {
            assert_eq!(Work::parse(work.kind(), &work.subject()), Ok(work));
        }
    }

    #[test]
    fn work_of_an_unknown_kind_or_subject_is_refused() {
        assert!(Work::parse("polish", "x").is_err());
        assert!(Work::parse("purge", "not/a blob").is_err());
        assert!(Work::parse("render_presets", "7").is_err());
    }
}
