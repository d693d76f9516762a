//! Content: whole, in parts, conditionally; and what is gone.

use reqwest::Method;

use crate::support::pictures;
use crate::support::service::{Answer, Service, send};

async fn content(service: &Service, id: &str, headers: &[(&str, &str)]) -> Answer {
    let request = service.get(&format!("/v1/images/{id}/content"));
    send(headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    }))
    .await
}

async fn with_picture() -> (Service, Vec<u8>, String) {
    let service = Service::start(&[]).await;
    let picture = pictures::png(1, 80, 60, false);
    let id = service.uploaded(picture.clone()).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    (service, picture, id)
}

#[tokio::test]
async fn what_is_not_there_is_404_and_what_is_no_id_is_400() {
    let service = Service::start(&[]).await;
    let unknown = "0192f0c1-2345-7890-abcd-ef0123456789";
    for path in ["", "/content", "/render?preset=thumb"] {
        send(service.get(&format!("/v1/images/{unknown}{path}")))
            .await
            .assert_problem(404, "not-found");
        send(service.get(&format!("/v1/images/..%2f..%2fetc{path}")))
            .await
            .assert_problem(400, "bad-parameter");
    }
    send(service.get(&format!("/v1/jobs/{unknown}")))
        .await
        .assert_problem(404, "not-found");
    send(service.get("/v1/jobs/7"))
        .await
        .assert_problem(400, "bad-parameter");
    send(service.get("/nowhere"))
        .await
        .assert_problem(404, "not-found");
    let answer = send(service.request(Method::PUT, "/v1/images")).await;
    answer.assert_problem(405, "method-not-allowed");
    let mut allowed: Vec<_> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["GET", "HEAD", "POST"]);
    service.stop().await;
}

#[tokio::test]
async fn a_range_that_does_not_exist_is_416() {
    let (service, picture, id) = with_picture().await;
    let range = format!("bytes={}-", picture.len());
    let answer = content(&service, &id, &[("range", &range)]).await;
    answer.assert_problem(416, "range-not-satisfiable");
    assert_eq!(
        answer.header("content-range"),
        format!("bytes */{}", picture.len())
    );
    service.stop().await;
}

#[tokio::test]
async fn the_original_comes_back_with_everything_a_cache_needs() {
    let (service, picture, id) = with_picture().await;
    let answer = content(&service, &id, &[]).await;
    assert_eq!((answer.status.as_u16(), &answer.body), (200, &picture));
    assert_eq!(answer.header("content-type"), "image/png");
    assert_eq!(answer.header("content-length"), picture.len().to_string());
    assert_eq!(
        answer.header("etag"),
        format!("\"{}\"", blake3::hash(&picture).to_hex())
    );
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(
        answer.header("content-disposition"),
        format!("inline; filename=\"{id}.png\"")
    );
    assert!(answer.header("cache-control").contains("immutable"));
    assert!(
        answer
            .header("content-security-policy")
            .contains("default-src 'none'")
    );
    assert_eq!(answer.header("x-trace-id").len(), 32);
    service.stop().await;
}

#[tokio::test]
async fn head_answers_as_get_but_for_the_body() {
    let (service, _, id) = with_picture().await;
    let get = content(&service, &id, &[]).await;
    let head = send(service.request(Method::HEAD, &format!("/v1/images/{id}/content"))).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    for name in [
        "content-length",
        "content-type",
        "etag",
        "cache-control",
        "accept-ranges",
        "content-disposition",
    ] {
        assert_eq!(head.header(name), get.header(name), "{name}");
    }
    service.stop().await;
}

#[tokio::test]
async fn one_range_is_206_and_a_condition_that_fails_makes_it_whole() {
    let (service, picture, id) = with_picture().await;
    let tag = format!("\"{}\"", blake3::hash(&picture).to_hex());
    let size = picture.len();
    for (range, expected) in [
        ("bytes=0-9", 0..10),
        ("bytes=-5", size - 5..size),
        ("bytes=7-", 7..size),
    ] {
        let answer = content(&service, &id, &[("range", range), ("if-range", &tag)]).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.as_slice()),
            (206, &picture[expected.clone()]),
            "{range}"
        );
        assert_eq!(
            answer.header("content-range"),
            format!("bytes {}-{}/{size}", expected.start, expected.end - 1)
        );
    }
    for headers in [
        [("range", "bytes=0-9"), ("if-range", "\"other\"")],
        [("range", "bytes=0-1,4-5"), ("if-range", &tag)],
    ] {
        let answer = content(&service, &id, &headers).await;
        assert_eq!((answer.status.as_u16(), &answer.body), (200, &picture));
    }
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_has_it_already_gets_304() {
    let (service, _, id) = with_picture().await;
    let tag = content(&service, &id, &[]).await.header("etag").to_owned();
    let answer = content(
        &service,
        &id,
        &[("if-none-match", &tag), ("range", "bytes=0-1")],
    )
    .await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (304, 0));
    assert_eq!(answer.header("etag"), tag);
    assert_eq!(
        content(&service, &id, &[("if-none-match", "\"other\"")])
            .await
            .status,
        200
    );
    service.stop().await;
}

#[tokio::test]
async fn a_deleted_picture_is_gone_at_once() {
    let (service, _, id) = with_picture().await;
    let path = format!("/v1/images/{id}");
    let answer = send(service.request(Method::DELETE, &path)).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0));
    send(service.request(Method::DELETE, &path))
        .await
        .assert_problem(404, "not-found");
    send(service.get(&path))
        .await
        .assert_problem(404, "not-found");
    content(&service, &id, &[])
        .await
        .assert_problem(404, "not-found");
    service.stop().await;
}

#[tokio::test]
async fn an_object_that_was_lost_is_500_and_not_404() {
    let (service, _, id) = with_picture().await;
    std::fs::remove_dir_all(service.folder().join("objects/blobs")).expect("removed");
    content(&service, &id, &[])
        .await
        .assert_problem(500, "internal");
    service.stop().await;
}
