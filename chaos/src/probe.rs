//! One small exchange through a proxy, in the protocol that is spoken there: a connection alone does not feel a latency
//! toxic, and a server that accepts need not answer.

mod http;
mod otlp;
mod postgres;

use std::io;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::definition::Protocol;
use crate::faults::Symptom;

/// What a probe felt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Felt {
    /// An answer, after so long.
    Answer(Duration),
    /// A connection, but no answer before the deadline.
    NoAnswer,
    /// A connection that was closed without an answer, or an answer in another protocol.
    Closed,
    /// No connection: nobody accepts there.
    Refused,
    /// Nothing: this machine could not even ask, e.g. for want of a file descriptor or a port.
    Own,
}

impl Felt {
    /// What an attempt to connect felt that failed. A connection that was accepted and reset at once fails here too, if the
    /// reset is quicker than the call.
    pub fn of_connect(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => Self::Closed,
            _ => Self::Own,
        }
    }

    /// Whether this is the symptom, compared with an answer that took `before`. Half of the delay is enough: timers and
    /// the machine's load move the rest, and without the fault nothing near it is felt.
    pub fn is(self, symptom: Symptom, before: Duration) -> bool {
        match (self, symptom) {
            (Self::Answer(after), Symptom::Later(delay)) => after >= before + delay / 2,
            (Self::NoAnswer | Self::Closed, Symptom::NoAnswer)
            | (Self::Refused, Symptom::Refused) => true,
            _ => false,
        }
    }

    /// Whether this can't be felt where the fault acts on the connection. Less than the absence of its symptom: a
    /// dependency that answers nothing under a latency fault has troubles of its own, but no answer that comes too early
    /// has passed the fault. Compared with the delay alone, which holds back every answer, whatever an answer took before;
    /// a tenth less, for the precision of timers.
    pub fn refutes(self, symptom: Symptom) -> bool {
        match (self, symptom) {
            (Self::Answer(after), Symptom::Later(delay)) => after < delay * 9 / 10,
            (Self::Answer(_), Symptom::NoAnswer | Symptom::Refused)
            | (Self::NoAnswer | Self::Closed, Symptom::Refused) => true,
            _ => false,
        }
    }

    /// For a sentence: `an answer after 12 ms`.
    pub fn words(self) -> String {
        match self {
            Self::Answer(after) => format!("an answer after {} ms", after.as_millis()),
            Self::NoAnswer => "no answer".into(),
            Self::Closed => "a connection closed without an answer".into(),
            Self::Refused => "a refused connection".into(),
            Self::Own => "nothing, since this machine could not open a connection".into(),
        }
    }
}

/// One exchange with the address, ended by the deadline.
pub async fn probe(protocol: Protocol, address: &str, deadline: Duration) -> Felt {
    let begun = Instant::now();
    let exchange = async {
        let mut stream = match TcpStream::connect(address).await {
            Ok(stream) if is_its_own_peer(&stream) => return Felt::Refused,
            Ok(stream) => stream,
            Err(error) => return Felt::of_connect(&error),
        };
        if stream.set_nodelay(true).is_err() {
            return Felt::Closed;
        }
        let answer = match protocol {
            Protocol::Http => http::exchange(&mut stream, address).await,
            Protocol::Otlp => otlp::exchange(&mut stream).await,
            Protocol::Postgres => postgres::exchange(&mut stream).await,
        };
        answer.map_or(Felt::Closed, |()| Felt::Answer(begun.elapsed()))
    };
    tokio::time::timeout(deadline, exchange)
        .await
        .unwrap_or(Felt::NoAnswer)
}

/// Whether a connection to a port where nobody listens was given this very port for its own end: then it talks to itself.
fn is_its_own_peer(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(own), Ok(peer)) if own == peer)
}

/// A connection that ended before it said anything.
fn silent() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "closed without an answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn only_the_faults_own_symptom_proves_it() {
        let slow = Symptom::Later(350 * MS);
        assert!(Felt::Answer(400 * MS).is(slow, 5 * MS));
        assert!(!Felt::Answer(5 * MS).is(slow, 5 * MS));
        assert!(!Felt::NoAnswer.is(slow, 5 * MS));
        assert!(Felt::NoAnswer.is(Symptom::NoAnswer, 5 * MS));
        assert!(!Felt::Answer(5 * MS).is(Symptom::NoAnswer, 5 * MS));
        assert!(Felt::Refused.is(Symptom::Refused, 5 * MS));
        assert!(!Felt::NoAnswer.is(Symptom::Refused, 5 * MS));
        assert!(Felt::Closed.is(Symptom::NoAnswer, 5 * MS));
    }

    #[test]
    fn an_answer_that_comes_too_early_refutes_a_fault_and_a_dependency_in_trouble_does_not() {
        let slow = Symptom::Later(350 * MS);
        assert!(Felt::Answer(9 * MS).refutes(slow));
        assert!(Felt::Answer(300 * MS).refutes(slow));
        for felt in [
            Felt::Answer(340 * MS),
            Felt::Answer(400 * MS),
            Felt::NoAnswer,
            Felt::Closed,
            Felt::Refused,
            Felt::Own,
        ] {
            assert!(!felt.refutes(slow), "{felt:?}");
        }
        assert!(Felt::Answer(900 * MS).refutes(Symptom::NoAnswer));
        assert!(!Felt::Refused.refutes(Symptom::NoAnswer));
        assert!(Felt::NoAnswer.refutes(Symptom::Refused));
        assert!(!Felt::Refused.refutes(Symptom::Refused));
    }

    #[test]
    fn what_hinders_the_runner_itself_neither_proves_nor_refutes_any_fault() {
        for symptom in [
            Symptom::Later(350 * MS),
            Symptom::NoAnswer,
            Symptom::Refused,
        ] {
            assert!(!Felt::Own.is(symptom, 5 * MS), "{symptom:?}");
            assert!(!Felt::Own.refutes(symptom), "{symptom:?}");
        }
    }

    #[test]
    fn only_a_refused_connection_is_refused() {
        const NO_MORE_FILES: i32 = 24;
        let felt = |kind: io::ErrorKind| Felt::of_connect(&kind.into());
        assert_eq!(felt(io::ErrorKind::ConnectionRefused), Felt::Refused);
        for kind in [
            io::ErrorKind::ConnectionReset,
            io::ErrorKind::ConnectionAborted,
            io::ErrorKind::BrokenPipe,
            io::ErrorKind::NotConnected,
        ] {
            assert_eq!(felt(kind), Felt::Closed, "{kind}");
        }
        for kind in [
            io::ErrorKind::AddrNotAvailable,
            io::ErrorKind::PermissionDenied,
            io::ErrorKind::HostUnreachable,
        ] {
            assert_eq!(felt(kind), Felt::Own, "{kind}");
        }
        let no_more_files = io::Error::from_raw_os_error(NO_MORE_FILES);
        assert_eq!(Felt::of_connect(&no_more_files), Felt::Own);
    }
}
