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

/// The scrape interval that the data source is told.
pub fn scrape_interval(boards: &Path) -> Result<Duration, Refusal> {
    let folder = boards.join("provisioning/datasources");
    let Ok(entries) = std::fs::read_dir(&folder) else {
        return Ok(DEFAULT);
    };
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
        let told = file
            .datasources
            .into_iter()
            .filter(|source| source.kind == "prometheus")
            .find_map(|source| source.data.time_interval);
        if let Some(told) = told {
            return promql::duration(&told).map_err(|_| {
                Refusal::usage(format!(
                    "{name}: invalid timeInterval `{told}`: write it like 15s"
                ))
            });
        }
    }
    Ok(DEFAULT)
}
