//! Log lines that name the cause, in Elasticsearch: none before it, at least one under it.

use serde_json::{Value, json};
use url::Url;

use super::super::bench::Broken;
use super::super::causes::Log;
use super::super::rig::Rig;
use super::{AGAIN, Moments, ON_THE_WAY};
use crate::http;

/// Letters of a line that are shown.
const SHOWN: usize = 160;

/// The newest line, once there is one.
pub(super) async fn found(
    rig: &Rig<'_, '_>,
    wanted: &Log,
    moments: Moments,
) -> Result<Result<String, String>, Broken> {
    let url = match rig.logs() {
        Ok(url) => url,
        Err(sentence) => return Ok(Err(sentence)),
    };
    match search(
        &url,
        &wanted.query,
        moments.control,
        Some(moments.injecting),
    )
    .await
    {
        Err(sentence) => return Ok(Err(sentence)),
        Ok(Some(line)) => return Ok(Err(format!("a line was there before the cause: {line}"))),
        Ok(None) => {}
    }
    let mut last = None;
    let seen = rig
        .wait(ON_THE_WAY, async || {
            match search(&url, &wanted.query, moments.injecting, None).await {
                Ok(Some(line)) => return Some(line),
                Ok(None) => {}
                Err(sentence) => last = Some(sentence),
            }
            tokio::time::sleep(AGAIN).await;
            None
        })
        .await?;
    Ok(seen.ok_or_else(|| last.unwrap_or_else(|| format!("no line within {ON_THE_WAY:?}"))))
}

/// The newest line between two moments that the query finds.
async fn search(
    url: &Url,
    query: &str,
    from: f64,
    to: Option<f64>,
) -> Result<Option<String>, String> {
    let milliseconds = |moment: f64| (moment * 1000.0) as i64;
    let mut range = json!({"gte": milliseconds(from), "format": "epoch_millis"});
    if let Some(to) = to {
        range["lt"] = milliseconds(to).into();
    }
    let body = json!({
        "size": 1,
        "sort": [{"@timestamp": "desc"}],
        "query": {"bool": {
            "must": [{"query_string": {"query": query}}],
            "filter": [{"range": {"@timestamp": range}}],
        }},
    });
    let client = http::client().map_err(|error| error.to_string())?;
    // A document can be found once its index was refreshed.
    let refresh = http::join(url, "_refresh");
    http::read(client.post(refresh.clone()), &refresh).await?;
    let url = http::join(url, "_search");
    let (status, answer) = http::read(client.post(url.clone()).json(&body), &url).await?;
    let answer: Value = serde_json::from_slice(&answer)
        .map_err(|error| format!("{url} returns {status} and no JSON: {error}"))?;
    if status != 200 {
        return Err(format!(
            "{url} returns {status}: {}",
            answer["error"]["reason"]
        ));
    }
    let hits = answer["hits"]["hits"].as_array();
    let hits = hits.ok_or_else(|| format!("{url} returns no hits; is it Elasticsearch?"))?;
    Ok(hits.first().map(|hit| line(&hit["_source"])))
}

fn line(source: &Value) -> String {
    let text = source["message"]
        .as_str()
        .map_or_else(|| source.to_string(), str::to_owned);
    let shown: String = text.chars().take(SHOWN).collect();
    match source["error.type"]
        .as_str()
        .or(source["error"]["type"].as_str())
    {
        Some(kind) => format!("{shown} (error.type {kind})"),
        None => shown,
    }
}
