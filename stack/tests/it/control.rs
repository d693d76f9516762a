//! The control endpoint of a running stack: what it lists, which orders it follows, what it refuses.

use http::StatusCode;
use rustix::process::Signal;
use serde_json::{Value, json};
use stack::{net, wait};

use crate::run::DEADLINE;
use crate::up::{Up, eventually_ok, get};

/// A stand-alone platform and its control endpoint.
struct Control {
    up: Up,
    url: String,
}

impl Control {
    async fn start() -> Self {
        let up = Up::embedded().await;
        let url = up.state().endpoints.control.unwrap();
        Self { up, url }
    }

    async fn post(&self, path: &str) -> (StatusCode, Value) {
        post(&format!("{}{path}", self.url), "").await
    }

    /// What the list says of the service.
    async fn service(&self) -> Value {
        let (_, text) = get(&format!("{}/processes", self.url)).await.unwrap();
        let processes: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert_eq!(processes.len(), 1, "{text}");
        processes[0].clone()
    }

    async fn metric(&self, name: &str) -> String {
        let (_, text) = get(&format!("{}/metrics", self.url)).await.unwrap();
        let start = format!("{name}{{process=\"service\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&start));
        value
            .unwrap_or_else(|| panic!("no {name} in\n{text}"))
            .to_owned()
    }

    async fn api_is_there(&self) {
        eventually_ok(&format!(
            "{}/v1/images",
            self.up.state().endpoints.api_direct.unwrap()
        ))
        .await;
    }

    async fn killed_service_is_gone(&self) {
        let gone = async || (self.service().await["running"] == false).then_some(());
        assert!(wait::until(DEADLINE, gone).await.is_some());
    }
}

async fn post(url: &str, body: &'static str) -> (StatusCode, Value) {
    let answer = net::http()
        .unwrap()
        .post(url)
        .timeout(DEADLINE)
        .body(body)
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

#[tokio::test]
async fn a_stopped_process_stays_stopped_until_it_is_started_on_its_port() {
    let control = Control::start().await;
    let before = control.service().await;
    assert_eq!(
        before,
        json!({"name": "service", "pid": before["pid"], "running": true, "restarts": 0, "supervised": true})
    );
    assert_eq!(control.metric("chitram_stack_process_up").await, "1");

    let (status, stopped) = control.post("/processes/service/stop").await;
    assert_eq!(
        (status, &stopped["running"]),
        (StatusCode::OK, &json!(false))
    );
    assert_eq!(stopped["supervised"], false);
    assert_eq!(control.metric("chitram_stack_process_up").await, "0");
    // Stopped twice is stopped.
    assert_eq!(
        control.post("/processes/service/stop").await.0,
        StatusCode::OK
    );

    let (status, started) = control.post("/processes/service/start").await;
    assert_eq!(
        (status, &started["running"]),
        (StatusCode::OK, &json!(true))
    );
    assert_ne!(started["pid"], before["pid"]);
    assert_eq!(started["restarts"], 0, "a start is no restart");
    assert_eq!(json!(control.up.process("service").pid), started["pid"]);
    control.api_is_there().await;
    // Started twice is started.
    assert_eq!(control.post("/processes/service/start").await.1, started);
    control.up.stop(Signal::INT).await;
}

#[tokio::test]
async fn a_process_whose_supervision_is_paused_stays_dead_and_is_restarted_when_it_is_resumed() {
    let control = Control::start().await;
    let (status, paused) = control.post("/processes/service/pause").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        (&paused["running"], &paused["supervised"]),
        (&json!(true), &json!(false))
    );
    control.up.kill("service");
    control.killed_service_is_gone().await;
    let said = async || {
        let said = control.up.run.stderr();
        said.contains("its supervision is paused").then_some(())
    };
    assert!(wait::until(DEADLINE, said).await.is_some());

    assert_eq!(
        control.post("/processes/service/resume").await.1["supervised"],
        true
    );
    let restarted = async || (control.service().await["restarts"] == 1).then_some(());
    assert!(wait::until(DEADLINE, restarted).await.is_some());
    assert_eq!(
        control.metric("chitram_stack_process_restarts_total").await,
        "1"
    );
    control.api_is_there().await;
    control.up.stop(Signal::INT).await;
}

#[tokio::test]
async fn what_cannot_be_followed_is_refused_in_a_sentence() {
    let control = Control::start().await;
    let (status, problem) = control.post("/processes/ghost/stop").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        problem["detail"],
        "there is no process ghost: there are service"
    );
    let (status, problem) = control.post("/processes/service/kill").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(
        problem["detail"],
        "there is no order kill: there are stop, start, pause and resume"
    );
    control.post("/processes/service/stop").await;
    for order in ["pause", "resume"] {
        let (status, problem) = control.post(&format!("/processes/service/{order}")).await;
        assert_eq!(status, StatusCode::CONFLICT);
        let detail = "service was stopped, so there is nothing to supervise: start it first";
        assert_eq!(problem["detail"], detail);
    }
    let get = get(&format!("{}/nothing", control.url)).await.unwrap();
    assert_eq!(get.0, 404);
    let (status, problem) = control.post("/metrics").await;
    assert_eq!(
        (status, &problem["status"]),
        (StatusCode::METHOD_NOT_ALLOWED, &json!(405))
    );
    // A stopped service does not hold up the end.
    control.up.stop(Signal::TERM).await;
}

#[tokio::test]
async fn other_hosts_and_other_sites_are_refused() {
    let control = Control::start().await;
    let send = async |name: &'static str, value: &'static str| {
        let url = format!("{}/processes/service/stop", control.url);
        let request = net::http().unwrap().post(url).header(name, value);
        request.send().await.unwrap().status()
    };
    assert_eq!(
        send("host", "example.com").await,
        StatusCode::MISDIRECTED_REQUEST
    );
    assert_eq!(
        send("origin", "http://example.com").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        send("sec-fetch-site", "cross-site").await,
        StatusCode::FORBIDDEN
    );
    assert_eq!(control.service().await["running"], true);
    control.up.stop(Signal::INT).await;
}

#[tokio::test]
async fn notifications_are_kept_with_the_time_of_their_arrival() {
    let control = Control::start().await;
    let url = format!("{}/alerts", control.url);
    assert_eq!(
        post(&url, r#"{"status": "firing"}"#).await.0,
        StatusCode::NO_CONTENT
    );
    let (_, inbox) = get(&url).await.unwrap();
    let inbox: Value = serde_json::from_str(&inbox).unwrap();
    assert_eq!(inbox["received"], 1);
    assert_eq!(
        inbox["notifications"][0]["payload"],
        json!({"status": "firing"})
    );
    assert!(inbox["notifications"][0]["arrived_at"].as_f64().unwrap() > 1.6e9);

    let (status, problem) = post(&url, "firing").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .starts_with("the notification is not JSON: ")
    );
    let large = " ".repeat((1 << 20) + 1).leak();
    assert_eq!(post(&url, large).await.0, StatusCode::PAYLOAD_TOO_LARGE);
    control.up.stop(Signal::INT).await;
}
