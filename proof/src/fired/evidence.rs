//! What else shows a cause, besides the alert: panels, log lines, a trace, and the promises that are kept under it.

mod log;
mod panel;
mod promise;
mod trace;

use std::time::Duration;

use super::bench::Broken;
use super::causes::{Column, Run};
use super::report::Evidence;
use super::rig::Rig;
use super::scale::length::Scale;
use crate::boards::folder::Folder;

/// How long lines and traces may take on their way to their servers, in real time.
const ON_THE_WAY: Duration = Duration::from_mins(1);
/// Between two searches.
const AGAIN: Duration = Duration::from_secs(1);

/// When things happened, in Unix seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moments {
    /// The control time began.
    pub(crate) control: f64,
    /// The injection began.
    pub(crate) injecting: f64,
    /// The injection ended.
    pub(crate) injected: f64,
}

/// Gathers the evidence of a run while the cause is there.
pub(crate) async fn gather(
    rig: &Rig<'_, '_>,
    run: &Run,
    boards: Option<&Folder>,
    scale: Scale,
    moments: Moments,
) -> Result<Vec<Evidence>, Broken> {
    let mut found = Vec::new();
    let mut add = |column: Column, what: String, seen: Result<String, String>| {
        found.push(Evidence {
            column: column.name(),
            what,
            seen: seen.into(),
        });
    };
    for promise in &run.promises {
        let kept = promise::kept(rig.prometheus()?, &promise.expr, scale).await;
        add(Column::Promise, promise.says.clone(), kept);
    }
    for wanted in &run.panels {
        let what = format!("{}: {}", wanted.board, wanted.panel);
        let moved = match boards {
            None => Err("not looked at: give the boards by --dashboards".to_owned()),
            Some(boards) => panel::moved(rig, boards, wanted, scale, moments).await,
        };
        add(Column::Panel, what, moved);
    }
    if let Some(wanted) = &run.log {
        let seen = log::found(rig, wanted, moments).await?;
        add(Column::Log, wanted.query.clone(), seen);
    }
    if let Some(wanted) = &run.trace {
        let seen = trace::found(rig, wanted, moments).await?;
        add(Column::Trace, trace::text(wanted), seen);
    }
    Ok(found)
}

/// Whether the boards have the panel; the error is a sentence.
pub(crate) fn has_panel(boards: &Folder, wanted: &super::causes::Panel) -> Result<(), String> {
    panel::on_board(boards, wanted).map(drop)
}
