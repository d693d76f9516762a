//! Listen addresses as clients write them (`127.0.0.1:0`, `localhost:6379`, `:80`, nothing), made concrete.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::lookup_host, time::timeout};

/// How long the resolver may take.
const LOOKUP: Duration = Duration::from_secs(5);

/// Where an address without a host listens. The real server takes every interface; here only who names one leaves
/// loopback.
const DEFAULT_HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The socket address that `listen` means; otherwise what is wrong with it.
pub(super) async fn resolve(listen: &str) -> Result<SocketAddr, String> {
    if listen.is_empty() {
        return Ok(SocketAddr::new(DEFAULT_HOST, 0));
    }
    if let Ok(address) = listen.parse() {
        return Ok(address);
    }
    let (host, port) = listen
        .rsplit_once(':')
        .ok_or_else(|| format!("address {listen}: missing port in address"))?;
    let port: u16 = port
        .parse()
        .map_err(|_| format!("address {listen}: invalid port"))?;
    if host.is_empty() {
        return Ok(SocketAddr::new(DEFAULT_HOST, port));
    }
    let found = timeout(LOOKUP, lookup_host((host, port)))
        .await
        .map_err(|_| format!("lookup {host}: timed out"))?;
    let mut found: Vec<SocketAddr> = found
        .map_err(|_| format!("lookup {host}: no such host"))?
        .collect();
    // `localhost` means 127.0.0.1 for the real server too.
    found.sort_by_key(SocketAddr::is_ipv6);
    found
        .first()
        .copied()
        .ok_or_else(|| format!("lookup {host}: no such host"))
}
