//! What a request's path and query say, as typed values or a problem.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::problem::Problem;
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
