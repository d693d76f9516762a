//! What can be changed while the process runs: which log lines are written, and which share of the traces is recorded.
//! Both are process-wide, as the subscriber is that they belong to.

use std::time::Duration;

use ::http::StatusCode;
use axum::Router;
use axum::extract::{FromRequest as _, Request};
use axum::routing::get;

use super::problem::Problem;
use crate::logs::{self, SetFilterError};
use crate::traces::sampling::{self, BadShare, Ratio, Share};

/// A body that takes longer to arrive is not waited for.
const BODY_DEADLINE: Duration = Duration::from_secs(5);

pub(super) fn router() -> Router {
    Router::new()
        .route("/log-level", get(log_level).put(set_log_level))
        .route(
            "/sampling-ratio",
            get(sampling_ratio).put(set_sampling_ratio),
        )
}

async fn log_level() -> Result<String, Problem> {
    logs::filter().ok_or_else(|| filter_problem(&SetFilterError::NotInitialised))
}

async fn set_log_level(request: Request) -> Result<StatusCode, Problem> {
    let filter = body(request).await?;
    logs::set_filter(filter.trim()).map_err(|error| filter_problem(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

fn filter_problem(error: &SetFilterError) -> Problem {
    match error {
        SetFilterError::NotInitialised => unavailable(error.to_string()),
        SetFilterError::Invalid { .. } => invalid("bad-log-filter", "Invalid log filter", error),
    }
}

async fn sampling_ratio() -> Result<String, Problem> {
    Ok(format!("{}", ratio()?.get()))
}

async fn set_sampling_ratio(request: Request) -> Result<StatusCode, Problem> {
    let text = body(request).await?;
    let ratio = ratio()?;
    let share: Share = text.trim().parse().map_err(|error: BadShare| {
        invalid("bad-sampling-ratio", "Invalid sampling ratio", &error)
    })?;
    ratio.set(share);
    Ok(StatusCode::NO_CONTENT)
}

fn ratio() -> Result<&'static Ratio, Problem> {
    sampling::ratio().ok_or_else(|| {
        unavailable("no trace leaves this process, so there is no sampling ratio".to_owned())
    })
}

/// The body as text, if it arrives in time.
async fn body(request: Request) -> Result<String, Problem> {
    let body = String::from_request(request, &());
    match tokio::time::timeout(BODY_DEADLINE, body).await {
        Ok(Ok(text)) => Ok(text),
        Ok(Err(rejection)) => Err(Problem {
            status: rejection.status(),
            kind: "bad-body",
            title: "Unreadable body",
            detail: rejection.body_text(),
        }),
        Err(_) => Err(Problem {
            status: StatusCode::REQUEST_TIMEOUT,
            kind: "body-timeout",
            title: "The body did not arrive in time",
            detail: format!("the body must arrive within {BODY_DEADLINE:?}"),
        }),
    }
}

fn invalid(kind: &'static str, title: &'static str, error: &dyn std::error::Error) -> Problem {
    Problem {
        status: StatusCode::BAD_REQUEST,
        kind,
        title,
        detail: error.to_string(),
    }
}

fn unavailable(detail: String) -> Problem {
    Problem {
        status: StatusCode::SERVICE_UNAVAILABLE,
        kind: "not-in-this-process",
        title: "This process has no such switch",
        detail,
    }
}
