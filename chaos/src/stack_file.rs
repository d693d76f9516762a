//! `stack.toml`: where the platform is and which processes it has. Written by `chitram-stack`; keys that chaos has no use
//! for are not read.

use std::path::Path;

use serde::Deserialize;
use url::Url;

use crate::exit::Refusal;
use crate::process::Identity;

/// The file's name in the stack's folder.
const FILE: &str = "stack.toml";
/// What the stack calls its Toxiproxy, real or not.
const FAULT_PROXY: &str = "toxiproxy";

/// What chaos needs to know of a running stack; empty when there is none and addresses come from the command line.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Stack {
    /// The stack's own process, in which the stand-ins live.
    pub owner: Option<Identity>,
    /// Base addresses.
    #[serde(default)]
    pub endpoints: Endpoints,
    /// Who plays which part.
    #[serde(default)]
    pub servers: Vec<Server>,
    /// The stack's children.
    #[serde(default)]
    pub processes: Vec<Child>,
    /// Where the file says that Toxiproxy's API is, whatever addresses a command line puts in its place.
    #[serde(skip)]
    own_toxiproxy: Option<Url>,
}

/// Base addresses; one that is absent does not exist.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Endpoints {
    /// The service, through its proxy: what load is sent to.
    pub api: Option<Url>,
    /// Toxiproxy's API.
    pub toxiproxy: Option<Url>,
    /// Jaeger's query API.
    pub jaeger: Option<Url>,
    /// Prometheus' API.
    pub prometheus: Option<Url>,
}

/// Who plays a part.
#[derive(Clone, Debug, Deserialize)]
pub struct Server {
    /// `fault proxy`, `traces`, `object store` or `catalog`.
    pub role: String,
    /// The program.
    pub name: String,
    /// `stand-in` or `real`.
    pub kind: String,
    /// Its version.
    pub version: String,
}

/// Children that take part in no request: what delays them delays no answer, and what they could not tell is not measured.
const WATCHERS: [&str; 5] = [
    "alertmanager",
    "elasticsearch",
    "jaeger",
    "prometheus",
    "rsyslog",
];

/// A child of the stack.
#[derive(Clone, Debug, Deserialize)]
pub struct Child {
    /// `service`, or the server's name.
    pub name: String,
    /// Which process.
    #[serde(flatten)]
    pub process: Identity,
}

impl Child {
    /// Whether it takes part in no request.
    pub fn only_watches(&self) -> bool {
        WATCHERS.contains(&self.name.as_str())
    }
}

impl Stack {
    /// Reads the stack of a folder; empty when there is no such file.
    pub fn read(dir: &Path) -> Result<Self, Refusal> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(error) => return Err(Refusal::internal(format!("{}: {error}", path.display()))),
        };
        let stack: Result<Self, toml::de::Error> = toml::from_str(&text);
        let stack = stack.map(|mut stack| {
            stack.own_toxiproxy.clone_from(&stack.endpoints.toxiproxy);
            stack
        });
        stack.map_err(|error| {
            let line = error.span().map_or(1, |span| {
                1 + text[..span.start.min(text.len())].matches('\n').count()
            });
            Refusal::usage(format!(
                "{}:{line}: {}; start the stack anew",
                path.display(),
                error.message()
            ))
        })
    }

    /// The process of the *real* Toxiproxy at this address, if the stack keeps it and starts it again when it ends. Any other
    /// address is somebody else's server, however it answers; and a stand-in has no process of its own.
    pub fn own_toxiproxy(&self, at: &Url) -> Option<Identity> {
        self.fault_proxy(at, "real")?;
        let child = self
            .processes
            .iter()
            .find(|child| child.name == FAULT_PROXY)?;
        Some(child.process).filter(Identity::is_alive)
    }

    /// The process with which everything in the Toxiproxy at this address ends, if it is the stack's.
    pub fn toxiproxy_holder(&self, at: &Url) -> Option<Identity> {
        self.own_toxiproxy(at)
            .or_else(|| self.fault_proxy(at, "stand-in").and(self.owner))
    }

    fn fault_proxy(&self, at: &Url, kind: &str) -> Option<&Server> {
        let mut servers = self.servers.iter();
        let server = servers.find(|server| server.role == "fault proxy" && server.kind == kind)?;
        (self.own_toxiproxy.as_ref() == Some(at) && server.name == FAULT_PROXY).then_some(server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
version = 1
environment = "mixed"
[owner]
pid = 1
start_time = 2
[endpoints]
api = "http://127.0.0.1:1"
toxiproxy = "http://127.0.0.1:2"
s3 = "http://127.0.0.1:3"
[proxies.store]
listen = "127.0.0.1:4"
upstream = "127.0.0.1:5"
[[servers]]
role = "fault proxy"
name = "toxiproxy"
kind = "KIND"
version = "2.12.0"
[[processes]]
name = "toxiproxy"
pid = 7
start_time = 8
log = "x"
restarts = 0
"#;

    /// A stack whose Toxiproxy is this very process.
    fn stack(kind: &str) -> Stack {
        let dir = tempfile::tempdir().expect("a folder");
        let own = Identity::own();
        let process = format!("pid = {}\nstart_time = {}", own.pid, own.start_time);
        let text = TEXT
            .replace("KIND", kind)
            .replace("pid = 7\nstart_time = 8", &process);
        std::fs::write(dir.path().join(FILE), text).expect("written");
        Stack::read(dir.path()).expect("readable")
    }

    fn url(text: &str) -> Url {
        Url::parse(text).expect("an address")
    }

    #[test]
    fn only_a_real_toxiproxy_is_a_process_that_can_be_restarted() {
        let at = url("http://127.0.0.1:2");
        assert_eq!(stack("real").own_toxiproxy(&at), Some(Identity::own()));
        assert_eq!(stack("real").toxiproxy_holder(&at), Some(Identity::own()));
        assert_eq!(stack("stand-in").own_toxiproxy(&at), None);
        let owner = Identity {
            pid: 1,
            start_time: 2,
        };
        assert_eq!(stack("stand-in").toxiproxy_holder(&at), Some(owner));
        assert_eq!(stack("real").endpoints.jaeger, None);
    }

    #[test]
    fn a_toxiproxy_at_any_other_address_is_somebody_elses_also_when_it_takes_the_stacks_place() {
        for other in [
            "http://127.0.0.1:3",
            "http://localhost:2",
            "http://127.0.0.1:2/x",
        ] {
            let mut stack = stack("real");
            stack.endpoints.toxiproxy = Some(url(other));
            assert_eq!(stack.own_toxiproxy(&url(other)), None, "{other}");
            assert_eq!(stack.toxiproxy_holder(&url(other)), None, "{other}");
        }
    }

    #[test]
    fn a_process_that_took_over_the_pid_of_a_toxiproxy_is_not_it() {
        let mut stack = stack("real");
        stack.processes[0].process.start_time += 1;
        assert_eq!(stack.own_toxiproxy(&url("http://127.0.0.1:2")), None);
    }

    #[test]
    fn a_folder_without_a_stack_is_an_empty_one_and_a_broken_file_is_refused_with_its_line() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(Stack::read(dir.path()).expect("empty").owner.is_none());
        std::fs::write(dir.path().join(FILE), "\n[endpoints]\napi = 7\n").expect("written");
        let refusal = Stack::read(dir.path()).expect_err("refused");
        assert!(refusal.sentence.contains("stack.toml:3:"), "{refusal}");
    }
}
