//! Renders of any size: what is asked for is made, now and for this answer only; what can't be is refused by name.

use imaging::{InputFormat, Limits, Meter, probe};
use reqwest::Method;
use service::renders::input_format;

use crate::presets::files_below;
use crate::support::pictures;
use crate::support::service::{Answer, Service, send};

const STAGE_COUNT: &str = "chitram_image_stage_duration_seconds_count";

/// A service with one picture, and the path of its renders.
async fn with(picture: Vec<u8>) -> (Service, String) {
    let service = Service::start(&[]).await;
    let image = service.uploaded(picture).await;
    let path = format!(
        "/v1/images/{}/render?",
        image["id"].as_str().expect("an id")
    );
    (service, path)
}

fn size(answer: &Answer) -> (u32, u32) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let info = probe(&answer.body, &Limits::default(), &Meter::default()).expect("a picture");
    (info.displayed.width, info.displayed.height)
}

#[tokio::test]
async fn a_parameter_that_cannot_be_used_is_400_and_named() {
    let (service, path) = with(pictures::png(1, 40, 40, false)).await;
    for (query, parameter) in [
        ("", "preset"),
        ("format=png", "preset"),
        ("fit=cover&gravity=north&q=80&dpr=2", "preset"),
        ("w=0", "w"),
        ("w=16385", "w"),
        ("w=4294967297", "w"),
        ("w=-1", "w"),
        ("w=", "w"),
        ("h=1.5", "h"),
        ("w=10&fit=crop", "fit"),
        ("w=10&fit=Cover", "fit"),
        ("w=10&gravity=top", "gravity"),
        ("w=10&q=0", "q"),
        ("w=10&q=101", "q"),
        ("w=10&q=high", "q"),
        ("w=10&dpr=0.9", "dpr"),
        ("w=10&dpr=4.1", "dpr"),
        ("w=10&dpr=NaN", "dpr"),
        ("w=10&format=gif", "format"),
        ("w=10&format=bmp", "format"),
        ("preset=thumb&w=10", "w"),
        ("preset=thumb&h=10", "h"),
        ("preset=thumb&fit=cover", "fit"),
        ("preset=thumb&q=50", "q"),
        ("preset=thumb&dpr=2", "dpr"),
        ("preset=thumb&gravity=north", "gravity"),
        ("preset=huge", "preset"),
    ] {
        let answer = send(service.get(&format!("{path}{query}"))).await;
        answer.assert_problem(400, "bad-parameter");
        let problem = answer.json();
        let errors = problem["errors"].as_array().expect("errors");
        assert_eq!(errors.len(), 1, "{query}: {problem}");
        assert_eq!(errors[0]["parameter"], parameter, "{query}");
        assert_eq!(errors[0]["detail"], problem["detail"], "{query}");
    }
    for (query, word) in [
        ("w=10&width=20", "width"),
        ("w=10&w=20", "w"),
        ("w=10&format=avif", "this build can't write AVIF"),
        ("w=0&q=0", "w must be a number from 1 to 16384; q must be"),
    ] {
        let answer = send(service.get(&format!("{path}{query}"))).await;
        answer.assert_problem(400, "bad-parameter");
        assert!(answer.text().contains(word), "{}", answer.text());
    }
    service.stop().await;
}

#[tokio::test]
async fn a_result_over_a_limit_is_the_requests_fault_and_not_the_pictures() {
    let (service, path) = with(pictures::png(1, 2, 400, false)).await;
    for (query, what) in [
        ("w=8000&h=8000&fit=fill", "the number of pixels asked for"),
        ("w=16384&h=1&fit=cover&dpr=1.1", "the width asked for"),
        ("w=100&fit=contain", "the height asked for"),
        ("w=16384&h=1&fit=fill&format=webp", "the width asked for"),
    ] {
        let answer = send(service.get(&format!("{path}{query}"))).await;
        answer.assert_problem(400, "bad-parameter");
        assert!(answer.text().contains(what), "{}", answer.text());
    }
    service.stop().await;
}

#[tokio::test]
async fn every_fit_has_the_size_that_it_promises() {
    let (service, path) = with(pictures::png(2, 600, 300, false)).await;
    for (query, expected) in [
        ("w=120&h=120", (120, 60)),
        ("w=120&h=120&fit=inside", (120, 60)),
        ("w=120&h=120&fit=inside&dpr=2", (240, 120)),
        ("w=2000&h=2000", (600, 300)),
        ("w=500&dpr=4", (600, 300)),
        ("w=120&h=120&fit=contain", (120, 120)),
        ("w=120&h=120&fit=cover", (120, 120)),
        ("w=120&h=120&fit=cover&gravity=east&dpr=1.5", (180, 180)),
        ("w=700&h=120&fit=cover", (700, 120)),
        ("w=33&h=44&fit=fill&dpr=3", (99, 132)),
        ("w=150", (150, 75)),
        ("h=150", (300, 150)),
        ("w=150&dpr=2", (300, 150)),
        ("w=900&fit=cover", (900, 450)),
        ("h=33&fit=contain&dpr=1.5", (100, 50)),
    ] {
        for (format, expected_format) in [
            ("jpeg", InputFormat::Jpeg),
            ("png", InputFormat::Png),
            ("webp", InputFormat::Webp),
        ] {
            let query = format!("{query}&format={format}&q=70");
            let answer = send(service.get(&format!("{path}{query}"))).await;
            assert_eq!(size(&answer), expected, "{query}");
            assert_eq!(
                answer.header("content-type"),
                input_format(expected_format).content_type()
            );
            assert_eq!(InputFormat::detect(&answer.body), Ok(expected_format));
        }
    }
    service.stop().await;
}

/// How red the top left pixel is.
fn red(png: &[u8]) -> u8 {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("small")];
    reader.next_frame(&mut pixels).expect("pixels");
    pixels[0]
}

#[tokio::test]
async fn gravity_says_which_part_is_kept_and_quality_how_well() {
    // Red from left to right.
    let (service, path) = with(pictures::png(3, 400, 100, false)).await;
    let mut reds = Vec::new();
    for gravity in ["west", "center", "east"] {
        let query = format!("{path}w=50&h=50&fit=cover&format=png&gravity={gravity}");
        reds.push(red(&send(service.get(&query)).await.body));
    }
    assert!(
        reds[0] < 10 && (80..110).contains(&reds[1]) && reds[2] > 180,
        "{reds:?}"
    );
    let mut lengths = Vec::new();
    for quality in [10, 50, 95] {
        let query = format!("{path}w=300&format=jpeg&q={quality}");
        lengths.push(send(service.get(&query)).await.body.len());
    }
    assert!(lengths.is_sorted_by(|a, b| a < b), "{lengths:?}");
    service.stop().await;
}

#[tokio::test]
async fn its_tag_covers_every_parameter_and_a_client_that_has_it_gets_304() {
    let (service, path) = with(pictures::png(4, 60, 50, false)).await;
    let queries = [
        "preset=thumb",
        "w=20",
        "h=20",
        "w=20&h=20",
        "w=20&h=20&fit=cover",
        "w=20&h=20&fit=cover&gravity=north",
        "w=20&q=81",
        "w=20&dpr=2",
        "w=20&format=png",
    ];
    let mut tags = Vec::new();
    for query in queries {
        let answer = send(service.get(&format!("{path}{query}"))).await;
        assert_eq!(answer.status, 200, "{query}");
        let tag = answer.header("etag").to_owned();
        let again = service.get(&format!("{path}{query}"));
        let again = send(again.header("if-none-match", &tag)).await;
        assert_eq!((again.status.as_u16(), again.body.len()), (304, 0));
        assert_eq!(again.header("vary"), answer.header("vary"));
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), queries.len(), "{tags:?}");

    let same = send(service.get(&format!("{path}dpr=1.0&w=020&q=80&gravity=center"))).await;
    let plain = send(service.get(&format!("{path}w=20"))).await;
    assert_eq!(same.header("etag"), plain.header("etag"), "the same render");
    service.stop().await;
}

#[tokio::test]
async fn its_format_is_negotiated_unless_it_is_named() {
    let (service, path) = with(pictures::png(5, 60, 50, true)).await;
    for (query, accept, content_type, vary) in [
        ("w=20", "image/webp", "image/webp", "accept"),
        ("w=20&format=auto", "*/*", "image/png", "accept"),
        ("w=20&format=jpeg", "image/webp", "image/jpeg", ""),
    ] {
        let request = service.get(&format!("{path}{query}"));
        let answer = send(request.header("accept", accept)).await;
        assert_eq!(answer.header("content-type"), content_type, "{query}");
        assert_eq!(answer.header("vary"), vary, "{query}");
    }
    let head = send(service.request(Method::HEAD, &format!("{path}w=20&format=jpeg"))).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    service.stop().await;
}

#[tokio::test]
async fn it_is_made_now_by_the_pool_and_not_stored() {
    let (service, path) = with(pictures::png(6, 300, 200, false)).await;
    let count = async |name: &str, labels: &[(&str, &str)]| service.count(name, labels).await;
    let waits = count(STAGE_COUNT, &[("stage", "wait")]).await;
    for made in 1..=2 {
        let answer = send(service.get(&format!("{path}w=97&h=83&fit=fill&format=webp"))).await;
        assert_eq!(size(&answer), (97, 83));
        let labels = [("source", "rendered"), ("format", "webp")];
        assert_eq!(
            count("chitram_render_duration_seconds_count", &labels).await,
            made
        );
        for stage in ["fetch", "decode", "transform", "encode"] {
            let labels = [("stage", stage), ("format", "webp")];
            assert_eq!(count(STAGE_COUNT, &labels).await, made, "{stage}");
        }
        assert_eq!(count(STAGE_COUNT, &[("stage", "wait")]).await, waits + made);
    }
    assert_eq!(
        files_below(&service.folder().join("objects")),
        1,
        "the original"
    );
    service.stop().await;
}
