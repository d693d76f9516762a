//! The webhook that Alertmanager calls: keeps what it was told, with the time of its arrival.

use std::collections::VecDeque;
use std::sync::PoisonError;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};
use serde::Serialize;
use serde_json::Value;

use super::problem::Problem;
use super::{ALERTS, Control};

/// The largest notification that is taken, in bytes.
pub(super) const LARGEST: usize = 1 << 20;
/// How many notifications are kept: the last ones.
const KEPT: usize = 1_000;
/// How many bytes of them are kept, as they came.
const KEPT_BYTES: usize = 16 << 20;

/// The notifications that are kept, oldest first.
#[derive(Debug, Default, Serialize)]
pub(super) struct Inbox {
    /// All that came since the stack started, so that it shows how many are not kept any more.
    received: u64,
    notifications: VecDeque<Notification>,
    #[serde(skip)]
    bytes: usize,
}

#[derive(Debug, Serialize)]
struct Notification {
    /// Seconds since 1970.
    arrived_at: f64,
    /// What Alertmanager sent.
    payload: Value,
    #[serde(skip)]
    bytes: usize,
}

impl Inbox {
    fn push(&mut self, notification: Notification) {
        self.received += 1;
        self.bytes += notification.bytes;
        self.notifications.push_back(notification);
        while self.notifications.len() > KEPT || self.bytes > KEPT_BYTES {
            let Some(oldest) = self.notifications.pop_front() else {
                return;
            };
            self.bytes -= oldest.bytes;
        }
    }
}

pub(super) fn router() -> Router<Control> {
    Router::new().route(ALERTS, get(list).post(receive))
}

async fn list(State(control): State<Control>) -> Result<impl IntoResponse, Problem> {
    let inbox = control.inbox.lock().unwrap_or_else(PoisonError::into_inner);
    let text = serde_json::to_string(&*inbox)
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text))
}

async fn receive(
    State(control): State<Control>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Problem> {
    let body = body.map_err(|error| Problem::new(error.status(), error.body_text()))?;
    let payload = serde_json::from_slice(&body).map_err(|error| {
        let detail = format!("the notification is not JSON: {error}");
        Problem::new(StatusCode::BAD_REQUEST, detail)
    })?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let notification = Notification {
        // Before 1970 there was no Alertmanager.
        arrived_at: now.unwrap_or_default().as_secs_f64(),
        payload,
        bytes: body.len(),
    };
    let mut inbox = control.inbox.lock().unwrap_or_else(PoisonError::into_inner);
    inbox.push(notification);
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(bytes: usize) -> Notification {
        Notification {
            arrived_at: 1.5,
            payload: serde_json::json!({"status": "firing"}),
            bytes,
        }
    }

    #[test]
    fn the_last_thousand_are_kept_and_all_are_counted() {
        let mut inbox = Inbox::default();
        for number in 0..=KEPT {
            let mut notification = notification(10);
            notification.arrived_at = number as f64;
            inbox.push(notification);
        }
        assert_eq!((inbox.received, inbox.notifications.len()), (1_001, KEPT));
        assert!((inbox.notifications[0].arrived_at - 1.0).abs() < f64::EPSILON);
        assert_eq!(inbox.bytes, 10 * KEPT);
    }

    #[test]
    fn large_ones_push_out_more_than_one() {
        let mut inbox = Inbox::default();
        for _ in 0..=KEPT_BYTES / LARGEST {
            inbox.push(notification(LARGEST));
        }
        assert_eq!(inbox.bytes, KEPT_BYTES);
        assert_eq!(inbox.received, inbox.notifications.len() as u64 + 1);
    }

    #[test]
    fn it_is_shown_with_times_and_payloads_alone() {
        let mut inbox = Inbox::default();
        inbox.push(notification(1));
        let expected =
            r#"{"received":1,"notifications":[{"arrived_at":1.5,"payload":{"status":"firing"}}]}"#;
        assert_eq!(serde_json::to_string(&inbox).unwrap(), expected);
    }
}
