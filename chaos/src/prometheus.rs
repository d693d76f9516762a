//! Prometheus' HTTP API, as far as expectations need it: alerting rules with their alerts, results of expressions, and which
//! series an expression reads. Each call has a deadline, and each answer a bound and the server's time.
//!
//! Alerts are read from `/api/v1/rules`: it has what `/api/v1/alerts` has, and says beside it whether the rule is there, when
//! it was evaluated, and whether that failed. Without these an alert that is not listed would say nothing.

mod answers;
mod selectors;

use std::time::Duration;

pub use answers::{Alert, AlertState, Health, Rule, Value, Values};
pub use selectors::{Selector, selectors};
use url::Url;

use crate::clock::now_us;
use crate::http::{self, Answer};

/// How long a call may take.
pub const CALL_DEADLINE: Duration = Duration::from_secs(2);
/// Largest answer that is read.
const MAX_BYTES: usize = 8 << 20;
/// The server's clock may differ by so much from this process's, besides the second to which its header is cut.
pub const MAX_SKEW_US: i64 = 1_000_000;
/// Length of the header's unit.
const HEADER_US: i64 = 1_000_000;
/// Of a server's words, so many characters are quoted.
const QUOTED: usize = 300;

/// A server.
#[derive(Clone, Debug)]
pub struct Prometheus {
    http: reqwest::Client,
    base: Url,
}

/// Why there is no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server refused the request as wrong (400), in its own words.
    Refused(String),
    /// It does not answer, not now, not at the same time of day, or not as Prometheus does: a sentence with its address.
    Unknown(String),
}

impl Failure {
    /// The sentence.
    pub fn sentence(self) -> String {
        match self {
            Self::Refused(sentence) | Self::Unknown(sentence) => sentence,
        }
    }
}

/// A result, and when the server gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Dated<T> {
    /// Unix microseconds of the server's clock, cut to the second.
    pub server_us: i64,
    /// What it said.
    pub value: T,
}

impl Prometheus {
    /// The server at this address.
    pub fn new(http: reqwest::Client, base: Url) -> Self {
        Self { http, base }
    }

    /// Its address, for people.
    pub fn address(&self) -> Url {
        http::shown(&self.base)
    }

    /// The alerting rules of these names, or all when there are none.
    pub async fn rules<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Dated<Vec<Rule>>, Failure> {
        let mut url = http::join(&self.base, "api/v1/rules");
        url.query_pairs_mut()
            .append_pair("type", "alert")
            .extend_pairs(names.into_iter().map(|name| ("rule_name[]", name)));
        self.ask(url, answers::rules).await
    }

    /// The result of an expression at a moment (Unix microseconds).
    pub async fn query(&self, expression: &str, at_us: i64) -> Result<Values, Failure> {
        let mut url = http::join(&self.base, "api/v1/query");
        url.query_pairs_mut()
            .append_pair("query", expression)
            .append_pair("time", &format!("{:.3}", at_us as f64 / 1e6));
        self.ask(url, answers::values)
            .await
            .map(|dated| dated.value)
    }

    /// The selectors of an expression, as the server parses it.
    pub async fn selectors(&self, expression: &str) -> Result<Vec<Selector>, Failure> {
        let mut url = http::join(&self.base, "api/v1/parse_query");
        url.query_pairs_mut().append_pair("query", expression);
        self.ask(url, answers::tree)
            .await
            .and_then(|dated| selectors(&dated.value).map_err(Failure::Unknown))
    }

    async fn ask<T>(
        &self,
        url: Url,
        parse: impl FnOnce(&[u8]) -> Result<T, String>,
    ) -> Result<Dated<T>, Failure> {
        let sent = now_us();
        let answer = http::answer(&self.http, &url, CALL_DEADLINE, MAX_BYTES).await;
        let answer = answer.map_err(Failure::Unknown)?;
        let received = now_us();
        let name = || format!("Prometheus at {}", self.address());
        match answer.status {
            200..300 => {}
            400 => {
                let words = answers::error(&answer.body);
                return Err(Failure::Refused(quoted(
                    &words.unwrap_or_else(|| format!("{} answers 400", name())),
                )));
            }
            status => {
                let words = answers::error(&answer.body).map(|words| format!(" ({words})"));
                let words = quoted(&words.unwrap_or_default());
                return Err(Failure::Unknown(format!(
                    "{} answers {status}{words}",
                    name()
                )));
            }
        }
        let server_us = same_time(&answer, sent, received)
            .map_err(|why| Failure::Unknown(format!("{} {why}", name())))?;
        let value = parse(&answer.body).map_err(|why| {
            Failure::Unknown(format!("{} answers what can't be read: {why}", name()))
        })?;
        Ok(Dated { server_us, value })
    }
}

/// The server's time, if it can be this process's.
fn same_time(answer: &Answer, sent: i64, received: i64) -> Result<i64, String> {
    let server = answer
        .date_us
        .ok_or("does not say what time it is (no `Date` header)")?;
    let late = server - received;
    let early = sent - (server + HEADER_US);
    let off = late.max(early);
    if off <= MAX_SKEW_US {
        return Ok(server);
    }
    let way = if late > 0 { "fast" } else { "slow" };
    Err(format!(
        "has another time: its clock is {:.0} s {way}, so that its alerts and results can't be put on the experiment's timeline",
        off as f64 / 1e6
    ))
}

/// The begin of somebody else's words.
fn quoted(words: &str) -> String {
    match words.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}...", &words[..end]),
        None => words.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn off(server_us: Option<i64>) -> Result<i64, String> {
        let answer = Answer {
            status: 200,
            date_us: server_us,
            body: Vec::new(),
        };
        same_time(&answer, 100_200_000, 100_300_000)
    }

    #[test]
    fn a_clock_that_is_off_by_more_than_a_second_is_another_time() {
        for same in [98_500_000, 99_000_000, 100_000_000, 101_000_000] {
            assert_eq!(off(Some(same)), Ok(same));
        }
        assert!(off(Some(97_000_000)).unwrap_err().contains("2 s slow"));
        assert!(off(Some(105_000_000)).unwrap_err().contains("5 s fast"));
        assert!(off(None).unwrap_err().contains("no `Date` header"));
    }

    #[test]
    fn a_refusal_in_many_words_is_cut() {
        assert_eq!(quoted("short"), "short");
        assert_eq!(quoted(&"ä".repeat(999)).chars().count(), QUOTED + 3);
    }
}
