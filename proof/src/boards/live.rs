//! Asks the server every query of every board, and judges the answers.

mod labels;
mod sums;

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use promql_parser::parser::Expr;

use super::absence::{self, Absence};
use super::codes;
use super::known::Known;
use super::lint::Parsed;
use super::notes::{Note, found_in};
use super::queries::{Origin, Query};
use super::server::{Server, or_wrong};
use super::settings::Settings;
use super::variables::{Scope, Selection, Times};
use crate::exit::Refusal;
use crate::prometheus::Series;
use crate::promql;
use crate::promql::share::quotient;

/// Copies of a repeated panel that are asked for at most.
const MAX_COPIES: usize = 8;
/// Queries that are judged at the same time; the server's own bound lets fewer questions through.
const CONCURRENCY: usize = 8;

/// How far a share may be outside of 0 to 1: two rates are extrapolated each by itself.
const SHARE_TOLERANCE: f64 = 0.1;

/// What a query showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Values.
    Live {
        /// Series in the result.
        series: usize,
        /// Samples in all series.
        samples: usize,
    },
    /// Nothing, for this reason.
    Empty(String),
    /// Nothing, as an expectation says, for the expectation's reason.
    EmptyAsExpected(String),
    /// No number in any sample.
    NanOnly,
    /// The server's refusal.
    Error(String),
}

impl Verdict {
    /// The name in reports.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Live { .. } => "live",
            Self::Empty(_) => "empty",
            Self::EmptyAsExpected(_) => "empty-as-expected",
            Self::NanOnly => "nan-only",
            Self::Error(_) => "error",
        }
    }

    /// The worse, the higher: of the copies of a panel the worst is reported.
    fn rank(&self) -> u8 {
        match self {
            Self::Live { .. } => 0,
            Self::EmptyAsExpected(_) => 1,
            Self::NanOnly => 2,
            Self::Empty(_) => 3,
            Self::Error(_) => 4,
        }
    }
}

/// What a query showed, and how it was asked.
#[derive(Debug)]
pub struct Outcome<'a> {
    /// The query.
    pub query: Query<'a>,
    /// With its variables filled in.
    pub asked: String,
    /// What it showed.
    pub verdict: Verdict,
}

/// A query to judge, and what is chosen on its board.
pub struct Task<'t, 'a> {
    /// The query.
    pub parsed: &'t Parsed<'a>,
    /// What is chosen.
    pub scope: &'t Scope,
}

/// Judges all queries; the outcomes are in their order.
pub async fn judge<'a>(
    tasks: Vec<Task<'_, 'a>>,
    server: &Server,
    settings: &Settings,
    known: &Known,
) -> Result<(Vec<Outcome<'a>>, Vec<Note<'a>>), Refusal> {
    let judged: Vec<(Outcome<'a>, Vec<Note<'a>>)> = stream::iter(tasks)
        .map(|task| async move {
            let judge = Judge {
                server,
                settings,
                known,
                query: task.parsed.query,
            };
            judge.query(task.parsed, task.scope).await
        })
        .buffered(CONCURRENCY)
        .try_collect()
        .await?;
    let (outcomes, notes): (Vec<_>, Vec<_>) = judged.into_iter().unzip();
    Ok((outcomes, notes.into_iter().flatten().collect()))
}

/// One query before the server.
struct Judge<'j, 'a> {
    server: &'j Server,
    settings: &'j Settings,
    known: &'j Known,
    query: Query<'a>,
}

impl<'a> Judge<'_, 'a> {
    async fn query(
        &self,
        parsed: &Parsed<'a>,
        scope: &Scope,
    ) -> Result<(Outcome<'a>, Vec<Note<'a>>), Refusal> {
        let mut worst: Option<Outcome<'a>> = None;
        let mut notes: Vec<Note<'a>> = Vec::new();
        for scope in copies(self.query, scope) {
            let (outcome, found) = self.copy(parsed, &scope).await?;
            let rank = outcome.verdict.rank();
            if worst
                .as_ref()
                .is_none_or(|known| known.verdict.rank() < rank)
            {
                worst = Some(outcome);
            }
            for note in found {
                if notes.iter().all(|known| known.finding != note.finding) {
                    notes.push(note);
                }
            }
        }
        let outcome = worst.unwrap_or_else(|| Outcome {
            query: self.query,
            asked: String::new(),
            verdict: Verdict::Empty("the panel is repeated for no value".to_owned()),
        });
        Ok((outcome, notes))
    }

    /// One copy of the panel.
    async fn copy(
        &self,
        parsed: &Parsed<'a>,
        scope: &Scope,
    ) -> Result<(Outcome<'a>, Vec<Note<'a>>), Refusal> {
        let times = self
            .query
            .times(self.server.range(), scope, self.settings.scrape_interval);
        let asked = scope.at(times).query(self.query.expr()).text;
        let result = self
            .server
            .ask(&asked, &times, self.query.is_instant())
            .await;
        let result = or_wrong(result)?;
        let mut notes = Vec::new();
        let verdict = match (result, promql::parse(&asked)) {
            (Err(sentence), _) => {
                notes.push(self.note(codes::QUERY_ERROR, format!("Prometheus: {sentence}")));
                Verdict::Error(sentence)
            }
            (Ok(result), Err(sentence)) => {
                // The form that is analysed without a server failed as well, or would have.
                let reason = parsed.expr.as_ref().err().unwrap_or(&sentence);
                let sentence =
                    format!("Prometheus accepts the query, and it was not analysed: {reason}");
                notes.push(self.note(codes::NOT_ANALYSED, sentence));
                live(&result)
                    .unwrap_or_else(|| Verdict::Empty("the query was not analysed".to_owned()))
            }
            (Ok(result), Ok(expr)) => {
                let (verdict, found) = self.analysed(&expr, &result, scope, &times).await?;
                notes.extend(found);
                verdict
            }
        };
        let query = self.query;
        let outcome = Outcome {
            query,
            asked,
            verdict,
        };
        Ok((outcome, notes))
    }

    async fn analysed(
        &self,
        expr: &Expr,
        result: &[Series],
        scope: &Scope,
        times: &Times,
    ) -> Result<(Verdict, Vec<Note<'a>>), Refusal> {
        let expected = self.expected_empty();
        let mut notes = Vec::new();
        let absences = self.absences(expr, scope).await?;
        for absence in &absences {
            // What appears with a fault may be missing; a name that is wrong stays wrong.
            let known = self.known;
            let accepted = expected.is_some() && known.declared.can_appear(absence, &known.rules);
            if !accepted {
                notes.push(self.note(absence.code(), absence.to_string()));
            }
        }
        if absences.is_empty() {
            notes.extend(self.labels(expr, result).await?);
            notes.extend(self.sums(expr).await?);
            notes.extend(self.exemplars(expr).await?);
        }
        notes.extend(self.share(expr, result));
        if let Some(verdict) = live(result) {
            return Ok((verdict, notes));
        }
        if let Some(why) = expected {
            return Ok((Verdict::EmptyAsExpected(why.to_owned()), notes));
        }
        if !result.is_empty() {
            let sentence = "every value is NaN: a quotient of two zeros, or a quantile of nothing; guard it for the time without traffic";
            notes.push(self.note(codes::NAN_ONLY, sentence));
            return Ok((Verdict::NanOnly, notes));
        }
        let reason = if let Some(absence) = absences.first() {
            absence.to_string()
        } else {
            let instant = self.query.is_instant();
            absence::of_result(expr, times, instant, self.server).await?
        };
        if notes.is_empty() {
            notes.push(self.note(codes::EMPTY, format!("the query has no result: {reason}")));
        }
        Ok((Verdict::Empty(reason), notes))
    }

    /// Why the query may be empty now. Under what it exists for it may not.
    fn expected_empty(&self) -> Option<&str> {
        if let Origin::Annotation(_) = self.query.origin {
            return Some("annotations show events, and none happened");
        }
        let entry = self.known.expectations.empty(found_in(self.query))?;
        let under = entry.alive_under.as_ref();
        let alive = under.is_some_and(|under| self.settings.under.contains(under));
        (!alive).then_some(entry.why.as_str())
    }

    /// Every selector that has no series, whether or not the result has.
    async fn absences(&self, expr: &Expr, scope: &Scope) -> Result<Vec<Absence>, Refusal> {
        let mut found = Vec::new();
        let mut seen = BTreeSet::new();
        for selector in promql::selectors(expr) {
            if !seen.insert(promql::text_of_selector(selector)) {
                continue;
            }
            if let Some(absence) = absence::of_selector(selector, self.server, scope).await?
                && !found.contains(&absence)
            {
                found.push(absence);
            }
        }
        Ok(found)
    }

    /// Exemplars are how a reader gets from a panel to a trace.
    async fn exemplars(&self, expr: &Expr) -> Result<Option<Note<'a>>, Refusal> {
        if !matches!(self.query.origin, Origin::Panel(_, target) if target.exemplar) {
            return Ok(None);
        }
        let found = or_wrong(self.server.exemplars(&expr.to_string()).await)?;
        let sentence = match found {
            Ok(0) => "its series have none".to_owned(),
            Ok(_) => return Ok(None),
            Err(sentence) => format!("Prometheus: {sentence}"),
        };
        let sentence =
            format!("the panel draws exemplars, which lead from it to traces, and {sentence}");
        Ok(Some(self.note(codes::NO_EXEMPLARS, sentence)))
    }

    /// A quotient that is shown as a share, and is none: upside down, doubled, or of parts of different wholes.
    fn share(&self, expr: &Expr, result: &[Series]) -> Option<Note<'a>> {
        let Origin::Panel(panel, target) = self.query.origin else {
            return None;
        };
        let whole = match panel.unit_of(target) {
            "percentunit" => 1.0,
            "percent" => 100.0,
            _ => return None,
        };
        quotient(expr)?;
        let mut values = result
            .iter()
            .flat_map(|series| &series.samples)
            .map(|(_, value)| *value / whole);
        let outside = |value: &f64| !(-SHARE_TOLERANCE..=1.0 + SHARE_TOLERANCE).contains(value);
        let value = values.find(|value| !value.is_nan() && outside(value))?;
        let sentence = format!(
            "the unit says that it is a share, and it was {value:.3} of the whole; are the sides exchanged, or of different things?"
        );
        Some(self.note(codes::SHARE_OUT_OF_RANGE, sentence))
    }

    fn note(&self, code: &'static str, sentence: impl Into<String>) -> Note<'a> {
        Note::of_query(self.query, code, sentence)
    }
}

/// Live, if there is a number.
fn live(result: &[Series]) -> Option<Verdict> {
    let mut values = result.iter().flat_map(|series| &series.samples);
    let samples = result.iter().map(|series| series.samples.len()).sum();
    let number = values.any(|(_, value)| !value.is_nan());
    number.then_some(Verdict::Live {
        series: result.len(),
        samples,
    })
}

/// What is chosen in each copy of a repeated panel; the one panel, if it is not repeated.
fn copies(query: Query<'_>, scope: &Scope) -> Vec<Scope> {
    let Some(variable) = query.panel().and_then(|panel| panel.repeat.as_deref()) else {
        return vec![scope.clone()];
    };
    match scope.selection(variable) {
        Some(Selection::Many(values)) => values
            .iter()
            .take(MAX_COPIES)
            .map(|value| scope.repeated(variable, value))
            .collect(),
        _ => vec![scope.clone()],
    }
}
