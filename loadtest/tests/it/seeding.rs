//! `pictures` and `seed`.

use crate::process::chitram_load;
use crate::service::Service;

#[test]
fn made_pictures_are_uploaded_once_and_their_presets_are_waited_for() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().to_str().expect("text");
    let made = chitram_load(&["pictures", path, "--count", "4", "--max-megapixels", "0.02"]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    assert!(made.stdout.starts_with("4 pictures, "), "{}", made.stdout);
    let below = folder.path().join("below");
    std::fs::create_dir(&below).expect("folder");
    std::fs::write(below.join("broken.jpg"), "no picture").expect("file");
    std::fs::write(below.join("notes.txt"), "not even called one").expect("file");

    let service = Service::start(0);
    let seeded = chitram_load(&["seed", path, "--target", &service.address]);
    assert_eq!(seeded.code, Some(0), "{}", seeded.stderr);
    assert_eq!(
        seeded.stdout,
        "4 pictures uploaded, 0 were there already, 1 refused; all presets are ready\n"
    );
    assert!(
        seeded
            .stderr
            .contains("below/broken.jpg: refused: this is no picture"),
        "{}",
        seeded.stderr
    );
    assert_eq!(service.pictures().len(), 4);

    let again = chitram_load(&["seed", path, "--target", &service.address]);
    assert_eq!(
        again.stdout,
        "0 pictures uploaded, 4 were there already, 1 refused; all presets are ready\n"
    );
}

#[test]
fn a_folder_without_pictures_and_a_silent_target_are_named() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().to_str().expect("text");
    let empty = chitram_load(&["seed", path, "--target", "http://127.0.0.1:9"]);
    assert_eq!(empty.code, Some(64));
    assert!(
        empty.stderr.contains(path) && empty.stderr.contains("chitram-load pictures DIR"),
        "{}",
        empty.stderr
    );
    let missing = chitram_load(&["seed", "/no/such/folder", "--target", "http://127.0.0.1:9"]);
    assert_eq!(missing.code, Some(64));
    std::fs::write(folder.path().join("a.jpg"), "x").expect("file");
    let silent = chitram_load(&["seed", path, "--target", "http://127.0.0.1:9"]);
    assert_eq!(silent.code, Some(69), "{}", silent.stderr);
    assert!(
        silent.stderr.contains("http://127.0.0.1:9 does not answer"),
        "{}",
        silent.stderr
    );
}
