//! `stack.toml`: where everything is and who runs it. `docs/stack-toml.md` is its contract.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::process::Identity;

/// The version of the format that this crate writes, and the only one it reads.
pub const VERSION: u32 = 1;

/// The whole file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// [`VERSION`].
    pub version: u32,
    /// What plays the parts: stand-ins only, real servers only, or some of each.
    pub environment: Environment,
    /// The `chitram-stack` that keeps all of it running.
    pub owner: Identity,
    /// Base URLs, `http://host:port`.
    pub endpoints: Endpoints,
    /// The fault proxies by name: `api`, `store`, `traces`, and `catalog` with PostgreSQL.
    #[serde(default)]
    pub proxies: BTreeMap<String, Proxy>,
    /// Who plays each role.
    #[serde(default)]
    pub servers: Vec<Server>,
    /// The children that run now.
    #[serde(default)]
    pub processes: Vec<Process>,
}

/// What plays the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Environment {
    /// Stand-ins only.
    Embedded,
    /// Some of each.
    Mixed,
    /// Real servers only.
    Real,
}

/// Base URLs. One that is absent means that there is no such thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoints {
    /// The service, through the proxy `api`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
    /// The service itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_direct: Option<String>,
    /// The service's admin listener: `/live`, `/ready`, `/metrics`, `/log-level`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin: Option<String>,
    /// The fault proxy's HTTP API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub toxiproxy: Option<String>,
    /// Jaeger's query API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jaeger: Option<String>,
    /// Where spans go: OTLP over gRPC, directly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<String>,
    /// The object store, directly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub s3: Option<String>,
    /// Prometheus.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<String>,
    /// Alertmanager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<String>,
    /// Elasticsearch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elasticsearch: Option<String>,
    /// The stack's own control endpoint: `/processes`, `/metrics`, `/alerts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub control: Option<String>,
}

/// One fault proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proxy {
    /// Where it accepts.
    pub listen: SocketAddr,
    /// Where it connects to.
    pub upstream: SocketAddr,
}

/// Who plays a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The part that is played.
    pub role: Role,
    /// The program or crate that plays it, e.g. `toxiproxy`.
    pub name: String,
    /// Whether it is the real thing.
    pub kind: Kind,
    /// Its version; for a stand-in the version that it follows.
    pub version: String,
}

/// The parts of the platform that a real server or a stand-in plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Toxiproxy's part.
    #[serde(rename = "fault proxy")]
    FaultProxy,
    /// Jaeger's part.
    #[serde(rename = "traces")]
    Traces,
    /// The S3 store's part.
    #[serde(rename = "object store")]
    ObjectStore,
    /// The database's part.
    #[serde(rename = "catalog")]
    Catalog,
    /// Prometheus' part, which has no stand-in.
    #[serde(rename = "metrics")]
    Metrics,
    /// Alertmanager's part, which has no stand-in.
    #[serde(rename = "alerts")]
    Alerts,
    /// Elasticsearch's part.
    #[serde(rename = "logs")]
    Logs,
}

/// Whether a server is the real thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Inside a process of ours.
    StandIn,
    /// A server of its own.
    Real,
}

/// A child of the stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// `service`, `toxiproxy`, `jaeger`, `versitygw`, `postgresql`, `prometheus`, `alertmanager`, `elasticsearch` or
    /// `rsyslog`.
    pub name: String,
    /// Its pid now.
    pub pid: u32,
    /// Its start time, which tells it from a later process with the same pid.
    pub start_time: u64,
    /// Its output.
    pub log: PathBuf,
    /// How many times it ended by itself and was started again.
    pub restarts: u32,
}

impl Process {
    /// Pid and start time.
    pub fn identity(&self) -> Identity {
        Identity {
            pid: self.pid,
            start_time: self.start_time,
        }
    }
}

impl State {
    /// Nothing runs yet but this process.
    pub fn empty() -> Self {
        Self {
            version: VERSION,
            environment: Environment::Embedded,
            owner: Identity::own(),
            endpoints: Endpoints::default(),
            proxies: BTreeMap::new(),
            servers: Vec::new(),
            processes: Vec::new(),
        }
    }

    /// Reads `stack.toml`; `None` when there is none. Unknown keys and versions are refused with file and line.
    pub fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::file("read", path)(source)),
        };
        let state: Self = toml::from_str(&text).map_err(|error| {
            let line = error
                .span()
                .map_or(1, |span| 1 + text[..span.start].matches('\n').count());
            Error::Usage(format!(
                "{}:{line}: {}; remove the file",
                path.display(),
                error.message()
            ))
        })?;
        if state.version != VERSION {
            let version = state.version;
            let sentence = format!(
                "{} has version {version}, this program reads {VERSION}",
                path.display()
            );
            return Err(Error::Usage(sentence));
        }
        Ok(Some(state))
    }

    /// Writes `stack.toml` so that a reader sees the old one or the new one, never a part; mode 0600.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let failed = || Error::file("write", path);
        let text = toml::to_string(self).map_err(|error| failed()(std::io::Error::other(error)))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed())?;
        file.write_all(text.as_bytes()).map_err(failed())?;
        file.persist(path).map_err(|error| failed()(error.error))?;
        Ok(())
    }

    /// What `environment` is, by who plays the roles.
    pub fn environment_of(servers: &[Server]) -> Environment {
        let real = servers
            .iter()
            .filter(|server| server.kind == Kind::Real)
            .count();
        match real {
            0 => Environment::Embedded,
            n if n == servers.len() => Environment::Real,
            _ => Environment::Mixed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::net::loopback;

    fn full() -> State {
        let server = |role, kind| Server {
            role,
            name: "x".into(),
            kind,
            version: "2.12.0".into(),
        };
        let mut state = State::empty();
        state.endpoints.api = Some("http://127.0.0.1:1".into());
        state.proxies.insert(
            "store".into(),
            Proxy {
                listen: loopback(2),
                upstream: loopback(3),
            },
        );
        state.servers = vec![
            server(Role::FaultProxy, Kind::StandIn),
            server(Role::Catalog, Kind::Real),
        ];
        state.environment = State::environment_of(&state.servers);
        let log = PathBuf::from("service.log");
        state.processes = vec![Process {
            name: "service".into(),
            pid: 5,
            start_time: 6,
            log,
            restarts: 7,
        }];
        state
    }

    #[test]
    fn what_is_written_is_read_back_and_only_the_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stack.toml");
        full().write(&path).unwrap();
        assert_eq!(State::read(&path).unwrap(), Some(full()));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no temporary file is left"
        );
    }

    #[test]
    fn the_keys_are_those_of_the_contract() {
        let text = toml::to_string(&full()).unwrap();
        for line in [
            "version = 1",
            "environment = \"mixed\"",
            "[owner]",
            "api = \"http://127.0.0.1:1\"",
            "[proxies.store]",
            "listen = \"127.0.0.1:2\"",
            "upstream = \"127.0.0.1:3\"",
            "[[servers]]",
            "role = \"fault proxy\"",
            "kind = \"stand-in\"",
            "[[processes]]",
            "restarts = 7",
        ] {
            assert!(
                text.lines().any(|other| other == line),
                "{line} is not in\n{text}"
            );
        }
        assert!(
            !text.contains("jaeger"),
            "an absent endpoint has no key:\n{text}"
        );
    }

    #[test]
    fn an_unknown_key_is_refused_with_file_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stack.toml");
        fs::write(
            &path,
            "version = 1\nenvironment = \"embedded\"\nowned = 3\n",
        )
        .unwrap();
        let error = State::read(&path).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("stack.toml:3: unknown field `owned`"),
            "{error}"
        );
    }
}
