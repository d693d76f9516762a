//! Hostile and odd pictures: what the image pipeline says of each file of its corpus is what a client is told.

use std::path::{Path, PathBuf};

use service::app::Role;

use crate::support::PATIENCE;
use crate::support::service::{Service, send};

struct Case {
    file: PathBuf,
    outcome: String,
    /// Words that the problem's detail contains.
    says: String,
}

/// The corpus of `imaging`: its table says what becomes of each file.
fn corpus() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../imaging/tests/corpus");
    let table = std::fs::read_to_string(folder.join("expected.txt")).expect("the table");
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let cases = lines.filter_map(|line| {
        let (file, rest) = line.split_once(char::is_whitespace)?;
        let rest = rest.trim();
        let (outcome, says) = if file.starts_with("avif/") && !cfg!(feature = "avif") {
            ("unsupported", "AVIF, which this build does not read")
        } else {
            rest.split_once(char::is_whitespace).unwrap_or((rest, ""))
        };
        Some(Case {
            file: folder.join(file),
            outcome: outcome.trim_end_matches('@').to_owned(),
            says: says.trim().to_owned(),
        })
    });
    cases.collect()
}

#[tokio::test]
async fn every_hostile_picture_is_a_problem_that_says_what_is_wrong_and_every_odd_one_is_shown() {
    // Without a worker: what is shown is made when it is asked for.
    let service = Service::start_as(Role::Api, &[]).await;
    let cases = corpus();
    assert!(cases.len() > 150, "{} files", cases.len());
    for case in cases {
        let name = case.file.display().to_string();
        let answer = service
            .upload(std::fs::read(&case.file).expect("a file of the corpus"))
            .await;
        // 400 megapixels in all frames, 66 kB around an AVIF: over the limits that the table was made with, and within the
        // service's.
        let is_within_ours = name.contains("frames-100-of-2000-by-2000")
            || (cfg!(feature = "avif") && name.contains("meta-of-66-kilobytes"));
        let (status, kind) = match case.outcome.as_str() {
            outcome if is_within_ours || matches!(outcome, "ok" | "truncated") => {
                let text = answer.text();
                assert!(
                    [200, 201].contains(&answer.status.as_u16()),
                    "{name}: {text}"
                );
                let id = answer.json()["id"].as_str().expect("an id").to_owned();
                let path = format!("/v1/images/{id}/render?preset=thumb&format=jpeg");
                let render = send(service.get(&path)).await;
                assert_eq!(render.status, 200, "{name}: {}", render.text());
                continue;
            }
            "unsupported" => (415, "unsupported-media-type"),
            "undecodable" => (422, "undecodable"),
            "over-limit" => (422, "over-limit"),
            other => panic!("{name}: {other} is no outcome"),
        };
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        answer.assert_problem(status, kind);
        let problem = answer.json();
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains(&case.says), "{name}: {detail}");
    }
    service.stop().await;
}

/// A JPEG of 50 megapixels and a restart interval for each of its blocks, with one byte of data and so many markers that
/// mean nothing.
fn jpeg_without_restarts(markers: usize) -> Vec<u8> {
    let segment = |marker: u8, content: &[u8]| {
        let length = (content.len() as u16 + 2).to_be_bytes();
        [&[0xff, marker], &length[..], content].concat()
    };
    let [height, width] = [3_051_u16, 16_384].map(u16::to_be_bytes);
    let frame = [&[8][..], &height, &width, &[1, 1, 0x11, 0]].concat();
    [
        vec![0xff, 0xd8],
        segment(0xdb, &[&[0][..], &[1; 64]].concat()),
        segment(0xc0, &frame),
        segment(0xdd, &[0, 1]),
        segment(0xda, &[1, 1, 0, 0, 63, 0]),
        vec![0xa0],
        [0xff, 1].repeat(markers),
        vec![0xff, 0xd9],
    ]
    .concat()
}

#[tokio::test]
async fn a_small_picture_that_searches_for_its_restarts_holds_no_core() {
    let service = Service::start(&[]).await;
    for markers in [500, 2_000, 8_000] {
        let answer = service.upload(jpeg_without_restarts(markers)).await;
        assert_eq!(answer.status, 201, "{markers}: {}", answer.text());
        // Quadratic, it took minutes of a core.
        assert!(answer.took < PATIENCE, "{markers}: {:?}", answer.took);
        for gauge in ["chitram_cpu_permits_in_use", "chitram_decoded_bytes_in_use"] {
            assert_eq!(service.count(gauge, &[]).await, 0, "{markers}: {gauge}");
        }
    }
    service.stop().await;
}
