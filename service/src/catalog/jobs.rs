//! The queue: a table of jobs, taken by workers under a lease.
//!
//! `due_at` says when a job may be taken: after its backoff, or when the lease of a worker that fell silent ends. Each
//! claim has a fresh lease id, and everything a worker says about a job names it, so that a worker that was believed
//! dead cannot end a job that another one has taken meanwhile.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    CatalogError, MAX_ATTEMPTS,
    dialect::Dialect,
    query::{Query, Row},
};
use crate::domain::{ClaimedJob, Job, JobId, JobState, QueueStats, Work};

/// Takes the job that has been due for longest, passing over rows that another claim holds if `$lock` says so. One whose
/// last attempt ended without a word becomes dead instead.
macro_rules! claim_statement {
    ($lock:literal) => {
        concat!(
            "UPDATE jobs SET state = CASE WHEN attempts < $1 THEN 'running' ELSE 'dead' END, \
             attempts = CASE WHEN attempts < $1 THEN attempts + 1 ELSE attempts END, \
             error = CASE WHEN attempts < $1 THEN error ELSE 'the worker of the last attempt fell silent' END, \
             lease = $2, worker = $3, due_at = $4, updated_at = $5 \
             WHERE id = (SELECT id FROM jobs WHERE state IN ('queued', 'running') AND due_at <= $5 \
             ORDER BY due_at LIMIT 1 ",
            $lock,
            ") RETURNING id, kind, subject, state, attempts, traceparent, created_at"
        )
    };
}
pub(super) use claim_statement;

pub(super) const ENQUEUE: &str = "INSERT INTO jobs \
     (id, kind, subject, state, due_at, traceparent, created_at, updated_at) \
     VALUES ($1, $2, $3, 'queued', $4, $5, $4, $4)";
pub(super) const HEARTBEAT: &str =
    "UPDATE jobs SET due_at = $3 WHERE id = $1 AND lease = $2 AND state = 'running'";
pub(super) const COMPLETE: &str = "UPDATE jobs SET state = 'done', updated_at = $3 WHERE id = $1 AND lease = $2 AND state = 'running'";
pub(super) const FAIL: &str = "UPDATE jobs SET state = CASE WHEN attempts < $6 THEN 'queued' ELSE 'dead' END, \
     due_at = $3, error = $4, updated_at = $5 WHERE id = $1 AND lease = $2 AND state = 'running' RETURNING state";
pub(super) const HAND_BACK: &str = "UPDATE jobs SET state = 'queued', attempts = attempts - 1, due_at = $3, \
     updated_at = $4 WHERE id = $1 AND lease = $2 AND state = 'running'";
pub(super) const BURY: &str = "UPDATE jobs SET state = 'dead', error = $2 WHERE id = $1";
pub(super) const BY_ID: &str = "SELECT id, kind, subject, state, attempts, error, created_at, updated_at \
     FROM jobs WHERE id = $1";
pub(super) const OPEN: &str = "SELECT kind, count(*) AS depth, min(created_at) AS oldest FROM jobs \
     WHERE state IN ('queued', 'running') GROUP BY kind";
pub(super) const DEAD: &str =
    "SELECT kind, count(*) AS dead FROM jobs WHERE state = 'dead' GROUP BY kind";
pub(super) const FORGET_DONE: &str = "DELETE FROM jobs WHERE id IN \
     (SELECT id FROM jobs WHERE state = 'done' AND updated_at < $1 ORDER BY updated_at LIMIT 500)";

/// The longest error text that is kept.
const ERROR_CHARS: usize = 500;

/// The time, as precise as the catalog keeps it.
pub(super) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

fn micros_after(delay: Duration) -> i64 {
    now()
        .as_microsecond()
        .saturating_add(i64::try_from(delay.as_micros()).unwrap_or(i64::MAX))
}

/// In the transaction of the change that asks for the work.
pub(super) async fn enqueue<D: Dialect>(
    connection: &mut D::Connection,
    work: &Work,
    traceparent: Option<String>,
) -> Result<JobId, CatalogError> {
    let id = JobId(Uuid::now_v7());
    Query::<D>::new(ENQUEUE)
        .bind(id.0)
        .bind(work.kind().to_owned())
        .bind(work.subject())
        .bind(micros_after(Duration::ZERO))
        .bind(traceparent)
        .execute(connection)
        .await?;
    if let Some(notify) = D::NOTIFY {
        Query::<D>::new(notify).execute(connection).await?;
    }
    Ok(id)
}

pub(super) async fn claim<D: Dialect>(
    connection: &mut D::Connection,
    worker: String,
    lease: Duration,
) -> Result<Option<ClaimedJob>, CatalogError> {
    loop {
        let claim = Uuid::now_v7();
        let query = Query::<D>::new(D::CLAIM)
            .bind(i64::from(MAX_ATTEMPTS))
            .bind(claim)
            .bind(worker.clone())
            .bind(micros_after(lease))
            .bind(micros_after(Duration::ZERO));
        let Some(row) = query.optional(connection).await? else {
            return Ok(None);
        };
        if row.word::<JobState>("state")? == JobState::Dead {
            continue;
        }
        let id = JobId(row.get("id")?);
        match work(&row) {
            Ok(work) => {
                return Ok(Some(ClaimedJob {
                    id,
                    lease: claim,
                    work,
                    attempt: row.number("attempts")?,
                    traceparent: row.get("traceparent")?,
                    created_at: row.time("created_at")?,
                }));
            }
            // Perhaps of a newer program. Nobody here will ever understand it, so it must not come around again.
            Err(error) => {
                Query::<D>::new(BURY)
                    .bind(id.0)
                    .bind(error.to_string())
                    .execute(connection)
                    .await?
            }
        };
    }
}

pub(super) async fn heartbeat<D: Dialect>(
    connection: &mut D::Connection,
    id: JobId,
    lease: Uuid,
    duration: Duration,
) -> Result<bool, CatalogError> {
    let query = Query::<D>::new(HEARTBEAT)
        .bind(id.0)
        .bind(lease)
        .bind(micros_after(duration));
    Ok(query.execute(connection).await? == 1)
}

pub(super) async fn complete<D: Dialect>(
    connection: &mut D::Connection,
    id: JobId,
    lease: Uuid,
) -> Result<bool, CatalogError> {
    let query = Query::<D>::new(COMPLETE)
        .bind(id.0)
        .bind(lease)
        .bind(micros_after(Duration::ZERO));
    Ok(query.execute(connection).await? == 1)
}

pub(super) async fn fail<D: Dialect>(
    connection: &mut D::Connection,
    id: JobId,
    lease: Uuid,
    error: String,
    delay: Duration,
) -> Result<Option<JobState>, CatalogError> {
    let error: String = error
        .chars()
        .filter(|char| *char != '\0')
        .take(ERROR_CHARS)
        .collect();
    let query = Query::<D>::new(FAIL)
        .bind(id.0)
        .bind(lease)
        .bind(micros_after(delay))
        .bind(error)
        .bind(micros_after(Duration::ZERO))
        .bind(i64::from(MAX_ATTEMPTS));
    query
        .optional(connection)
        .await?
        .map(|row| row.word("state"))
        .transpose()
}

pub(super) async fn hand_back<D: Dialect>(
    connection: &mut D::Connection,
    id: JobId,
    lease: Uuid,
    delay: Duration,
) -> Result<bool, CatalogError> {
    let query = Query::<D>::new(HAND_BACK)
        .bind(id.0)
        .bind(lease)
        .bind(micros_after(delay))
        .bind(micros_after(Duration::ZERO));
    Ok(query.execute(connection).await? == 1)
}

pub(super) async fn by_id<D: Dialect>(
    connection: &mut D::Connection,
    id: JobId,
) -> Result<Option<Job>, CatalogError> {
    let Some(row) = Query::<D>::new(BY_ID)
        .bind(id.0)
        .optional(connection)
        .await?
    else {
        return Ok(None);
    };
    Ok(Some(Job {
        id,
        work: work(&row)?,
        state: row.word("state")?,
        attempts: row.number("attempts")?,
        error: row.get("error")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    }))
}

pub(super) async fn stats<D: Dialect>(
    connection: &mut D::Connection,
) -> Result<Vec<QueueStats>, CatalogError> {
    let now = now();
    let mut stats = Work::KINDS.map(|kind| QueueStats {
        kind,
        depth: 0,
        oldest: Duration::ZERO,
        dead: 0,
    });
    for row in Query::<D>::new(OPEN).all(connection).await? {
        if let Some(stats) = of_kind(&mut stats, &row)? {
            stats.depth = row.number("depth")?;
            // Zero when another machine's clock is ahead.
            stats.oldest =
                Duration::try_from(now.duration_since(row.time("oldest")?)).unwrap_or_default();
        }
    }
    for row in Query::<D>::new(DEAD).all(connection).await? {
        if let Some(stats) = of_kind(&mut stats, &row)? {
            stats.dead = row.number("dead")?;
        }
    }
    Ok(stats.into())
}

pub(super) async fn forget_done<D: Dialect>(
    connection: &mut D::Connection,
    age: Duration,
) -> Result<u64, CatalogError> {
    let before = now()
        .as_microsecond()
        .saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX));
    Query::<D>::new(FORGET_DONE)
        .bind(before)
        .execute(connection)
        .await
}

fn of_kind<'s, D: Dialect>(
    stats: &'s mut [QueueStats],
    row: &Row<D>,
) -> Result<Option<&'s mut QueueStats>, CatalogError> {
    let kind: String = row.get("kind")?;
    Ok(stats.iter_mut().find(|stats| stats.kind == kind))
}

fn work<D: Dialect>(row: &Row<D>) -> Result<Work, CatalogError> {
    Ok(Work::parse(
        &row.get::<String>("kind")?,
        &row.get::<String>("subject")?,
    )?)
}
