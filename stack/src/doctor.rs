//! `chitram-stack doctor`: which real servers this machine has, and how to get the others.

use std::fmt::Write;

use serde::Serialize;

use crate::server::{
    Backend, Source, elasticsearch, jaeger, postgres, rsyslog, toxiproxy, versitygw,
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
}

/// Looks for each server that the platform can use.
pub fn examine() -> Vec<Line> {
    [
        postgres::find(),
        toxiproxy::find(),
        jaeger::find(),
        versitygw::find(),
        elasticsearch::find(),
        rsyslog::find(),
    ]
    .into_iter()
    .map(line)
    .collect()
}

fn line(backend: Backend) -> Line {
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
    text + "What is not found is played by a stand-in, or SQLite for PostgreSQL; logs are not shipped.\n"
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
    fn a_password_in_a_url_is_not_printed() {
        assert_eq!(
            without_password("postgres://me:secret@h:1/d"),
            "postgres://me:***@h:1/d"
        );
    }
}
