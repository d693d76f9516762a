//! Each span against its declaration and against what is expected of spans of its name and kind.

use super::codes;
use super::evidence::{Evidence, Traces};
use super::expectations::SpanRule;
use super::jaeger::{Span, Tag, Trace, text};
use super::judgement::Judgement;

/// What Jaeger itself makes of the fields of a span that are no attributes: kind, status, scope, state.
const OF_THE_FORM: [&str; 7] = [
    "error",
    "otel.scope.name",
    "otel.scope.version",
    "otel.status_code",
    "otel.status_description",
    "span.kind",
    "w3c.tracestate",
];
/// How much earlier than its parent a child can seem to begin, in microseconds: both read one clock, which may be set.
const EARLIER: u64 = 1_000;
/// How long after its parent's end a child can seem to begin, and how far in the future a span can seem to be, in
/// microseconds: the work of a request that was given up ends a little later.
const LATER: u64 = 1_000_000;

/// Judges every span of the service.
pub(super) fn judge(evidence: &Evidence, traces: &Traces, lost: bool, judgement: &mut Judgement) {
    if traces.own().next().is_none() {
        judgement.cannot(format!(
            "spans: {} has none of {}",
            traces.place, traces.service
        ));
    }
    for trace in &traces.all {
        let own = trace
            .spans
            .iter()
            .filter(|span| span.service == traces.service);
        for span in own {
            let mut judge = Judge {
                evidence,
                traces,
                trace,
                span,
                lost,
                judgement,
            };
            judge.identity();
            judge.declared();
            judge.status();
            judge.parent();
            judge.rules();
            judge.baggage();
        }
    }
}

/// One span and where findings go.
struct Judge<'a> {
    evidence: &'a Evidence,
    traces: &'a Traces,
    trace: &'a Trace,
    span: &'a Span,
    /// Whether the program says that it lost spans: one of these may be the parent that is not there.
    lost: bool,
    judgement: &'a mut Judgement,
}

impl<'a> Judge<'a> {
    fn find(&mut self, code: &'static str, sentence: impl AsRef<str>) {
        let sentence = format!(
            "{} (trace {}, span {})",
            sentence.as_ref(),
            self.trace.id,
            self.span.id
        );
        self.judgement
            .find(code, &self.traces.place, &self.span.name, sentence);
    }

    fn identity(&mut self) {
        let span = self.span;
        if !is_id(&span.trace, 32) || span.trace.starts_with("0000000000000000") {
            self.find(
                codes::ID_MALFORMED,
                format!("the trace id {} does not have 128 bits", span.trace),
            );
        }
        if !is_id(&span.id, 16) {
            self.find(
                codes::ID_MALFORMED,
                format!("the span id {} does not have 64 bits", span.id),
            );
        }
        if span.service.is_empty() || span.service.starts_with("unknown_service") {
            self.find(
                codes::SERVICE_UNKNOWN,
                format!("its service is {:?}", span.service),
            );
        }
        let Some(spans) = &self.evidence.expectations.spans else {
            return;
        };
        if span
            .resource(&spans.instance)
            .is_none_or(|instance| instance.is_empty())
        {
            self.find(
                codes::SERVICE_UNKNOWN,
                format!("its resource has no {}", spans.instance),
            );
        }
    }

    fn declared(&mut self) {
        let span = self.span;
        let declared = &self.evidence.program.spans;
        let of_name: Vec<_> = declared
            .iter()
            .filter(|one| one.name == span.name)
            .collect();
        if of_name.is_empty() {
            return self.find(codes::UNDECLARED_SPAN, "no span of this name is declared");
        }
        let Some(declaration) = of_name.iter().find(|one| one.kind == span.kind) else {
            let kinds: Vec<&str> = of_name.iter().map(|one| one.kind.as_str()).collect();
            let sentence = format!(
                "it is of kind {}, and declared as {}",
                span.kind,
                kinds.join(" or ")
            );
            return self.find(codes::SPAN_KIND_WRONG, sentence);
        };
        for tag in &span.tags {
            let key = &tag.key;
            if !OF_THE_FORM.contains(&key.as_str()) && !declaration.attributes.contains(key) {
                self.find(
                    codes::UNDECLARED_ATTRIBUTE,
                    format!("its declaration has no {key}"),
                );
            }
        }
    }

    /// What holds by OpenTelemetry's conventions: an error has a type, a server's 5xx is an error, its 4xx is none.
    fn status(&mut self) {
        let span = self.span;
        let failed = span.text("otel.status_code").as_deref() == Some("ERROR")
            || span
                .tag("error")
                .is_some_and(|tag| text(&tag.value) == "true");
        if failed && span.tag("error.type").is_none() {
            self.find(
                codes::ATTRIBUTE_MISSING,
                "its status is an error, and it has no error.type",
            );
        }
        let status = span
            .tag("http.response.status_code")
            .and_then(|tag| tag.value.as_i64());
        match status {
            Some(code @ 500..) if span.kind == "server" && !failed => {
                self.find(
                    codes::STATUS_WRONG,
                    format!("{code} was answered, and its status is no error"),
                );
            }
            // Of a request that was answered by 4xx, only a body that broke off is an error, and it has its type.
            Some(code @ 400..500)
                if span.kind == "server" && failed && span.tag("error.type").is_none() =>
            {
                self.find(
                    codes::STATUS_WRONG,
                    format!("{code} was answered, and its status is an error"),
                );
            }
            _ => {}
        }
    }

    fn parent(&mut self) {
        let span = self.span;
        if span.trace != self.trace.id {
            self.find(
                codes::PARENT_WRONG,
                format!("it says that it is of trace {}", span.trace),
            );
        }
        let now = self.evidence.now;
        if span.start > now + LATER || span.end() > now + LATER {
            self.find(codes::CLOCK_SKEW, "it is in the future");
        }
        let Some((trace, id)) = &span.parent else {
            return;
        };
        if *trace != self.trace.id {
            return self.find(
                codes::PARENT_WRONG,
                format!("its parent is of another trace, {trace}"),
            );
        }
        if *id == span.id {
            return self.find(codes::PARENT_WRONG, "it is its own parent");
        }
        let Some(parent) = self.found_parent() else {
            return;
        };
        let together = !matches!(span.kind.as_str(), "consumer" | "server");
        if span.start + EARLIER < parent.start || (together && span.start > parent.end() + LATER) {
            let ahead = span.start as f64 - parent.start as f64;
            self.find(
                codes::CLOCK_SKEW,
                format!(
                    "it begins {:.3} s after its parent, outside of it",
                    ahead / 1e6
                ),
            );
        }
    }

    fn rules(&mut self) {
        let span = self.span;
        let found = self.found_parent();
        let rules = &self.evidence.expectations.span_rules;
        for rule in rules
            .iter()
            .filter(|rule| rule.applies(&span.name, &span.kind))
        {
            self.relation(rule, found);
            for key in &rule.required {
                if span.text(key).is_none_or(|value| value.is_empty()) {
                    self.find(codes::ATTRIBUTE_MISSING, format!("it has no {key}"));
                }
            }
            for (key, values) in &rule.values {
                if let Some(value) = span.text(key).filter(|value| !values.contains(value)) {
                    self.find(
                        codes::ATTRIBUTE_WRONG,
                        format!("{key} is {value:?}, not among {values:?}"),
                    );
                }
            }
            for (key, kind) in &rule.types {
                if let Some(Tag { kind: found, .. }) = span.tag(key).filter(|tag| tag.kind != *kind)
                {
                    self.find(
                        codes::ATTRIBUTE_WRONG,
                        format!("{key} is a {found}, not a {kind}"),
                    );
                }
            }
            let Some(linked) = &rule.linked else { continue };
            let number = span
                .tag(&linked.attribute)
                .and_then(|tag| tag.value.as_i64());
            if number.is_some_and(|number| number > linked.above)
                && (span.links == 0 || span.parent.is_some())
            {
                let sentence = format!(
                    "{} is {number:?}: a trace of its own with a link is expected",
                    linked.attribute
                );
                self.find(codes::LINK_MISSING, sentence);
            }
        }
    }

    /// Baggage is the parent's: what one has, the other has.
    fn baggage(&mut self) {
        let (span, expected) = (self.span, self.evidence.expectations.spans.as_ref());
        let Some((expected, parent)) = expected.zip(self.found_parent()) else {
            return;
        };
        if expected.baggage_ends.contains(&span.kind) {
            return;
        }
        for key in &expected.baggage {
            if span.text(key) != parent.text(key) {
                let (own, of_parent) = (span.text(key), parent.text(key));
                self.find(
                    codes::BAGGAGE_MISSING,
                    format!("its baggage {key} is {own:?}, and its parent's {of_parent:?}"),
                );
            }
        }
    }

    /// The parent, if it is in the trace.
    fn found_parent(&self) -> Option<&'a Span> {
        let (_, id) = self.span.parent.as_ref()?;
        self.trace.spans.iter().find(|other| other.id == *id)
    }

    fn relation(&mut self, rule: &SpanRule, found: Option<&Span>) {
        let span = self.span;
        match (&span.parent, found) {
            (None, _) if rule.root == Some(false) => {
                self.find(
                    codes::PARENT_MISSING,
                    "it has no parent, and is never the root of a trace",
                );
            }
            (Some(_), None) if rule.root == Some(false) && self.lost => {
                self.judgement.cannot("parents: some are not in their traces, and the program says that it lost spans");
            }
            (Some((_, id)), None) if rule.root == Some(false) => {
                self.find(
                    codes::PARENT_MISSING,
                    format!("its parent {id} is not in the trace"),
                );
            }
            (Some(_), Some(parent)) => {
                let named = rule.parents.is_empty() || rule.parents.contains(&parent.name);
                let kind = rule.parent_kinds.is_empty() || rule.parent_kinds.contains(&parent.kind);
                if !named || !kind {
                    let sentence = format!(
                        "its parent is {} ({}), which it cannot be",
                        parent.name, parent.kind
                    );
                    self.find(codes::PARENT_WRONG, sentence);
                }
            }
            _ => {}
        }
    }
}

/// Hexadecimal digits of this number, not all of them 0.
pub(super) fn is_id(id: &str, digits: usize) -> bool {
    id.len() == digits
        && id
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && id.bytes().any(|byte| byte != b'0')
}
