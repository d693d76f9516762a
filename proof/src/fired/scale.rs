//! Rules and routes with time scaled, from the files that production uses, by parsing.
//!
//! A week of waiting can't be part of a test. In scaled time a range of 5 minutes is one of 5 seconds, a `for` of 2 minutes
//! one of 2 seconds; names, labels, thresholds and texts stay. What is a length of time is told by PromQL's grammar, or by an
//! annotation where it is a plain number ([`literal`]).

pub(crate) mod expression;
pub(crate) mod length;
mod literal;
pub(crate) mod routes;
pub(crate) mod rules;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use stack::server::{Backend, Source, alertmanager, prometheus};

use self::length::Scale;
use self::routes::Routes;
use self::rules::Rules;
use super::codes;
use super::tool;
use crate::exit::Refusal;
use crate::files;
use crate::finding::Finding;

/// Rules and routes in scaled time.
#[derive(Debug)]
pub(crate) struct Scaled {
    /// By how much.
    pub(crate) scale: Scale,
    /// The rules.
    pub(crate) rules: Rules,
    /// The routes.
    pub(crate) routes: Routes,
}

impl Scaled {
    /// Reads `DIR/rules/*.yml` and `DIR/alertmanager.yml`.
    pub(crate) fn read(dir: &Path, scale: Scale) -> Result<Self, Refusal> {
        let folder = dir.join("rules");
        let paths = files::listed(&folder, &["yml", "yaml"])?;
        if paths.is_empty() {
            return Err(Refusal::usage(format!(
                "{} has no *.yml: put Prometheus' rule files there",
                folder.display()
            )));
        }
        let texts = paths
            .iter()
            .map(|path| Ok((path.as_path(), files::read(path)?)))
            .collect::<Result<Vec<_>, Refusal>>()?;
        let routes = dir.join("alertmanager.yml");
        Ok(Self {
            scale,
            rules: rules::scaled(&texts, scale),
            routes: routes::scaled(&routes, &files::read(&routes)?, scale),
        })
    }

    /// What is wrong with the files.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        [&self.rules.findings[..], &self.routes.findings].concat()
    }

    /// Writes a folder of the same form, with the receivers as they are.
    pub(crate) fn write(&self, dir: &Path) -> Result<(), Refusal> {
        let folder = dir.join("rules");
        fs::create_dir_all(&folder).map_err(|error| unwritable(&folder, &error))?;
        let rules = self.rules.files.iter();
        let rules = rules.map(|(name, text)| (folder.join(name), text.clone()));
        let routes = (dir.join("alertmanager.yml"), self.routes.text());
        for (path, text) in rules.chain([routes]) {
            fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
        }
        Ok(())
    }

    /// Lets promtool and amtool judge the scaled files; where a tool is missing, its name and how to get it.
    pub(crate) async fn check(&self) -> Result<(Vec<Finding>, Vec<String>), Refusal> {
        let folder = tempfile::tempdir()
            .map_err(|error| Refusal::internal(format!("no folder for files to check: {error}")))?;
        self.write(folder.path())?;
        let (mut findings, mut missing) = (Vec::new(), Vec::new());
        let rules = self
            .rules
            .files
            .iter()
            .map(|(name, _)| folder.path().join("rules").join(name));
        let checks: [(Backend, &[&str], Vec<PathBuf>); 2] = [
            (
                prometheus::find_promtool(),
                &["check", "rules"],
                rules.collect(),
            ),
            (
                alertmanager::find_amtool(),
                &["check-config"],
                vec![folder.path().join("alertmanager.yml")],
            ),
        ];
        for (backend, arguments, files) in checks {
            let Some(Source::Program(program)) = backend.found.map(|found| found.source) else {
                missing.push(format!("{}: {}", backend.name, backend.install));
                continue;
            };
            for file in files {
                if let Err(said) = tool::check(&program, arguments, &file).await? {
                    findings.push(Finding {
                        code: codes::TOOL_REFUSES,
                        file: file
                            .file_name()
                            .unwrap_or_default()
                            .to_string_lossy()
                            .into_owned(),
                        subject: "the scaled file".to_owned(),
                        query: None,
                        sentence: format!("{} refuses it: {said}", backend.name),
                    });
                }
            }
        }
        Ok((findings, missing))
    }
}

fn unwritable(path: &Path, error: &std::io::Error) -> Refusal {
    Refusal::usage(format!("{} cannot be written: {error}", path.display()))
}

/// The items of a list under a key; none where there is none, which stays so.
pub(crate) fn items<'v>(value: &'v mut Value, key: &str) -> impl Iterator<Item = &'v mut Value> {
    let list = value.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten()
}
