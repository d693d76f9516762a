//! Reads everything, until the program's counters stand still and the servers have what was confirmed, or time is up.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use url::Url;

use super::Arguments;
use super::elasticsearch::Elasticsearch;
use super::equation::{LineTerms, SpanTerms};
use super::evidence::{Evidence, Lines, Traces};
use super::expectations::Expectations;
use super::exposition::{Format, Page, Pages};
use super::jaeger::Jaeger;
use crate::boards::truth::Truth;
use crate::declarations::Program;
use crate::exit::Refusal;
use crate::{files, http};

/// Between two readings.
const PAUSE: Duration = Duration::from_millis(500);
/// How far back is looked where neither `--from` nor the process' start says so, in microseconds.
const HOUR: u64 = 3_600_000_000;
/// Shorter texts would be found by accident.
const SHORTEST_SECRET: usize = 6;

/// Asks all servers of the arguments.
pub(super) async fn gather(arguments: &Arguments) -> Result<Evidence, Refusal> {
    let client = http::client().map_err(|error| Refusal::internal(error.to_string()))?;
    let program = Program::read(&arguments.declared)?;
    let service = arguments
        .service
        .clone()
        .unwrap_or_else(|| program.name.clone());
    let expectations = match &arguments.expectations {
        Some(file) => Expectations::read(file)?,
        None => Expectations::default(),
    };
    let mut evidence = Evidence {
        program,
        expectations,
        pages: None,
        shipper: None,
        traces: None,
        lines: None,
        truth: arguments.truth.as_deref().map(Truth::read).transpose()?,
        secrets: secrets(arguments)?,
        sampled_share: arguments.sampled_share,
        whole_stretch: arguments.from.is_some(),
        instance: arguments.instance.clone(),
        now: 0,
    };
    let reader = Reader {
        before: arguments.before.as_deref().map(before).transpose()?,
        jaeger: arguments.jaeger.clone().map(|base| Jaeger {
            http: client.clone(),
            base,
            service: service.clone(),
        }),
        elasticsearch: arguments.elasticsearch.clone().map(|base| Elasticsearch {
            http: client.clone(),
            base,
            index: arguments.index.clone(),
        }),
        client,
        arguments,
        service,
    };
    let deadline = Instant::now() + arguments.settle;
    loop {
        reader
            .read(&mut evidence)
            .await
            .map_err(Refusal::unavailable)?;
        if is_settled(&evidence) || Instant::now() >= deadline {
            return Ok(evidence);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

struct Reader<'a> {
    arguments: &'a Arguments,
    client: reqwest::Client,
    service: String,
    jaeger: Option<Jaeger>,
    elasticsearch: Option<Elasticsearch>,
    /// Text of the page that was saved before the load, with its name.
    before: Option<(String, String)>,
}

impl Reader<'_> {
    /// The pages stand around everything else: what is confirmed on the first must be found, and what is found must be on
    /// the last.
    async fn read(&self, evidence: &mut Evidence) -> Result<(), String> {
        let earlier = match &self.arguments.metrics {
            Some(url) => Some(self.page(url, Some(Format::OpenMetrics)).await?),
            None => None,
        };
        evidence.now = now();
        let from = self.from(earlier.as_ref(), evidence);
        if let Some(url) = &self.arguments.shipper {
            evidence.shipper = Some(self.page(url, Some(Format::Classic)).await?);
        }
        if let Some(jaeger) = &self.jaeger {
            // What ends while this is read began before.
            let all = jaeger.traces(from, evidence.now + 1_000_000).await?;
            let (place, service) = (jaeger.base.to_string(), self.service.clone());
            evidence.traces = Some(Traces {
                place,
                service,
                all,
            });
        }
        if let Some(elasticsearch) = &self.elasticsearch {
            evidence.lines = Some(self.lines(elasticsearch, from, evidence).await?);
        }
        if let (Some(url), Some(earlier)) = (&self.arguments.metrics, earlier) {
            evidence.pages = Some(Pages {
                earlier,
                later: self.page(url, Some(Format::OpenMetrics)).await?,
                classic: self.page(url, Some(Format::Classic)).await?,
                unasked: self.page(url, None).await?,
                before: self
                    .before
                    .clone()
                    .map(|(name, text)| Page::parse(&name, Format::OpenMetrics, "", text)),
            });
        }
        Ok(())
    }

    /// The first moment that is looked at: never later than the process' start, or its counters would count what is not seen.
    fn from(&self, page: Option<&Page>, evidence: &Evidence) -> u64 {
        let term = evidence.expectations.exposition.start_time.as_ref();
        let start = page
            .zip(term)
            .and_then(|(page, term)| page.sum(std::slice::from_ref(term)).ok());
        let start = start.map(|seconds| (seconds * 1e6) as u64);
        match (
            self.arguments.from.map(|seconds| (seconds * 1e6) as u64),
            start,
        ) {
            (Some(from), Some(start)) => from.min(start),
            (Some(from), None) => from,
            (None, Some(start)) => start,
            (None, None) => evidence.now.saturating_sub(HOUR),
        }
    }

    async fn lines(
        &self,
        elasticsearch: &Elasticsearch,
        from: u64,
        evidence: &Evidence,
    ) -> Result<Lines, String> {
        let names = evidence.expectations.lines.as_ref();
        let time = names.map_or("@timestamp", |names| &names.time);
        // Lines with a time in the future are looked at, too.
        let until = evidence.now / 1000 + 366 * 24 * 3_600_000;
        Ok(Lines {
            place: http::join(&elasticsearch.base, &elasticsearch.index).to_string(),
            service: self.service.clone(),
            mapping: elasticsearch.mapping().await?,
            documents: elasticsearch.documents(time, from / 1000, until).await?,
        })
    }

    async fn page(&self, url: &Url, format: Option<Format>) -> Result<Page, String> {
        let mut request = self.client.get(url.clone());
        request = match format {
            Some(Format::OpenMetrics) => request.header(
                "accept",
                "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            ),
            Some(Format::Classic) => request.header("accept", "text/plain;version=0.0.4"),
            None => request,
        };
        let (status, content_type, body) = http::read_typed(request, url).await?;
        if status != 200 {
            return Err(format!("{url} answers {status}, not a page of metrics"));
        }
        let text =
            String::from_utf8(body).map_err(|_| format!("{url} answers with what is not UTF-8"))?;
        Ok(Page::parse(
            url.as_str(),
            format.unwrap_or(Format::Classic),
            &content_type,
            text,
        ))
    }
}

/// Whether nothing is on its way any more, as far as the program tells.
fn is_settled(evidence: &Evidence) -> bool {
    let Some(pages) = &evidence.pages else {
        return true;
    };
    let current = evidence.current().unwrap_or_default();
    let spans = evidence
        .expectations
        .spans
        .as_ref()
        .filter(|_| evidence.traces.is_some());
    let spans = spans.is_none_or(|names| {
        let terms = |page| SpanTerms::read(page, names);
        let received = evidence.spans_of(&current).len() as f64;
        match (terms(&pages.earlier), terms(&pages.later)) {
            (Ok(before), Ok(after)) => before == after && after.is_settled(received),
            _ => true,
        }
    });
    let lines = evidence
        .expectations
        .lines
        .as_ref()
        .filter(|_| evidence.lines.is_some());
    let lines = lines.is_none_or(|names| {
        let terms = |page| LineTerms::read(page, names);
        let received = evidence.lines_of(&current).len() as f64;
        match (terms(&pages.earlier), terms(&pages.later)) {
            (Ok(before), Ok(after)) => before == after && after.is_settled(received),
            _ => true,
        }
    });
    spans && lines
}

fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn before(file: &std::path::Path) -> Result<(String, String), Refusal> {
    Ok((file.display().to_string(), files::read(file)?))
}

/// A secret a line; empty lines are passed over.
fn secrets(arguments: &Arguments) -> Result<Vec<String>, Refusal> {
    let Some(file) = &arguments.secret_file else {
        return Ok(Vec::new());
    };
    let text = files::read(file)?;
    let secrets: Vec<String> = text
        .lines()
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    match secrets.iter().find(|secret| secret.len() < SHORTEST_SECRET) {
        Some(_) => Err(Refusal::usage(format!(
            "{}: a secret of less than {SHORTEST_SECRET} bytes would be found by accident; write longer ones",
            file.display()
        ))),
        None => Ok(secrets),
    }
}
