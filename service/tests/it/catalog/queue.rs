//! Jobs and their leases.

use std::{sync::Arc, time::Duration};

use service::{
    catalog::{Catalog, MAX_ATTEMPTS},
    domain::{Blob, ClaimedJob, ImageId, JobState, Work},
};

use super::home::Home;

const LONG: Duration = Duration::from_mins(10);
const NOW: Duration = Duration::ZERO;

/// Claims and completes everything that is due; answers what it was, sorted by the time of its enqueueing.
pub async fn drain(home: &Home) -> Vec<Work> {
    let mut jobs = Vec::new();
    while let Some(job) = claim(&home.catalog).await {
        assert!(home.catalog.complete(&job).await.expect("completed"));
        jobs.push(job);
    }
    jobs.sort_by_key(|job| job.id);
    jobs.into_iter().map(|job| job.work).collect()
}

async fn claim(catalog: &Arc<dyn Catalog>) -> Option<ClaimedJob> {
    catalog.claim("test", LONG).await.expect("an answer")
}

fn work() -> Work {
    Work::RenderPresets {
        image: ImageId::new(),
    }
}

pub async fn a_job_is_claimed_by_one_and_done_once(home: &Home) {
    let work = work();
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned();
    let id = home
        .catalog
        .enqueue(work.clone(), Some(traceparent.clone()))
        .await
        .expect("enqueued");
    let waiting = home.catalog.job(id).await.expect("read").expect("there");
    assert_eq!(
        (waiting.state, waiting.attempts, &waiting.work),
        (JobState::Queued, 0, &work)
    );

    let job = claim(&home.catalog).await.expect("due");
    assert_eq!((job.id, job.attempt, &job.work), (id, 1, &work));
    assert_eq!(job.traceparent, Some(traceparent));
    assert_eq!(claim(&home.catalog).await, None, "its lease holds");
    assert_eq!(
        home.catalog
            .job(id)
            .await
            .expect("read")
            .expect("there")
            .state,
        JobState::Running
    );

    assert!(home.catalog.complete(&job).await.expect("completed"));
    assert!(
        !home.catalog.complete(&job).await.expect("answered"),
        "once"
    );
    assert_eq!(
        home.catalog
            .job(id)
            .await
            .expect("read")
            .expect("there")
            .state,
        JobState::Done
    );
    assert_eq!(claim(&home.catalog).await, None);
}

pub async fn a_failed_job_waits_for_its_delay_and_is_dead_after_five_attempts(home: &Home) {
    let id = home.catalog.enqueue(work(), None).await.expect("enqueued");
    for attempt in 1..MAX_ATTEMPTS {
        let job = claim(&home.catalog).await.expect("due");
        assert_eq!(job.attempt, attempt);
        let state = home
            .catalog
            .fail(&job, "it rained", NOW)
            .await
            .expect("failed");
        assert_eq!(state, Some(JobState::Queued));
    }
    let last = claim(&home.catalog).await.expect("due");
    assert_eq!(
        home.catalog
            .fail(&last, &"ä".repeat(10_000), NOW)
            .await
            .expect("failed"),
        Some(JobState::Dead)
    );
    assert_eq!(claim(&home.catalog).await, None);
    let dead = home.catalog.job(id).await.expect("read").expect("there");
    assert_eq!((dead.state, dead.attempts), (JobState::Dead, MAX_ATTEMPTS));
    assert_eq!(
        dead.error.map(|error| error.chars().count()),
        Some(500),
        "a long error is cut"
    );

    home.catalog.enqueue(work(), None).await.expect("enqueued");
    let job = claim(&home.catalog).await.expect("due");
    home.catalog
        .fail(&job, "it rained", LONG)
        .await
        .expect("failed");
    assert_eq!(
        claim(&home.catalog).await,
        None,
        "not before its delay is over"
    );
}

pub async fn a_job_whose_workers_fall_silent_ends_dead(home: &Home) {
    let id = home.catalog.enqueue(work(), None).await.expect("enqueued");
    for attempt in 1..=MAX_ATTEMPTS {
        // A lease of no length is one whose worker was killed and whose time is over.
        let job = home
            .catalog
            .claim("killed", NOW)
            .await
            .expect("an answer")
            .expect("due again");
        assert_eq!(job.attempt, attempt);
    }
    assert_eq!(claim(&home.catalog).await, None);
    let dead = home.catalog.job(id).await.expect("read").expect("there");
    assert_eq!((dead.state, dead.attempts), (JobState::Dead, MAX_ATTEMPTS));
    assert!(dead.error.is_some_and(|error| error.contains("silent")));
}

pub async fn a_lost_claim_changes_nothing(home: &Home) {
    let id = home.catalog.enqueue(work(), None).await.expect("enqueued");
    let lost = home
        .catalog
        .claim("slow", NOW)
        .await
        .expect("an answer")
        .expect("due");
    let held = claim(&home.catalog).await.expect("due again");
    assert_ne!(lost.lease, held.lease);
    assert!(!home.catalog.heartbeat(&lost, LONG).await.expect("answered"));
    assert!(!home.catalog.complete(&lost).await.expect("answered"));
    assert!(!home.catalog.hand_back(&lost, NOW).await.expect("answered"));
    assert_eq!(
        home.catalog
            .fail(&lost, "late", NOW)
            .await
            .expect("answered"),
        None
    );
    assert_eq!(
        home.catalog
            .job(id)
            .await
            .expect("read")
            .expect("there")
            .state,
        JobState::Running
    );
    assert!(home.catalog.complete(&held).await.expect("completed"));
}

pub async fn a_job_handed_back_has_lost_no_attempt(home: &Home) {
    home.catalog.enqueue(work(), None).await.expect("enqueued");
    for _ in 0..2 * MAX_ATTEMPTS {
        let job = claim(&home.catalog).await.expect("due");
        assert_eq!(job.attempt, 1);
        assert!(
            home.catalog
                .hand_back(&job, NOW)
                .await
                .expect("handed back")
        );
    }
    // A heartbeat keeps a claim whose lease would be over.
    let job = home
        .catalog
        .claim("test", NOW)
        .await
        .expect("an answer")
        .expect("due");
    assert!(home.catalog.heartbeat(&job, LONG).await.expect("renewed"));
    assert_eq!(claim(&home.catalog).await, None);
    assert!(
        home.catalog
            .hand_back(&job, LONG)
            .await
            .expect("handed back")
    );
    assert_eq!(
        claim(&home.catalog).await,
        None,
        "not before its delay is over"
    );
}

pub async fn a_job_of_an_unknown_kind_is_buried_and_the_next_one_claimed(home: &Home) {
    let strange = home.catalog.enqueue(work(), None).await.expect("enqueued");
    home.execute("UPDATE jobs SET subject = 'of a newer program'")
        .await;
    let known = work();
    home.catalog
        .enqueue(known.clone(), None)
        .await
        .expect("enqueued");
    assert_eq!(claim(&home.catalog).await.expect("due").work, known);
    assert!(home.catalog.job(strange).await.is_err());
    let stats = home.catalog.queue_stats().await.expect("counted");
    assert_eq!(stats.iter().map(|stats| stats.dead).sum::<u64>(), 1);
}

pub async fn statistics_count_what_waits_runs_and_is_dead(home: &Home) {
    let purge = || Work::Purge {
        blob: Blob::new(blake3::hash(b"bytes").into()),
    };
    let counts = async || {
        let stats = home.catalog.queue_stats().await.expect("counted");
        assert_eq!(
            stats.iter().map(|stats| stats.kind).collect::<Vec<_>>(),
            Work::KINDS
        );
        (stats[0].depth, stats[0].dead, stats[1].depth, stats[1].dead)
    };
    assert_eq!(counts().await, (0, 0, 0, 0));
    home.catalog.enqueue(work(), None).await.expect("enqueued");
    let running = claim(&home.catalog).await.expect("due");
    home.catalog.enqueue(purge(), None).await.expect("enqueued");
    home.catalog.enqueue(purge(), None).await.expect("enqueued");
    assert_eq!(counts().await, (1, 0, 2, 0), "a running job counts");
    home.catalog.complete(&running).await.expect("completed");
    for _ in 0..MAX_ATTEMPTS {
        let job = claim(&home.catalog).await.expect("due");
        home.catalog
            .fail(&job, "it rained", NOW)
            .await
            .expect("failed");
    }
    assert_eq!(counts().await, (0, 0, 2, 0), "the two took turns");
    home.execute("UPDATE jobs SET created_at = created_at - 90000000 WHERE state = 'queued'")
        .await;
    let oldest = home.catalog.queue_stats().await.expect("counted")[1].oldest;
    assert!(
        oldest >= Duration::from_secs(90) && oldest < LONG,
        "{oldest:?}"
    );
    home.execute("UPDATE jobs SET state = 'dead' WHERE state = 'queued'")
        .await;
    assert_eq!(counts().await, (0, 0, 0, 2));
}

pub async fn done_jobs_are_forgotten_when_they_are_old(home: &Home) {
    let done = home.catalog.enqueue(work(), None).await.expect("enqueued");
    drain(home).await;
    let waiting = home.catalog.enqueue(work(), None).await.expect("enqueued");
    assert_eq!(
        home.catalog.forget_done(LONG).await.expect("answered"),
        0,
        "too young"
    );
    home.execute("UPDATE jobs SET updated_at = updated_at - 900000000")
        .await;
    assert_eq!(home.catalog.forget_done(LONG).await.expect("forgotten"), 1);
    assert_eq!(home.catalog.job(done).await.expect("read"), None);
    assert!(
        home.catalog.job(waiting).await.expect("read").is_some(),
        "only done jobs are forgotten"
    );
}

pub async fn an_enqueued_job_wakes_whoever_waits(home: &Home) {
    // With PostgreSQL the other handle is told by the server; with SQLite there is only one process.
    let enqueuer = if home.catalog.system() == "sqlite" {
        Arc::clone(&home.catalog)
    } else {
        home.again(true).await.expect("opened")
    };
    let waiter = Arc::clone(&home.catalog);
    let woken = tokio::spawn(async move {
        let deadline = tokio::time::Instant::now() + LONG;
        // Waking for nothing is allowed, so the proof is the job.
        loop {
            tokio::time::timeout_at(deadline, waiter.job_enqueued())
                .await
                .expect("woken");
            if let Some(job) = claim(&waiter).await {
                return job.id;
            }
        }
    });
    let id = enqueuer.enqueue(work(), None).await.expect("enqueued");
    assert_eq!(woken.await.expect("no panic"), id);
}
