//! What Grafana would be told of its data sources, where the boards' folder provisions them.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::exit::Refusal;
use crate::files;
use crate::promql;

/// Grafana's own default for a Prometheus that does not say how often it scrapes.
const DEFAULT: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    datasources: Vec<Source>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(rename = "jsonData", default)]
    data: Data,
}

#[derive(Default, Deserialize)]
struct Data {
    #[serde(rename = "timeInterval")]
    time_interval: Option<String>,
}

/// What the provisioning says of the scrape interval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// No data source of a Prometheus is provisioned here.
    Nowhere,
    /// This file has a data source that is told nothing: Grafana takes its default.
    Nothing(String),
    /// So long.
    Interval(Duration),
}

impl Told {
    /// What Grafana calculates with.
    pub fn interval(&self) -> Duration {
        match self {
            Self::Interval(interval) => *interval,
            Self::Nowhere | Self::Nothing(_) => DEFAULT,
        }
    }
}

/// The scrape interval that the data source is told.
pub fn told(boards: &Path) -> Result<Told, Refusal> {
    let folder = boards.join("provisioning/datasources");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(Told::Nowhere);
    };
    let mut told = Told::Nowhere;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path
            .extension()
            .is_none_or(|extension| extension != "yml" && extension != "yaml")
        {
            continue;
        }
        let name = path.display();
        let text = files::read(&path)?;
        let file: File = serde_saphyr::from_str(&text)
            .map_err(|error| Refusal::usage(format!("{name}: {error}")))?;
        let mut sources = file
            .datasources
            .into_iter()
            .filter(|source| source.kind == "prometheus");
        let Some(source) = sources.next() else {
            continue;
        };
        let Some(interval) = source.data.time_interval else {
            told = Told::Nothing(name.to_string());
            continue;
        };
        return promql::duration(&interval)
            .map(Told::Interval)
            .map_err(|_| {
                Refusal::usage(format!(
                    "{name}: invalid timeInterval `{interval}`: write it like 15s"
                ))
            });
    }
    Ok(told)
}
