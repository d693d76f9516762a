//! The object store: versitygw or any S3, else the S3 server in process.

use std::net::SocketAddr;

use super::part::{Part, nothing};
use super::{Context, Take};
use crate::error::Error;
use crate::net;
use crate::server::versitygw;
use crate::standin::s3::{self, Credentials};
use crate::state::{Kind, Role, Server};

/// The version of the crate that the stand-in is made of.
const STAND_IN_VERSION: &str = "0.14";

/// How the service reaches its bucket.
pub(super) struct ObjectStore {
    /// The store itself, behind any proxy.
    pub address: SocketAddr,
    pub bucket: String,
    pub credentials: Credentials,
}

pub(super) async fn start(context: &Context, take: Take) -> Result<(Part, ObjectStore), Error> {
    if let Some(found) = take.choose(versitygw::find()) {
        let real = versitygw::start(&found, &context.launch(0)).await?;
        note(
            context,
            "versitygw",
            Kind::Real,
            &found.version,
            &real.endpoint,
        )?;
        let address = net::address_of(&real.endpoint).await?;
        let store = ObjectStore {
            address,
            bucket: real.bucket,
            credentials: real.credentials,
        };
        let part = real.running.map_or(Ok(Part::Given), |running| {
            Part::process(context, running, nothing)
        })?;
        return Ok((part, store));
    }
    let listener = net::listen(0, "").await?;
    let address = listener
        .local_addr()
        .map_err(|source| Error::io("read a socket's address", source))?;
    note(
        context,
        "s3s-fs",
        Kind::StandIn,
        STAND_IN_VERSION,
        &format!("http://{address}"),
    )?;
    let credentials = Credentials::random();
    let store = ObjectStore {
        address,
        bucket: s3::BUCKET.to_owned(),
        credentials: credentials.clone(),
    };
    let folder = context.folder.data().join("objects");
    let part = Part::task("the object store", |shutdown| async move {
        s3::serve(listener, &folder, credentials, shutdown)
            .await
            .map_err(|error| error.to_string())
    });
    Ok((part, store))
}

fn note(
    context: &Context,
    name: &str,
    kind: Kind,
    version: &str,
    endpoint: &str,
) -> Result<(), Error> {
    let server = Server {
        role: Role::ObjectStore,
        name: name.to_owned(),
        kind,
        version: version.to_owned(),
    };
    context.note(server, |endpoints| endpoints.s3 = Some(endpoint.to_owned()))
}
