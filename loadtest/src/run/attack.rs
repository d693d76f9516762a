//! Goose as the driver: it launches the workers and keeps counts of its own; what they do is here.
//!
//! Goose is a closed-loop tool: each user sends, waits, and sends again. Here a user is a worker that waits in [`Line`]
//! for a request to become due, so the load does not slow down with the target. Goose has process-wide state (its
//! killswitch, its logger): one attack a process.

use std::sync::Arc;
use std::time::Duration;

use goose::GooseAttack;
use goose::client::GooseClientBuilder;
use goose::config::GooseConfiguration;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction, TransactionResult};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::exposition::Exposition;
use super::line::{Cause, Due, Line, Turn};
use super::recorder::{Fate, Recorder};
use super::request::Requests;
use super::trace::Tracing;
use crate::schedule::Arrival;

/// Workers that goose starts a second.
const LAUNCH_RATE: &str = "2000";
/// Between two times that goose is asked to stop: it forgets a request that comes before it has begun.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// A worker that has nothing to do any more looks this often whether goose lets it go.
const IDLE: Duration = Duration::from_millis(20);

/// What every worker shares.
pub(crate) struct Work {
    pub(crate) line: Line,
    pub(crate) requests: Requests,
    pub(crate) tracing: Tracing,
    pub(crate) recorder: Recorder,
    pub(crate) exposition: Option<Exposition>,
    /// Cancelled when the last request has been recorded: workers may leave.
    pub(crate) done: CancellationToken,
}

/// Runs `workers` workers until [`stop`] is called; the number of requests that goose counted. The error is a sentence.
pub(crate) async fn attack(work: Arc<Work>, workers: usize) -> Result<u64, String> {
    let configuration = configuration(&work, workers);
    // Requests go through our own client; this one only keeps goose from building one for each worker.
    let one_client = GooseClientBuilder::new().without_cookies();
    let scenario = Scenario::new("due-time schedule")
        .register_transaction(Transaction::new(join(Arc::clone(&work))).set_on_start())
        .register_transaction(Transaction::new(take_turns(work)));
    let attack = GooseAttack::initialize_with_config(configuration)
        .and_then(|attack| attack.set_client_builder_without_cookies(one_client))
        .map(|attack| attack.register_scenario(scenario))
        .map_err(|error| format!("goose refused its configuration: {error}"))?;
    // Goose's state is 20 KB large: too much for the stack of every future around it.
    let metrics = Box::pin(attack.execute())
        .await
        .map_err(|error| format!("goose failed: {error}"))?;
    let counted = metrics
        .requests
        .values()
        .map(|request| request.success_count + request.fail_count);
    Ok(counted.sum::<usize>() as u64)
}

/// Asks goose to end the attack until the returned future is dropped.
pub(crate) async fn stop() -> std::convert::Infallible {
    loop {
        goose::trigger_killswitch("the schedule has ended");
        sleep(ASK_AGAIN).await;
    }
}

/// Silent: goose prints to stdout, where the result goes. `no_reset_metrics` would make it announce its users there, so
/// its counts begin anew when all workers are up; `LEAD` lies between that and the first request.
// A literal would need goose's private fields.
#[allow(clippy::field_reassign_with_default)]
fn configuration(work: &Work, workers: usize) -> GooseConfiguration {
    let mut configuration = GooseConfiguration::default();
    configuration.host = Some(work.requests.target.address().to_owned());
    configuration.users = Some(workers);
    configuration.increase_rate = Some(LAUNCH_RATE.to_owned());
    configuration.no_telnet = true;
    configuration.no_print_metrics = true;
    configuration.no_error_summary = true;
    configuration.no_status_codes = true;
    configuration.quiet = 1;
    configuration
}

/// A worker takes its place.
fn join(work: Arc<Work>) -> TransactionFunction {
    Arc::new(move |_user| {
        work.line.join();
        Box::pin(std::future::ready(Ok(())))
    })
}

/// One turn of one worker.
fn take_turns(work: Arc<Work>) -> TransactionFunction {
    Arc::new(move |user| {
        let work = Arc::clone(&work);
        Box::pin(async move {
            loop {
                match work.line.next().await {
                    Some(Turn::Send(arrival, due)) => return work.send(user, arrival, due).await,
                    // Not worth a round of goose's: there may be many.
                    Some(Turn::NotSent(arrival, cause)) => {
                        work.settle(&arrival, &Fate::NotSent(cause));
                        tokio::task::consume_budget().await;
                    }
                    None => {
                        work.done.cancelled().await;
                        sleep(IDLE).await;
                        return Ok(());
                    }
                }
            }
        })
    })
}

impl Work {
    async fn send(&self, user: &mut GooseUser, arrival: Arrival, due: Due) -> TransactionResult {
        let in_flight = self.line.fly();
        let (headers, trace_id) = self.tracing.headers(arrival.slot, arrival.sampled);
        let lag = due.at.elapsed();
        let answer = match self.requests.perform(&arrival, headers).await {
            Ok(answer) => answer,
            Err(limit) => {
                self.recorder.note_limit(limit);
                self.settle(&arrival, &Fate::NotSent(Cause::Generator));
                return Ok(());
            }
        };
        let ended = Instant::now();
        drop(in_flight);
        let latency = ended.saturating_duration_since(due.at);
        let added = due.added + self.line.pace().held(due.taken, ended);
        let (ok, status) = (answer.error.is_none(), answer.status);
        let trace_id = arrival.sampled.then_some(trace_id);
        self.settle(
            &arrival,
            &Fate::Sent {
                lag,
                latency,
                added: added.min(latency),
                answer,
                trace_id,
            },
        );
        let route = self.requests.routes[arrival.route].name();
        user.record_custom_request_duration("DUE", route, latency, ok, status, None)
            .await
    }

    fn settle(&self, arrival: &Arrival, fate: &Fate) {
        if let Some(exposition) = &self.exposition {
            exposition.record(arrival.route, fate);
        }
        self.recorder.record(arrival, fate);
    }
}
