//! The webhook that Alertmanager notifies: what fired and what cleared, with the time of each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde::Deserialize;
use tokio::task::JoinHandle;

use super::clock;
use crate::exit::Refusal;

/// Largest notification that is taken, in bytes.
const MAX_BYTES: usize = 4 << 20;
/// Alerts (sets of labels) that are kept, and changes of each.
const MAX_ALERTS: usize = 5_000;
const MAX_CHANGES: usize = 1_000;

/// What is returned while notifications are refused. Alertmanager counts a 4xx as failed at once; it tries a 5xx again, for longer
/// than a scaled window.
const REFUSED: StatusCode = StatusCode::FORBIDDEN;

/// Labels of an alert, its name among them.
pub(crate) type Labels = BTreeMap<String, String>;

/// What was heard of one alert.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// When it began to fire (`true`) and cleared (`false`), Unix seconds.
    pub(crate) changes: Vec<(f64, bool)>,
    /// The last notification that it fires, Unix seconds.
    pub(crate) last_firing: f64,
    /// The longest time between two notifications that it fires, in seconds.
    pub(crate) longest_gap: f64,
    /// Who was notified first.
    pub(crate) receiver: String,
}

impl Heard {
    /// Whether it fires, as far as was heard.
    pub(crate) fn fires(&self) -> bool {
        self.changes.last().is_some_and(|(_, firing)| *firing)
    }

    /// When it first fired at or after a moment.
    pub(crate) fn fired_since(&self, moment: f64) -> Option<f64> {
        let mut changes = self.changes.iter();
        changes
            .find(|(at, firing)| *firing && *at >= moment)
            .map(|(at, _)| *at)
    }

    /// Whether it fired at any moment between two.
    pub(crate) fn fired_in(&self, from: f64, to: f64) -> bool {
        let mut fires = false;
        for (at, firing) in self.changes.iter().filter(|(at, _)| *at < to) {
            // As it was when the time began.
            fires = if *at < from {
                *firing
            } else {
                fires || *firing
            };
        }
        fires
    }

    /// When it last cleared.
    pub(crate) fn cleared(&self) -> Option<f64> {
        self.changes
            .last()
            .filter(|(_, firing)| !firing)
            .map(|(at, _)| *at)
    }
}

#[derive(Debug, Default)]
struct Inbox {
    alerts: BTreeMap<Labels, Heard>,
    refused: Refused,
    /// Notifications, alerts or changes that were not kept or not understood.
    lost: u64,
}

/// Whose notifications are refused.
#[derive(Debug, Default, PartialEq)]
enum Refused {
    #[default]
    Nobody,
    All,
    Receiver(String),
}

#[derive(Deserialize)]
struct Whom {
    receiver: Option<String>,
}

type Shared = Arc<Mutex<Inbox>>;

/// The server. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Webhook {
    /// Its base URL, without a slash at the end.
    pub(crate) url: String,
    inbox: Shared,
    server: JoinHandle<()>,
}

impl Drop for Webhook {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Deserialize)]
struct Notification {
    receiver: String,
    alerts: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    status: String,
    labels: Labels,
}

impl Webhook {
    /// Listens on a free port of loopback.
    pub(crate) async fn start() -> Result<Self, Refusal> {
        let failed =
            |error: std::io::Error| Refusal::internal(format!("the webhook can't listen: {error}"));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let inbox = Shared::default();
        let routes = Router::new()
            .route("/", post(receive))
            .route("/refuse", post(refuse))
            .route("/accept", post(accept))
            .layer(DefaultBodyLimit::max(MAX_BYTES))
            .with_state(Arc::clone(&inbox));
        let server = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            url: format!("http://{address}"),
            inbox,
            server,
        })
    }

    /// What was heard of each alert.
    pub(crate) fn heard(&self) -> BTreeMap<Labels, Heard> {
        lock(&self.inbox).alerts.clone()
    }

    /// How much was not kept or not understood.
    pub(crate) fn lost(&self) -> u64 {
        lock(&self.inbox).lost
    }
}

fn lock(inbox: &Shared) -> MutexGuard<'_, Inbox> {
    inbox.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn refuse(State(inbox): State<Shared>, Query(whom): Query<Whom>) -> StatusCode {
    lock(&inbox).refused = whom.receiver.map_or(Refused::All, Refused::Receiver);
    StatusCode::NO_CONTENT
}

async fn accept(State(inbox): State<Shared>) -> StatusCode {
    lock(&inbox).refused = Refused::Nobody;
    StatusCode::NO_CONTENT
}

async fn receive(State(inbox): State<Shared>, body: axum::body::Bytes) -> StatusCode {
    let mut inbox = lock(&inbox);
    if inbox.refused == Refused::All {
        return REFUSED;
    }
    let Ok(notification) = serde_json::from_slice::<Notification>(&body) else {
        inbox.lost += 1;
        return StatusCode::BAD_REQUEST;
    };
    if inbox.refused == Refused::Receiver(notification.receiver.clone()) {
        return REFUSED;
    }
    inbox.take(notification, clock::now());
    StatusCode::NO_CONTENT
}

impl Inbox {
    fn take(&mut self, notification: Notification, now: f64) {
        for alert in notification.alerts {
            if self.alerts.len() >= MAX_ALERTS && !self.alerts.contains_key(&alert.labels) {
                self.lost += 1;
                continue;
            }
            let firing = match alert.status.as_str() {
                "firing" => true,
                "resolved" => false,
                _ => {
                    self.lost += 1;
                    continue;
                }
            };
            let heard = self.alerts.entry(alert.labels).or_default();
            if heard.receiver.is_empty() {
                heard.receiver.clone_from(&notification.receiver);
            }
            if firing {
                if heard.last_firing > 0.0 {
                    heard.longest_gap = heard.longest_gap.max(now - heard.last_firing);
                }
                heard.last_firing = now;
            }
            // The first that is heard of an alert may be that it cleared: it fired while it was inhibited.
            let changes = heard.fires() != firing && (firing || !heard.changes.is_empty());
            if changes && heard.changes.len() >= MAX_CHANGES {
                self.lost += 1;
            } else if changes {
                heard.changes.push((now, firing));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notification(status: &str) -> Notification {
        let text = format!(
            r#"{{"receiver": "pages", "groupKey": "x", "alerts": [{{"status": "{status}", "labels": {{"alertname": "A"}}}}]}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn repeated_notifications_are_one_change() {
        let mut inbox = Inbox::default();
        for (at, status) in [
            (1.0, "resolved"),
            (2.0, "firing"),
            (3.0, "firing"),
            (7.0, "firing"),
            (8.0, "resolved"),
            (9.0, "resolved"),
            (10.0, "firing"),
        ] {
            inbox.take(notification(status), at);
        }
        let heard = inbox.alerts.values().next().unwrap();
        assert_eq!(heard.changes, [(2.0, true), (8.0, false), (10.0, true)]);
        assert_eq!(
            (heard.fired_since(3.0), heard.cleared()),
            (Some(10.0), None)
        );
        assert!(heard.fired_in(2.5, 3.0) && heard.fired_in(7.5, 9.0) && heard.fired_in(9.0, 11.0));
        assert!(!heard.fired_in(0.0, 2.0) && !heard.fired_in(8.5, 9.5));
        assert!((heard.longest_gap - 4.0).abs() < 1e-9);
        assert_eq!((heard.receiver.as_str(), inbox.lost), ("pages", 0));
    }

    #[tokio::test]
    async fn it_refuses_while_it_is_told_to_and_counts_what_it_does_not_understand() {
        let webhook = Webhook::start().await.unwrap();
        let client = reqwest::Client::new();
        let post = async |path: &str, body: &'static str| {
            let url = format!("{}{path}", webhook.url);
            client
                .post(url)
                .body(body)
                .send()
                .await
                .unwrap()
                .status()
                .as_u16()
        };
        assert_eq!(post("/refuse", "").await, 204);
        assert_eq!(post("/", "{}").await, 403);
        assert_eq!(post("/refuse?receiver=a", "").await, 204);
        assert_eq!(post("/", r#"{"receiver": "a", "alerts": []}"#).await, 403);
        assert_eq!(post("/", r#"{"receiver": "b", "alerts": []}"#).await, 204);
        assert_eq!(post("/accept", "").await, 204);
        assert_eq!(post("/", "{}").await, 400);
        assert_eq!(post("/", r#"{"receiver": "a", "alerts": []}"#).await, 204);
        assert_eq!(webhook.lost(), 1);
    }
}
