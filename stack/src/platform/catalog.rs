//! The catalog: PostgreSQL, else SQLite in the service's own process (so without a proxy).

use std::net::SocketAddr;

use super::part::{Part, nothing};
use super::{Context, Take};
use crate::error::Error;
use crate::net;
use crate::server::postgres;
use crate::state::{Kind, Role, Server};

/// The service's database.
pub(super) enum Catalog {
    Postgres { url: url::Url, address: SocketAddr },
    Sqlite { url: String },
}

/// `url` with another address in it, e.g. a proxy's.
pub(super) fn url_at(url: &url::Url, address: SocketAddr) -> String {
    let mut url = url.clone();
    // Both are refused only for URLs without a host, and this one has a host.
    let _ = url.set_ip_host(address.ip());
    let _ = url.set_port(Some(address.port()));
    url.into()
}

pub(super) async fn start(context: &Context, take: Take) -> Result<(Part, Catalog), Error> {
    if let Some(found) = take.choose(postgres::find()) {
        let real = postgres::start(&found, &context.launch(0)).await?;
        note(context, "postgresql", Kind::Real, &found.version)?;
        let catalog = parse(&real.url).await?;
        let part = real.running.map_or(Ok(Part::Given), |running| {
            Part::process(context, running, nothing)
        })?;
        return Ok((part, catalog));
    }
    note(context, "sqlite", Kind::StandIn, "in the service's process")?;
    let url = format!(
        "sqlite://{}",
        context.folder.data().join("catalog.db").display()
    );
    Ok((Part::Given, Catalog::Sqlite { url }))
}

async fn parse(url: &str) -> Result<Catalog, Error> {
    // The message must not hold the URL: it holds a password.
    let bad = || {
        Error::Usage(
            "CHITRAM_POSTGRES_URL is not postgres://user:password@host:port/database".to_owned(),
        )
    };
    let url = url::Url::parse(url).map_err(|_| bad())?;
    let host = url.host_str().ok_or_else(bad)?;
    let address = net::address_of(&format!("http://{host}:{}", url.port().unwrap_or(5432))).await?;
    Ok(Catalog::Postgres { url, address })
}

fn note(context: &Context, name: &str, kind: Kind, version: &str) -> Result<(), Error> {
    let server = Server {
        role: Role::Catalog,
        name: name.to_owned(),
        kind,
        version: version.to_owned(),
    };
    context.note(server, |_| {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::loopback;

    #[tokio::test]
    async fn a_proxied_url_differs_only_in_its_address() {
        let url = "postgres://me:secret@127.0.0.1/images?sslmode=disable";
        let Catalog::Postgres { url, address } = parse(url).await.unwrap() else {
            panic!("it is PostgreSQL's")
        };
        assert_eq!(address, loopback(5432));
        assert_eq!(
            url_at(&url, loopback(9)),
            "postgres://me:secret@127.0.0.1:9/images?sslmode=disable"
        );
    }

    #[tokio::test]
    async fn a_bad_url_is_named_by_its_variable_and_not_printed() {
        let Err(error) = parse("secret").await else {
            panic!("it is no URL")
        };
        assert!(
            error.to_string().contains("CHITRAM_POSTGRES_URL")
                && !error.to_string().contains("secret")
        );
    }
}
