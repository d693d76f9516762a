//! A system of the tests: a file of metrics in the run's own folder, which the test serves; causes replace the file.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// Serves the files below a folder under their own paths. It ends with the test's process.
pub(crate) struct Pages {
    pub(crate) port: u16,
}

impl Pages {
    pub(crate) fn serve(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let folder = folder.to_owned();
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let folder = folder.clone();
                std::thread::spawn(move || answer(connection.unwrap(), &folder));
            }
        });
        Self { port }
    }
}

fn answer(mut connection: TcpStream, folder: &Path) {
    let mut request = [0; 4096];
    let read = connection.read(&mut request).unwrap_or_default();
    let text = String::from_utf8_lossy(&request[..read]).into_owned();
    let path = PathBuf::from(text.split(' ').nth(1).unwrap_or_default());
    let page = (path.starts_with(folder))
        .then(|| std::fs::read(&path).ok())
        .flatten();
    let (status, page) = page.map_or(("404 Not Found", Vec::new()), |page| ("200 OK", page));
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain; version=0.0.4\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        page.len()
    );
    let _ = connection.write_all(&[head.as_bytes(), &page].concat());
}

pub(crate) const RULES: &str = r"
groups:
  - name: page
    interval: 15s
    rules:
      - alert: Broken
        expr: max by (job) (max_over_time(broken[5m])) > 0
        for: 1m
        labels: {severity: page}
      - alert: Beside
        expr: beside > 0
        labels: {severity: ticket}
      - alert: Late
        expr: late > 0
        # Ten minutes once scaled: it is pending however slow the machine is.
        for: 10h
        labels: {severity: ticket}
      - alert: Lonely
        expr: lonely > 0
        labels: {severity: ticket}
      - alert: Watchdog
        expr: vector(1)
        labels: {severity: none}
";

pub(crate) const ROUTES: &str = r#"
route:
  receiver: tickets
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1m
  routes:
    - matchers: ['severity="none"']
      receiver: watchdog
      repeat_interval: 30s
    - matchers: ['severity="page"']
      receiver: pages
receivers:
  - name: tickets
    webhook_configs: [{url_file: webhook-url}]
  - name: pages
    webhook_configs: [{url_file: webhook-url}]
  - name: watchdog
    webhook_configs: [{url_file: webhook-url, send_resolved: false}]
"#;

/// FOLDER and PORT are replaced.
pub(crate) const CAUSES: &str = r#"
watchdog = "Watchdog"

[system]
start = ["sh", "-c", "if test -n \"$FAILS\"; then echo $FAILS; exit 1; fi; echo $$ > FOLDER/system.pid; exec sleep 600"]
load = ["sleep", "600"]
ready = "http://127.0.0.1:PORT/{dir}/page"
settles_within = "3m"
prepare_once = [["touch", "{shared}/prepared"]]

[system.env]
GOOD = "broken 0\nbeside 0\n"
BAD = "broken 1\nbeside 0\n"
WORSE = "broken 1\nbeside 1\n"
LATE = "broken 0\nbeside 0\nlate 1\n"

[[system.scrape]]
job_name = "page"
metrics_path = "{dir}/page"
static_configs = [{ targets = ["127.0.0.1:PORT"] }]

[[run]]
name = "clears"
cause = "The page says that it is broken."
control = "2m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page; test -f {shared}/prepared"]]
inject = [["sh", "-c", "printf \"$BAD\" > {dir}/page"]]
restore = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
[[run.alert]]
name = "Broken"
labels = { severity = "page" }
within = "10m"
clears_within = "15m"
[[run.promise]]
says = "The page is served."
expr = "min_over_time(up{job=\"page\"}[5m]) == 1"

[[run]]
name = "never-fires"
cause = "Nothing is broken."
control = "1m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["true"]]
[[run.alert]]
name = "Broken"
within = "5m"
clears_within = "5m"

[[run]]
name = "never-clears"
cause = "The page stays broken."
control = "1m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["sh", "-c", "printf \"$BAD\" > {dir}/page"]]
[[run.alert]]
name = "Broken"
within = "10m"
clears_within = "5m"

[[run]]
name = "before"
cause = "The page is broken from the start."
control = "5m"
before = [["sh", "-c", "printf \"$BAD\" > {dir}/page"]]
inject = [["true"]]
restore = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
[[run.alert]]
name = "Broken"
within = "5m"
clears_within = "15m"

[[run]]
name = "pending-before"
cause = "What the alert waits for is there from the start."
control = "1m"
before = [["sh", "-c", "printf \"$LATE\" > {dir}/page"]]
inject = [["true"]]
restore = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
[[run.alert]]
name = "Late"
within = "1m"
clears_within = "15m"

[[run]]
name = "beside"
cause = "The page says more than the run expects."
control = "1m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["sh", "-c", "printf \"$WORSE\" > {dir}/page"]]
restore = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
[[run.alert]]
name = "Broken"
within = "10m"
clears_within = "15m"

[[run]]
name = "consequence"
cause = "The page says more, as the run allows."
control = "1m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["sh", "-c", "printf \"$WORSE\" > {dir}/page"]]
restore = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
may_fire = ["Beside"]
[[run.alert]]
name = "Broken"
within = "10m"
clears_within = "15m"

[[run]]
name = "load-died"
cause = "The load ends under the cause."
control = "1m"
load = ["sh", "-c", "while ! test -f {dir}/over; do sleep 0.1; done; exit 3"]
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["touch", "{dir}/over"]]
[[run.alert]]
name = "Broken"
within = "10m"
clears_within = "15m"

[[run]]
name = "command-fails"
cause = "The fault can't be injected."
control = "1m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["sh", "-c", "echo no such fault; exit 4"]]
after = [["touch", "{nowhere}"], ["sh", "-c", "echo it stays; exit 5"], ["touch", "FOLDER/cleaned"]]
[[run.alert]]
name = "Broken"
within = "10m"
clears_within = "15m"

[[run]]
name = "not-started"
cause = "The system ends before it is ready."
env = { FAILS = "the port is taken" }
inject = [["true"]]
[[run.alert]]
name = "Broken"
within = "10m"
clears_within = "15m"

[[run]]
name = "silence"
cause = "Prometheus is stopped."
control = "2m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["kill", "-STOP", "{prometheus.pid}"]]
restore = [["kill", "-CONT", "{prometheus.pid}"]]
[[run.silent]]
alert = "Watchdog"
within = "10m"
clears_within = "10m"

[[run]]
name = "not-silent"
cause = "Nothing is stopped."
control = "2m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["true"]]
[[run.silent]]
alert = "Watchdog"
within = "2m"
clears_within = "5m"

[[run]]
name = "promise-broken"
cause = "The page says that it is broken, and a promise was that it never is."
control = "1m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["sh", "-c", "printf \"$BAD\" > {dir}/page"]]
restore = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
[[run.alert]]
name = "Broken"
within = "10m"
clears_within = "15m"
[[run.promise]]
says = "The page is not broken."
expr = "broken == 0"

[[run]]
name = "quiet"
cause = "Nothing."
lasts = "5m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]

[[run]]
name = "not-quiet"
cause = "Nothing, and an alert fires."
lasts = "5m"
before = [["sh", "-c", "printf \"$BAD\" > {dir}/page"]]

[[run]]
name = "interrupted"
cause = "The person ends it under the cause."
control = "1m"
before = [["sh", "-c", "printf \"$GOOD\" > {dir}/page"]]
inject = [["touch", "FOLDER/injected"]]
restore = [["touch", "FOLDER/restored"]]
after = [["touch", "FOLDER/ended"]]
[[run.alert]]
name = "Broken"
within = "60m"
clears_within = "15m"
"#;
