//! What ties a request to its trace and its run: `traceparent` and `baggage`.
//!
//! The generator keeps no spans of its own: the service's server span continues the ids made here.

use reqwest::header::{HeaderMap, HeaderValue};

use crate::exit::Failure;

/// Makes the headers of every request of one run.
pub(crate) struct Tracing {
    key: [u8; 32],
    baggage: HeaderValue,
}

impl Tracing {
    /// Ids of runs and experiments become header text, so they are letters, digits and `-_.`.
    pub(crate) fn new(run_id: &str, experiment_id: Option<&str>) -> Result<Self, Failure> {
        for (flag, id) in [
            ("--run-id", Some(run_id)),
            ("--experiment-id", experiment_id),
        ] {
            let well_formed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            if id.is_some_and(|id| id.is_empty() || id.len() > 128 || !id.chars().all(well_formed))
            {
                return Err(Failure::Usage(format!(
                    "{flag} must be 1 to 128 letters, digits, `-`, `_` or `.`"
                )));
            }
        }
        let experiment = experiment_id
            .map(|id| format!(",experiment.id={id}"))
            .unwrap_or_default();
        let baggage = HeaderValue::try_from(format!("run.id={run_id}{experiment}"))
            .map_err(|error| Failure::Internal(format!("the ids are no header text: {error}")))?;
        Ok(Self {
            key: *blake3::hash(run_id.as_bytes()).as_bytes(),
            baggage,
        })
    }

    /// The headers of the request in `slot`, and the trace's id, 32 hex digits: unique to the run and slot.
    pub(crate) fn headers(&self, slot: u64, sampled: bool) -> (HeaderMap, String) {
        let ids = blake3::keyed_hash(&self.key, &slot.to_le_bytes()).to_hex();
        let (trace_id, span_id) = (&ids[..32], &ids[32..48]);
        let mut headers = HeaderMap::with_capacity(2);
        if let Ok(traceparent) =
            HeaderValue::try_from(format!("00-{trace_id}-{span_id}-{:02}", u8::from(sampled)))
        {
            headers.insert("traceparent", traceparent);
        }
        headers.insert("baggage", self.baggage.clone());
        (headers, trace_id.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_a_trace_of_its_own_and_says_whether_it_is_sampled() {
        let tracing = Tracing::new("run-1", Some("store-slow")).expect("well formed");
        let (headers, trace_id) = tracing.headers(7, true);
        let traceparent = headers["traceparent"].to_str().expect("text");
        assert_eq!(traceparent.len(), 55);
        assert!(
            traceparent.starts_with(&format!("00-{trace_id}-")) && traceparent.ends_with("-01"),
            "{traceparent}"
        );
        assert_eq!(headers["baggage"], "run.id=run-1,experiment.id=store-slow");
        assert!(
            tracing.headers(8, false).0["traceparent"]
                .to_str()
                .expect("text")
                .ends_with("-00")
        );
        assert_ne!(tracing.headers(8, true).1, trace_id);
        assert_ne!(
            Tracing::new("run-2", None)
                .expect("well formed")
                .headers(7, true)
                .1,
            trace_id
        );
    }

    #[test]
    fn an_id_that_would_break_the_header_is_refused() {
        for id in ["", "a b", "a,b=c", "ä", "line\nbreak"] {
            let error = Tracing::new(id, None)
                .err()
                .map(|failure| failure.to_string());
            assert!(
                error.is_some_and(|error| error.contains("--run-id")),
                "{id:?}"
            );
        }
    }
}
