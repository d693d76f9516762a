//! One request of a plan: what it asks for, how it is sent, and what came back.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, Request};

use super::answer::{Answer, BodyCheck, Fault, OwnLimit, Promise, fault_of};
use crate::events::ErrorKind;
use crate::mix::mix;
use crate::pictures::jpeg;
use crate::plan::RouteKind;
use crate::schedule::Arrival;
use crate::target::{Image, Target};

/// Everything that requests are made from; the same for the whole run.
pub(crate) struct Requests {
    pub(crate) target: Target,
    pub(crate) routes: Vec<RouteKind>,
    /// Sorted by hash, so that the choice does not depend on when they were uploaded.
    pub(crate) images: Vec<Image>,
    /// JPEG files to upload, each made unique when it is sent.
    pub(crate) bodies: Vec<Vec<u8>>,
    pub(crate) run_id: String,
    pub(crate) seed: u64,
    pub(crate) timeout: Duration,
}

impl Requests {
    /// Sends the request of `arrival` and reads the answer to its last byte. What went wrong with the target is in the
    /// answer; the error is a limit of this process or machine that kept the request from being sent.
    pub(crate) async fn perform(
        &self,
        arrival: &Arrival,
        headers: HeaderMap,
    ) -> Result<Answer, OwnLimit> {
        let mut answer = Answer::default();
        let (mut request, promise) = self.prepare(arrival);
        request.headers_mut().extend(headers);
        let exchange = self.exchange(request, promise, &mut answer);
        let error = match tokio::time::timeout(self.timeout, exchange).await {
            Ok(Ok(())) => None,
            Ok(Err(Fault::Target(kind))) => Some(kind),
            Ok(Err(Fault::Own(limit))) => return Err(limit),
            Err(_elapsed) => Some(ErrorKind::Timeout),
        };
        Ok(Answer { error, ..answer })
    }

    async fn exchange(
        &self,
        request: Request,
        promise: Promise,
        answer: &mut Answer,
    ) -> Result<(), Fault> {
        let sent = self.target.client().execute(request).await;
        let mut response = sent.map_err(|error| fault_of(&error))?;
        answer.begin(response.status(), response.headers());
        let promised = response.status() == promise.status();
        let mut check = BodyCheck::new(promise, response.headers());
        while let Some(chunk) = response.chunk().await.map_err(|error| fault_of(&error))? {
            answer.bytes += chunk.len() as u64;
            if promised {
                check.feed(&chunk);
            }
        }
        match (promised, promised && check.holds()) {
            (false, _) => Err(Fault::Target(ErrorKind::Status)),
            (true, false) => Err(Fault::Target(ErrorKind::Body)),
            (true, true) => Ok(()),
        }
    }

    /// The request, and what its answer has to be.
    fn prepare(&self, arrival: &Arrival) -> (Request, Promise) {
        let get = |path: String| Request::new(Method::GET, self.target.url(&path));
        match &self.routes[arrival.route] {
            RouteKind::List { page_size } => (
                get(format!("/v1/images?limit={page_size}")),
                Promise::List {
                    page_size: *page_size as usize,
                },
            ),
            RouteKind::Metadata => {
                let id = self.image(arrival).id.clone();
                (get(format!("/v1/images/{id}")), Promise::Metadata { id })
            }
            RouteKind::Content => {
                let image = self.image(arrival);
                (
                    get(format!("/v1/images/{}/content", image.id)),
                    Promise::Content {
                        hash: image.hash.clone(),
                    },
                )
            }
            RouteKind::Render { presets } => {
                let preset = weighted(presets, mix(!self.seed, arrival.slot));
                let mut request = get(format!(
                    "/v1/images/{}/render?preset={preset}",
                    self.image(arrival).id
                ));
                request
                    .headers_mut()
                    .insert(ACCEPT, HeaderValue::from_static("image/webp"));
                (request, Promise::Render)
            }
            RouteKind::Upload => self.upload(arrival),
        }
    }

    fn upload(&self, arrival: &Arrival) -> (Request, Promise) {
        let base = &self.bodies[arrival.slot as usize % self.bodies.len()];
        // The bodies were checked to be JPEG files when the run was set up.
        let body = jpeg::with_comment(base, &format!("{} {}", self.run_id, arrival.slot))
            .unwrap_or_default();
        let hash = blake3::hash(&body).to_hex().to_string();
        let mut request = Request::new(Method::POST, self.target.url("/v1/images"));
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("image/jpeg"));
        *request.body_mut() = Some(Bytes::from(body).into());
        (request, Promise::Created { hash })
    }

    fn image(&self, arrival: &Arrival) -> &Image {
        &self.images[mix(self.seed, arrival.slot) as usize % self.images.len()]
    }
}

/// A name chosen by its weight; the weights are not all zero.
fn weighted(names: &[(String, u32)], draw: u64) -> &str {
    let total: u64 = names.iter().map(|(_, weight)| u64::from(*weight)).sum();
    let mut rest = draw % total.max(1);
    for (name, weight) in names {
        match rest.checked_sub(u64::from(*weight)) {
            Some(left) => rest = left,
            None => return name,
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_chosen_by_weight() {
        let names = [
            ("a".to_owned(), 3),
            ("b".to_owned(), 0),
            ("c".to_owned(), 1),
        ];
        let drawn: Vec<&str> = (0..8).map(|draw| weighted(&names, draw)).collect();
        assert_eq!(drawn, ["a", "a", "a", "c", "a", "a", "a", "c"]);
    }
}
