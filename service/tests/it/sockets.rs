//! Every socket of the service sends at once: without `TCP_NODELAY` a read through the store waits 40 ms for nothing.

use std::net::{SocketAddr, TcpStream};

use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::support::pictures;
use crate::support::service::send;
use crate::support::store::FakeStore;

/// Copies of this process's connected TCP sockets, each with its two addresses.
fn sockets() -> Vec<(TcpStream, SocketAddr, SocketAddr)> {
    let own: Pid = getpid();
    let process = pidfd_open(own, PidfdFlags::empty()).expect("this process");
    let descriptors = std::fs::read_dir("/proc/self/fd")
        .expect("descriptors")
        .flatten();
    let descriptors = descriptors.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    descriptors
        .filter_map(|descriptor| pidfd_getfd(&process, descriptor, PidfdGetfdFlags::empty()).ok())
        .filter_map(|socket| {
            let socket = TcpStream::from(socket);
            let ends = (socket.local_addr().ok()?, socket.peer_addr().ok()?);
            Some((socket, ends.0, ends.1))
        })
        .collect()
}

#[tokio::test]
async fn accepted_and_dialled_sockets_send_at_once() {
    let store = FakeStore::start().await;
    let service = store.service(&[]).await;
    let id = service.uploaded(pictures::png(1, 30, 30, false)).await["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let answer = send(service.get(&format!("/v1/images/{id}/content"))).await;
    assert_eq!(answer.status, 200);

    let sockets = sockets();
    let dialled: Vec<_> = sockets
        .iter()
        .filter(|(_, _, peer)| *peer == store.address)
        .collect();
    let accepted: Vec<_> = sockets
        .iter()
        .filter(|(_, local, _)| *local == service.address)
        .collect();
    assert!(!dialled.is_empty() && !accepted.is_empty());
    for (socket, local, peer) in dialled.into_iter().chain(accepted) {
        assert!(socket.nodelay().expect("an option"), "{local} to {peer}");
    }
    service.stop().await;
}
