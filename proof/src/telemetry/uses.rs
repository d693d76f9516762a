//! Who uses a metric: the panels of boards, and recording and alerting rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::boards::model::Board;
use crate::rule_file;

/// Series that one metric has: a histogram's have an ending each.
const ENDINGS: [&str; 4] = ["", "_bucket", "_sum", "_count"];

/// Users by the name of a series in their query.
#[derive(Debug, Default)]
pub(super) struct Uses(BTreeMap<String, BTreeSet<String>>);

impl Uses {
    /// Adds the panels, variables and annotations of a Grafana dashboard.
    pub(super) fn read_board(&mut self, text: &str) -> Result<(), String> {
        let board: Board = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let title = &board.title;
        for panel in board.leaf_panels() {
            let user = format!("{title}: {}", panel.title);
            for target in &panel.targets {
                self.add(&user, &target.expr);
            }
        }
        for variable in &board.templating.list {
            let user = format!("{title}: variable {}", variable.name);
            self.add(&user, variable.query_text());
        }
        for annotation in &board.annotations.list {
            let user = format!("{title}: annotation {}", annotation.name);
            self.add(&user, annotation.query());
        }
        Ok(())
    }

    /// Adds the rules of a Prometheus rule file.
    pub(super) fn read_rules(&mut self, text: &str) -> Result<(), String> {
        for rule in rule_file::parse(text)? {
            let user = match (rule.alert, rule.record) {
                (Some(alert), _) => format!("alert {alert}"),
                (None, Some(record)) => format!("rule {record}"),
                (None, None) => return Err("a rule that neither records nor alerts".to_owned()),
            };
            self.add(&user, &rule.expr);
        }
        Ok(())
    }

    fn add(&mut self, user: &str, query: &str) {
        for word in words(query) {
            let users = self.0.entry(word.to_owned()).or_default();
            users.insert(user.to_owned());
        }
    }

    /// Who uses a metric, in the order of names.
    pub(super) fn of(&self, metric: &str) -> Vec<&str> {
        let users: BTreeSet<&str> = ENDINGS
            .iter()
            .filter_map(|ending| self.0.get(&format!("{metric}{ending}")))
            .flatten()
            .map(String::as_str)
            .collect();
        users.into_iter().collect()
    }
}

/// What may be a metric's name in a query. Texts in quotes are left out, as they are values.
fn words(query: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = query;
    while let Some(start) = rest.find(|c: char| is_word(c) || matches!(c, '"' | '\'' | '`')) {
        rest = &rest[start..];
        match rest.chars().next() {
            Some(quote) if !is_word(quote) => rest = after_text(rest, quote),
            _ => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                words.push(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    words
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | ':')
}

/// What follows a text that begins with this quote.
fn after_text(text: &str, quote: char) -> &str {
    let mut escaped = false;
    for (index, character) in text.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            _ if character == quote => return &text[index + quote.len_utf8()..],
            _ => {}
        }
    }
    ""
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in tests a panic is the answer")]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_found_by_every_series_of_it_and_not_by_texts() {
        let mut uses = Uses::default();
        uses.read_rules(
            r#"
groups:
  - name: g
    rules:
      - record: slo:x
        expr: sum(rate(a_seconds_count{path="b_total\"c_total"}[5m])) / sum(rate(a_seconds_bucket{le='0.5'}[5m]))
      - alert: TooMany
        expr: d_total > 5
"#,
        )
        .unwrap();
        assert_eq!(uses.of("a_seconds"), ["rule slo:x"]);
        assert_eq!(uses.of("d_total"), ["alert TooMany"]);
        assert!(uses.of("b_total").is_empty() && uses.of("c_total").is_empty());
    }

    #[test]
    fn panels_variables_and_annotations_of_a_board_are_users() {
        let board = r#"{ "title": "Overview",
            "panels": [{ "type": "row", "title": "Row", "panels": [{ "title": "Rate", "targets": [{ "expr": "rate(a_total[5m])" }] }] }],
            "templating": { "list": [{ "name": "route", "query": { "query": "label_values(a_total, route)" } }] },
            "annotations": { "list": [{ "name": "Faults", "expr": "b > 0" }] } }"#;
        let mut uses = Uses::default();
        uses.read_board(board).unwrap();
        assert_eq!(
            uses.of("a_total"),
            ["Overview: Rate", "Overview: variable route"]
        );
        assert_eq!(uses.of("b"), ["Overview: annotation Faults"]);
    }

    #[test]
    fn what_is_no_board_or_rule_file_is_refused() {
        let mut uses = Uses::default();
        assert!(uses.read_board("{").is_err());
        assert!(
            uses.read_rules("groups: [{ rules: [{ expr: x }] }]")
                .is_err()
        );
        assert!(uses.read_rules("groups: 1").is_err());
    }
}
