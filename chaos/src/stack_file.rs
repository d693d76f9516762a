//! `stack.toml`: where the platform is and which processes it has. Written by `chitram-stack`; keys that chaos has no use
//! for are not read.

use std::path::Path;

use serde::Deserialize;
use url::Url;

use crate::exit::Refusal;
use crate::process::Identity;

/// The file's name in the stack's folder.
const FILE: &str = "stack.toml";

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

/// A child of the stack.
#[derive(Clone, Debug, Deserialize)]
pub struct Child {
    /// `service`, or the server's name.
    pub name: String,
    /// Which process.
    #[serde(flatten)]
    pub process: Identity,
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
        toml::from_str(&text).map_err(|error| {
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

    /// The process of a *real* Toxiproxy: one that the stack starts again when it ends. A stand-in has none of its own.
    pub fn toxiproxy_process(&self) -> Option<Identity> {
        let server = self
            .servers
            .iter()
            .find(|server| server.role == "fault proxy" && server.kind == "real")?;
        self.processes
            .iter()
            .find(|child| child.name == server.name)
            .map(|child| child.process)
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

    fn stack(kind: &str) -> Stack {
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join(FILE), TEXT.replace("KIND", kind)).expect("written");
        Stack::read(dir.path()).expect("readable")
    }

    #[test]
    fn only_a_real_toxiproxy_is_a_process_that_can_be_restarted() {
        assert_eq!(
            stack("real").toxiproxy_process(),
            Some(Identity {
                pid: 7,
                start_time: 8
            })
        );
        assert_eq!(stack("stand-in").toxiproxy_process(), None);
        assert_eq!(stack("real").endpoints.jaeger, None);
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
