//! Boards, rules and routes broken on purpose, each in a way that people reported in public: the proof must notice.
//!
//! A mutation is a row of a table: what is changed, which report it stands for, and by which findings it must be noticed. It is
//! tried at several places, because a proof that knows one place knows nothing. Rows that the files alone show are tried with
//! every `cargo test`; the others need promtool, or the data that `scripts/proof-mutations` records.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on fails where it stands"
)]

mod boards;
mod queries;
mod recording;
mod report;
mod routes;
mod rules;
mod run;
mod sites;
mod table;
mod tree;

use self::recording::Recording;
use self::report::Outcome;
use self::table::{Mutation, Needs};
use self::tree::Tree;

/// Places at which each mutation is tried, unless `CHITRAM_MUTATION_SITES` says another number.
const SITES: usize = 6;

/// Every row; whoever breaks something else adds a table here.
fn rows() -> Vec<&'static Mutation> {
    [queries::TABLE, boards::TABLE, rules::TABLE, routes::TABLE]
        .into_iter()
        .flatten()
        .collect()
}

#[test]
fn each_name_of_a_mutation_is_given_once() {
    let mut names: Vec<&str> = rows().iter().map(|row| row.name).collect();
    let all = names.len();
    assert!(all >= 60, "{all} mutations");
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn each_mutation_that_the_files_show_is_found_in_them() {
    let rows = rows();
    let rows: Vec<_> = rows
        .into_iter()
        .filter(|row| matches!(row.needs, Needs::Files))
        .collect();
    let outcomes = run::try_all(&rows, 1, None);
    report::fail_if_one_survives(&outcomes);
}

#[test]
#[ignore = "takes minutes and needs a recording: make proof-mutations"]
fn no_mutation_survives() {
    let sites = std::env::var("CHITRAM_MUTATION_SITES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(SITES);
    let only = std::env::var("CHITRAM_MUTATION").unwrap_or_default();
    let recording = Recording::start();
    let mut rows = rows();
    rows.retain(|row| row.name.contains(&only));
    run::control(&Tree::new(), &recording);
    let outcomes: Vec<Outcome> = run::try_all(&rows, sites, Some(&recording));
    println!("{}", report::table(&outcomes));
    report::fail_if_one_survives(&outcomes);
}
