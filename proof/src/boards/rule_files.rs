//! Rule files, as far as boards need them: which metrics their expressions use, and which series they record.

use std::collections::BTreeSet;
use std::path::Path;

use crate::exit::Refusal;
use crate::files;
use crate::promql;
use crate::rule_file;

/// What rules use and make.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Metrics that their expressions name.
    pub metrics: BTreeSet<String>,
    /// Series that they record.
    pub recorded: BTreeSet<String>,
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
        let rules =
            rule_file::parse(&text).map_err(|error| Refusal::usage(format!("{name}: {error}")))?;
        for rule in rules {
            let expr = promql::parse(&rule.expr)
                .map_err(|error| Refusal::usage(format!("{name}: {}: {error}", rule.expr)))?;
            self.metrics.extend(promql::metrics(&expr));
            self.recorded.extend(rule.record);
        }
        Ok(())
    }
}
