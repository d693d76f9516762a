//! Demos that run to their end.

use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;
use stack::net;

use crate::judged::assert_sound;
use crate::run::{Run, programs};
use crate::{ALONE, END, STEP, WHOLE, demo};

#[tokio::test]
async fn the_demo_says_nothing_wrong_of_a_sound_platform_and_writes_one_report() {
    let _alone = ALONE.lock().await;
    let files = tempfile::tempdir().unwrap();
    let mut run = demo(files.path(), &[]);
    let code = run.exit_code(WHOLE).await;
    assert_sound(&run, files.path(), code);
    let report = format!("report: {}", files.path().join("report.html").display());
    assert!(run.stdout().contains(&report), "{}", run.stdout());
    assert_boards(&run.stdout(), &files.path().join("boards.html"));
    run.assert_nothing_left().await;
}

#[tokio::test]
async fn a_kept_demo_stays_with_the_persons_photos_at_the_addresses_it_prints_until_ctrl_c() {
    let _alone = ALONE.lock().await;
    let (files, photos) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let photo = paint(photos.path());
    let folder = photos.path().display().to_string();
    let mut run = demo(files.path(), &["--keep", "--photos", &folder]);
    let printed = |run: &Run| {
        run.stdout()
            .contains("Ctrl-C stops everything")
            .then_some(())
    };
    run.until("the addresses", WHOLE, printed).await;

    for what in ["API", "metrics", "readiness", "traces", "fault proxy"] {
        get(&address(&run, what)).await;
    }
    assert!(
        is_served(&address(&run, "API"), &photo).await,
        "{}",
        run.stdout()
    );
    let proxies: Value = serde_json::from_slice(&get(&address(&run, "fault proxy")).await).unwrap();
    for (name, proxy) in proxies.as_object().unwrap() {
        let is_well = proxy["enabled"] == true && proxy["toxics"] == serde_json::json!([]);
        assert!(is_well, "{name}: {proxy}");
    }

    run.signal(Signal::INT);
    let code = run.exit_code(END).await;
    assert_sound(&run, files.path(), code);
    run.assert_nothing_left().await;
}

/// They were drawn, or a line says what is missing: on a slow machine, time.
#[track_caller]
fn assert_boards(stdout: &str, page: &Path) {
    let told = stdout
        .lines()
        .find_map(|line| line.strip_prefix("boards: "));
    let told = told.unwrap_or_else(|| panic!("no boards: {stdout}"));
    if told == page.display().to_string() {
        let page = std::fs::read_to_string(page).unwrap();
        assert!(page.contains("Service overview") && page.contains("<svg"));
        return;
    }
    let missing = ["no Prometheus", "cargo build", "not drawn within"];
    assert!(missing.iter().any(|what| told.contains(what)), "{told}");
}

/// One small picture that no demo makes by itself; answers its bytes.
fn paint(folder: &Path) -> Vec<u8> {
    let made = std::process::Command::new(programs().join("chitram-load"))
        .arg("pictures")
        .arg(folder)
        .args(["--count", "1", "--seed", "7777", "--max-megapixels", "0.2"])
        .status();
    assert!(made.unwrap().success());
    let file = folder.read_dir().unwrap().next().unwrap().unwrap().path();
    std::fs::read(file).unwrap()
}

/// The address in the line of `what`.
fn address(run: &Run, what: &str) -> String {
    let stdout = run.stdout();
    let line = stdout
        .lines()
        .find(|line| line.starts_with(what) && line.contains(" http://"))
        .unwrap_or_else(|| panic!("no {what}: {stdout}"));
    line.rsplit(' ').next().unwrap().to_owned()
}

/// The body of an answer with 200.
async fn get(url: &str) -> Vec<u8> {
    let answer = net::http()
        .unwrap()
        .get(url)
        .timeout(STEP)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    answer.bytes().await.unwrap().to_vec()
}

/// Whether one of all the images has these bytes.
async fn is_served(images: &str, bytes: &[u8]) -> bool {
    let mut page = images.to_owned();
    loop {
        let list: Value = serde_json::from_slice(&get(&page).await).unwrap();
        for image in list["images"].as_array().unwrap() {
            let id = image["id"].as_str().unwrap();
            if image["bytes"] == bytes.len()
                && get(&format!("{images}/{id}/content")).await == bytes
            {
                return true;
            }
        }
        let Some(cursor) = list["next_cursor"].as_str() else {
            return false;
        };
        page = format!("{images}?cursor={cursor}");
    }
}
