//! Each line once, whatever ends, moves or is away meanwhile.

use std::time::Duration;

use rustix::process::Signal;
use stack::process::{Launcher, spawn};
use stack::server::elasticsearch::is_ready;
use stack::wait;

use super::rig::{
    DEADLINE, Producer, Shipper, count_of, eventually, of, own_elasticsearch, shared_elasticsearch,
};

#[tokio::test]
async fn lines_at_two_thousand_a_second_arrive_each_once() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    // The pace is the load, not a promise: on a busy machine it takes longer, and nothing changes.
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    for _ in 0..100 {
        ticks.tick().await;
        producer.lines(100);
    }
    shipper.assert_each_once(&server.url, &producer).await;
    let statistics = shipper.settled().await;
    assert_eq!((statistics.confirmed, statistics.duplicate), (10_000, 0));
}

#[tokio::test]
async fn an_rsyslog_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let mut shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    for _ in 0..5 {
        let before = producer.last;
        producer.lines(1_900);
        let some = async || {
            let arrived = count_of(&server.url, &producer).await;
            (arrived > Some(before)).then_some(())
        };
        let in_the_middle = wait::until(DEADLINE, some).await;
        assert!(in_the_middle.is_some(), "{}", shipper.said());
        shipper.kill().await;
        // What is written while nobody reads is not lost either.
        producer.lines(10);
        shipper.restart().await;
    }
    shipper.assert_each_once(&server.url, &producer).await;
}

#[tokio::test]
async fn a_file_that_is_renamed_below_its_writer_is_read_to_its_end() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    for suffix in [".3", ".2", ".1"] {
        producer.lines(2_000);
        producer.rotate_away(suffix);
        // A writer goes on with the file that it has open until it is told.
        producer.lines(1_000);
        producer.reopen();
    }
    producer.lines(1_000);
    shipper.assert_each_once(&server.url, &producer).await;
}

#[tokio::test]
async fn a_file_that_is_renamed_while_nobody_reads_is_read_to_its_end() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let mut shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(1_000);
    eventually(&server.url, &of(&producer), 1_000).await;
    shipper.kill().await;
    producer.lines(1_000);
    producer.rotate_away(".1");
    producer.reopen();
    producer.lines(1_000);
    shipper.restart().await;
    shipper.assert_each_once(&server.url, &producer).await;
}

/// Half a minute, not the minutes that somebody needs who is called: how long it is changes only how many lines wait.
#[tokio::test]
async fn lines_that_are_written_while_elasticsearch_is_away_arrive_when_it_is_back() {
    let Some(server) = own_elasticsearch().await else {
        return;
    };
    let Some(running) = &server.running else {
        return; // one that is given by its URL is not ours to stop
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(2_000);
    let some = async || (count_of(&server.url, &producer).await > Some(0)).then_some(());
    wait::until(DEADLINE, some).await.unwrap();

    running.child().signal(Signal::TERM);
    running.child().wait().await;
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    for _ in 0..200 {
        ticks.tick().await;
        producer.lines(40);
    }
    let spec = running.child().spec();
    let back = spawn(&Launcher::find().unwrap(), spec).unwrap();
    let ready = async || is_ready(&server.url).await.then_some(());
    assert!(wait::until(DEADLINE, ready).await.is_some());

    shipper.assert_each_once(&server.url, &producer).await;
    assert!(back.exited().is_none());
}

#[tokio::test]
async fn a_file_that_is_read_again_from_its_beginning_adds_nothing() {
    let Some(server) = shared_elasticsearch().await else {
        return;
    };
    let shipper = Shipper::start(&server.url).await;
    let mut producer = Producer::new(&shipper.log());
    producer.lines(3_000);
    producer.write(b"not JSON, so its id is made of its text and its place");
    shipper.assert_each_once(&server.url, &producer).await;

    let again = Shipper::again(&server.url, &shipper).await;
    let refused = async || Some(again.settled().await).filter(|now| now.duplicate == 3_001);
    let statistics = wait::until(DEADLINE, refused).await;
    let statistics = statistics.unwrap_or_else(|| panic!("{}", again.said()));
    assert_eq!((statistics.confirmed, statistics.rejected), (0, 0));
    again.assert_each_once(&server.url, &producer).await;
}
