//! `prometheus.yml`.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use super::{Settings, Target};
use crate::error::Error;

/// The configuration of a Prometheus that listens on `port` of loopback. Rule files are in the folder `rules` beside it.
pub(super) fn of(settings: &Settings, port: u16) -> Result<String, Error> {
    // `OpenMetrics` first: only it carries exemplars. The extra metrics have the timeout of each scrape, which the alert on
    // slow ones compares with.
    let mut text = format!(
        "global:
  scrape_interval: {interval}
  scrape_timeout: {interval}
  evaluation_interval: {interval}
  extra_scrape_metrics: true
  scrape_protocols: [OpenMetricsText1.0.0, OpenMetricsText0.0.1, PrometheusText0.0.4]
rule_files: ['rules/*.yml']
",
        interval = duration(settings.interval)
    );
    if let Some(url) = &settings.alertmanager {
        let place = Place::of(url)?;
        // Writing to a string cannot fail, here and below.
        let _ = write!(
            text,
            "alerting:
  alertmanagers:
    - scheme: {}
      path_prefix: {}
      static_configs: [targets: [{}]]
",
            place.scheme,
            quoted(&format!("{}/", place.prefix)),
            quoted(&place.authority)
        );
    }
    text += "scrape_configs:\n";
    let own = Target {
        job: "prometheus".to_owned(),
        url: format!("http://127.0.0.1:{port}"),
    };
    for target in settings.targets.iter().chain([&own]) {
        text += &scraped(target)?;
    }
    if let Some(folder) = &settings.registered {
        text += &registered(folder, settings.interval);
    }
    Ok(text)
}

fn scraped(target: &Target) -> Result<String, Error> {
    let place = Place::of(&target.url)?;
    Ok(format!(
        "  - job_name: {}
    scheme: {}
    metrics_path: {}
    static_configs: [targets: [{}]]
",
        quoted(&target.job),
        place.scheme,
        quoted(&format!("{}/metrics", place.prefix)),
        quoted(&place.authority)
    ))
}

/// The files name the job of what they register, which replaces this one's name.
fn registered(folder: &Path, interval: Duration) -> String {
    format!(
        "  - job_name: registered
    file_sd_configs: [{{files: [{}], refresh_interval: {}}}]
",
        quoted(&folder.join("*.json").display().to_string()),
        duration(interval)
    )
}

/// The parts of a base URL that the configuration names one by one.
struct Place {
    scheme: String,
    /// `host:port`.
    authority: String,
    /// The path without a slash at its end.
    prefix: String,
}

impl Place {
    fn of(url: &str) -> Result<Self, Error> {
        let bad = || {
            Error::Usage(format!(
                "{url} is not an address: expected http://host:port"
            ))
        };
        let parsed = url::Url::parse(url).map_err(|_| bad())?;
        let (host, port) = parsed
            .host_str()
            .zip(parsed.port_or_known_default())
            .ok_or_else(bad)?;
        Ok(Self {
            scheme: parsed.scheme().to_owned(),
            authority: format!("{host}:{port}"),
            prefix: parsed.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// Whole seconds where it is some.
fn duration(duration: Duration) -> String {
    match (duration.as_secs(), duration.subsec_millis()) {
        (seconds, 0) => format!("{seconds}s"),
        _ => format!("{}ms", duration.as_millis()),
    }
}

/// A JSON string is a string of YAML too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> Settings {
        Settings {
            interval: Duration::from_secs(5),
            targets: vec![Target {
                job: "chitram".into(),
                url: "http://127.0.0.1:8081".into(),
            }],
            registered: None,
            alertmanager: None,
            rules: Vec::new(),
        }
    }

    #[test]
    fn it_scrapes_its_targets_and_itself_and_tells_nobody_without_an_alertmanager() {
        let text = of(&settings(), 9090).unwrap();
        for line in [
            "  scrape_interval: 5s",
            "  - job_name: \"chitram\"",
            "    static_configs: [targets: [\"127.0.0.1:8081\"]]",
            "  - job_name: \"prometheus\"",
            "    static_configs: [targets: [\"127.0.0.1:9090\"]]",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        assert!(!text.contains("alerting") && !text.contains("file_sd"));
    }

    #[test]
    fn a_folder_with_a_blank_and_a_quote_and_an_interval_below_a_second_are_written_as_they_are() {
        let mut settings = settings();
        settings.registered = Some("/tmp/my \"own\"/targets".into());
        settings.interval = Duration::from_millis(250);
        let text = of(&settings, 1).unwrap();
        assert!(
            text.contains(r#"files: ["/tmp/my \"own\"/targets/*.json"], refresh_interval: 250ms"#)
        );
    }

    #[test]
    fn an_alertmanager_below_a_path_is_reached_there() {
        let mut settings = settings();
        settings.alertmanager = Some("https://alerts.example/am/".into());
        let text = of(&settings, 1).unwrap();
        for line in [
            "    - scheme: https",
            "      path_prefix: \"/am/\"",
            "      static_configs: [targets: [\"alerts.example:443\"]]",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
        settings.alertmanager = Some("alerts.example".into());
        assert_eq!(of(&settings, 1).unwrap_err().exit_code(), 64);
    }
}
