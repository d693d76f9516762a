//! The host and port that a request names, as RFC 9110 and RFC 3986 write them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A valid `host[:port]`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Authority<'a> {
    /// A name or an address, without the brackets of IPv6 and the dot at a name's end.
    pub(super) host: Host<'a>,
    pub(super) port: Option<u16>,
}

/// A host that can be compared.
#[derive(Debug, Clone, Copy)]
pub(super) enum Host<'a> {
    Name(&'a str),
    V4(Ipv4Addr),
    V6(Ipv6Addr),
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(one), Self::Name(other)) => one.eq_ignore_ascii_case(other),
            (Self::V4(one), Self::V4(other)) => one == other,
            (Self::V6(one), Self::V6(other)) => one == other,
            _ => false,
        }
    }
}

impl Host<'_> {
    /// Names and addresses of this machine that no name server has a say in.
    pub(super) fn is_loopback(self) -> bool {
        match self {
            Self::Name(name) => name.eq_ignore_ascii_case("localhost"),
            Self::V4(address) => address.is_loopback(),
            Self::V6(address) => match address.to_ipv4_mapped() {
                Some(address) => address.is_loopback(),
                None => address.is_loopback(),
            },
        }
    }
}

impl<'a> Authority<'a> {
    /// `None` for what is no `host[:port]`; a user before the host is not one either.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (address, rest) = rest.split_once(']')?;
            (Host::V6(address.parse().ok()?), rest)
        } else {
            let end = text.find(':').unwrap_or(text.len());
            let (name, rest) = text.split_at(end);
            (Self::name(name)?, rest)
        };
        let port = match port.strip_prefix(':') {
            // A colon without a port is allowed.
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            None if port.is_empty() => None,
            _ => return None,
        };
        Some(Self { host, port })
    }

    fn name(name: &'a str) -> Option<Host<'a>> {
        if let Ok(address) = name.parse() {
            return Some(Host::V4(address));
        }
        let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=%".contains(&byte);
        let host = name.strip_suffix('.').unwrap_or(name);
        let is_valid = !host.is_empty() && host.bytes().all(valid);
        is_valid.then_some(Host::Name(host))
    }

    /// Whether both name the same host and port, where a missing port is `default`.
    pub(super) fn is_same(self, other: Self, default: Option<u16>) -> bool {
        self.host == other.host && self.port.or(default) == other.port.or(default)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in tests a panic is the answer")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_host_and_port_is_refused() {
        for text in [
            "",
            ".",
            ".:80",
            ":80",
            ".:80x",
            "a b",
            "a/b",
            "a@b",
            "user:word@localhost",
            "localhost:80:80",
            "localhost:-1",
            "localhost:65536",
            "localhost:8o",
            "[::1",
            "[::1]x",
            "[::1]x:80",
            "[localhost]",
            "[127.0.0.1]",
            "[fe80::1%25eth0]",
            "::1",
            "a\tb",
            "a\\b",
            "ä",
            "a,b c",
        ] {
            assert!(Authority::parse(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn loopback_has_these_names_only() {
        for text in [
            "localhost",
            "LOCALHOST:1",
            "localhost.:80",
            "localhost:",
            "127.0.0.1:8080",
            "127.255.0.7",
            "[::1]:80",
            "[0:0:0:0:0:0:0:1]",
            "[::ffff:127.0.0.1]",
        ] {
            let host = Authority::parse(text).unwrap().host;
            assert!(host.is_loopback(), "{text}");
        }
        for text in [
            "localhost.evil.example",
            "evil.example",
            "localhost..",
            "127.1",
            "0x7f.0.0.1",
            "2130706433",
            "127.0.0.1.nip.io",
            "127.0.0.1.",
            "0.0.0.0",
            "[::]",
            "[::ffff:192.168.0.1]",
            "192.168.0.1",
            "%6cocalhost",
        ] {
            let host = Authority::parse(text).unwrap().host;
            assert!(!host.is_loopback(), "{text}");
        }
    }
}
