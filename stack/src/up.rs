//! `chitram-stack up`: the platform in the foreground until Ctrl-C.

use std::io::Write;
use std::path::{Path, PathBuf};

use crate::alerts::Alerts;
use crate::error::Error;
use crate::folder::Folder;
use crate::interrupt::Interrupts;
use crate::platform::{Optional, Platform, Ports, Setup, Take};
use crate::state::{Endpoints, Kind, State};

/// A trace id of one's own: a request with it is sampled, and its trace is found by it.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// What the command line says.
#[derive(Debug)]
pub struct Options {
    /// The stack's folder.
    pub dir: PathBuf,
    /// Which servers play the parts.
    pub take: Take,
    /// What is left out even where it is found.
    pub without: Vec<Optional>,
    /// Where people find things.
    pub ports: Ports,
    /// The person's own rules and routes.
    pub alerts: Option<PathBuf>,
}

/// Runs until the first interrupt, then stops everything in order.
pub async fn up(options: &Options, interrupts: &Interrupts) -> Result<(), Error> {
    let alerts = options.alerts.as_deref();
    let setup = Setup {
        take: options.take,
        without: options.without.clone(),
        metrics: options.take,
        ports: options.ports,
        alerts: alerts.map_or_else(|| Ok(Alerts::shipped()), Alerts::read)?,
    };
    let folder = Folder::claim(&options.dir).await?;
    let platform = Platform::start(folder, &setup, interrupts).await?;
    print_addresses(&platform);
    interrupts.stop.cancelled().await;
    platform.stop(&interrupts.hurry).await;
    Ok(())
}

/// Where everything is, who plays it, and what to do with it, for a person, on standard output.
pub(crate) fn print_addresses(platform: &Platform) {
    let state = platform.state();
    let mut lines = addresses(&state);
    lines.extend(not_started(platform.missing()));
    lines.push(String::new());
    let load = &platform.programs().load;
    lines.extend(next_steps(
        &state.endpoints,
        load,
        &platform.folder().targets(),
    ));
    lines.push(String::new());
    // A closed pipe is no reason to stop the platform.
    let _ = writeln!(
        std::io::stdout(),
        "{}\nCtrl-C stops everything",
        lines.join("\n")
    );
}

fn addresses(state: &State) -> Vec<String> {
    let endpoints = &state.endpoints;
    let places = [
        ("API", &endpoints.api, "/v1/images"),
        ("metrics", &endpoints.admin, "/metrics"),
        ("readiness", &endpoints.admin, "/ready"),
        ("traces", &endpoints.jaeger, "/api/services"),
        ("Prometheus", &endpoints.prometheus, "/"),
        ("Alertmanager", &endpoints.alertmanager, "/api/v2/alerts"),
        ("fault proxy", &endpoints.toxiproxy, "/proxies"),
        (
            "logs",
            &endpoints.elasticsearch,
            "/logs-chitram-default/_search",
        ),
        ("control", &endpoints.control, "/processes"),
    ];
    let places = places
        .iter()
        .filter_map(|(what, url, path)| Some(format!("{what:<12} {}{path}", url.as_ref()?)));
    let players = state.servers.iter().map(|server| {
        let role = serde_json::to_value(server.role).unwrap_or_default();
        let kind = if server.kind == Kind::Real {
            "real"
        } else {
            "stand-in"
        };
        let role = role.as_str().unwrap_or_default();
        format!("{role:<12} {} {} ({kind})", server.name, server.version)
    });
    places.chain(players).collect()
}

fn not_started(missing: &[&str]) -> Option<String> {
    let them = match missing {
        [] => return None,
        [_] => "it",
        _ => "them",
    };
    let names = match missing {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        all => all.concat(),
    };
    Some(format!(
        "not started: {names} (`make backends` installs {them})"
    ))
}

/// Commands to paste, with the addresses of this platform.
fn next_steps(endpoints: &Endpoints, load: &Path, targets: &Path) -> Vec<String> {
    let mut steps = Vec::new();
    let mut step = |what: &str, command: String| steps.push(format!("{what:<16} {command}"));
    if let Some(api) = &endpoints.api {
        let images = format!("{api}/v1/images");
        step(
            "upload",
            format!("curl -H 'Content-Type: image/jpeg' --data-binary @photo.jpg {images}"),
        );
        step(
            "render",
            format!("curl -o small.webp '{images}/ID/render?w=320&format=webp'"),
        );
        let (load, targets) = (load.display(), targets.display());
        // A platform that was just started has no picture to ask for.
        let seed = format!("{load} pictures $D && {load} seed $D --target {api}");
        step("seed", format!("D=$(mktemp -d); {seed}"));
        step(
            "load",
            format!("{load} run smoke --target {api} --targets-dir {targets}"),
        );
        if let Some(jaeger) = &endpoints.jaeger {
            let parent = format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-01");
            // Spans are sent in batches, at the latest after 5 s.
            let read = format!("sleep 6; curl {jaeger}/api/traces/{TRACE}");
            step(
                "trace a request",
                format!("curl -H '{parent}' {images}; {read}"),
            );
        }
        if let Some(elasticsearch) = &endpoints.elasticsearch {
            let lines = format!("logs-chitram-default/_search?q=trace.id:{TRACE}");
            step("its log lines", format!("curl '{elasticsearch}/{lines}'"));
        }
    }
    if let Some(prometheus) = &endpoints.prometheus {
        step(
            "targets",
            format!("curl '{prometheus}/api/v1/targets?state=active'"),
        );
        let rate = "sum by (http_route) (rate(http_server_request_duration_seconds_count[1m]))";
        step(
            "query",
            format!("curl -G {prometheus}/api/v1/query --data-urlencode 'query={rate}'"),
        );
        step("alerts", format!("curl {prometheus}/api/v1/alerts"));
    }
    if let Some(control) = &endpoints.control {
        if endpoints.alertmanager.is_some() {
            step("notifications", format!("curl {control}/alerts"));
        }
        step(
            "stop the service",
            format!("curl -X POST {control}/processes/service/stop # and start"),
        );
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(endpoints: &Endpoints) -> String {
        next_steps(
            endpoints,
            Path::new("/bin/chitram-load"),
            Path::new("/d/targets"),
        )
        .join("\n")
    }

    #[test]
    fn what_to_do_next_names_the_real_addresses() {
        let url = |port: u16| Some(format!("http://127.0.0.1:{port}"));
        let text = steps(&Endpoints {
            api: url(1),
            jaeger: url(2),
            prometheus: url(3),
            alertmanager: url(4),
            control: url(5),
            elasticsearch: url(6),
            ..Endpoints::default()
        });
        for part in [
            "--data-binary @photo.jpg http://127.0.0.1:1/v1/images",
            "'http://127.0.0.1:1/v1/images/ID/render?w=320&format=webp'",
            "/bin/chitram-load seed $D --target http://127.0.0.1:1\n",
            "/bin/chitram-load run smoke --target http://127.0.0.1:1 --targets-dir /d/targets",
            "curl http://127.0.0.1:2/api/traces/4bf92f3577b34da6a3ce929d0e0e4736",
            "'http://127.0.0.1:3/api/v1/targets?state=active'",
            "curl http://127.0.0.1:3/api/v1/alerts",
            "'http://127.0.0.1:6/logs-chitram-default/_search?q=trace.id:4bf92f3577b34da6a3ce929d0e0e4736'",
            "curl http://127.0.0.1:5/alerts",
            "http://127.0.0.1:5/processes/service/stop",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn what_is_not_there_is_not_suggested() {
        let text = steps(&Endpoints {
            control: Some("http://127.0.0.1:5".to_owned()),
            ..Endpoints::default()
        });
        assert_eq!(text.lines().count(), 1, "{text}");
    }

    #[test]
    fn servers_that_are_missing_are_one_line_with_the_command_that_installs_them() {
        assert_eq!(not_started(&[]), None);
        assert_eq!(
            not_started(&["Alertmanager", "Prometheus"]).as_deref(),
            Some("not started: Alertmanager and Prometheus (`make backends` installs them)")
        );
        assert_eq!(
            not_started(&["Alertmanager", "Prometheus", "Elasticsearch"]).as_deref(),
            Some(
                "not started: Alertmanager, Prometheus and Elasticsearch (`make backends` installs them)"
            )
        );
        assert_eq!(
            not_started(&["Prometheus"]).as_deref(),
            Some("not started: Prometheus (`make backends` installs it)")
        );
    }
}
