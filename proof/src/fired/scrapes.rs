//! The configuration of a run's Prometheus: the system's scrapes every second, and its own Alertmanager.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::causes::System;
use super::placeholder::Values;
use super::scale::items;

/// Jobs that are the run's own servers, whatever the system scrapes by these names.
const OWN: [&str; 2] = ["prometheus", "alertmanager"];
/// Between two scrapes, and the longest that one may take.
const INTERVAL: &str = "1s";

/// What is scraped.
#[derive(Clone, Debug)]
pub(crate) struct Scrapes {
    global: Map<String, Value>,
    jobs: Vec<Value>,
}

impl Scrapes {
    /// From the causes file, or from the `prometheus.yml` that it names.
    pub(crate) fn of(system: &System, values: &Values) -> Result<Self, String> {
        let (mut global, jobs) = match &system.scrapes {
            Some(file) => read(Path::new(&values.fill(file)?))?,
            None => (Map::new(), system.scrape.clone()),
        };
        global.extend(system.global.clone());
        for (key, value) in [
            ("scrape_interval", INTERVAL),
            ("scrape_timeout", INTERVAL),
            ("evaluation_interval", INTERVAL),
        ] {
            global.insert(key.to_owned(), value.into());
        }
        let mut scrapes = Self {
            global,
            jobs: Vec::new(),
        };
        for mut job in jobs {
            values.fill_value(&mut job)?;
            scrapes.add(job);
        }
        Ok(scrapes)
    }

    fn add(&mut self, mut job: Value) {
        let own = job["job_name"]
            .as_str()
            .is_some_and(|name| OWN.contains(&name));
        if own {
            return;
        }
        if let Some(keys) = job.as_object_mut() {
            keys.remove("scrape_interval");
            keys.remove("scrape_timeout");
        }
        for discovery in items(&mut job, "file_sd_configs") {
            discovery["refresh_interval"] = INTERVAL.into();
        }
        self.jobs.push(job);
    }

    /// How many targets are named directly: each of them must have been scraped before anything is judged.
    pub(crate) fn targets(&self) -> usize {
        let targets = |config: &Value| config["targets"].as_array().map_or(0, Vec::len);
        let of_job = |job: &Value| -> usize {
            job["static_configs"]
                .as_array()
                .into_iter()
                .flatten()
                .map(targets)
                .sum()
        };
        self.jobs.iter().map(of_job).sum::<usize>() + OWN.len()
    }

    /// The configuration of a Prometheus on `port` of loopback. Each key of the top and each job has a line of its own, so that
    /// a cause may change one with the simplest tools.
    pub(crate) fn configuration(&self, port: u16, alertmanager: &str) -> String {
        let own = OWN
            .iter()
            .zip([format!("127.0.0.1:{port}"), alertmanager.to_owned()]);
        let own = own.map(
            |(name, target)| json!({"job_name": name, "static_configs": [{"targets": [target]}]}),
        );
        let jobs: Vec<String> = self
            .jobs
            .iter()
            .cloned()
            .chain(own)
            .map(|job| job.to_string())
            .collect();
        let alerting =
            json!({"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]});
        format!(
            "{{\n\"alerting\": {alerting},\n\"global\": {},\n\"rule_files\": [\"rules/*.yml\"],\n\"scrape_configs\": [\n{}\n]\n}}\n",
            Value::Object(self.global.clone()),
            jobs.join(",\n")
        )
    }
}

fn read(file: &Path) -> Result<(Map<String, Value>, Vec<Value>), String> {
    let name = file.display();
    let text = crate::files::read(file).map_err(|refusal| refusal.sentence)?;
    let config: Value =
        serde_saphyr::from_str(&text).map_err(|error| format!("{name}: {error}"))?;
    let jobs = config["scrape_configs"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    if jobs.is_empty() {
        return Err(format!("{name} has no scrape_configs"));
    }
    Ok((
        config["global"].as_object().cloned().unwrap_or_default(),
        jobs,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn system(text: &str) -> System {
        toml::from_str(&format!("start = ['x']\n{text}")).unwrap()
    }

    #[test]
    fn jobs_of_the_file_are_scraped_every_second_and_its_own_servers_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("prometheus.yml");
        let text = "global: {scrape_interval: 15s, external_labels: {a: b}}
scrape_configs:
  - {job_name: api, scrape_interval: 30s, static_configs: [targets: ['a:1', 'b:2']]}
  - {job_name: prometheus, static_configs: [targets: ['c:3']]}
  - {job_name: found, file_sd_configs: [{files: ['x/*.json'], refresh_interval: 5m}]}
";
        std::fs::write(&file, text).unwrap();
        let system = system(&format!("scrapes = '{}'", file.display()));
        let scrapes = Scrapes::of(&system, &Values::default()).unwrap();
        assert_eq!(scrapes.targets(), 4);
        let config: Value = serde_json::from_str(&scrapes.configuration(9, "h:5")).unwrap();
        assert_eq!(config["global"]["scrape_interval"], "1s");
        assert_eq!(config["global"]["external_labels"]["a"], "b");
        let jobs = config["scrape_configs"].as_array().unwrap();
        let names: Vec<_> = jobs
            .iter()
            .map(|job| job["job_name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["api", "found", "prometheus", "alertmanager"]);
        assert!(jobs[0].get("scrape_interval").is_none());
        assert_eq!(jobs[1]["file_sd_configs"][0]["refresh_interval"], "1s");
        assert_eq!(jobs[3]["static_configs"][0]["targets"][0], "h:5");
    }

    #[test]
    fn jobs_of_the_causes_file_are_filled() {
        let mut values = Values::default();
        values.set("api", "http://127.0.0.1:7/x");
        let system =
            system("[[scrape]]\njob_name = 'a'\nstatic_configs = [{ targets = ['{api.host}'] }]\n");
        let text = Scrapes::of(&system, &values)
            .unwrap()
            .configuration(9, "h:5");
        assert!(
            text.contains(
                "\n{\"job_name\":\"a\",\"static_configs\":[{\"targets\":[\"127.0.0.1:7\"]}]},\n"
            ),
            "{text}"
        );
        assert!(Scrapes::of(&system, &Values::default()).is_err());
    }
}
