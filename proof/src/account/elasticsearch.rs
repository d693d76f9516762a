//! Every document of an index (or data stream) in a stretch of time, and its mapping, by Elasticsearch's API. A point in time
//! makes the pages of one reading fit together; an answer of which a shard or a part is missing is refused, not counted.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use super::LESS_TO_READ;
use crate::http;

/// Documents of one page.
const PAGE: usize = 2000;
/// Documents that are judged at most.
const MAX_DOCUMENTS: usize = 500_000;

/// A server and the index that is asked for.
#[derive(Debug)]
pub(super) struct Elasticsearch {
    pub(super) http: reqwest::Client,
    pub(super) base: Url,
    pub(super) index: String,
}

/// A document.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) id: String,
    /// Its fields by their dotted names, however deep they lie. Arrays are values.
    pub(super) fields: BTreeMap<String, Value>,
    /// Its time as it is searched by, RFC 3339.
    pub(super) indexed_time: Option<String>,
    /// Fields that are not searched by, since they are too long.
    pub(super) ignored: Vec<String>,
}

impl Document {
    /// The field as text, whatever its type.
    pub(super) fn text(&self, field: &str) -> Option<String> {
        self.fields.get(field).map(super::jaeger::text)
    }

    pub(super) fn number(&self, field: &str) -> Option<f64> {
        self.fields.get(field).and_then(Value::as_f64)
    }

    /// Whether it has these fields with these values.
    pub(super) fn is(&self, expected: &BTreeMap<String, String>) -> bool {
        let mut expected = expected.iter();
        expected.all(|(field, value)| self.text(field).as_ref() == Some(value))
    }
}

/// The type of each field by its dotted name.
pub(super) type Mapping = BTreeMap<String, String>;

impl Elasticsearch {
    /// Every document between two moments (milliseconds since the epoch of Unix), and those that have no time.
    pub(super) async fn documents(
        &self,
        time: &str,
        from: u64,
        to: u64,
    ) -> Result<Vec<Document>, String> {
        // What was indexed is not found before.
        self.ask("_refresh", &Value::Null).await?;
        let opened = self.ask("_pit?keep_alive=2m", &Value::Null).await?;
        let pit = opened["id"].as_str().unwrap_or_default().to_owned();
        let read = self.pages(time, from, to, &pit).await;
        let url = http::join(&self.base, "_pit");
        let close = self
            .http
            .delete(url.clone())
            .header("content-type", "application/json");
        // It ends by itself if this fails.
        let _ = http::read(close.body(json!({ "id": pit }).to_string()), &url).await;
        read
    }

    async fn pages(
        &self,
        time: &str,
        from: u64,
        to: u64,
        pit: &str,
    ) -> Result<Vec<Document>, String> {
        let stretch =
            json!({ "range": { time: { "gte": from, "lte": to, "format": "epoch_millis" } } });
        let mut search = json!({
            "size": PAGE,
            "query": { "bool": {
                "should": [stretch, { "bool": { "must_not": { "exists": { "field": time } } } }],
                "minimum_should_match": 1,
            } },
            "pit": { "id": pit, "keep_alive": "2m" },
            "sort": ["_shard_doc"],
            "track_total_hits": true,
            "docvalue_fields": [{ "field": time, "format": "strict_date_time" }],
        });
        let url = http::join(&self.base, "_search");
        let mut documents = Vec::new();
        loop {
            let found: Found = self.post(&url, &search).await?;
            if found.timed_out || found.shards.failed > 0 {
                return Err(format!("{url} answers for a part of {} only", self.index));
            }
            let total = found.hits.total.value;
            if total > MAX_DOCUMENTS {
                return Err(format!(
                    "{url} has {total} documents, more than {MAX_DOCUMENTS}: {LESS_TO_READ}"
                ));
            }
            let Some(last) = found.hits.hits.last() else {
                return if documents.len() == total {
                    Ok(documents)
                } else {
                    Err(format!(
                        "{url} has {total} documents and gave {}",
                        documents.len()
                    ))
                };
            };
            search["search_after"] = last.sort.clone();
            documents.extend(found.hits.hits.into_iter().map(|hit| hit.document(time)));
        }
    }

    /// The mapping of the newest index, which the lines to come go into.
    pub(super) async fn mapping(&self) -> Result<Mapping, String> {
        let url = http::join(&self.base, &format!("{}/_mapping", self.index));
        let (status, body) = http::read(self.http.get(url.clone()), &url).await?;
        let indices: BTreeMap<String, Value> = parsed(&url, status, &body)?;
        let mut fields = Mapping::new();
        if let Some((_, newest)) = indices.last_key_value() {
            types("", &newest["mappings"]["properties"], &mut fields);
        }
        Ok(fields)
    }

    async fn ask(&self, what: &str, body: &Value) -> Result<Value, String> {
        let (path, query) = what
            .split_once('?')
            .map_or((what, None), |(path, query)| (path, Some(query)));
        let mut url = http::join(&self.base, &format!("{}/{path}", self.index));
        url.set_query(query);
        self.post(&url, body).await
    }

    async fn post<T: serde::de::DeserializeOwned>(
        &self,
        url: &Url,
        body: &Value,
    ) -> Result<T, String> {
        let mut request = self.http.post(url.clone());
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let (status, body) = http::read(request, url).await?;
        parsed(url, status, &body)
    }
}

fn parsed<T: serde::de::DeserializeOwned>(
    url: &Url,
    status: u16,
    body: &[u8],
) -> Result<T, String> {
    if status != 200 {
        let said: String = String::from_utf8_lossy(body).chars().take(200).collect();
        return Err(format!("{url} answers {status}: {said}"));
    }
    serde_json::from_slice(body).map_err(|error| {
        format!(
            "{url} answers with what is not Elasticsearch's JSON ({error}); is it an Elasticsearch?"
        )
    })
}

fn types(prefix: &str, properties: &Value, fields: &mut Mapping) {
    for (name, field) in properties.as_object().into_iter().flatten() {
        let name = format!("{prefix}{name}");
        if let Some(kind) = field["type"].as_str() {
            fields.insert(name.clone(), kind.to_owned());
        }
        types(&format!("{name}."), &field["properties"], fields);
    }
}

#[derive(Deserialize)]
struct Found {
    timed_out: bool,
    #[serde(rename = "_shards")]
    shards: Shards,
    hits: Hits,
}

#[derive(Deserialize)]
struct Shards {
    failed: u64,
}

#[derive(Deserialize)]
struct Hits {
    total: Total,
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Total {
    value: usize,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_source", default)]
    source: Map<String, Value>,
    #[serde(rename = "_ignored", default)]
    ignored: Vec<String>,
    #[serde(default)]
    fields: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    sort: Value,
}

impl Hit {
    fn document(self, time: &str) -> Document {
        let mut fields = BTreeMap::new();
        flatten("", self.source, &mut fields);
        let indexed = self.fields.get(time).and_then(|values| values.first());
        Document {
            id: self.id,
            indexed_time: indexed.and_then(Value::as_str).map(str::to_owned),
            ignored: self.ignored,
            fields,
        }
    }
}

fn flatten(prefix: &str, object: Map<String, Value>, fields: &mut BTreeMap<String, Value>) {
    for (name, value) in object {
        let name = format!("{prefix}{name}");
        match value {
            Value::Object(inner) => flatten(&format!("{name}."), inner, fields),
            other => drop(fields.insert(name, other)),
        }
    }
}

#[cfg(test)]
pub(super) fn document(id: &str, source: &Value) -> Document {
    let hit: Hit = serde_json::from_value(json!({ "_id": id, "_source": source })).unwrap();
    hit.document("@timestamp")
}
