//! The object store's stand-in: an S3 server over a folder, in this process, spoken to over TCP as the real one is.
//!
//! Three things that S3 has and this has not, so that nothing of ours relies on them: an atomic conditional create, 304
//! for a conditional GET, an error for a put into a bucket that does not exist.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::console;
use crate::error::Error;
use crate::net;

/// The bucket that is made at the start.
pub const BUCKET: &str = "chitram";
/// Connections served at once; further ones wait in the kernel's backlog.
const CONNECTIONS: usize = 512;
/// How long a connection may be idle, or take to send a request's headers.
const HEADER_DEADLINE: Duration = Duration::from_mins(1);
/// How long requests in flight may take after shutdown was asked for.
const DRAIN: Duration = Duration::from_secs(2);
/// The wait after a failed accept (no descriptors left, mostly), which would fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Who may use the store.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The public half.
    pub access_key: String,
    /// The secret half.
    pub secret_key: String,
}

impl Credentials {
    /// New ones, that nobody can guess.
    pub fn random() -> Self {
        let hex = |bytes: [u8; 16]| hex::encode(bytes);
        Self {
            access_key: hex(rand::random()),
            secret_key: hex(rand::random()),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}

/// Serves `folder` until `shutdown`, with the bucket [`BUCKET`] in it; returns when requests in flight are answered.
pub async fn serve(
    listener: TcpListener,
    folder: &Path,
    credentials: Credentials,
    shutdown: CancellationToken,
) -> Result<(), Error> {
    let service = service(folder, credentials)?;
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = tasks.join_next() => {}
            accepted = accept(&listener, &connections) => match accepted {
                Ok((socket, permit)) => {
                    let mut builder = Builder::new(TokioExecutor::new());
                    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_DEADLINE);
                    let connection = builder.serve_connection(TokioIo::new(socket), service.clone()).into_owned();
                    let connection = graceful.watch(connection);
                    tasks.spawn(async move {
                        let _permit = permit;
                        // A client that hangs up is its own affair.
                        let _ = connection.await;
                    });
                }
                Err(error) => {
                    console::note(&format!("the object store cannot accept a connection: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
    Ok(()) // what is still open is aborted with `tasks`
}

fn service(folder: &Path, credentials: Credentials) -> Result<S3Service, Error> {
    let bucket = folder.join(BUCKET);
    std::fs::create_dir_all(&bucket).map_err(Error::file("make the folder", &bucket))?;
    let store = FileSystem::new(folder).map_err(|error| {
        Error::io(
            &format!("serve {}", folder.display()),
            std::io::Error::other(format!("{error:?}")),
        )
    })?;
    let mut builder = S3ServiceBuilder::new(store);
    builder.set_auth(SimpleAuth::from_single(
        credentials.access_key,
        credentials.secret_key,
    ));
    Ok(builder.build())
}

/// Takes the permit first: a connection that cannot be served yet stays in the backlog.
async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections)
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    Ok((net::accept(listener).await?, permit))
}
