//! A toxic as clients describe it: a name, an effect, a direction, and the share of connections it applies to.

use std::sync::Arc;

use serde::{Serialize, Serializer};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    api_error::ApiError,
    json::Object,
    toxics::{Effect, Flow, Untouched},
};

/// One toxic of a proxy, printed as the API prints it. Changed by replacing it, never in place: connections share it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Toxic {
    /// Rises with each toxic of the proxy; never used again.
    #[serde(skip)]
    pub(super) id: u64,
    /// Rises with each update.
    #[serde(skip)]
    pub(super) revision: u64,
    pub(super) name: String,
    /// The direction as the client wrote it.
    stream: String,
    /// The share of connections it applies to. Not confined to 0 to 1.
    #[serde(serialize_with = "without_trailing_zero")]
    toxicity: f32,
    #[serde(flatten)]
    pub(super) effect: Effect,
}

impl Toxic {
    /// Reads a new toxic. Its attributes come second ([`set_attributes`](Self::set_attributes)), since a duplicate name
    /// is told before a bad attribute.
    pub(super) fn parse(body: &Value) -> Result<(Direction, Self), ApiError> {
        let fields = Object::of(body)?;
        fields.object("attributes")?;
        let kind = fields.string("type")?.unwrap_or_default();
        let stream = fields
            .string("stream")?
            .unwrap_or_else(|| "downstream".to_owned());
        let name = fields.string("name")?.unwrap_or_default();
        let toxicity = fields.float("toxicity")?.unwrap_or(1.0);
        let direction = Direction::parse(&stream).ok_or_else(ApiError::invalid_stream)?;
        let effect = Effect::of_type(&kind).ok_or_else(ApiError::invalid_toxic_type)?;
        let name = if name.is_empty() {
            format!("{kind}_{stream}")
        } else {
            name
        };
        Ok((
            direction,
            Self {
                id: 0,
                revision: 0,
                name,
                stream,
                toxicity,
                effect,
            },
        ))
    }

    /// Sets the attributes that `body` names; the good ones even if others are bad.
    pub(super) fn set_attributes(&mut self, body: &Value) -> Result<(), ApiError> {
        self.effect.set(Object::of(body)?.object("attributes")?)
    }

    /// Sets what may be changed of a toxic: its attributes, then its toxicity.
    pub(super) fn update(&mut self, body: &Value) -> Result<(), ApiError> {
        self.set_attributes(body)?;
        self.toxicity = Object::of(body)?
            .float("toxicity")?
            .unwrap_or(self.toxicity);
        Ok(())
    }

    /// Draws whether it applies to one connection, and starts the treatment of that.
    pub(super) fn draw(&self, now: Instant) -> Box<dyn Flow> {
        if rand::random::<f32>() < self.toxicity {
            self.effect.flow(now)
        } else {
            Box::new(Untouched)
        }
    }
}

/// 1, not 1.0; 0.3, not 0.30000001192092896.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn without_trailing_zero<S: Serializer>(toxicity: &f32, serializer: S) -> Result<S::Ok, S::Error> {
    let whole = *toxicity as i64;
    if (whole as f32).to_bits() == toxicity.to_bits() {
        serializer.serialize_i64(whole)
    } else {
        serializer.serialize_f32(*toxicity)
    }
}

/// Which way bytes go: `Upstream` from the client to the server behind the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Upstream,
    Downstream,
}

impl Direction {
    fn parse(stream: &str) -> Option<Self> {
        match stream.to_lowercase().as_str() {
            "upstream" => Some(Self::Upstream),
            "downstream" => Some(Self::Downstream),
            _ => None,
        }
    }
}

/// The toxics of a proxy, both directions.
#[derive(Clone, Debug, Default)]
pub(super) struct Toxics {
    upstream: Vec<Arc<Toxic>>,
    downstream: Vec<Arc<Toxic>>,
}

impl Toxics {
    /// Those of one direction, in order of application.
    pub(super) fn along(&self, direction: Direction) -> &[Arc<Toxic>] {
        match direction {
            Direction::Upstream => &self.upstream,
            Direction::Downstream => &self.downstream,
        }
    }

    /// All, upstream first, as the API lists them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Toxic>> {
        self.upstream.iter().chain(&self.downstream)
    }

    pub(super) fn get(&self, name: &str) -> Option<&Arc<Toxic>> {
        self.iter().find(|toxic| toxic.name == name)
    }

    pub(super) fn push(&mut self, direction: Direction, toxic: Toxic) {
        match direction {
            Direction::Upstream => self.upstream.push(Arc::new(toxic)),
            Direction::Downstream => self.downstream.push(Arc::new(toxic)),
        }
    }

    /// Puts `toxic` in the place of the one with its id.
    pub(super) fn replace(&mut self, toxic: &Arc<Toxic>) {
        for slot in self.upstream.iter_mut().chain(&mut self.downstream) {
            if slot.id == toxic.id {
                *slot = Arc::clone(toxic);
            }
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.upstream.retain(|toxic| toxic.name != name);
        self.downstream.retain(|toxic| toxic.name != name);
    }

    /// Whether a connection that starts now is to end by RST.
    pub(super) fn reset_connections(&self) -> bool {
        self.iter().any(|toxic| toxic.effect.resets())
    }
}
