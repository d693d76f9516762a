//! The stack's processes: listed, ordered about, counted.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::Serialize;

use super::Control;
use super::problem::Problem;
use crate::metrics::{PROCESS_RESTARTS, PROCESS_UP};
use crate::process::{Order, Refused, Remote, Status, Supervision};

/// In the order of their start. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Processes(Arc<Mutex<Vec<Remote>>>);

impl Processes {
    pub(super) fn add(&self, process: Remote) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(process);
    }

    fn all(&self) -> Vec<Remote> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn find(&self, name: &str) -> Result<Remote, Problem> {
        let all = self.all();
        all.iter()
            .find(|process| process.name() == name)
            .cloned()
            .ok_or_else(|| {
                let names: Vec<&str> = all.iter().map(Remote::name).collect();
                let detail = format!("there is no process {name}: there are {}", names.join(", "));
                Problem::new(StatusCode::NOT_FOUND, detail)
            })
    }

    /// Prometheus' text format.
    pub(super) fn metrics(&self) -> String {
        let views: Vec<View> = self.all().iter().map(View::of).collect();
        let up = views
            .iter()
            .map(|view| (view.name.as_str(), u64::from(view.running)));
        let restarts = views
            .iter()
            .map(|view| (view.name.as_str(), u64::from(view.restarts)));
        PROCESS_UP.render(up) + &PROCESS_RESTARTS.render(restarts)
    }
}

/// A process as the endpoint shows it.
#[derive(Debug, Serialize)]
struct View {
    name: String,
    /// The process that runs now, or ran last.
    pid: u32,
    running: bool,
    restarts: u32,
    /// Whether it is started again when it ends.
    supervised: bool,
}

impl View {
    fn of(process: &Remote) -> Self {
        Self::at(process.name(), process.status())
    }

    fn at(name: &str, status: Status) -> Self {
        Self {
            name: name.to_owned(),
            pid: status.identity.pid,
            running: status.identity.is_alive(),
            restarts: status.restarts,
            supervised: status.supervision == Supervision::Active,
        }
    }
}

pub(super) fn router() -> Router<Control> {
    Router::new()
        .route("/processes", get(list))
        .route("/processes/{name}/{order}", post(order))
}

async fn list(State(control): State<Control>) -> Json<Vec<View>> {
    Json(control.processes.all().iter().map(View::of).collect())
}

/// The process after the order was followed.
async fn order(
    State(control): State<Control>,
    Path((name, order)): Path<(String, String)>,
) -> Result<Json<View>, Problem> {
    let process = control.processes.find(&name)?;
    let order = match order.as_str() {
        "stop" => Order::Stop,
        "start" => Order::Start,
        "pause" => Order::Pause,
        "resume" => Order::Resume,
        _ => {
            let detail =
                format!("there is no order {order}: there are stop, start, pause and resume");
            return Err(Problem::new(StatusCode::NOT_FOUND, detail));
        }
    };
    let status = process.order(order).await?;
    Ok(Json(View::at(&name, status)))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let status = match refused {
            Refused::Stopped(_) => StatusCode::CONFLICT,
            Refused::Ending(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refused::NotStarted(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, refused.to_string())
    }
}
