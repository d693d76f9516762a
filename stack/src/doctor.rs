//! `chitram-stack doctor`: which real servers this machine has, and how to get the others.

use std::fmt::Write;

use serde::Serialize;

use crate::server::{
    Backend, Source, alertmanager, elasticsearch, jaeger, postgres, prometheus, rsyslog, toxiproxy,
    versitygw,
};

/// One line of the answer.
#[derive(Debug, Serialize)]
pub struct Line {
    /// The server.
    pub name: &'static str,
    /// The part that it plays.
    pub role: &'static str,
    /// Whether it can be used.
    pub found: bool,
    /// Its version, as far as it tells.
    pub version: Option<String>,
    /// The program's path, or the URL that the environment gives (without its password).
    pub place: Option<String>,
    /// The command that installs it.
    pub install: &'static str,
    /// What else there is to know: a program that is there and not used.
    pub note: Option<String>,
}

/// Looks for each server that the platform can use, and for the tools of their tests.
pub fn examine() -> Vec<Line> {
    [
        (postgres::find(), None),
        (toxiproxy::find(), None),
        (jaeger::find(), None),
        (versitygw::find(), None),
        (prometheus::find(), prometheus::too_old()),
        (prometheus::find_promtool(), None),
        (alertmanager::find(), alertmanager::too_old()),
        (alertmanager::find_amtool(), None),
        (elasticsearch::find(), None),
        (rsyslog::find(), None),
    ]
    .into_iter()
    .map(|(backend, note)| line(backend, note))
    .collect()
}

fn line(backend: Backend, note: Option<String>) -> Line {
    let Backend {
        name,
        role,
        install,
        found,
    } = backend;
    let place = found.as_ref().map(|found| match &found.source {
        Source::Url(url) => without_password(url),
        Source::Program(path) => path.display().to_string(),
    });
    Line {
        name,
        role,
        found: found.is_some(),
        version: found.map(|found| found.version),
        place,
        install,
        note,
    }
}

fn without_password(url: &str) -> String {
    let Ok(mut url) = url::Url::parse(url) else {
        return "a URL that cannot be read".to_owned();
    };
    if url.password().is_some() {
        let _ = url.set_password(Some("***"));
    }
    url.into()
}

/// The answer as a table for a person.
pub fn table(lines: &[Line]) -> String {
    let mut text = format!("{:<13} {:<13} {:<12} WHERE\n", "SERVER", "ROLE", "VERSION");
    for line in lines {
        let version = line.version.as_deref().unwrap_or("not found");
        let place = line
            .place
            .clone()
            .unwrap_or_else(|| format!("install: {}", line.install));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<13} {:<13} {version:<12} {place}",
            line.name, line.role
        );
    }
    for note in lines.iter().filter_map(|line| line.note.as_ref()) {
        let _ = writeln!(text, "{note}");
    }
    text + "What is not found is played by a stand-in, or SQLite for PostgreSQL; nothing stands in for Prometheus,\n\
        Alertmanager, Elasticsearch and rsyslog.\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing() -> Line {
        let (name, role, install) = ("Jaeger", "traces", "scripts/backends");
        Line {
            name,
            role,
            found: false,
            version: None,
            place: None,
            install,
            note: None,
        }
    }

    #[test]
    fn a_missing_server_is_listed_with_the_command_that_installs_it() {
        assert!(
            table(&[missing()])
                .contains("Jaeger        traces        not found    install: scripts/backends")
        );
    }

    #[test]
    fn a_program_that_is_there_and_not_used_is_named_with_the_reason() {
        let note =
            "/usr/bin/prometheus is not used: its version is 2.42.0, and 3.0 or newer is needed";
        let line = Line {
            note: Some(note.to_owned()),
            ..missing()
        };
        assert!(table(&[line]).lines().any(|line| line == note));
    }

    #[test]
    fn a_password_in_a_url_is_not_printed() {
        assert_eq!(
            without_password("postgres://me:secret@h:1/d"),
            "postgres://me:***@h:1/d"
        );
    }
}
