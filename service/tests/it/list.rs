//! The list: pages, their order, and parameters that can't be used.

use crate::support::pictures;
use crate::support::service::{Service, send};

#[tokio::test]
async fn parameters_that_cannot_be_used_are_400() {
    let service = Service::start(&[]).await;
    for query in [
        "limit=0",
        "limit=101",
        "limit=-1",
        "limit=many",
        "cursor=x",
        "cursor=",
        "cursor=%00",
        "tag=cat",
    ] {
        let answer = send(service.get(&format!("/v1/images?{query}"))).await;
        answer.assert_problem(400, "bad-parameter");
    }
    service.stop().await;
}

#[tokio::test]
async fn pages_go_through_all_pictures_newest_first_and_none_twice() {
    let service = Service::start(&[]).await;
    let mut uploaded = Vec::new();
    for seed in 0..5 {
        uploaded.push(service.uploaded(pictures::png(seed, 16, 16, false)).await["id"].clone());
    }
    uploaded.reverse();

    let (mut seen, mut path) = (Vec::new(), "/v1/images?limit=2".to_owned());
    loop {
        let page = send(service.get(&path)).await.json();
        seen.extend(
            page["images"]
                .as_array()
                .expect("an array")
                .iter()
                .map(|image| image["id"].clone()),
        );
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/v1/images?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, uploaded);
    service.stop().await;
}
