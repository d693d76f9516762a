//! Uploads: what is refused, what is left behind (nothing), and what is taken.

use std::path::Path;

use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::service::{Service, send};
use crate::support::store::FakeStore;
use crate::support::{pictures, until};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| {
            if entry.path().is_dir() {
                files(&entry.path())
            } else {
                vec![entry.path()]
            }
        })
        .collect()
}

async fn listed(service: &Service) -> usize {
    let list = send(service.get("/v1/images")).await.json();
    list["images"].as_array().expect("an array").len()
}

async fn assert_nothing_is_left(service: &Service) {
    assert_eq!(listed(service).await, 0);
    assert_eq!(
        files(&service.folder().join("objects")),
        Vec::<std::path::PathBuf>::new()
    );
    assert_eq!(
        files(&service.folder().join("spool")),
        Vec::<std::path::PathBuf>::new()
    );
    until("the spool is empty", async || {
        service.count("chitram_spool_bytes_in_use", &[]).await == 0
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_leaves_nothing() {
    let service = Service::start(&[]).await;
    let picture = pictures::png(1, 64, 64, false);
    for head in [
        "content-type: image/png\r\ncontent-length: 1000000".to_owned(),
        "content-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000".to_owned(),
    ] {
        let mut connection = TcpStream::connect(service.address)
            .await
            .expect("a connection");
        let head = format!("POST /v1/images HTTP/1.1\r\nhost: localhost\r\n{head}\r\n\r\n");
        connection.write_all(head.as_bytes()).await.expect("sent");
        let part = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
        connection.write_all(part).await.expect("sent");
        connection.write_all(&picture).await.expect("sent");
        until("the upload has begun", async || {
            service.count("chitram_spool_bytes_in_use", &[]).await > 0
        })
        .await;
        drop(connection);
        assert_nothing_is_left(&service).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_however_it_is_wrapped() {
    let service = Service::start(&[("CHITRAM_UPLOAD_BYTES", "100kB")]).await;
    let large = vec![7_u8; 300_000];
    service
        .upload(large.clone())
        .await
        .assert_problem(413, "too-large");

    let chunked = reqwest::Body::wrap_stream(futures::stream::iter([Ok::<_, std::io::Error>(
        large.clone(),
    )]));
    let request = service
        .request(Method::POST, "/v1/images")
        .header(CONTENT_TYPE, "image/png")
        .body(chunked);
    send(request).await.assert_problem(413, "too-large");

    let request = service.request(Method::POST, "/v1/images");
    let request = request
        .header(CONTENT_TYPE, "multipart/form-data; boundary=b")
        .body(form(&large));
    send(request).await.assert_problem(413, "too-large");

    assert_eq!(
        service
            .count("chitram_rejected_total", &[("reason", "too_large")])
            .await,
        3
    );
    assert_nothing_is_left(&service).await;
    service.stop().await;
}

fn form(file: &[u8]) -> Vec<u8> {
    let head = b"--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n"
        .as_slice();
    [head, file, b"\r\n--b--\r\n"].concat()
}

#[tokio::test]
async fn a_malformed_form_is_400() {
    let service = Service::start(&[]).await;
    let picture = pictures::png(2, 32, 32, false);
    let whole = form(&picture);
    let cases = [
        whole[..whole.len() / 2].to_vec(),
        whole[..whole.len() - 6].to_vec(),
        b"--b\r\ncontent-disposition: form-data; name=\"other\"\r\n\r\nx\r\n--b--\r\n".to_vec(),
        b"no form at all".to_vec(),
        Vec::new(),
    ];
    for body in cases {
        let request = service.request(Method::POST, "/v1/images");
        let request = request
            .header(CONTENT_TYPE, "multipart/form-data; boundary=b")
            .body(body);
        send(request).await.assert_problem(400, "bad-body");
    }
    let request = service
        .request(Method::POST, "/v1/images")
        .header(CONTENT_TYPE, "multipart/form-data")
        .body(whole);
    send(request).await.assert_problem(400, "bad-body");
    assert_nothing_is_left(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn what_is_no_picture_is_refused_and_leaves_nothing() {
    let service = Service::start(&[]).await;
    service
        .upload(b"just some words, and no picture at all, really".to_vec())
        .await
        .assert_problem(415, "unsupported-media-type");
    service
        .upload(b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"10\" height=\"10\"/>".to_vec())
        .await
        .assert_problem(415, "unsupported-media-type");
    service
        .upload(pictures::png(3, 64, 64, false)[..20].to_vec())
        .await
        .assert_problem(422, "undecodable");
    service
        .upload(pictures::png_header(20_000, 10))
        .await
        .assert_problem(422, "over-limit");
    service
        .upload(pictures::png_header(9_000, 9_000))
        .await
        .assert_problem(422, "over-limit");
    service
        .upload(Vec::new())
        .await
        .assert_problem(400, "bad-body");
    for content_type in ["text/plain", "image/svg+xml", "application/json", ""] {
        let request = service
            .request(Method::POST, "/v1/images")
            .header(CONTENT_TYPE, content_type);
        send(request.body(pictures::png(3, 8, 8, false)))
            .await
            .assert_problem(415, "unsupported-media-type");
    }
    assert_nothing_is_left(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn a_full_spool_is_507() {
    let service = Service::start(&[("CHITRAM_SPOOL_BYTES", "50kB")]).await;
    let answer = service.upload(vec![7_u8; 60_000]).await;
    answer.assert_problem(507, "spool-full");
    assert_eq!(answer.header("retry-after"), "5");
    service.uploaded(pictures::png(4, 32, 32, false)).await;
    service.stop().await;
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_408() {
    let service = Service::start(&[("CHITRAM_UPLOAD_IDLE_TIMEOUT", "100ms")]).await;
    let chunks = futures::stream::once(async { Ok::<_, std::io::Error>(vec![7_u8; 100]) });
    let body = reqwest::Body::wrap_stream(futures::StreamExt::chain(
        chunks,
        futures::stream::pending(),
    ));
    let request = service
        .request(Method::POST, "/v1/images")
        .header(CONTENT_TYPE, "image/png")
        .body(body);
    send(request).await.assert_problem(408, "body-stalled");
    assert_nothing_is_left(&service).await;
    service.stop().await;
}

#[tokio::test]
async fn a_new_picture_is_201_and_can_be_read_back() {
    let service = Service::start(&[]).await;
    let picture = pictures::png(5, 60, 40, true);
    let answer = service.upload(picture.clone()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let image = answer.json();
    assert_eq!(
        answer.header("location"),
        format!("/v1/images/{}", image["id"].as_str().expect("an id"))
    );
    assert_eq!(
        (&image["width"], &image["height"], &image["format"]),
        (&60.into(), &40.into(), &"png".into())
    );
    assert_eq!(image["hash"], blake3::hash(&picture).to_hex().as_str());
    assert_eq!(image["bytes"], picture.len());
    assert_eq!(image["color"].as_str().map(str::len), Some(7));
    assert_eq!(image["variants"], serde_json::json!([]));

    let metadata = send(service.get(answer.header("location"))).await;
    assert_eq!(metadata.json(), image);
    let job = answer
        .header("link")
        .trim_start_matches('<')
        .split('>')
        .next()
        .expect("a link")
        .to_owned();
    let job = send(service.get(&job)).await.json();
    assert_eq!(
        (&job["kind"], &job["state"]),
        (&"render_presets".into(), &"queued".into())
    );
    assert_eq!(
        service.count("chitram_uploads_accepted_total", &[]).await,
        1
    );
    service.stop().await;
}

#[tokio::test]
async fn a_second_upload_of_the_same_bytes_answers_200_and_stores_nothing() {
    let store = FakeStore::start().await;
    let service = store.service(&[]).await;
    let picture = pictures::jpeg(6, 64);
    let first = service.uploaded(picture.clone()).await;
    assert_eq!(store.keys().len(), 1);

    let request = service.request(Method::POST, "/v1/images");
    let request = request
        .header(CONTENT_TYPE, "multipart/form-data; boundary=b")
        .body(form(&picture));
    let second = send(request).await;
    assert_eq!(second.status, 200);
    assert_eq!(second.json(), first);
    assert_eq!(store.keys().len(), 1);
    assert_eq!(
        service.count("chitram_uploads_accepted_total", &[]).await,
        1
    );
    service.stop().await;
}
