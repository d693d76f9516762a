//! Made-up looks: an alert that does what it should, and one thing wrong at a time.

use super::*;

const S: i64 = SECOND_US;

fn marks() -> Marks {
    Marks {
        started: 0,
        baseline: 5 * S,
        baseline_end: 17 * S,
        injecting: Some(18 * S),
        verified: Some(19 * S),
        rolling_back: Some(80 * S),
        lifted: Some(81 * S),
        ended: Some(200 * S),
    }
}

fn expected() -> ExpectedAlert {
    ExpectedAlert {
        alert: "Slow".into(),
        labels: [("dependency".to_owned(), "store".to_owned())].into(),
        within_s: 60,
        clears_within_s: Some(60),
        optional: false,
    }
}

/// A look in each second until 150: pending from `active`, firing from `firing`, gone from `gone`.
fn looks(active: i64, firing: i64, gone: i64) -> Vec<Look> {
    let state = |second: i64| {
        let state = if second >= firing {
            AlertState::Firing
        } else {
            AlertState::Pending
        };
        (active..gone).contains(&second).then_some(Sighting {
            state,
            active_us: active * S,
        })
    };
    let look = |second: i64| Look {
        at: second * S,
        seen: Ok(state(second)),
    };
    (0..150).map(look).collect()
}

fn unknown(looks: &mut [Look], seconds: std::ops::Range<i64>) {
    for look in looks
        .iter_mut()
        .filter(|look| seconds.contains(&(look.at / S)))
    {
        look.seen = Err("it was asleep".into());
    }
}

fn fired(looks: &[Look]) -> Result<(bool, String), String> {
    detected(looks, &marks(), 60, Ok(())).expect("judged")
}

fn gone(looks: &[Look]) -> Result<(bool, String), String> {
    cleared(looks, &marks(), 60, Ok(())).expect("judged")
}

#[test]
fn the_time_to_detect_runs_from_the_verified_injection_to_the_first_look_that_sees_it_fire() {
    let looks = looks(22, 52, 120);
    let words = "active after 3.0 s, firing after 33.0 s".to_owned();
    assert_eq!(fired(&looks), Ok((true, words)));
    assert_eq!(gone(&looks), Ok((true, "after 39.0 s".into())));
    let times = times(&looks, &marks());
    assert_eq!(times.active, Some(3 * S));
    assert_eq!((times.firing, times.cleared), (Some(33 * S), Some(39 * S)));
}

#[test]
fn an_alert_that_fires_while_the_injection_is_verified_is_no_late_one() {
    assert_eq!(times(&looks(18, 18, 120), &marks()).firing, Some(0));
    assert!(matches!(fired(&looks(18, 18, 120)), Ok((true, _))));
}

#[test]
fn an_alert_that_never_fires_or_fires_too_late_breaks() {
    let late = "active after 3.0 s, firing only after 61.0 s".to_owned();
    assert_eq!(fired(&looks(22, 80, 120)), Ok((false, late)));
    let pending = "active after 3.0 s, but it did not fire".to_owned();
    assert_eq!(fired(&looks(22, 999, 120)), Ok((false, pending)));
    assert_eq!(
        fired(&looks(999, 999, 999)),
        Ok((false, "it was not active".into()))
    );
}

#[test]
fn an_alert_that_was_active_before_the_fault_tells_nothing_of_it() {
    for (active, firing) in [(6, 10), (16, 30), (2, 4)] {
        let why = fired(&looks(active, firing, 120)).expect_err("not measured");
        assert!(why.contains("active before the fault"), "{why}");
    }
    // Not seen, but its expression held since before the injection.
    let mut unseen = looks(12, 15, 120);
    for look in unseen.iter_mut().filter(|look| look.at < 18 * S) {
        look.seen = Ok(None);
    }
    assert!(fired(&unseen).is_err());
    assert_eq!(times(&unseen, &marks()), Times::default());
    // Gone before the baseline: then it may come again.
    assert!(matches!(fired(&looks(1, 2, 4)), Ok((false, _))));
}

#[test]
fn a_state_that_nobody_knows_before_the_fault_measures_nothing() {
    let mut looks = looks(22, 52, 120);
    unknown(&mut looks, 10..19);
    let why = fired(&looks).expect_err("not measured");
    assert!(
        why.contains("before the fault") && why.contains("asleep"),
        "{why}"
    );
    assert!(fired(&[]).is_err());
}

#[test]
fn a_gap_hides_an_alert_that_was_not_seen_but_not_one_that_was() {
    let mut silent = looks(999, 999, 999);
    unknown(&mut silent, 30..34);
    assert!(matches!(fired(&silent), Ok((false, _))));
    unknown(&mut silent, 30..40);
    let why = fired(&silent).expect_err("not measured");
    assert!(why.contains("unknown for 11.0 s: it was asleep"), "{why}");
    let mut seen = looks(22, 52, 120);
    unknown(&mut seen, 25..45);
    assert!(matches!(fired(&seen), Ok((true, _))));
}

#[test]
fn scrapes_that_failed_excuse_an_alert_that_did_not_fire_and_no_other() {
    let failed = || Err("a scrape of x failed".to_owned());
    let judged = |looks: &[Look]| detected(looks, &marks(), 60, failed()).expect("judged");
    assert_eq!(
        judged(&looks(999, 999, 999)),
        Err("a scrape of x failed".into())
    );
    assert!(matches!(judged(&looks(22, 52, 120)), Ok((true, _))));
}

#[test]
fn an_alert_that_is_gone_while_scrapes_failed_after_the_lift_is_not_known_to_have_cleared() {
    for gone in [120, 999] {
        let failed = Err("a scrape of x failed".to_owned());
        let judged = cleared(&looks(22, 52, gone), &marks(), 60, failed).expect("judged");
        assert_eq!(judged, Err("a scrape of x failed".into()));
    }
    let until = |gone| clearing(&looks(22, 52, gone), &marks(), 60).expect("lifted");
    for (gone, to) in [(120, 120), (999, 141)] {
        let (from, to) = (81 * S, to * S);
        assert_eq!(until(gone), Span { from, to });
    }
}

#[test]
fn an_experiment_that_ended_before_the_time_was_over_says_nothing_of_it() {
    let marks = Marks {
        rolling_back: Some(40 * S),
        ..marks()
    };
    assert_eq!(detected(&looks(22, 999, 120), &marks, 60, Ok(())), None);
    assert!(detected(&looks(22, 30, 120), &marks, 60, Ok(())).is_some());
    let marks = Marks {
        lifted: None,
        ..marks
    };
    assert_eq!(cleared(&looks(22, 30, 120), &marks, 60, Ok(())), None);
}

#[test]
fn an_alert_that_stays_or_was_not_there_did_not_clear() {
    assert_eq!(
        gone(&looks(22, 52, 999)),
        Ok((false, "still active 60 s after the lift".into()))
    );
    assert_eq!(
        gone(&looks(22, 52, 145)),
        Ok((false, "only after 64.0 s".into()))
    );
    assert!(gone(&looks(999, 999, 999)).is_err());
    let mut asleep = looks(22, 52, 999);
    unknown(&mut asleep, 100..120);
    assert!(gone(&asleep).is_err());
}

fn rule() -> Rule {
    Rule {
        name: "Slow".into(),
        query: "x > 1".into(),
        for_s: 0.0,
        labels: [("dependency".to_owned(), "store".to_owned())].into(),
        health: Health::Ok,
        evaluated_us: 100 * S,
        interval_s: 15.0,
        alerts: vec![Alert {
            labels: [("dependency".to_owned(), "store".to_owned())].into(),
            state: AlertState::Firing,
            active_us: 90 * S,
        }],
    }
}

fn seen(rules: Vec<Rule>, server_us: i64) -> Result<Option<Sighting>, String> {
    let value = rules;
    sighting(&expected(), &Dated { server_us, value })
}

#[test]
fn only_the_alert_with_the_expected_labels_is_seen() {
    let firing = Some(Sighting {
        state: AlertState::Firing,
        active_us: 90 * S,
    });
    assert_eq!(seen(vec![rule()], 101 * S), Ok(firing));
    let mut other = rule();
    other.labels.clear();
    other.alerts[0]
        .labels
        .insert("dependency".into(), "catalog".into());
    assert_eq!(seen(vec![other.clone()], 101 * S), Ok(None));
    assert_eq!(seen(vec![other, rule()], 101 * S), Ok(firing));
}

#[test]
fn a_rule_that_is_gone_or_not_evaluated_leaves_the_state_unknown() {
    let with = |change: &dyn Fn(&mut Rule)| {
        let mut rule = rule();
        change(&mut rule);
        seen(vec![rule], 101 * S).expect_err("unknown")
    };
    assert!(with(&|rule| rule.name = "Fast".into()).contains("no rule Slow any more"));
    assert!(with(&|rule| rule.health = Health::Unknown).contains("not evaluated yet"));
    let failing = with(&|rule| rule.health = Health::Failing("too many".into()));
    assert!(
        failing.contains("can't be evaluated: too many"),
        "{failing}"
    );
    assert!(with(&|rule| rule.evaluated_us = 70 * S).contains("last evaluated 31 s ago"));
    assert!(seen(vec![rule()], 119 * S).is_ok());
}

#[test]
fn a_rule_whose_own_label_is_another_can_never_give_the_alert_but_a_template_can() {
    let with = |value: &str| {
        let mut rule = rule();
        rule.labels.insert("dependency".into(), value.into());
        can_match(&rule, &expected())
    };
    assert!(with("store") && with("{{ $labels.dependency }}"));
    assert!(!with("catalog"));
}
