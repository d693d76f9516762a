//! Alertmanager's inhibitions against the alerts: which alert silences which, and by which labels.
//!
//! Alertmanager takes a label that is absent on both sides for equal. An inhibition that lists a label that neither alert
//! carries silences everything that its matchers name.

use promql_parser::label::Matcher;
use promql_parser::parser::token::{T_LAND, T_LOR, T_LUNLESS};
use promql_parser::parser::{BinaryExpr, Expr, LabelModifier, VectorMatchCardinality};

use super::codes;
use super::files::{Inhibition, Rule};
use super::matching;
use super::tree::selections;
use crate::finding::Finding;

/// Checks one inhibition.
pub(super) fn check(
    file: &str,
    inhibition: &Inhibition,
    rules: &[Rule],
    findings: &mut Vec<Finding>,
) {
    let (source, target) = (inhibition.source(), inhibition.target());
    let subject = format!("{} silences {}", source.join(", "), target.join(", "));
    let mut add = |code: &'static str, sentence: String| {
        findings.push(Finding {
            code,
            file: file.to_owned(),
            subject: subject.clone(),
            query: None,
            sentence,
        });
    };
    let (Some(source), Some(target)) = (matching::read(&source), matching::read(&target)) else {
        add(
            codes::MATCHERS_UNREADABLE,
            "write matchers as label=\"value\"".to_owned(),
        );
        return;
    };
    let matching = |wanted: &[Matcher]| -> Vec<&Rule> {
        rules
            .iter()
            .filter(|rule| rule.alert().is_some() && may_match(rule, wanted))
            .collect()
    };
    let (sources, targets) = (matching(&source), matching(&target));
    if sources.is_empty() || targets.is_empty() {
        let side = if sources.is_empty() {
            "source"
        } else {
            "target"
        };
        add(
            codes::INHIBITION_WITHOUT_ALERT,
            format!("no alert matches its {side}_matchers"),
        );
    }
    if inhibition.equal.is_empty() {
        add(
            codes::INHIBITION_WITHOUT_EQUAL,
            "it lists no label under `equal`: the one silences the other whatever they are about"
                .to_owned(),
        );
    }
    for (code, sentence) in lesser(&sources, &targets) {
        add(code, sentence);
    }
    for label in &inhibition.equal {
        let absent = |rule: &&&Rule| !carries(rule, label);
        if let (Some(source), Some(target)) =
            (sources.iter().find(absent), targets.iter().find(absent))
        {
            add(
                codes::INHIBITION_BY_AN_ABSENT_LABEL,
                format!(
                    "neither {} nor {} carries the label {label}, and absent labels are equal: the one silences the other whatever they are about",
                    source.alert().unwrap_or_default(),
                    target.alert().unwrap_or_default()
                ),
            );
        }
    }
}

/// What no inhibition may silence: a page because of something lesser, and the alert that always fires.
fn lesser(sources: &[&Rule], targets: &[&Rule]) -> Vec<(&'static str, String)> {
    let rank = |rule: &Rule| match rule.labels.get("severity")?.as_str() {
        "page" | "critical" => Some(2),
        "ticket" | "warning" => Some(1),
        "none" => Some(0),
        _ => None,
    };
    let name = |rule: &Rule| rule.alert().unwrap_or_default().to_owned();
    let mut found = Vec::new();
    let lower = |target: &Rule| {
        let wanted = rank(target)?;
        let mut sources = sources.iter();
        sources.find(|source| rank(source).is_some_and(|rank| rank < wanted))
    };
    if let Some((source, target)) = targets
        .iter()
        .find_map(|target| Some((lower(target)?, target)))
    {
        let sentence = format!(
            "{} silences {}, which is worse: nobody is told of it",
            name(source),
            name(target)
        );
        found.push((codes::INHIBITION_OF_THE_WORSE, sentence));
    }
    if let Some(target) = targets.iter().find(|target| rank(target) == Some(0)) {
        let sentence = format!(
            "it silences {}, whose silence is what raises the alarm",
            name(target)
        );
        found.push((codes::INHIBITION_OF_THE_WATCHDOG, sentence));
    }
    found
}

/// Whether an alert of the rule may have such labels.
pub(super) fn may_match(rule: &Rule, matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| {
        let value = match matcher.name.as_str() {
            "alertname" => rule.alert(),
            label => rule.labels.get(label).map(String::as_str),
        };
        match value {
            Some(value) => matcher.is_match(value),
            None if carries(rule, &matcher.name) => {
                fixed(rule, &matcher.name).is_none_or(|value| matcher.is_match(&value))
            }
            None => matcher.is_match(""),
        }
    })
}

/// The value of a label that every selection of the rule fixes.
fn fixed(rule: &Rule, label: &str) -> Option<String> {
    let selections = selections(rule.expr.as_ref()?);
    let values: Option<Vec<String>> = selections
        .iter()
        .map(|selection| {
            let matcher = selection.matcher(label)?;
            (matcher.op == promql_parser::label::MatchOp::Equal).then(|| matcher.value.clone())
        })
        .collect();
    let values = values?;
    let first = values.first()?.clone();
    values.iter().all(|value| *value == first).then_some(first)
}

/// Whether an alert surely has the label.
fn carries(rule: &Rule, label: &str) -> bool {
    rule.labels.contains_key(label) || rule.expr.as_ref().is_some_and(|expr| keeps(expr, label))
}

/// Whether the result of an expression surely has the label. Scraped series have `job` and `instance`.
fn keeps(expr: &Expr, label: &str) -> bool {
    match expr {
        Expr::VectorSelector(selector) => {
            let scraped = !selector.name.as_deref().unwrap_or_default().contains(':');
            (scraped && matches!(label, "job" | "instance"))
                || selector
                    .matchers
                    .matchers
                    .iter()
                    .any(|matcher| matcher.name == label && !matcher.is_match(""))
        }
        Expr::MatrixSelector(matrix) => keeps(&Expr::VectorSelector(matrix.vs.clone()), label),
        Expr::Paren(paren) => keeps(&paren.expr, label),
        Expr::Unary(unary) => keeps(&unary.expr, label),
        Expr::Subquery(subquery) => keeps(&subquery.expr, label),
        Expr::Call(call) if call.func.name.starts_with("absent") => {
            call.args.args.iter().any(|argument| {
                selections(argument).iter().any(|selection| {
                    selection
                        .matcher(label)
                        .is_some_and(|matcher| matcher.op == promql_parser::label::MatchOp::Equal)
                })
            })
        }
        Expr::Call(call) => call.args.args.iter().any(|argument| keeps(argument, label)),
        Expr::Aggregate(aggregate) => match &aggregate.modifier {
            None => false,
            Some(modifier) => {
                let listed = modifier
                    .labels()
                    .labels
                    .iter()
                    .any(|listed| listed == label);
                if modifier.is_include() {
                    listed
                } else {
                    !listed && keeps(&aggregate.expr, label)
                }
            }
        },
        Expr::Binary(binary) => match binary.op.id() {
            T_LOR => keeps(&binary.lhs, label) && keeps(&binary.rhs, label),
            T_LAND | T_LUNLESS => keeps(&binary.lhs, label),
            _ => of_pairs(binary, label),
        },
        Expr::NumberLiteral(_) | Expr::StringLiteral(_) | Expr::Extension(_) => false,
    }
}

/// Whether the result of pairs of series has the label: of one to one those by which they are paired, else those of the side
/// with many.
fn of_pairs(binary: &BinaryExpr, label: &str) -> bool {
    let sides = [&binary.lhs, &binary.rhs].map(|side| keeps(side, label));
    let Some(modifier) = &binary.modifier else {
        return sides[0] || sides[1];
    };
    let copied =
        |labels: &promql_parser::label::Labels| labels.labels.iter().any(|each| each == label);
    match &modifier.card {
        VectorMatchCardinality::ManyToOne(labels) => sides[0] || copied(labels),
        VectorMatchCardinality::OneToMany(labels) => sides[1] || copied(labels),
        _ => {
            let paired = match &modifier.matching {
                None => true,
                Some(LabelModifier::Include(on)) => copied(on),
                Some(LabelModifier::Exclude(ignored)) => !copied(ignored),
            };
            paired && (sides[0] || sides[1])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::rule;
    use super::*;
    use crate::promql;

    fn codes(source: &str, target: &str, equal: &[&str]) -> Vec<&'static str> {
        let rules = [
            rule("ServiceDown", "max by (job) (up{job=\"a\"}) == 0"),
            rule("CircuitOpen", "sum by (job, dependency) (circuit) > 0"),
        ];
        let inhibition = Inhibition {
            source_matchers: vec![source.to_owned()],
            target_matchers: vec![target.to_owned()],
            equal: equal.iter().map(|&label| label.to_owned()).collect(),
            ..Inhibition::default()
        };
        let mut findings = Vec::new();
        check("alertmanager.yml", &inhibition, &rules, &mut findings);
        findings.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn an_inhibition_by_labels_that_its_alerts_carry_is_right() {
        let (source, target) = ("alertname=\"ServiceDown\"", "alertname=\"CircuitOpen\"");
        assert_eq!(
            codes(source, target, &["job", "service"]),
            Vec::<&str>::new()
        );
        // One side has it, so it can't be absent on both.
        assert_eq!(codes(source, target, &["dependency"]), Vec::<&str>::new());
    }

    #[test]
    fn a_label_that_neither_side_carries_silences_everything() {
        let (source, target) = ("alertname=\"ServiceDown\"", "alertname=\"CircuitOpen\"");
        assert_eq!(
            codes(source, target, &["cluster"]),
            [codes::INHIBITION_BY_AN_ABSENT_LABEL]
        );
    }

    #[test]
    fn a_join_keeps_the_labels_by_which_it_joins_and_no_others() {
        for (expr, kept) in [
            (
                "sum by (job, dependency) (a) / on (job) sum by (job) (b)",
                false,
            ),
            (
                "sum by (job, dependency) (a) / on (job) group_left () sum by (job) (b)",
                true,
            ),
            (
                "sum by (job) (a) * on (job) group_left (dependency) b",
                true,
            ),
            (
                "sum by (dependency) (a) / ignoring (dependency) sum (b)",
                false,
            ),
            ("sum by (dependency) (a) / sum by (dependency) (b)", true),
            ("sum by (dependency) (a) > 5 and on (job) b", true),
        ] {
            let expr = promql::parse(expr).unwrap();
            assert_eq!(keeps(&expr, "dependency"), kept, "{expr}");
        }
    }

    #[test]
    fn an_inhibition_must_not_silence_what_is_worse_nor_everything() {
        let (source, target) = ("alertname=\"CircuitOpen\"", "alertname=\"ServiceDown\"");
        assert_eq!(
            codes(source, target, &[]),
            [codes::INHIBITION_WITHOUT_EQUAL]
        );
        let ranked = |severity: &str| {
            let mut rule = rule("Any", "up == 0");
            rule.labels
                .insert("severity".to_owned(), severity.to_owned());
            rule
        };
        let (page, ticket, none) = (ranked("page"), ranked("ticket"), ranked("none"));
        let found = |source: &Rule, target: &Rule| -> Vec<_> {
            let found = lesser(&[source], &[target]);
            found.into_iter().map(|(code, _)| code).collect()
        };
        assert_eq!(found(&page, &ticket), Vec::<&str>::new());
        assert_eq!(found(&ticket, &page), [codes::INHIBITION_OF_THE_WORSE]);
        assert_eq!(found(&page, &none), [codes::INHIBITION_OF_THE_WATCHDOG]);
    }

    #[test]
    fn an_inhibition_of_a_renamed_alert_is_found() {
        let codes = codes(
            "alertname=\"ServiceGone\"",
            "severity=\"ticket\"",
            &["service"],
        );
        assert_eq!(codes, [codes::INHIBITION_WITHOUT_ALERT]);
    }

    #[test]
    fn the_older_maps_say_which_alerts_are_meant() {
        let inhibition: Inhibition = serde_saphyr::from_str(
            "{source_match: {alertname: ServiceDown}, target_match_re: {alertname: 'Circuit.*'}, equal: [job]}",
        )
        .unwrap();
        let mut findings = Vec::new();
        let rules = [
            rule("ServiceDown", "max by (job) (up{job=\"a\"}) == 0"),
            rule("CircuitOpen", "sum by (job) (circuit) > 0"),
        ];
        check("alertmanager.yml", &inhibition, &rules, &mut findings);
        assert_eq!(findings, []);
        check("alertmanager.yml", &inhibition, &rules[..1], &mut findings);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].code, codes::INHIBITION_WITHOUT_ALERT);
        assert_eq!(
            findings[0].subject,
            "alertname=\"ServiceDown\" silences alertname=~\"Circuit.*\""
        );
    }
}
