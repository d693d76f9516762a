//! The index template of the log lines, and the data stream that is made by it.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::error::Error;
use crate::net;

/// A change of the cluster's state waits for the disk: longer than other answers, on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(30);
/// The template that belongs to this version of the platform: `deploy/logs/index-template.json`.
pub const TEMPLATE: &str = include_str!("../../../../deploy/logs/index-template.json");
/// Where log lines are. The first line makes it.
pub const STREAM: &str = "logs-chitram-default";

/// Installs a template, then brings a stream that exists already up to it: new fields are added to its mapping, so that
/// the lines to come have them. Where a field's type changed, the stream gets a new index, and the lines before keep
/// the old one. May be repeated.
pub async fn install(url: &str, template: &str) -> Result<(), Error> {
    let parsed: Value = serde_json::from_str(template).map_err(|error| {
        Error::Usage(format!(
            "the index template is not JSON: {error}; mend deploy/logs/index-template.json"
        ))
    })?;
    expect(
        call(
            url,
            Method::PUT,
            "/_index_template/logs-chitram",
            Some(&parsed),
        )
        .await?,
    )?;
    let stream = call(url, Method::GET, &format!("/{STREAM}"), None).await?;
    if stream.status == StatusCode::NOT_FOUND {
        return Ok(());
    }
    expect(stream)?;
    let mapping = format!("/{STREAM}/_mapping");
    let fields = &parsed["template"]["mappings"];
    let merged = call(url, Method::PUT, &mapping, Some(fields)).await?;
    if merged.status == StatusCode::BAD_REQUEST {
        return expect(call(url, Method::POST, &format!("/{STREAM}/_rollover"), None).await?);
    }
    expect(merged)
}

/// What was asked, and what came back.
struct Answer {
    asked: String,
    status: StatusCode,
    body: String,
}

async fn call(
    url: &str,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Answer, Error> {
    let asked = format!("{method} {url}{path}");
    let mut request = net::http()?
        .request(method, format!("{url}{path}"))
        .timeout(DEADLINE);
    if let Some(body) = body {
        request = request.json(body);
    }
    let failed = |error: reqwest::Error| {
        Error::Unavailable(format!("Elasticsearch did not answer {asked}: {error}"))
    };
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let body = answer.text().await.map_err(failed)?;
    Ok(Answer {
        asked,
        status,
        body,
    })
}

fn expect(answer: Answer) -> Result<(), Error> {
    let Answer {
        asked,
        status,
        body,
    } = answer;
    if status.is_success() {
        return Ok(());
    }
    Err(Error::Unavailable(format!(
        "Elasticsearch refused {asked} with {status}: {body}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lucene takes a term of 32,766 bytes, and a character has up to four. Beyond it the whole line would be refused.
    #[test]
    fn every_keyword_is_left_out_of_the_index_before_lucene_refuses_its_line() {
        let template: Value = serde_json::from_str(TEMPLATE).unwrap();
        let mut keywords = 0;
        let mut open = vec![&template["template"]["mappings"]];
        while let Some(field) = open.pop() {
            if field["type"] == "keyword" {
                keywords += 1;
                assert!(
                    matches!(field["ignore_above"].as_u64(), Some(1..=8191)),
                    "{field}"
                );
            }
            open.extend(
                field["properties"]
                    .as_object()
                    .into_iter()
                    .flat_map(|all| all.values()),
            );
        }
        assert!(keywords > 20, "{keywords}");
        assert_eq!(template["template"]["mappings"]["dynamic"], false);
    }
}
