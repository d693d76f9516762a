//! PostgreSQL, the real one, with its data in a temporary folder and nothing synced to disk.

use std::fs;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tokio::process::Command;

use super::launch::{Launch, Running, start_on_ports, temporary_folder};
use super::user::unprivileged;
use super::{Backend, Found, Source, find};
use crate::error::Error;
use crate::process::{Signal, Spec, User, spawn};

/// `initdb` writes some 40 MB.
const INITDB_DEADLINE: Duration = Duration::from_mins(2);
/// The superuser's name, in the server.
const ROLE: &str = "chitram";

/// A PostgreSQL that answers. Dropping it stops it and removes its data, if it was started here.
#[derive(Debug)]
pub struct Postgres {
    /// `postgres://user:password@host:port/database`, a superuser when it was started here.
    pub url: String,
    /// The process; `None` when it was given by its URL.
    pub running: Option<Running>,
}

/// Whether this machine has it: the server and `initdb` lie together, often off PATH.
pub fn find() -> Backend {
    let found = Found::look("CHITRAM_POSTGRES_URL", || {
        Some(find_folder()?.join("postgres"))
    });
    Backend {
        name: "PostgreSQL",
        role: "catalog",
        install: "sudo apt-get install postgresql",
        found,
    }
}

fn find_folder() -> Option<PathBuf> {
    let on_path = || {
        find::on_path("postgres")
            .and_then(|program| program.canonicalize().ok()?.parent().map(Path::to_owned))
    };
    let told = || {
        Some(PathBuf::from(
            find::output(&find::on_path("pg_config")?, &["--bindir"])?.trim(),
        ))
    };
    let debian = || {
        let mut folders: Vec<PathBuf> = Path::new("/usr/lib/postgresql")
            .read_dir()
            .ok()?
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        folders.sort();
        folders
            .into_iter()
            .rev()
            .find(|folder| is_server_folder(folder))
    };
    // `pg_config --bindir` may name a folder that holds only clients.
    on_path()
        .filter(|folder| is_server_folder(folder))
        .or_else(|| told().filter(|folder| is_server_folder(folder)))
        .or_else(debian)
}

fn is_server_folder(folder: &Path) -> bool {
    ["postgres", "initdb", "pg_isready"]
        .iter()
        .all(|name| find::is_program(&folder.join(name)))
}

/// Starts it with an empty cluster, or takes the one that a URL names.
pub async fn start(found: &Found, launch: &Launch) -> Result<Postgres, Error> {
    let program = match &found.source {
        Source::Url(url) => {
            return Ok(Postgres {
                url: url.clone(),
                running: None,
            });
        }
        Source::Program(program) => program,
    };
    let folder = program.parent().unwrap_or(Path::new("/")).to_owned();
    let user = unprivileged("PostgreSQL", &["postgres", "nobody"])?;
    let home = temporary_folder("postgresql")?;
    if let Some(user) = user {
        chown(home.path(), Some(user.uid), Some(user.gid))
            .map_err(Error::file("give away", home.path()))?;
    }
    let password = hex::encode(rand::random::<[u8; 16]>());
    let data = initdb(launch, &folder, &home, user, &password).await?;
    let spec = |ports: &[u16], log: &Path| Ok(server(program, &data, user, ports[0], log));
    let ready = async |ports: &[u16]| is_ready(&folder.join("pg_isready"), ports[0]).await;
    let (running, ports) = start_on_ports(launch, "postgresql", 1, Some(home), spec, ready).await?;
    let url = format!(
        "postgres://{ROLE}:{password}@127.0.0.1:{}/postgres",
        ports[0]
    );
    Ok(Postgres {
        url,
        running: Some(running),
    })
}

async fn initdb(
    launch: &Launch,
    folder: &Path,
    home: &TempDir,
    user: Option<User>,
    password: &str,
) -> Result<PathBuf, Error> {
    let data = home.path().join("data");
    let password_file = home.path().join("password");
    fs::write(&password_file, password).map_err(Error::file("write", &password_file))?;
    if let Some(user) = user {
        chown(&password_file, Some(user.uid), Some(user.gid))
            .map_err(Error::file("give away", &password_file))?;
    }
    let log = launch
        .logs
        .as_deref()
        .unwrap_or(home.path())
        .join("initdb.log");
    let mut spec = Spec::new("initdb", &folder.join("initdb"), &log)
        .args([
            "--username",
            ROLE,
            "--auth",
            "scram-sha-256",
            "--encoding",
            "UTF8",
            "--locale",
            "C",
            "--no-sync",
        ])
        .args([
            "--pgdata".as_ref(),
            data.as_os_str(),
            "--pwfile".as_ref(),
            password_file.as_os_str(),
        ]);
    spec.user = user;
    spec.folder = Some(home.path().to_owned());
    let child = spawn(&launch.launcher, &spec)?;
    let status = tokio::time::timeout(INITDB_DEADLINE, child.wait()).await;
    let _ = fs::remove_file(&password_file);
    let what = match status {
        Ok(status) if status.success() => return Ok(data),
        Ok(status) => format!("ended with {status}: {}", last_line(&log)),
        Err(_) => "did not end".to_owned(),
    };
    Err(Error::NotReady {
        name: "initdb".to_owned(),
        what,
        waited: INITDB_DEADLINE,
        log,
    })
}

/// The log may be removed with the data, so the message carries its end.
fn last_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    text.lines()
        .rev()
        .find(|line| !line.is_empty())
        .unwrap_or("it said nothing")
        .to_owned()
}

/// SIGINT is PostgreSQL's fast shutdown: SIGTERM would wait for its clients.
fn server(program: &Path, data: &Path, user: Option<User>, port: u16, log: &Path) -> Spec {
    let port = port.to_string();
    let mut spec = Spec::new("postgresql", program, log)
        .args(["-D".as_ref(), data.as_os_str()])
        .args(["-p", &port]);
    for setting in [
        "listen_addresses=127.0.0.1",
        "unix_socket_directories=",
        "fsync=off",
        "synchronous_commit=off",
        "full_page_writes=off",
        "shared_buffers=32MB",
    ] {
        spec = spec.args(["-c", setting]);
    }
    spec.user = user;
    spec.folder = Some(data.to_owned());
    spec.stop_signal = Signal::INT;
    spec.death_signal = Signal::INT;
    spec
}

async fn is_ready(pg_isready: &Path, port: u16) -> bool {
    let mut command = Command::new(pg_isready);
    command
        .args([
            "--quiet",
            "--host",
            "127.0.0.1",
            "--port",
            &port.to_string(),
        ])
        .kill_on_drop(true);
    command.status().await.is_ok_and(|status| status.success())
}
