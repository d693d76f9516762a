//! What Alertmanager compares labels with, in each of its ways to write that: lists of matchers with or without quotation marks
//! and braces, and the older maps.
//!
//! They look like the matchers of a selector and are none: PromQL refuses a selector that everything meets, and Alertmanager takes
//! it for every alert.

use std::collections::BTreeMap;

use promql_parser::label::Matcher;
use promql_parser::parser::token::{T_EQL, T_EQL_REGEX, T_NEQ, T_NEQ_REGEX, TokenId};

/// By their texts; the first that one begins with is meant.
const OPERATORS: [(&str, TokenId); 4] = [
    ("=~", T_EQL_REGEX),
    ("!~", T_NEQ_REGEX),
    ("!=", T_NEQ),
    ("=", T_EQL),
];

/// The matchers with the entries of the older maps, which ask for values and for patterns.
pub(super) fn written(
    matchers: &[String],
    values: &BTreeMap<String, String>,
    patterns: &BTreeMap<String, String>,
) -> Vec<String> {
    let quoted = |operator: &'static str| {
        move |(name, value): (&String, &String)| {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace('\n', "\\n");
            format!("{name}{operator}\"{value}\"")
        }
    };
    let values = values.iter().map(quoted("="));
    let patterns = patterns.iter().map(quoted("=~"));
    matchers
        .iter()
        .cloned()
        .chain(values)
        .chain(patterns)
        .collect()
}

/// The matchers of some texts: none match every alert. `None` if one can't be read.
pub(super) fn read(texts: &[String]) -> Option<Vec<Matcher>> {
    let mut all = Vec::new();
    for text in texts {
        let text = text.trim();
        let inner = text
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'));
        let mut rest = inner.unwrap_or(text).trim_start();
        while !rest.is_empty() {
            let (matcher, after) = first(rest)?;
            all.push(matcher);
            rest = match after.strip_prefix(',') {
                Some(after) => after.trim_start(),
                None if after.is_empty() => after,
                None => return None,
            };
        }
    }
    Some(all)
}

/// The matcher at the start, and what follows it.
fn first(text: &str) -> Option<(Matcher, &str)> {
    let (name, rest) = token(text, &['=', '!', '~', ','])?;
    let (operator, token_id) = OPERATORS
        .into_iter()
        .find(|(operator, _)| rest.starts_with(operator))?;
    let (value, rest) = token(rest[operator.len()..].trim_start(), &[','])?;
    if name.is_empty() {
        return None;
    }
    let matcher = Matcher::new_matcher(token_id, name, value).ok()?;
    Some((matcher, rest))
}

/// A text in quotation marks, or up to one of the ends; and what follows it.
fn token<'t>(text: &'t str, ends: &[char]) -> Option<(String, &'t str)> {
    if let Some(inner) = text.strip_prefix('"') {
        let (value, rest) = quoted(inner)?;
        return Some((value, rest.trim_start()));
    }
    let (value, rest) = text.split_at(text.find(ends).unwrap_or(text.len()));
    (!value.contains('"')).then(|| (value.trim_end().to_owned(), rest))
}

/// A text up to its quotation mark, and what follows that. As in Alertmanager, a backslash before anything else is a backslash.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut left = text.chars();
    while let Some(next) = left.next() {
        match next {
            '"' => return Some((value, left.as_str())),
            '\\' => match left.next()? {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<Vec<String>> {
        let matchers = read(&[text.to_owned()])?;
        let show = |matcher: &Matcher| format!("{}{}{}", matcher.name, matcher.op, matcher.value);
        Some(matchers.iter().map(show).collect())
    }

    #[test]
    fn matchers_are_read_in_each_way_that_alertmanager_reads_them() {
        for (text, expected) in [
            (r#"severity="page""#, vec!["severity=page"]),
            ("severity=page", vec!["severity=page"]),
            (" severity != page ", vec!["severity!=page"]),
            ("severity=", vec!["severity="]),
            (r#"severity!="""#, vec!["severity!="]),
            ("severity=~page|ticket", vec!["severity=~page|ticket"]),
            (r#"team!~"a,b""#, vec!["team!~a,b"]),
            (
                r#"{severity="page", team=a,}"#,
                vec!["severity=page", "team=a"],
            ),
            (r#""service name"="a""#, vec!["service name=a"]),
            (r#"host=~"a\.b\\.c\"d""#, vec![r#"host=~a\.b\.c"d"#]),
            ("{}", vec![]),
            ("", vec![]),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect();
            assert_eq!(shown(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_alertmanager_refuses_is_not_read() {
        for text in [
            "severity",
            "=page",
            r#"severity="page"#,
            r#"severity="page" team="a""#,
            r#"severity=pa"ge"#,
            "severity=~(",
            "a=b,,c=d",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }

    #[test]
    fn an_entry_of_a_map_is_the_matcher_that_it_means() {
        let map = |name: &str, value: &str| BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let texts = written(
            &["a=b".to_owned()],
            &map("c", r#"d"\,"#),
            &map("e", r"f\.g"),
        );
        let values: Vec<String> = read(&texts)
            .unwrap()
            .into_iter()
            .map(|matcher| matcher.value)
            .collect();
        assert_eq!(values, ["b", r#"d"\,"#, r"f\.g"]);
    }
}
