//! The codes of findings. They don't change: scripts rely on them. `docs/proof-findings-account.md` says what each means.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        $($(#[$doc])* pub(super) const $name: &str = $code;)*

        /// Every code.
        #[cfg(test)]
        pub(super) const ALL: &[&str] = &[$($name),*];
    };
}

codes! {
    /// A line of the page is not of the format.
    PAGE_MALFORMED = "page-malformed";
    /// The media type is not the one that was asked for.
    CONTENT_TYPE_WRONG = "content-type-wrong";
    /// Two lines are one series.
    SERIES_TWICE = "series-twice";
    /// A family has two heads, or its lines are not together.
    FAMILY_TORN = "family-torn";
    /// A family without HELP or TYPE.
    FAMILY_WITHOUT_HEAD = "family-without-head";
    /// More series than the ceiling.
    TOO_MANY_SERIES = "too-many-series";
    /// A metric that is not declared.
    UNDECLARED_METRIC = "undeclared-metric";
    /// A label that the metric's declaration lacks.
    UNDECLARED_LABEL = "undeclared-label";
    /// A value outside the declared set.
    UNDECLARED_VALUE = "undeclared-value";
    /// A declared metric that the page lacks.
    METRIC_MISSING = "metric-missing";
    /// A series without a declared label.
    LABEL_MISSING = "label-missing";
    /// Another type than declared.
    TYPE_WRONG = "type-wrong";
    /// A unit that is not the declared one, or not in the name.
    UNIT_WRONG = "unit-wrong";
    /// Other bounds than declared.
    BUCKETS_WRONG = "buckets-wrong";
    /// Buckets that fall, or differ from the count.
    BUCKETS_INCONSISTENT = "buckets-inconsistent";
    /// A bound without a fraction.
    BOUND_WITHOUT_FRACTION = "bound-without-fraction";
    /// A series without the time at which it came to be.
    CREATED_MISSING = "created-missing";
    /// A time of creation that cannot be.
    CREATED_IMPLAUSIBLE = "created-implausible";
    /// A value that the type does not allow.
    VALUE_IMPOSSIBLE = "value-impossible";
    /// A counter that fell while the process went on.
    COUNTER_FELL = "counter-fell";
    /// An exemplar in the format that has none.
    EXEMPLAR_IN_CLASSIC = "exemplar-in-classic";
    /// No exemplar where there should be one.
    EXEMPLARS_MISSING = "exemplars-missing";
    /// An exemplar outside its bucket, or without a trace id.
    EXEMPLAR_INVALID = "exemplar-invalid";
    /// An exemplar that leads to no trace.
    EXEMPLAR_WITHOUT_TRACE = "exemplar-without-trace";

    /// The program's own account of spans does not close.
    SPANS_UNBALANCED = "spans-unbalanced";
    /// The server has fewer spans than were confirmed.
    SPANS_MISSING = "spans-missing";
    /// The server has more spans than can have been received.
    SPANS_SURPLUS = "spans-surplus";
    /// A span is there twice.
    SPAN_TWICE = "span-twice";
    /// A span that is not declared.
    UNDECLARED_SPAN = "undeclared-span";
    /// A span of another kind than declared.
    SPAN_KIND_WRONG = "span-kind-wrong";
    /// An attribute that the span's declaration lacks.
    UNDECLARED_ATTRIBUTE = "undeclared-attribute";
    /// A required attribute is not there.
    ATTRIBUTE_MISSING = "attribute-missing";
    /// An attribute with a value outside its set, or of another type.
    ATTRIBUTE_WRONG = "attribute-wrong";
    /// A span without a service, an instance, or with the default name of a service.
    SERVICE_UNKNOWN = "service-unknown";
    /// A trace id or span id that is cut or malformed.
    ID_MALFORMED = "id-malformed";
    /// The parent is not in the trace.
    PARENT_MISSING = "parent-missing";
    /// The parent is one that this span cannot have.
    PARENT_WRONG = "parent-wrong";
    /// A retry without a link.
    LINK_MISSING = "link-missing";
    /// A status that contradicts the attributes.
    STATUS_WRONG = "status-wrong";
    /// Baggage that some spans of a trace lack.
    BAGGAGE_MISSING = "baggage-missing";
    /// A span at a time at which it cannot have been.
    CLOCK_SKEW = "clock-skew";
    /// The share of requests with a trace is not the sampling ratio.
    SAMPLED_SHARE_WRONG = "sampled-share-wrong";
    /// Requests counted from sampled spans.
    REQUESTS_FROM_SAMPLED_SPANS = "requests-from-sampled-spans";
    /// The metrics count other requests than there were.
    REQUESTS_DIFFER = "requests-differ";
    /// Metrics, lines and spans differ in how long requests took.
    DURATIONS_DIFFER = "durations-differ";

    /// The index has fewer lines than were written.
    LINES_MISSING = "lines-missing";
    /// The index has more lines than were written.
    LINES_SURPLUS = "lines-surplus";
    /// A line is there twice.
    LINE_TWICE = "line-twice";
    /// A line without its process or its number.
    LINE_WITHOUT_IDENTITY = "line-without-identity";
    /// A line that could only be kept as text.
    LINE_AS_TEXT = "line-as-text";
    /// A field that is not declared.
    UNDECLARED_FIELD = "undeclared-field";
    /// A field of another type than declared.
    FIELD_TYPE_WRONG = "field-type-wrong";
    /// A field that every line has, save this one.
    FIELD_MISSING = "field-missing";
    /// A field that was too long to be searched.
    FIELD_IGNORED = "field-ignored";
    /// A declared field that is not mapped.
    FIELD_UNMAPPED = "field-unmapped";
    /// A declared field that is mapped as something else.
    MAPPING_WRONG = "mapping-wrong";
    /// A time without a zone.
    TIME_WITHOUT_ZONE = "time-without-zone";
    /// A time that is not when it happened.
    TIME_WRONG = "time-wrong";
    /// Other lines about requests than there were requests.
    REQUEST_LINES_DIFFER = "request-lines-differ";
    /// A span of a request without its line.
    SPAN_WITHOUT_LINE = "span-without-line";
    /// A line whose span is not in its trace.
    LINE_WITHOUT_SPAN = "line-without-span";
    /// Span and line of a request say different things.
    SPAN_AND_LINE_DIFFER = "span-and-line-differ";
    /// A secret.
    SECRET_FOUND = "secret-found";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_is_documented() {
        let page = include_str!("../../../docs/proof-findings-account.md");
        for code in ALL {
            assert!(page.contains(&format!("| `{code}` |")), "{code}");
        }
    }
}
