//! Ports and sockets: loopback only, `TCP_NODELAY` on each.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::OnceLock;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::error::Error;

/// `127.0.0.1` with this port; 0 means a free one.
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A port that was free a moment ago, for a server that wants a number. Its start is retried when somebody was quicker.
pub fn free_port() -> Result<u16, Error> {
    let address =
        std::net::TcpListener::bind(loopback(0)).and_then(|listener| listener.local_addr());
    address
        .map(|address| address.port())
        .map_err(|source| Error::io("find a free port", source))
}

/// Binds a loopback port; `flag` is the option that the error names.
pub async fn listen(port: u16, flag: &'static str) -> Result<TcpListener, Error> {
    let address = loopback(port);
    TcpListener::bind(address)
        .await
        .map_err(|source| bind_error(address, flag, source))
}

/// Fails with a sentence when somebody listens on this loopback port.
pub fn check_free(port: u16, flag: &'static str) -> Result<(), Error> {
    let address = loopback(port);
    std::net::TcpListener::bind(address)
        .map(drop)
        .map_err(|source| bind_error(address, flag, source))
}

fn bind_error(address: SocketAddr, flag: &'static str, source: io::Error) -> Error {
    if source.kind() == io::ErrorKind::AddrInUse {
        return Error::PortInUse { address, flag };
    }
    Error::io(&format!("listen on {address} (see {flag})"), source)
}

/// Accepts a connection with `TCP_NODELAY`: without it a small answer may wait 40 ms for the peer's delayed ACK.
pub async fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Whether somebody accepts connections there.
pub async fn answers(address: SocketAddr) -> bool {
    matches!(
        tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await,
        Ok(Ok(_))
    )
}

/// The client for the servers' own HTTP interfaces. No proxy from the environment: everything is on this machine.
pub fn http() -> Result<&'static reqwest::Client, Error> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let build = || {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(5));
        client
            .tcp_nodelay(true)
            .pool_max_idle_per_host(0)
            .build()
            .ok()
    };
    CLIENT
        .get_or_init(build)
        .as_ref()
        .ok_or_else(|| Error::Unavailable("no HTTP client can be made here".to_owned()))
}

/// The address behind an `http://host:port` URL; a host name is looked up.
pub async fn address_of(url: &str) -> Result<SocketAddr, Error> {
    let bad = || {
        Error::Usage(format!(
            "{url} is not an address: expected http://host:port"
        ))
    };
    let parsed = url::Url::parse(url).map_err(|_| bad())?;
    let host = parsed
        .host_str()
        .ok_or_else(bad)?
        .trim_matches(['[', ']'])
        .to_owned();
    let port = parsed.port_or_known_default().ok_or_else(bad)?;
    let found = tokio::net::lookup_host((host.as_str(), port)).await;
    let mut found = found
        .map_err(|source| Error::Unavailable(format!("{url} cannot be looked up: {source}")))?;
    found
        .next()
        .ok_or_else(|| Error::Unavailable(format!("{url} cannot be looked up: no address")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_accepted_socket_has_nodelay_set() {
        let listener = listen(0, "--port").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        assert!(accept(&listener).await.unwrap().nodelay().unwrap());
    }

    #[tokio::test]
    async fn a_port_in_use_is_one_sentence_with_the_address_and_the_flag() {
        let taken = listen(0, "--port").await.unwrap().into_std().unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = check_free(port, "--admin-port").unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "127.0.0.1:{port} is in use: stop what listens there, or choose another port with --admin-port"
            )
        );
        assert_eq!(error.exit_code(), 69);
    }

    #[tokio::test]
    async fn an_address_comes_from_a_url_with_or_without_a_port() {
        assert_eq!(address_of("http://127.0.0.1:9").await.unwrap(), loopback(9));
        assert_eq!(address_of("http://127.0.0.1/").await.unwrap(), loopback(80));
        assert_eq!(address_of("9").await.unwrap_err().exit_code(), 64);
    }
}
