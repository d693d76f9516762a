//! Where the text of a setting comes from, remembered so that `chitram config` can say it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use toml::de::{DeTable, DeValue};

/// Each setting: its name in the configuration file and its environment variable.
const SETTINGS: &[(&str, &str)] = &[
    ("http.listen", "CHITRAM_LISTEN"),
    ("http.deadline", "CHITRAM_REQUEST_DEADLINE"),
    ("http.concurrency", "CHITRAM_REQUEST_CONCURRENCY"),
    ("http.hosts", "CHITRAM_HOSTS"),
    ("http.send_timeout", "CHITRAM_SEND_TIMEOUT"),
    ("http.send_rate", "CHITRAM_SEND_RATE"),
    ("http.answer_bytes", "CHITRAM_ANSWER_BYTES"),
    ("http.original_bytes", "CHITRAM_ORIGINAL_BYTES"),
    ("http.drain", "CHITRAM_DRAIN"),
    ("admin.listen", "CHITRAM_ADMIN_LISTEN"),
    ("catalog.url", "CHITRAM_CATALOG_URL"),
    ("catalog.migrate", "CHITRAM_MIGRATE"),
    ("store.url", "CHITRAM_STORE_URL"),
    ("store.endpoint", "CHITRAM_STORE_ENDPOINT"),
    ("store.region", "CHITRAM_STORE_REGION"),
    ("store.access_key", "CHITRAM_STORE_ACCESS_KEY"),
    ("store.secret_key", "CHITRAM_STORE_SECRET_KEY"),
    ("store.deadline", "CHITRAM_STORE_DEADLINE"),
    ("store.idle_timeout", "CHITRAM_STORE_IDLE_TIMEOUT"),
    ("store.breaker", "CHITRAM_STORE_BREAKER"),
    ("store.concurrency", "CHITRAM_STORE_CONCURRENCY"),
    ("uploads.spool_dir", "CHITRAM_SPOOL_DIR"),
    ("uploads.spool_bytes", "CHITRAM_SPOOL_BYTES"),
    ("uploads.max_bytes", "CHITRAM_UPLOAD_BYTES"),
    ("uploads.deadline", "CHITRAM_UPLOAD_DEADLINE"),
    ("uploads.concurrency", "CHITRAM_UPLOAD_CONCURRENCY"),
    ("uploads.rate", "CHITRAM_UPLOAD_RATE"),
    ("uploads.grace", "CHITRAM_UPLOAD_GRACE"),
    ("uploads.idle_timeout", "CHITRAM_UPLOAD_IDLE_TIMEOUT"),
    ("renders.threads", "CHITRAM_CPU_THREADS"),
    ("renders.decoded_bytes", "CHITRAM_DECODED_BYTES"),
    ("renders.wait", "CHITRAM_CPU_WAIT"),
    ("renders.queue", "CHITRAM_CPU_QUEUE"),
    ("jobs.concurrency", "CHITRAM_JOB_CONCURRENCY"),
    ("telemetry.environment", "CHITRAM_ENVIRONMENT"),
    ("telemetry.log_filter", "RUST_LOG"),
    ("telemetry.otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT"),
    ("telemetry.sample_ratio", "OTEL_TRACES_SAMPLER_ARG"),
];

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A line of the configuration file.
    File(PathBuf, usize),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(variable) => f.write_str(variable),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A setting as it was understood.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// Its name in the configuration file.
    pub name: &'static str,
    /// Its environment variable.
    pub variable: &'static str,
    /// Its value, fit to be shown: secrets are hidden. `None` when it is not set.
    pub shown: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// A setting that can't be used: one line that names where it came from and says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

/// Flags, environment and file, and a record of what was taken from where.
#[derive(Debug, Default)]
pub struct Sources {
    flags: BTreeMap<&'static str, (&'static str, String)>,
    environment: BTreeMap<String, String>,
    file: BTreeMap<String, (String, Origin)>,
    resolved: Vec<Resolved>,
}

impl Sources {
    /// The given environment, and nothing else yet.
    pub fn new(environment: impl IntoIterator<Item = (String, String)>) -> Self {
        Self {
            environment: environment.into_iter().collect(),
            ..Self::default()
        }
    }

    /// Adds a flag of the command line: `flag` sets the setting `name`.
    #[must_use]
    pub fn with_flag(
        mut self,
        name: &'static str,
        flag: &'static str,
        value: Option<String>,
    ) -> Self {
        if let Some(value) = value {
            self.flags.insert(name, (flag, value));
        }
        self
    }

    /// Adds a configuration file. Keys that it does not know are refused: most are misspelt.
    pub fn with_file(mut self, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigError(format!(
                "{}: the file can't be read: {error}",
                path.display()
            ))
        })?;
        let refused = |offset: usize, reason: &str| {
            ConfigError(format!(
                "{}:{}: {reason}",
                path.display(),
                line_of(&text, offset)
            ))
        };
        let document = DeTable::parse(&text)
            .map_err(|error| refused(error.span().map_or(0, |span| span.start), error.message()))?;
        for (section, table) in document.get_ref() {
            let DeValue::Table(table) = table.get_ref() else {
                return Err(refused(
                    section.span().start,
                    &format!("{:?} is not a section", section.get_ref()),
                ));
            };
            for (key, value) in table {
                let name = format!("{}.{}", section.get_ref(), key.get_ref());
                let offset = key.span().start;
                if !SETTINGS.iter().any(|(known, _)| *known == name) {
                    return Err(refused(
                        offset,
                        &format!("there is no setting {name:?}; `chitram config` lists all"),
                    ));
                }
                let text_of = scalar(value.get_ref()).ok_or_else(|| {
                    refused(
                        offset,
                        &format!("{name} must be a text, a number or a switch"),
                    )
                })?;
                let origin = Origin::File(path.to_owned(), line_of(&text, offset));
                self.file.insert(name, (text_of, origin));
            }
        }
        Ok(self)
    }

    /// Every setting that was taken, in the order of the configuration.
    pub fn resolved(&self) -> &[Resolved] {
        &self.resolved
    }

    /// Takes a setting that has a default and may be shown as it was given.
    pub(super) fn get<T>(
        &mut self,
        name: &'static str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, ConfigError> {
        let (text, origin) = self
            .find(name)
            .unwrap_or_else(|| (default.to_owned(), Origin::Default));
        let value = parse(&text).map_err(|reason| refuse(&origin, name, &text, &reason))?;
        self.record(name, Some(text), origin);
        Ok(value)
    }

    /// As [`Self::get`], shown by `show`: the text may hold a password.
    pub(super) fn get_shown<T>(
        &mut self,
        name: &'static str,
        default: &str,
        parse: impl FnOnce(&str) -> Result<T, String>,
        show: impl FnOnce(&T) -> String,
    ) -> Result<T, ConfigError> {
        let (text, origin) = self
            .find(name)
            .unwrap_or_else(|| (default.to_owned(), Origin::Default));
        let value = parse(&text)
            .map_err(|reason| ConfigError(format!("{}: {reason}", place(&origin, name))))?;
        self.record(name, Some(show(&value)), origin);
        Ok(value)
    }

    /// Takes a setting that may be unset.
    pub(super) fn get_optional<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<T>, ConfigError> {
        let Some((text, origin)) = self.find(name) else {
            self.record(name, None, Origin::Default);
            return Ok(None);
        };
        let value = parse(&text).map_err(|reason| refuse(&origin, name, &text, &reason))?;
        self.record(name, Some(text), origin);
        Ok(Some(value))
    }

    /// Takes a secret that may be unset; it is never shown.
    pub(super) fn get_secret(&mut self, name: &'static str) -> Option<SecretString> {
        let Some((text, origin)) = self.find(name) else {
            self.record(name, None, Origin::Default);
            return None;
        };
        self.record(name, Some("(hidden)".to_owned()), origin);
        Some(text.into())
    }

    /// The error for a setting that another one needs.
    pub(super) fn missing(name: &str, reason: &str) -> ConfigError {
        ConfigError(format!("{}: it is not set, and {reason}", variable(name)))
    }

    /// An empty environment variable counts as unset, as it does for most programs.
    fn find(&self, name: &'static str) -> Option<(String, Origin)> {
        if let Some((flag, value)) = self.flags.get(name) {
            return Some((value.clone(), Origin::Flag(flag)));
        }
        let variable = variable(name);
        match self.environment.get(variable) {
            Some(value) if !value.is_empty() => {
                Some((value.clone(), Origin::Environment(variable)))
            }
            _ => self.file.get(name).cloned(),
        }
    }

    fn record(&mut self, name: &'static str, shown: Option<String>, origin: Origin) {
        self.resolved.push(Resolved {
            name,
            variable: variable(name),
            shown,
            origin,
        });
    }
}

fn variable(name: &str) -> &'static str {
    SETTINGS
        .iter()
        .find(|(known, _)| *known == name)
        .map_or("", |(_, variable)| variable)
}

fn place(origin: &Origin, name: &str) -> String {
    match origin {
        Origin::File(..) => format!("{origin}: {name}"),
        Origin::Default => variable(name).to_owned(),
        Origin::Flag(_) | Origin::Environment(_) => origin.to_string(),
    }
}

fn refuse(origin: &Origin, name: &str, text: &str, reason: &str) -> ConfigError {
    ConfigError(format!(
        "{}: {text:?} can't be used: {reason}",
        place(origin, name)
    ))
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(switch) => Some(switch.to_string()),
        _ => None,
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes()
        .take(offset)
        .filter(|byte| *byte == b'\n')
        .count()
        + 1
}
