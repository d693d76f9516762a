//! No room and no right to write, on real disks: uploads are 507, and every read goes on.

use std::path::Path;

use reqwest::Method;
use service::app::Role;
use stack::server::{self, Launch, Source, versitygw};

use crate::presets::files_below;
use crate::support::disk::SmallDisk;
use crate::support::service::{Answer, Service, send};
use crate::support::store::{Behaviour, FakeStore};
use crate::support::{pictures, until};

const OPENED: (&str, &str) = ("state", "open");
const CALLS: &str = "http_client_request_duration_seconds_count";
const RETRIES: &str = "chitram_retries_total";
const TRANSITIONS: &str = "chitram_circuit_transitions_total";
/// Uploads of one outage: so many times so many at once.
const ROUNDS: u8 = 12;
const UPLOADS_AT_ONCE: u8 = 6;
const UPLOADS: u64 = ROUNDS as u64 * UPLOADS_AT_ONCE as u64;

/// A service whose objects are in this folder.
async fn on(folder: &Path, settings: &[(&str, &str)]) -> Service {
    let url = format!("file:{}", folder.display());
    let own = [("CHITRAM_STORE_URL", url.as_str())];
    Service::start_as(Role::Api, &[&own, settings].concat()).await
}

async fn upload(service: &Service, seed: u8) -> String {
    let image = service.uploaded(pictures::png(seed, 90, 60, false)).await;
    format!("/v1/images/{}", image["id"].as_str().expect("an id"))
}

/// Uploads go on, several at a time, and a read of every kind with them. Checks that no read fails; what the uploads said is
/// returned.
async fn reads_go_on_while_uploads_fail(service: &Service, image: &str) -> Vec<Answer> {
    let paths = [
        format!("{image}/content"),
        format!("{image}/render?w=33"),
        "/v1/images".to_owned(),
    ];
    let (mut uploads, mut reads) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // More writes than reads: a circuit that they shared would open.
        let seeds = (0..UPLOADS_AT_ONCE).map(|number| 100 + round * UPLOADS_AT_ONCE + number);
        let uploading = seeds.map(|seed| service.upload(pictures::png(seed, 100, 75, false)));
        let reading = paths.iter().map(|path| send(service.get(path)));
        let (taken, read) = tokio::join!(
            futures::future::join_all(uploading),
            futures::future::join_all(reading)
        );
        uploads.extend(taken);
        reads.extend(read);
    }
    let failed: Vec<_> = reads.iter().filter(|read| read.status != 200).collect();
    assert!(
        failed.is_empty(),
        "{} of {} reads failed: {}",
        failed.len(),
        reads.len(),
        failed[0].text()
    );
    uploads
}

#[track_caller]
fn assert_not_writable(answer: &Answer, kind: &str) {
    answer.assert_problem(507, kind);
    assert_eq!(answer.header("retry-after"), "5");
    for cause in ["os error", "blobs", "/tmp", "127.0.0.1", "a test"] {
        assert!(!answer.text().contains(cause), "{}", answer.text());
    }
}

/// Nothing that failed for want of room or rights is anybody's fault: no circuit opened, nothing was repeated.
async fn assert_nothing_was_taken_for_a_fault(service: &Service) {
    assert_eq!(service.count(TRANSITIONS, &[OPENED]).await, 0);
    assert_eq!(service.count(RETRIES, &[]).await, 0);
    let puts = [
        ("http_request_method", "PUT"),
        ("error_type", "not_writable"),
    ];
    assert_eq!(service.count(CALLS, &puts).await, UPLOADS);
}

async fn assert_writes_degraded(service: &Service, degraded: bool) {
    let ready = service.admin("/ready").await;
    assert_eq!(ready.status, 200, "{}", ready.text());
    let document = ready.json();
    let status = if degraded { "degraded" } else { "ready" };
    assert_eq!(document["status"], status, "{document}");
    let check = |name: &str| {
        let checks = document["checks"].as_array().expect("checks");
        let check = checks.iter().find(|check| check["name"] == name);
        check
            .unwrap_or_else(|| panic!("no {name}: {document}"))
            .clone()
    };
    assert_eq!(check("store")["ok"], true, "{document}");
    assert_eq!(check("store_writes")["ok"], !degraded, "{document}");
}

#[tokio::test]
async fn a_full_disk_of_objects_costs_uploads_a_507_and_reads_nothing() {
    let Some(disk) = SmallDisk::mount(4) else {
        return;
    };
    let objects = disk.path().join("objects");
    let service = on(&objects, &[]).await;
    let image = upload(&service, 1).await;
    assert_writes_degraded(&service, false).await;

    disk.fill();
    for answer in reads_go_on_while_uploads_fail(&service, &image).await {
        assert_not_writable(&answer, "store-not-writable");
    }
    assert_nothing_was_taken_for_a_fault(&service).await;
    assert_writes_degraded(&service, true).await;
    assert_eq!(files_below(&objects), 1, "something was left behind");

    disk.make_room();
    upload(&service, 2).await;
    assert_writes_degraded(&service, false).await;
    assert_eq!(files_below(&objects), 2);
    service.stop().await;
}

#[tokio::test]
async fn objects_on_a_read_only_disk_are_read_and_uploads_are_507() {
    let Some(disk) = SmallDisk::mount(4) else {
        return;
    };
    let service = on(&disk.path().join("objects"), &[]).await;
    let image = upload(&service, 1).await;

    disk.set_writable(false);
    for answer in reads_go_on_while_uploads_fail(&service, &image).await {
        assert_not_writable(&answer, "store-not-writable");
    }
    assert_nothing_was_taken_for_a_fault(&service).await;
    assert_writes_degraded(&service, true).await;

    disk.set_writable(true);
    upload(&service, 2).await;
    assert_writes_degraded(&service, false).await;
    service.stop().await;
}

/// For those who may not mount; to root every folder is open.
#[tokio::test]
async fn objects_in_a_folder_without_the_right_to_write_are_read_and_uploads_are_507() {
    use std::os::unix::fs::PermissionsExt as _;
    if rustix::process::geteuid().is_root() {
        eprintln!("not run: needs a user who is not root (root may write everywhere)");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let objects = folder.path().join("objects");
    let service = on(&objects, &[]).await;
    let image = upload(&service, 1).await;
    let allow = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(objects.join("blobs"), permissions).expect("allowed");
    };
    allow(0o500);
    for answer in reads_go_on_while_uploads_fail(&service, &image).await {
        assert_not_writable(&answer, "store-not-writable");
    }
    assert_nothing_was_taken_for_a_fault(&service).await;
    allow(0o700);
    upload(&service, 2).await;
    service.stop().await;
}

async fn on_versitygw(disk: &SmallDisk) -> Option<(Service, versitygw::Versitygw)> {
    let found = server::require(versitygw::find())?;
    let Source::Program(program) = &found.source else {
        eprintln!("not run: needs versitygw as a program (CHITRAM_S3_URL names another S3)");
        return None;
    };
    let launch = Launch::for_test().expect("a launcher");
    let real = versitygw::start_in(program, &launch, disk.path())
        .await
        .expect("it starts");
    let bucket = format!("s3://{}", real.bucket);
    let settings = [
        ("CHITRAM_STORE_URL", bucket.as_str()),
        ("CHITRAM_STORE_ENDPOINT", &real.endpoint),
        ("CHITRAM_STORE_ACCESS_KEY", &real.credentials.access_key),
        ("CHITRAM_STORE_SECRET_KEY", &real.credentials.secret_key),
        // It is a busy machine's slowness that is not tested here.
        ("CHITRAM_STORE_DEADLINE", "20s"),
    ];
    Some((Service::start(&settings).await, real))
}

#[tokio::test]
async fn versitygw_on_a_full_disk_costs_uploads_a_507_and_reads_nothing() {
    let Some(disk) = SmallDisk::mount(8) else {
        return;
    };
    let Some((service, _real)) = on_versitygw(&disk).await else {
        return;
    };
    let image = upload(&service, 1).await;

    disk.fill();
    for answer in reads_go_on_while_uploads_fail(&service, &image).await {
        assert_not_writable(&answer, "store-not-writable");
    }
    assert_nothing_was_taken_for_a_fault(&service).await;
    assert_writes_degraded(&service, true).await;

    disk.make_room();
    upload(&service, 2).await;
    service.stop().await;
}

/// It calls a read-only disk an internal error, which is a fault: of writes alone.
#[tokio::test]
async fn versitygw_on_a_read_only_disk_opens_the_circuit_of_writes_alone() {
    let Some(disk) = SmallDisk::mount(8) else {
        return;
    };
    let Some((service, _real)) = on_versitygw(&disk).await else {
        return;
    };
    let image = upload(&service, 1).await;

    disk.set_writable(false);
    for answer in reads_go_on_while_uploads_fail(&service, &image).await {
        answer.assert_problem(503, "store-unavailable");
    }
    let opened = async |direction| {
        let labels = [("direction", direction), OPENED];
        service.count(TRANSITIONS, &labels).await
    };
    assert!(opened("write").await >= 1);
    assert_eq!(opened("read").await, 0);

    disk.set_writable(true);
    until("an upload is taken", async || {
        let answer = service.upload(pictures::png(2, 90, 60, false)).await;
        answer.status == 201
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn whatever_ails_only_writes_costs_reads_nothing() {
    let cases = [
        (Behaviour::RefusingWrites(507, "XMinioStorageFull"), 507),
        (Behaviour::RefusingWrites(403, "QuotaExceeded"), 507),
        (Behaviour::RefusingWrites(403, "AccessDenied"), 507),
        (Behaviour::RefusingWrites(405, "MethodNotAllowed"), 507),
        (Behaviour::RefusingWrites(409, "InvalidBucketState"), 507),
        (Behaviour::RefusingWrites(500, "InternalError"), 503),
        (Behaviour::RefusingWrites(503, "SlowDown"), 503),
    ];
    for (behaviour, status) in cases {
        let store = FakeStore::start().await;
        let service = store.service(&[]).await;
        let image = upload(&service, 1).await;
        store.behave(behaviour);
        for answer in reads_go_on_while_uploads_fail(&service, &image).await {
            match status {
                507 => assert_not_writable(&answer, "store-not-writable"),
                _ => answer.assert_problem(503, "store-unavailable"),
            }
        }
        let reads = [("direction", "read"), OPENED];
        assert_eq!(service.count(TRANSITIONS, &reads).await, 0, "{behaviour:?}");
        if status == 507 {
            assert_nothing_was_taken_for_a_fault(&service).await;
            // What is an answer leaves nothing to wait for.
            store.behave(Behaviour::Healthy);
            upload(&service, 2).await;
        }
        service.stop().await;
    }
}

#[tokio::test]
async fn writes_that_hang_take_no_place_and_no_circuit_from_reads() {
    let store = FakeStore::start().await;
    let settings = [
        ("CHITRAM_STORE_CONCURRENCY", "4"),
        ("CHITRAM_STORE_DEADLINE", "20s"),
    ];
    let service = store.service(&settings).await;
    let image = upload(&service, 1).await;
    store.behave(Behaviour::HeldWrites);
    let uploads = (10..18).map(|seed| service.upload(pictures::png(seed, 40, 40, false)));
    let uploads = futures::future::join_all(uploads);
    let reading = async {
        until("writes take all their places", async || {
            let writes = [("direction", "write")];
            service.count("chitram_bulkhead_in_use", &writes).await == 4
        })
        .await;
        for _ in 0..20 {
            let answer = send(service.get(&format!("{image}/content"))).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        store.behave(Behaviour::Healthy);
    };
    tokio::join!(uploads, reading);
    let reads = [("direction", "read"), OPENED];
    assert_eq!(service.count(TRANSITIONS, &reads).await, 0);
    service.stop().await;
}

#[tokio::test]
async fn reads_that_fail_do_not_stop_new_uploads() {
    let store = FakeStore::start().await;
    let service = store.service(&[]).await;
    let image = upload(&service, 1).await;
    store.behave(Behaviour::RefusingReads(500, "InternalError"));
    let reads = [("direction", "read"), OPENED];
    until("the circuit of reads opens", async || {
        send(service.get(&format!("{image}/content"))).await;
        service.count(TRANSITIONS, &reads).await >= 1
    })
    .await;
    for seed in 2..12 {
        upload(&service, seed).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn a_full_disk_of_the_spool_is_a_507_and_a_lost_folder_a_503_and_reads_go_on() {
    let Some(disk) = SmallDisk::mount(2) else {
        return;
    };
    let spool = disk.path().join("spool");
    let folder = spool.display().to_string();
    let service = Service::start(&[("CHITRAM_SPOOL_DIR", &folder)]).await;
    let image = upload(&service, 1).await;
    let objects = service.folder().join("objects");

    disk.fill();
    for answer in reads_go_on_while_uploads_fail(&service, &image).await {
        assert_not_writable(&answer, "spool-full");
    }
    disk.make_room();
    upload(&service, 2).await;

    disk.set_writable(false);
    for answer in reads_go_on_while_uploads_fail(&service, &image).await {
        answer.assert_problem(503, "spool-unavailable");
        assert!(!answer.text().contains("os error"), "{}", answer.text());
    }
    disk.set_writable(true);
    upload(&service, 3).await;

    std::fs::remove_dir(&spool).expect("removed");
    for answer in reads_go_on_while_uploads_fail(&service, &image).await {
        answer.assert_problem(503, "spool-unavailable");
    }
    std::fs::create_dir(&spool).expect("made");
    upload(&service, 4).await;

    assert_eq!(files_below(&objects), 4);
    assert_eq!(files_below(disk.path()), 0);
    until("the spool's budget is free", async || {
        service.count("chitram_spool_bytes_in_use", &[]).await == 0
    })
    .await;
    service.stop().await;
}

#[tokio::test]
async fn a_full_disk_of_the_catalog_is_a_507_and_leaves_no_object_without_a_row() {
    let Some(disk) = SmallDisk::mount(4) else {
        return;
    };
    let url = format!("sqlite://{}", disk.path().join("catalog.db").display());
    let service = Service::start(&[("CHITRAM_CATALOG_URL", &url)]).await;
    let image = upload(&service, 1).await;
    let gone = upload(&service, 2).await;
    let objects = service.folder().join("objects");

    disk.fill();
    let answers = reads_go_on_while_uploads_fail(&service, &image).await;
    // What is left of the last page is used up first.
    let taken = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(taken < answers.len() / 2, "{taken} uploads were taken");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_not_writable(answer, "catalog-not-writable");
    }
    let deleted = send(service.request(Method::DELETE, &gone)).await;
    assert_not_writable(&deleted, "catalog-not-writable");
    assert_eq!(files_below(&objects), 2 + taken, "objects without a row");
    assert_eq!(
        service.count("chitram_objects_orphaned_total", &[]).await,
        0
    );
    assert_eq!(service.count(TRANSITIONS, &[OPENED]).await, 0);

    disk.make_room();
    upload(&service, 3).await;
    let deleted = send(service.request(Method::DELETE, &gone)).await;
    assert_eq!(deleted.status, 204, "{}", deleted.text());
    service.stop().await;
}

/// An object that can't be taken back is at least counted.
#[tokio::test]
async fn an_object_whose_row_was_refused_and_that_can_not_be_removed_is_counted() {
    let Some(disk) = SmallDisk::mount(4) else {
        return;
    };
    let url = format!("sqlite://{}", disk.path().join("catalog.db").display());
    let store = FakeStore::start().await;
    let service = store.service(&[("CHITRAM_CATALOG_URL", &url)]).await;
    upload(&service, 1).await;
    disk.fill();
    store.behave(Behaviour::RefusingDeletes);
    let before = store.keys().len();
    until("a row is refused", async || {
        let seed = rand::random();
        let answer = service.upload(pictures::png(seed, 90, 60, true)).await;
        answer.status == 507
    })
    .await;
    assert!(store.keys().len() > before);
    assert_eq!(
        service.count("chitram_objects_orphaned_total", &[]).await,
        1
    );
    service.stop().await;
}

/// The worker can neither store presets nor purge; it waits, and does it all when it can.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_wait_for_a_disk_that_takes_no_writes_and_reads_go_on() {
    let Some(disk) = SmallDisk::mount(8) else {
        return;
    };
    let objects = disk.path().join("objects");
    let url = format!("file:{}", objects.display());
    let service = Service::start_as(Role::All, &[("CHITRAM_STORE_URL", &url)]).await;
    let image = upload(&service, 1).await;
    let other = upload(&service, 2).await;
    until("the presets are stored", async || {
        files_below(&objects) == 8
    })
    .await;

    disk.set_writable(false);
    let deleted = send(service.request(Method::DELETE, &other)).await;
    assert_eq!(deleted.status, 204);
    let postponed = [("queue", "purge"), ("outcome", "postponed")];
    until("the purge is postponed", async || {
        let content = send(service.get(&format!("{image}/content"))).await;
        assert_eq!(content.status, 200, "{}", content.text());
        let attempts = "messaging_process_duration_seconds_count";
        service.count(attempts, &postponed).await >= 1
    })
    .await;
    assert_eq!(files_below(&objects), 8);

    disk.set_writable(true);
    until("the objects are purged", async || {
        files_below(&objects) == 4
    })
    .await;
    assert_eq!(service.count("chitram_queue_dead_letters", &[]).await, 0);
    service.stop().await;
}
