//! Image work whose result nobody waits for: it ends, and what it held is free.

use crate::support::service::{Service, send};
use crate::support::{pictures, until};

/// A render that takes seconds.
const SLOW: &str = "w=7000&h=7000&fit=fill&format=webp";

async fn cancelled(service: &Service) -> u64 {
    let labels = [("work", "render"), ("outcome", "cancelled")];
    service.count("chitram_image_work_total", &labels).await
}

async fn until_free(service: &Service) {
    until("the pool is free", async || {
        service.count("chitram_cpu_permits_in_use", &[]).await == 0
            && service.count("chitram_decoded_bytes_in_use", &[]).await == 0
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_its_render() {
    let service = Service::start(&[("CHITRAM_CPU_THREADS", "1")]).await;
    let image = service.uploaded(pictures::jpeg(1, 1_500)).await;
    let id = image["id"].as_str().expect("an id");
    let request = service.get(&format!("/v1/images/{id}/render?{SLOW}"));
    let client = tokio::spawn(async { request.send().await.map(drop) });
    until("the render has begun", async || {
        service.count("chitram_cpu_permits_in_use", &[]).await == 1
    })
    .await;
    client.abort();
    until_free(&service).await;
    assert_eq!(cancelled(&service).await, 1);
    let next = send(service.get(&format!("/v1/images/{id}/render?preset=thumb"))).await;
    assert_eq!(next.status, 200, "{}", next.text());
    service.stop().await;
}

#[tokio::test]
async fn the_deadline_of_a_request_ends_its_render() {
    let settings = [
        ("CHITRAM_CPU_THREADS", "1"),
        ("CHITRAM_REQUEST_DEADLINE", "2s"),
        ("CHITRAM_ANSWER_BYTES", "1GiB"),
    ];
    let service = Service::start(&settings).await;
    let image = service.uploaded(pictures::jpeg(1, 1_500)).await;
    let id = image["id"].as_str().expect("an id");
    let path = format!("/v1/images/{id}/render?{SLOW}");
    // However fast the machine is, the one thread is at one of them when their time is over; if it is so slow that it has
    // not begun by then, the next ones may be luckier.
    until("a render was ended", async || {
        let requests = (0..8).map(|_| send(service.get(&path)));
        for answer in futures::future::join_all(requests).await {
            if ![200, 503].contains(&answer.status.as_u16()) {
                answer.assert_problem(504, "deadline-exceeded");
            }
        }
        cancelled(&service).await > 0
    })
    .await;
    until_free(&service).await;
    service.stop().await;
}
