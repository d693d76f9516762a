//! Rule files, as far as boards need them: which metrics their expressions use, and which series they record.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::exit::Refusal;
use crate::files;
use crate::promql;

/// What rules use and make.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Metrics that their expressions name.
    pub metrics: BTreeSet<String>,
    /// Series that they record.
    pub recorded: BTreeSet<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    #[serde(default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    record: Option<String>,
    expr: String,
}

impl Rules {
    /// Reads every `*.yml` and `*.yaml` in the folder; files without `groups` are passed over.
    pub fn read(folder: &Path) -> Result<Self, Refusal> {
        let mut rules = Self::default();
        for path in files::listed(folder, &["yml", "yaml"])? {
            rules.add(&path)?;
        }
        Ok(rules)
    }

    fn add(&mut self, path: &Path) -> Result<(), Refusal> {
        let name = path.display();
        let text = files::read(path)?;
        let file: File = serde_saphyr::from_str(&text)
            .map_err(|error| Refusal::usage(format!("{name}: {error}")))?;
        for rule in file.groups.into_iter().flat_map(|group| group.rules) {
            let expr = promql::parse(&rule.expr)
                .map_err(|error| Refusal::usage(format!("{name}: {}: {error}", rule.expr)))?;
            self.metrics.extend(promql::metrics(&expr));
            self.recorded.extend(rule.record);
        }
        Ok(())
    }
}
