//! The promises of a catalog, each checked on SQLite and on a real PostgreSQL.
//!
//! On SQLite every promise is a test of its own. PostgreSQL is started once, by one test that checks all of them, each in
//! a database of its own.

mod concurrency;
pub mod home;
mod images;
mod outage;
mod queue;
mod schema;
mod telemetry;

use home::Home;

/// Declares the tests: `module::promise` is an `async fn(&Home)`.
macro_rules! promises {
    ($($module:ident::$promise:ident,)*) => {
        mod on_sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    super::$module::$promise(&super::Home::sqlite().await).await;
                }
            )*
        }

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn every_promise_is_kept_on_postgresql() {
            let Some(server) = home::Server::start().await else { return };
            $(
                eprintln!("on PostgreSQL: {}", stringify!($promise));
                let home = server.home().await;
                $module::$promise(&home).await;
                home.close().await;
            )*
            outage::a_session_that_may_not_write_is_not_used_for_longer_than_it_must(&server).await;
            outage::a_disk_without_room_refuses_changes_and_nothing_else(&server).await;
            outage::a_server_that_is_gone_is_unavailable(server).await;
        }
    };
}

promises! {
    images::an_inserted_image_reads_back_whole,
    images::a_second_upload_of_the_same_bytes_answers_the_first,
    images::another_owner_shares_the_stored_copy,
    images::a_copy_is_there_while_a_picture_refers_to_it,
    images::a_copy_is_purged_when_its_last_picture_is_deleted,
    images::content_that_comes_back_after_a_delete_gets_a_copy_of_its_own,
    images::a_list_is_newest_first_and_complete_page_by_page,
    images::a_list_shows_only_its_owners_pictures,
    images::a_variant_is_recorded_only_while_its_copy_exists,
    images::a_row_that_nobody_here_wrote_is_reported_as_corrupt,
    queue::a_job_is_claimed_by_one_and_done_once,
    queue::a_failed_job_waits_for_its_delay_and_is_dead_after_five_attempts,
    queue::a_job_whose_workers_fall_silent_ends_dead,
    queue::a_lost_claim_changes_nothing,
    queue::a_job_handed_back_has_lost_no_attempt,
    queue::a_job_of_an_unknown_kind_is_buried_and_the_next_one_claimed,
    queue::statistics_count_what_waits_runs_and_is_dead,
    queue::done_jobs_are_forgotten_when_they_are_old,
    queue::an_enqueued_job_wakes_whoever_waits,
    concurrency::sixty_four_tasks_insert_and_claim_without_loss_or_repetition,
    concurrency::racing_uploads_and_deletes_of_the_same_bytes_leave_no_copy_unaccounted,
    outage::an_operation_that_cannot_go_on_ends_at_its_deadline_and_leaves_nothing,
    schema::opening_again_keeps_everything,
    schema::many_may_migrate_at_once,
    schema::a_newer_schema_is_refused,
    schema::an_older_schema_is_refused_without_leave_to_migrate,
    telemetry::every_operation_is_timed_by_what_it_does,
}
