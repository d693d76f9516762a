//! What a request's path and query say, as typed values or a problem.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::{BadParameter, Problem};
use crate::domain::Unknown;

/// The `{id}` of a path.
pub(super) struct Id<T>(pub(super) T);

impl<S: Send + Sync, T: std::str::FromStr<Err = Unknown>> FromRequestParts<S> for Id<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(id) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::BadParameter(error.body_text()))?;
        Ok(Self(id.parse()?))
    }
}

/// The query. Parameters that a route does not know are refused: ignoring a filter would answer another question.
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(error) => Err(Problem::BadParameter(error.body_text())),
        }
    }
}

/// A value for each word of a parameter.
pub(super) type Words<T> = [(&'static str, T)];

/// What is wrong with a query so far, so that all of it can be said at once.
#[derive(Default)]
pub(super) struct Refusals(Vec<BadParameter>);

impl Refusals {
    /// What was parsed, unless anything is wrong; `None` only if something is.
    pub(super) fn finish<T>(self, parsed: Option<T>) -> Result<T, Problem> {
        match parsed {
            Some(parsed) if self.0.is_empty() => Ok(parsed),
            _ => Err(Problem::BadParameters(self.0)),
        }
    }

    /// `rest` continues a sentence that begins with the parameter's name.
    pub(super) fn push(&mut self, parameter: &'static str, rest: impl fmt::Display) {
        self.0.push(BadParameter::new(parameter, rest));
    }

    /// The value of `text`, if it is given and among `words`.
    pub(super) fn word<T: Copy>(
        &mut self,
        parameter: &'static str,
        text: Option<&str>,
        words: &Words<T>,
    ) -> Option<T> {
        let text = text?;
        let found = words.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.push(
                parameter,
                format_args!("must be one of {}", words.join(", ")),
            );
        }
        found.map(|(_, value)| *value)
    }

    /// The number that `text` says, if it is given and within `range`.
    pub(super) fn number<T: FromStr + PartialOrd + fmt::Display>(
        &mut self,
        parameter: &'static str,
        text: Option<&str>,
        range: &RangeInclusive<T>,
    ) -> Option<T> {
        let number = text?.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            self.push(
                parameter,
                format_args!("must be a number from {least} to {most}"),
            );
        }
        number
    }
}
