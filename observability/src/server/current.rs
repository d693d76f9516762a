//! Which connection a task serves: for the accept loop itself, and for code that holds memory for an answer.

use std::sync::Arc;

use super::connection::{Hold, State, Stream};

tokio::task_local! {
    /// What the current task serves.
    pub(super) static CURRENT: Current;
}

/// The connection that a task serves, and which of its streams.
#[derive(Clone)]
pub(super) struct Current {
    pub(super) state: Arc<State>,
    pub(super) stream: Option<Arc<Stream>>,
}

/// The connection of a request, for code that holds memory for its answer.
#[derive(Clone)]
pub struct Connection(Arc<State>);

impl Connection {
    /// The one whose request the current task works on; `None` outside of a request of [`super::serve`].
    pub fn current() -> Option<Self> {
        CURRENT
            .try_with(|current| Self(Arc::clone(&current.state)))
            .ok()
    }

    /// Says that an answer of this connection holds `bytes` of memory until the guard is dropped.
    #[must_use = "nothing is held once the guard is dropped"]
    pub fn hold(&self, bytes: u64) -> Held {
        Held {
            state: Arc::clone(&self.0),
            hold: self.0.hold(bytes),
        }
    }

    /// Closes one other connection of this listener whose client does not take the answer that it holds memory for.
    /// `false` when there is none; then no client can be blamed for the want of memory.
    pub fn make_room(&self) -> bool {
        self.0.connections.evict_holder(&self.0)
    }
}

/// Memory that an answer holds. See [`Connection::hold`].
pub struct Held {
    state: Arc<State>,
    hold: Arc<Hold>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.state.let_go(&self.hold);
    }
}
