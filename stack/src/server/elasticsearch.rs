//! Elasticsearch, the real one: a single node without security, with its data in a temporary folder.

pub mod index;

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::launch::{Launch, Running, answers_ok, start_on_ports, temporary_folder};
use super::user::unprivileged;
use super::{Backend, Found, Source, find};
use crate::error::Error;
use crate::process::{Spec, User};

/// The oldest Java that Elasticsearch 8.19 runs on.
const OLDEST_JAVA: u32 = 21;
/// It closes its shards before it ends.
const GRACE: Duration = Duration::from_secs(20);
/// Where `scripts/backends` puts it for root, whose cache only root can read: root cannot run it.
const FOR_ALL_USERS: &str = "/usr/local/lib/chitram/elasticsearch";

/// An Elasticsearch that answers. Dropping it stops it and removes its data, if it was started here.
#[derive(Debug)]
pub struct Elasticsearch {
    /// Its HTTP API, e.g. `http://127.0.0.1:9200`.
    pub url: String,
    /// The process; `None` when it was given by its URL.
    pub running: Option<Running>,
}

/// Whether this machine has it, and a Java that runs it.
pub fn find() -> Backend {
    let found = Found::look("CHITRAM_ELASTICSEARCH_URL", || {
        find_program().filter(|program| java_home(program).is_some())
    });
    Backend {
        name: "Elasticsearch",
        role: "logs",
        install: "scripts/backends (needs Maven, and Java 21 or newer)",
        found,
    }
}

fn find_program() -> Option<PathBuf> {
    let cached = find::cache().map(|cache| cache.join("elasticsearch"));
    let homes = cached.into_iter().chain([PathBuf::from(FOR_ALL_USERS)]);
    find::on_path("elasticsearch").or_else(|| {
        homes
            .map(|home| home.join("bin/elasticsearch"))
            .find(|program| find::is_program(program))
    })
}

/// The Java that a variable names, the one that lies with Elasticsearch, or the newest that is installed.
fn java_home(program: &Path) -> Option<PathBuf> {
    let told = ["ES_JAVA_HOME", "JAVA_HOME"].map(|name| find::variable(name).map(PathBuf::from));
    let own = program.ancestors().nth(2).map(|home| home.join("jdk"));
    let mut installed: Vec<PathBuf> = Path::new("/usr/lib/jvm")
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    installed.sort_by_key(|home| std::cmp::Reverse(java_version(home)));
    told.into_iter()
        .flatten()
        .chain(own)
        .chain(installed)
        .find(|home| {
            find::is_program(&home.join("bin/java"))
                && java_version(home).is_some_and(|version| version >= OLDEST_JAVA)
        })
}

/// The first number of `JAVA_VERSION` in its file `release`.
fn java_version(home: &Path) -> Option<u32> {
    release_version(&fs::read_to_string(home.join("release")).ok()?)
}

fn release_version(release: &str) -> Option<u32> {
    let mut lines = release.lines();
    let version = lines.find_map(|line| line.strip_prefix("JAVA_VERSION="))?;
    let mut numbers = version.trim_matches('"').split(['.', '-', '+']);
    numbers.next()?.parse().ok()
}

/// Starts it empty, or takes the one that a URL names.
pub async fn start(found: &Found, launch: &Launch) -> Result<Elasticsearch, Error> {
    let program = match &found.source {
        Source::Url(url) => {
            return Ok(Elasticsearch {
                url: url.trim_end_matches('/').to_owned(),
                running: None,
            });
        }
        Source::Program(program) => program,
    };
    let java = java_home(program).ok_or_else(|| {
        Error::Unavailable(format!(
            "Elasticsearch needs Java {OLDEST_JAVA} or newer: install one, or name it by ES_JAVA_HOME"
        ))
    })?;
    let user = unprivileged("Elasticsearch", &["elasticsearch", "nobody"])?;
    let data = temporary_folder("elasticsearch")?;
    let home = data.path().to_owned();
    let spec = |ports: &[u16], log: &Path| {
        configure(&home, ports[0], ports[1], user)?;
        Ok(server(program, &java, &home, user, log))
    };
    let ready = async |ports: &[u16]| is_ready(&format!("http://127.0.0.1:{}", ports[0])).await;
    let (running, ports) =
        start_on_ports(launch, "elasticsearch", 2, Some(data), spec, ready).await?;
    Ok(Elasticsearch {
        url: format!("http://127.0.0.1:{}", ports[0]),
        running: Some(running),
    })
}

/// Whether it takes documents: HTTP answers before that.
pub async fn is_ready(url: &str) -> bool {
    answers_ok(&format!(
        "{url}/_cluster/health?wait_for_status=yellow&timeout=1s"
    ))
    .await
}

fn configure(home: &Path, http: u16, transport: u16, user: Option<User>) -> Result<(), Error> {
    let config = home.join("config");
    for name in ["config", "data", "logs", "tmp"] {
        let folder = home.join(name);
        fs::create_dir_all(&folder).map_err(Error::file("make the folder", &folder))?;
    }
    let settings = settings(home, http, transport);
    for (name, text) in [
        ("elasticsearch.yml", settings.as_str()),
        ("jvm.options", JVM_OPTIONS),
        ("log4j2.properties", LOGGING),
    ] {
        let file = config.join(name);
        fs::write(&file, text).map_err(Error::file("write", &file))?;
    }
    give_away(home, user)
}

/// All of a folder that we made, so without links.
fn give_away(path: &Path, user: Option<User>) -> Result<(), Error> {
    let Some(User { uid, gid }) = user else {
        return Ok(());
    };
    chown(path, Some(uid), Some(gid)).map_err(Error::file("give away", path))?;
    if path.is_dir() {
        for entry in path.read_dir().map_err(Error::file("read", path))? {
            give_away(&entry.map_err(Error::file("read", path))?.path(), user)?;
        }
    }
    Ok(())
}

/// The limits on disk space are off: a developer's disk that is nearly full would make every index read-only.
fn settings(home: &Path, http: u16, transport: u16) -> String {
    let home = home.display();
    format!(
        "cluster.name: chitram
node.name: chitram
discovery.type: single-node
network.host: 127.0.0.1
http.port: {http}
transport.port: {transport}
path.data: {home}/data
path.logs: {home}/logs
xpack.security.enabled: false
cluster.routing.allocation.disk.threshold_enabled: false
"
    )
}

/// 512 MB of heap, and the collector that needs the fewest threads.
const JVM_OPTIONS: &str = "-Xms512m
-Xmx512m
-XX:+UseSerialGC
-Djava.io.tmpdir=${ES_TMPDIR}
";

/// Standard output only: it is the stack's log of the process.
const LOGGING: &str = "status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%-25c{1.}] %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
";

/// The script starts a Java that starts a Java; the second one ends when the first one does, because it reads from it.
fn server(program: &Path, java: &Path, home: &Path, user: Option<User>, log: &Path) -> Spec {
    let mut spec = Spec::new("elasticsearch", program, log)
        .env("ES_JAVA_HOME", java)
        .env("ES_PATH_CONF", home.join("config"))
        .env("ES_TMPDIR", home.join("tmp"))
        .env("ES_JAVA_OPTS", "")
        .env("HOME", home);
    spec.user = user;
    spec.folder = Some(home.to_owned());
    spec.grace = GRACE;
    spec
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_java_is_the_first_number_of_its_release() {
        let release =
            "IMPLEMENTOR=\"Eclipse\"\nJAVA_VERSION=\"25.0.3\"\nJAVA_VERSION_DATE=\"2026-04-21\"\n";
        assert_eq!(release_version(release), Some(25));
        assert_eq!(release_version("JAVA_VERSION=\"1.8.0_392\"\n"), Some(1));
        assert_eq!(release_version("JAVA_VERSION=\"22-ea\"\n"), Some(22));
        assert_eq!(release_version("IMPLEMENTOR=\"x\"\n"), None);
    }
}
