//! Which series an expression reads, and whether they were scraped: a target that could not be scraped leaves a gap that looks
//! like silence. Pure.

use serde_json::Value;

/// Selectors of an expression at most: each is a question to the server.
const MAX_SELECTORS: usize = 64;
/// How far back series are looked for which a failed scrape has ended.
const LOOKBACK: &str = "1h";

/// One selector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// Name, operator and value of each matcher; the metric's name is `__name__`.
    matchers: Vec<(String, String, String)>,
}

/// The selectors in the tree of an expression, each once. With more than can be asked about, nobody knows what was scraped.
pub fn selectors(tree: &Value) -> Result<Vec<Selector>, String> {
    let mut found = Vec::new();
    collect(tree, &mut found);
    if found.len() > MAX_SELECTORS {
        return Err(format!(
            "the expression has more than {MAX_SELECTORS} selectors"
        ));
    }
    Ok(found)
}

fn collect(node: &Value, found: &mut Vec<Selector>) {
    if found.len() > MAX_SELECTORS {
        return;
    }
    if let Some(selector) = Selector::of(node)
        && !found.contains(&selector)
    {
        found.push(selector);
    }
    match node {
        Value::Object(fields) => fields.values().for_each(|child| collect(child, found)),
        Value::Array(items) => items.iter().for_each(|child| collect(child, found)),
        _ => {}
    }
}

impl Selector {
    fn of(node: &Value) -> Option<Self> {
        let kind = node.get("type")?.as_str()?;
        if kind != "vectorSelector" && kind != "matrixSelector" {
            return None;
        }
        let matcher = |matcher: &Value| {
            let text = |key: &str| matcher.get(key)?.as_str().map(str::to_owned);
            Some((text("name")?, text("type")?, text("value")?))
        };
        let matchers = node.get("matchers")?.as_array()?;
        Some(Self {
            matchers: matchers.iter().filter_map(matcher).collect(),
        })
    }

    /// Whether Prometheus writes these series by itself, also for a scrape that failed: then a failure is what they tell.
    fn is_synthetic(&self) -> bool {
        self.matchers.iter().any(|(name, operator, value)| {
            let own = ["up", "ALERTS", "ALERTS_FOR_STATE"];
            name == "__name__"
                && operator == "="
                && (own.contains(&value.as_str()) || value.starts_with("scrape_"))
        })
    }

    /// The expression of which each value is 0 when a scrape of the selector's targets failed in the last `seconds`; `None`
    /// where no scrape is asked.
    pub fn scrapes(&self, seconds: u64) -> Option<Scrapes> {
        if self.is_synthetic() {
            return None;
        }
        let of_target =
            |(name, ..): &&(String, String, String)| name == "job" || name == "instance";
        let targets: Vec<String> = self
            .matchers
            .iter()
            .filter(of_target)
            .map(written)
            .collect();
        let is_named = !targets.is_empty();
        let up = format!("min_over_time(up{{{}}}[{seconds}s])", targets.join(","));
        let query = if is_named {
            up
        } else {
            let all: Vec<String> = self.matchers.iter().map(written).collect();
            let series = format!("last_over_time({{{}}}[{LOOKBACK}])", all.join(","));
            format!("{up} and on (job, instance) group by (job, instance) ({series})")
        };
        Some(Scrapes {
            query,
            targets: is_named.then(|| targets.join(",")),
        })
    }
}

/// How to ask whether scrapes failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scrapes {
    /// The expression.
    pub query: String,
    /// The selector's own words for its targets: there must be some. `None` where it names none, as with series that are
    /// recorded.
    pub targets: Option<String>,
}

fn written((name, operator, value): &(String, String, String)) -> String {
    // A string in PromQL has the escapes of JSON, and a name that is no identifier is quoted.
    let quoted = |text: &str| Value::from(text).to_string();
    let is_identifier = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let name = if is_identifier {
        name.clone()
    } else {
        quoted(name)
    };
    format!("{name}{operator}{}", quoted(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn selector(kind: &str, matchers: &[(&str, &str, &str)]) -> Value {
        let matchers: Vec<Value> = matchers
            .iter()
            .map(
                |(name, operator, value)| json!({ "name": name, "type": operator, "value": value }),
            )
            .collect();
        json!({ "type": kind, "matchers": matchers })
    }

    fn scrapes(matchers: &[(&str, &str, &str)]) -> Option<Scrapes> {
        let found = selectors(&selector("vectorSelector", matchers)).expect("selectors");
        found[0].scrapes(12)
    }

    #[test]
    fn selectors_are_found_wherever_they_are_and_once() {
        let one = selector("matrixSelector", &[("__name__", "=", "x_total")]);
        let two = selector("vectorSelector", &[("__name__", "=", "y")]);
        let call = json!({ "type": "call", "args": [one.clone()] });
        let tree = json!({ "type": "binaryExpr", "lhs": call, "rhs": { "type": "parenExpr", "expr": two }, "more": one });
        assert_eq!(selectors(&tree).map(|found| found.len()), Ok(2));
        let number = json!({ "type": "numberLiteral", "val": "1" });
        assert_eq!(selectors(&number), Ok(Vec::new()));
    }

    #[test]
    fn more_selectors_than_can_be_asked_about_are_an_error() {
        let with = |count: usize| {
            let one = |index: usize| {
                selector("vectorSelector", &[("__name__", "=", &format!("x{index}"))])
            };
            let all: Vec<Value> = (0..count).map(one).collect();
            selectors(&json!({ "type": "call", "args": all }))
        };
        assert!(with(MAX_SELECTORS).is_ok());
        let why = with(MAX_SELECTORS + 1).expect_err("too many");
        assert!(why.contains("more than 64 selectors"), "{why}");
    }

    #[test]
    fn the_targets_that_a_selector_names_must_have_been_scraped_all_the_time() {
        let asked = scrapes(&[
            ("__name__", "=", "x"),
            ("job", "=~", "a\"b"),
            ("code", "=", "5"),
        ]);
        let asked = asked.expect("scrapes");
        assert_eq!(asked.query, r#"min_over_time(up{job=~"a\"b"}[12s])"#);
        assert_eq!(asked.targets.as_deref(), Some(r#"job=~"a\"b""#));
    }

    #[test]
    fn without_a_target_in_the_selector_those_of_its_series_count() {
        let asked = scrapes(&[("__name__", "=", "x"), ("code", "=", "5")]).expect("scrapes");
        assert!(
            asked
                .query
                .ends_with(r#"(last_over_time({__name__="x",code="5"}[1h]))"#),
            "{}",
            asked.query
        );
        assert_eq!(asked.targets, None);
    }

    #[test]
    fn a_failed_scrape_is_what_up_tells() {
        for name in ["up", "scrape_duration_seconds", "ALERTS"] {
            assert_eq!(scrapes(&[("__name__", "=", name), ("job", "=", "x")]), None);
        }
    }
}
