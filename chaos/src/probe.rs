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
    /// No connection.
    Refused,
}

impl Felt {
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
    /// has passed the fault.
    pub fn refutes(self, symptom: Symptom, before: Duration) -> bool {
        match (self, symptom) {
            (Self::Answer(after), Symptom::Later(delay)) => after < before + delay / 2,
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
        }
    }
}

/// One exchange with the address, ended by the deadline.
pub async fn probe(protocol: Protocol, address: &str, deadline: Duration) -> Felt {
    let begun = Instant::now();
    let exchange = async {
        let Ok(mut stream) = connect(address).await else {
            return Felt::Refused;
        };
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

async fn connect(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
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
        assert!(Felt::Answer(9 * MS).refutes(slow, 5 * MS));
        for felt in [
            Felt::Answer(400 * MS),
            Felt::NoAnswer,
            Felt::Closed,
            Felt::Refused,
        ] {
            assert!(!felt.refutes(slow, 5 * MS), "{felt:?}");
        }
        assert!(Felt::Answer(900 * MS).refutes(Symptom::NoAnswer, 5 * MS));
        assert!(!Felt::Refused.refutes(Symptom::NoAnswer, 5 * MS));
        assert!(Felt::NoAnswer.refutes(Symptom::Refused, 5 * MS));
        assert!(!Felt::Refused.refutes(Symptom::Refused, 5 * MS));
    }
}
