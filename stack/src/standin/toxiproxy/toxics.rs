//! What toxics do: the types with their attributes ([`Effect`], one file for each), and how one treats the data of one
//! direction of one connection ([`Flow`]).

mod latency;
mod reset_peer;
mod timeout;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::{
    api_error::ApiError,
    chain::{Chunk, Queue},
    json,
};

/// What a flow does next with its queue.
#[derive(Debug)]
pub(super) enum Step {
    /// Lets this chunk through.
    Pass(Chunk),
    /// Nothing before this time; nothing before the next chunk if there is none.
    Wait(Option<Instant>),
    /// Ends the stream here: in order after the last chunk, or as the fault that the toxic is.
    Close,
}

/// How a drawn toxic treats one direction of one connection. It holds data by leaving it in its queue.
pub(super) trait Flow: Send {
    fn step(&mut self, queue: &mut Queue, now: Instant) -> Step;

    /// Whether it has swallowed data and can only end the connection; then no change of toxics stops it.
    fn is_committed(&self) -> bool {
        false
    }
}

/// The treatment of a connection that a toxic does not apply to.
pub(super) struct Untouched;

impl Flow for Untouched {
    fn step(&mut self, queue: &mut Queue, _now: Instant) -> Step {
        pass_or_wait(queue)
    }
}

/// The first chunk if there is one, the end if it has come.
fn pass_or_wait(queue: &mut Queue) -> Step {
    match queue.pop() {
        Some(chunk) => Step::Pass(chunk),
        None if queue.is_finished() => Step::Close,
        None => Step::Wait(None),
    }
}

/// The type of a toxic with its attributes, named as on the wire.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "attributes", rename_all = "snake_case")]
pub(super) enum Effect {
    Latency(latency::Latency),
    ResetPeer(reset_peer::ResetPeer),
    Timeout(timeout::Timeout),
}

impl Effect {
    /// The effect of that type with every attribute zero; `None` for an unknown type.
    pub(super) fn of_type(name: &str) -> Option<Self> {
        serde_json::from_value(serde_json::json!({ "type": name, "attributes": {} })).ok()
    }

    /// Sets the attributes that `changes` names. Bad ones are an error, yet the good ones are set: so does the real
    /// server.
    pub(super) fn set(&mut self, changes: &Value) -> Result<(), ApiError> {
        match self {
            Self::Latency(latency) => merge(latency, changes),
            Self::ResetPeer(reset) => merge(reset, changes),
            Self::Timeout(timeout) => merge(timeout, changes),
        }
    }

    /// Whether removing the toxic ends each connection it stood in, even one that the draw spared.
    pub(super) fn closes_when_removed(&self) -> bool {
        matches!(self, Self::Timeout(_))
    }

    /// Whether a connection that starts under this toxic ends by RST, not FIN, on both sides.
    pub(super) fn resets(&self) -> bool {
        matches!(self, Self::ResetPeer(_))
    }

    /// Starts the treatment of one connection.
    pub(super) fn flow(&self, now: Instant) -> Box<dyn Flow> {
        match self {
            Self::Latency(latency) => latency.flow(),
            Self::ResetPeer(reset) => reset.flow(),
            Self::Timeout(timeout) => timeout.flow(now),
        }
    }
}

/// Overwrites the integer fields of `attributes` that `changes` names.
fn merge<A: Serialize + DeserializeOwned>(
    attributes: &mut A,
    changes: &Value,
) -> Result<(), ApiError> {
    let changes = json::Object::of(changes)?;
    let Ok(Value::Object(current)) = serde_json::to_value(&*attributes) else {
        return Ok(());
    };
    let mut failure = Ok(());
    let mut merged = Map::new();
    for (name, old) in current {
        let value = match changes.integer(&name) {
            Ok(Some(new)) => new.into(),
            Ok(None) => old,
            Err(error) => {
                failure = failure.and(Err(error));
                old
            }
        };
        merged.insert(name, value);
    }
    if let Ok(merged) = serde_json::from_value(Value::Object(merged)) {
        *attributes = merged;
    }
    failure
}
