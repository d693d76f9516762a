//! versitygw: a real S3 server over a folder. Any other S3 can be given by its URL.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::launch::{Launch, Running, answers_ok, start_on_ports, temporary_folder};
use super::{Backend, Found, Source, find};
use crate::error::Error;
use crate::process::Spec;
use crate::standin::s3::{BUCKET, Credentials};

/// An S3 server that answers. Dropping it stops it and removes its objects, if it was started here.
#[derive(Debug)]
pub struct Versitygw {
    /// Its address, e.g. `http://127.0.0.1:7070`.
    pub endpoint: String,
    /// A bucket that exists.
    pub bucket: String,
    /// Who may read and write it.
    pub credentials: Credentials,
    /// The process; `None` when it was given by its URL.
    pub running: Option<Running>,
}

/// Whether this machine has it.
pub fn find() -> Backend {
    let found = Found::look("CHITRAM_S3_URL", || find::on_path_or_cached("versitygw"));
    Backend {
        name: "versitygw",
        role: "object store",
        install: "scripts/backends (needs Go)",
        found,
    }
}

/// Starts it with the empty bucket [`BUCKET`], or takes the S3 that `CHITRAM_S3_URL` names.
pub async fn start(found: &Found, launch: &Launch) -> Result<Versitygw, Error> {
    let program = match &found.source {
        Source::Url(endpoint) => return given(endpoint),
        Source::Program(program) => program,
    };
    let data = temporary_folder("versitygw")?;
    let root = data.path().to_owned();
    serve(program, launch, &root, Some(data)).await
}

/// Starts it on the folder `root`, which stays afterwards: for tests of what it says when the disk has no room.
pub async fn start_in(program: &Path, launch: &Launch, root: &Path) -> Result<Versitygw, Error> {
    serve(program, launch, root, None).await
}

async fn serve(
    program: &Path,
    launch: &Launch,
    root: &Path,
    data: Option<TempDir>,
) -> Result<Versitygw, Error> {
    // A folder below the root is a bucket.
    fs::create_dir(root.join(BUCKET)).map_err(Error::file("make", root))?;
    let credentials = Credentials::random();
    let spec = |ports: &[u16], log: &Path| {
        let address = format!("127.0.0.1:{}", ports[0]);
        let options = [
            "--port",
            &address,
            "--keep-alive",
            "--quiet",
            "--health",
            "/health",
            "posix",
        ];
        let spec = Spec::new("versitygw", program, log)
            .args(options)
            .args([root]);
        Ok(spec
            .env("ROOT_ACCESS_KEY", &credentials.access_key)
            .env("ROOT_SECRET_KEY", &credentials.secret_key))
    };
    let ready =
        async |ports: &[u16]| answers_ok(&format!("http://127.0.0.1:{}/health", ports[0])).await;
    let (running, ports) = start_on_ports(launch, "versitygw", 1, data, spec, ready).await?;
    let endpoint = format!("http://127.0.0.1:{}", ports[0]);
    Ok(Versitygw {
        endpoint,
        bucket: BUCKET.to_owned(),
        credentials,
        running: Some(running),
    })
}

fn given(endpoint: &str) -> Result<Versitygw, Error> {
    let needed = |name: &str| {
        find::variable(name).ok_or_else(|| {
            Error::Usage(format!("CHITRAM_S3_URL is set without {name}: set it too"))
        })
    };
    let bucket = needed("CHITRAM_S3_BUCKET")?;
    let credentials = Credentials {
        access_key: needed("CHITRAM_S3_ACCESS_KEY")?,
        secret_key: needed("CHITRAM_S3_SECRET_KEY")?,
    };
    Ok(Versitygw {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        bucket,
        credentials,
        running: None,
    })
}
