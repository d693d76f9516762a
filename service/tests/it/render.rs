//! Renders of presets, in the format that the client takes; `sizes` has those of any size.

use imaging::{InputFormat, Limits, Meter};
use service::app::Role;
use service::renders::input_format;

use crate::support::service::{Answer, Service, send};
use crate::support::{pictures, until};

async fn render(service: &Service, id: &str, query: &str, headers: &[(&str, &str)]) -> Answer {
    let request = service.get(&format!("/v1/images/{id}/render?{query}"));
    send(headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    }))
    .await
}

async fn with(picture: Vec<u8>) -> (Service, String) {
    let service = Service::start(&[]).await;
    let id = service.uploaded(picture).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    (service, id)
}

#[tokio::test]
async fn what_is_no_preset_or_no_format_is_400() {
    let (service, id) = with(pictures::png(1, 40, 40, false)).await;
    for query in [
        "preset=huge",
        "preset=thumb&format=gif",
        #[cfg(not(feature = "avif"))]
        "preset=thumb&format=avif",
    ] {
        render(&service, &id, query, &[])
            .await
            .assert_problem(400, "bad-parameter");
    }
    service.stop().await;
}

#[tokio::test]
async fn a_picture_whose_pixels_are_cut_off_is_accepted_or_refused_but_never_500() {
    let service = Service::start(&[]).await;
    let whole = pictures::jpeg(9, 256);
    let answer = service.upload(whole[..whole.len() / 2].to_vec()).await;
    assert!(
        [201, 422].contains(&answer.status.as_u16()),
        "{}",
        answer.text()
    );
    if answer.status == 201 {
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        let answer = render(&service, &id, "preset=thumb", &[]).await;
        assert!(
            [200, 422].contains(&answer.status.as_u16()),
            "{}",
            answer.text()
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn a_preset_is_fitted_in_its_square_and_never_enlarged() {
    let (service, id) = with(pictures::png(2, 600, 300, false)).await;
    for (preset, expected) in [
        ("thumb", (200, 100)),
        ("small", (480, 240)),
        ("large", (600, 300)),
    ] {
        let answer = render(&service, &id, &format!("preset={preset}&format=png"), &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("content-type"), "image/png");
        let info =
            imaging::probe(&answer.body, &Limits::default(), &Meter::default()).expect("a picture");
        assert_eq!(
            (info.displayed.width, info.displayed.height),
            expected,
            "{preset}"
        );
    }
    service.stop().await;
}

#[tokio::test]
async fn the_format_is_negotiated_and_the_answer_says_so() {
    let cases = [
        (false, "image/avif,image/webp,*/*;q=0.8", InputFormat::Webp),
        (false, "*/*", InputFormat::Jpeg),
        (true, "image/webp;q=0, */*", InputFormat::Png),
        (true, "image/webp", InputFormat::Webp),
    ];
    for (alpha, accept, expected) in cases {
        let (service, id) = with(pictures::png(3, 50, 50, alpha)).await;
        let answer = render(&service, &id, "preset=thumb", &[("accept", accept)]).await;
        assert_eq!(InputFormat::detect(&answer.body), Ok(expected), "{accept}");
        assert_eq!(
            answer.header("content-type"),
            input_format(expected).content_type()
        );
        assert_eq!(answer.header("vary"), "accept");
        let fixed = render(
            &service,
            &id,
            "preset=thumb&format=jpeg",
            &[("accept", accept)],
        )
        .await;
        assert_eq!(
            (fixed.header("content-type"), fixed.header("vary")),
            ("image/jpeg", "")
        );
        service.stop().await;
    }
}

#[cfg(feature = "avif")]
#[tokio::test]
async fn avif_is_read_and_is_written_for_who_asks_by_name() {
    let (service, id) = with(pictures::png(3, 50, 50, true)).await;
    let answer = render(&service, &id, "preset=thumb&format=avif", &[]).await;
    assert_eq!(answer.header("content-type"), "image/avif");
    assert_eq!(InputFormat::detect(&answer.body), Ok(InputFormat::Avif));
    let uploaded = service.uploaded(answer.body.clone()).await;
    assert_eq!(uploaded["format"], "avif", "{uploaded}");
    service.stop().await;
}

#[tokio::test]
async fn a_client_that_has_the_render_already_gets_304() {
    let (service, id) = with(pictures::png(4, 50, 50, false)).await;
    let tag = render(&service, &id, "preset=thumb", &[])
        .await
        .header("etag")
        .to_owned();
    let again = render(&service, &id, "preset=thumb", &[("if-none-match", &tag)]).await;
    assert_eq!(
        (
            again.status.as_u16(),
            again.body.len(),
            again.header("vary")
        ),
        (304, 0, "accept")
    );
    assert_ne!(
        render(&service, &id, "preset=small", &[])
            .await
            .header("etag"),
        tag
    );
    service.stop().await;
}

#[tokio::test]
async fn a_stored_preset_is_served_from_the_store() {
    let service = Service::start_as(Role::All, &[]).await;
    let id = service.uploaded(pictures::png(5, 300, 300, false)).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    until("the presets are stored", async || {
        let image = send(service.get(&format!("/v1/images/{id}"))).await.json();
        image["variants"]
            .as_array()
            .is_some_and(|variants| variants.len() == 3)
    })
    .await;
    let answer = render(&service, &id, "preset=thumb", &[("accept", "image/webp")]).await;
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "image/webp")
    );
    let count = "chitram_render_duration_seconds_count";
    assert_eq!(
        service
            .count(count, &[("source", "stored"), ("format", "webp")])
            .await,
        1
    );
    assert_eq!(service.count(count, &[("source", "rendered")]).await, 0);

    std::fs::remove_dir_all(service.folder().join("objects/variants")).expect("removed");
    let answer = render(&service, &id, "preset=thumb", &[("accept", "image/webp")]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(
        service
            .count(count, &[("source", "rendered"), ("format", "webp")])
            .await,
        1
    );
    service.stop().await;
}
