//! Fills variables into queries and titles, as Grafana does before it asks Prometheus.
//!
//! The rules that matter for a proof: a variable that may stand for several values is filled in as a regular expression,
//! with everything escaped twice (once for the expression, once for the PromQL string); "All" with a value of its own is
//! filled in as that value says; and a name that is no variable stays as it is, which PromQL then refuses.

mod filling;
mod references;
mod times;

use std::collections::{BTreeMap, BTreeSet};

use filling::Filling;

pub use filling::Selection;
pub use references::{Reference, references};
pub use times::{Times, interval};

/// The prefix of Grafana's own variables, which nobody declares.
const BUILT_IN: &str = "__";

/// The variables that are known at a place, with what is chosen.
#[derive(Clone, Debug)]
pub struct Scope {
    variables: BTreeMap<String, Filling>,
    /// Labels that no series has, and that a variable whose "All" stands for this as well offers to choose by.
    left_out: BTreeSet<String>,
    /// The times.
    pub times: Times,
}

/// A text with its variables filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// The variables in it that were filled in, Grafana's own included.
    pub used: BTreeSet<String>,
    /// Names after a `$` that are no variables; they stand in the text as before.
    pub unknown: BTreeSet<String>,
    /// Formats (`${name:format}`) that are not known here; they stand in the text as before.
    pub formats: BTreeSet<String>,
}

impl Scope {
    /// A place without variables.
    pub fn new(times: Times) -> Self {
        Self {
            variables: BTreeMap::new(),
            left_out: BTreeSet::new(),
            times,
        }
    }

    /// Says that no series has a label by which a variable offers to choose: there is nothing to choose, and "All" is all.
    pub fn leave_out(&mut self, label: &str) {
        self.left_out.insert(label.to_owned());
    }

    /// Whether the board itself says that a label may be missing, and it is.
    pub fn leaves_out(&self, label: &str) -> bool {
        self.left_out.contains(label)
    }

    /// Sets what is chosen for a variable. `multiple`: it may stand for several values.
    pub fn choose(&mut self, name: &str, selection: Selection, multiple: bool) {
        let filling = Filling {
            selection,
            multiple,
        };
        self.variables.insert(name.to_owned(), filling);
    }

    /// The scope of one copy of a repeated panel: the variable has one value in it.
    #[must_use]
    pub fn repeated(&self, name: &str, value: &str) -> Self {
        let mut scope = self.clone();
        let multiple = self.variables.get(name).is_some_and(|known| known.multiple);
        scope.choose(name, Selection::One(value.to_owned()), multiple);
        scope
    }

    /// The same variables in other times.
    #[must_use]
    pub fn at(&self, times: Times) -> Self {
        Self {
            variables: self.variables.clone(),
            left_out: self.left_out.clone(),
            times,
        }
    }

    /// What is chosen for a variable.
    pub fn selection(&self, name: &str) -> Option<&Selection> {
        self.variables.get(name).map(|filling| &filling.selection)
    }

    /// Fills in a query.
    pub fn query(&self, text: &str) -> Filled {
        self.fill(text, Filling::in_query)
    }

    /// Fills in a text for people, such as a title.
    pub fn title(&self, text: &str) -> Filled {
        self.fill(text, Filling::in_title)
    }

    fn fill(&self, text: &str, default: fn(&Filling) -> String) -> Filled {
        let mut filled = Filled::default();
        let mut end = 0;
        for reference in references(text) {
            filled.text.push_str(&text[end..reference.start]);
            end = reference.end;
            let written = &text[reference.start..reference.end];
            match self.value(&reference, default) {
                Ok(value) => {
                    filled.used.insert(reference.name.to_owned());
                    filled.text.push_str(&value);
                }
                Err(missing) => {
                    match missing {
                        Missing::Variable => filled.unknown.insert(reference.name.to_owned()),
                        Missing::Format(format) => filled.formats.insert(format),
                    };
                    filled.text.push_str(written);
                }
            }
        }
        filled.text.push_str(&text[end..]);
        filled
    }

    fn value(
        &self,
        reference: &Reference,
        default: fn(&Filling) -> String,
    ) -> Result<String, Missing> {
        if reference.name.starts_with(BUILT_IN) {
            return self.times.built_in(reference.name).ok_or(Missing::Variable);
        }
        let filling = self
            .variables
            .get(reference.name)
            .ok_or(Missing::Variable)?;
        match reference.format {
            None => Ok(default(filling)),
            Some(format) => filling
                .formatted(format)
                .ok_or_else(|| Missing::Format(format.to_owned())),
        }
    }
}

/// Why a reference can't be filled in.
enum Missing {
    Variable,
    Format(String),
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn scope() -> Scope {
        let times = Times::of_panel((0.0, 3600.0), 720.0, None, Duration::from_secs(5));
        let mut scope = Scope::new(times);
        let many = ["127.0.0.1:8080", "b"].map(str::to_owned).to_vec();
        scope.choose("one", Selection::One("a.b".into()), false);
        scope.choose("instance", Selection::Many(many), true);
        scope.choose("route", Selection::AllAs(".*".into()), true);
        scope.choose("chosen", Selection::One("/v1/{id}".into()), true);
        scope
    }

    #[test]
    fn each_way_to_name_a_variable_is_filled_in_as_grafana_does() {
        let scope = scope();
        for (text, expected) in [
            (r#"up{job="$one"}"#, r#"up{job="a.b"}"#),
            (r#"up{job="${one}"}"#, r#"up{job="a.b"}"#),
            (r#"up{job="[[one]]"}"#, r#"up{job="a.b"}"#),
            (
                r#"up{i=~"$instance"}"#,
                r#"up{i=~"(127\\.0\\.0\\.1:8080|b)"}"#,
            ),
            (r#"up{r=~"$route"}"#, r#"up{r=~".*"}"#),
            (r#"up{r=~"${chosen}"}"#, r#"up{r=~"/v1/\\{id\\}"}"#),
            ("${instance:pipe}", "127.0.0.1:8080|b"),
            ("${instance:csv}", "127.0.0.1:8080,b"),
            ("${instance:raw}", "127.0.0.1:8080,b"),
            ("[[instance:glob]]", "{127.0.0.1:8080,b}"),
            ("${instance:regex}", r"(127\.0\.0\.1:8080|b)"),
            ("${one:regex}", r"a\.b"),
            (
                "${one:json} ${instance:json}",
                r#""a.b" ["127.0.0.1:8080","b"]"#,
            ),
            ("${instance:doublequote}", r#""127.0.0.1:8080","b""#),
            ("${route:text} ${route:pipe}", "All .*"),
            ("rate(x[$__rate_interval])", "rate(x[20s])"),
            ("x[${__interval}] $__interval_ms", "x[5s] 5000"),
            ("$__range $__range_s $__range_ms", "3600s 3600 3600000"),
            ("$__from $__to", "0 3600000"),
        ] {
            let filled = scope.query(text);
            assert_eq!(filled.text, expected, "{text}");
            assert!(
                filled.unknown.is_empty() && filled.formats.is_empty(),
                "{text}"
            );
        }
    }

    #[test]
    fn a_name_that_is_no_variable_stays_and_is_reported() {
        let filled = scope().query("x{a=\"$nowhere\"}[$__unknown] ${one:lucene}");
        assert_eq!(filled.text, "x{a=\"$nowhere\"}[$__unknown] ${one:lucene}");
        let unknown: Vec<_> = filled.unknown.iter().map(String::as_str).collect();
        assert_eq!(unknown, ["__unknown", "nowhere"]);
        assert!(filled.formats.contains("lucene"));
    }

    #[test]
    fn groups_anchors_and_brackets_are_no_variables() {
        for text in [
            r#"label_replace(x, "a", "$1-${2}", "b", "(.*)(.*)$")"#,
            "x[5m] $ $$ ${} ${unclosed [[",
        ] {
            let filled = scope().query(text);
            assert_eq!(filled.text, text);
            assert!(filled.used.is_empty());
        }
    }

    #[test]
    fn a_heading_names_the_values_without_escapes() {
        let scope = scope();
        assert_eq!(scope.title("$one of $route").text, "a.b of All");
        assert_eq!(scope.title("$instance").text, "127.0.0.1:8080 + b");
        let copy = scope.repeated("instance", "b");
        assert_eq!(copy.title("$instance").text, "b");
    }

    #[test]
    fn the_rate_interval_is_never_below_four_scrapes() {
        let five = Duration::from_secs(5);
        let short = Times::of_panel((0.0, 60.0), 1000.0, None, five);
        assert_eq!(short.interval, five);
        assert_eq!(short.rate_interval(), Duration::from_secs(20));
        let day = Times::of_panel((0.0, 86_400.0), 100.0, None, five);
        assert_eq!(day.interval, Duration::from_secs(864));
        assert_eq!(day.rate_interval(), Duration::from_secs(869));
        assert_eq!(interval("200"), None);
        let asked = Times::of_panel((0.0, 60.0), 1000.0, interval(">1m"), five);
        assert_eq!(asked.interval, Duration::from_mins(1));
    }
}
