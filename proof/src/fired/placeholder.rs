//! `{name}` in the commands of a causes file, filled with what is known once the system runs.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// Values by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Values(BTreeMap<String, String>);

impl Values {
    /// Sets one. A URL also gives `NAME.host`: its `host:port`.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        let host = url::Url::parse(value).ok().and_then(|url| {
            let host = url
                .host_str()
                .filter(|_| url.scheme().starts_with("http"))?;
            Some(format!("{host}:{}", url.port_or_known_default()?))
        });
        if let Some(host) = host {
            self.0.insert(format!("{name}.host"), host);
        }
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Sets those of a TOML file: `{table.key}`, and `{list.NAME.key}` of tables that have a `name`.
    pub(crate) fn set_file(&mut self, text: &str) -> Result<(), String> {
        let table: toml::Table = toml::from_str(text).map_err(|error| error.to_string())?;
        self.set_table("", &table);
        Ok(())
    }

    fn set_table(&mut self, prefix: &str, table: &toml::Table) {
        for (key, value) in table {
            self.set_value(&format!("{prefix}{key}"), value);
        }
    }

    fn set_value(&mut self, name: &str, value: &toml::Value) {
        match value {
            toml::Value::Table(table) => self.set_table(&format!("{name}."), table),
            toml::Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let own = item.get("name").and_then(toml::Value::as_str);
                    let key = own.map_or_else(|| index.to_string(), str::to_owned);
                    self.set_value(&format!("{name}.{key}"), item);
                }
            }
            toml::Value::String(text) => self.set(name, text),
            other => self.set(name, &other.to_string()),
        }
    }

    /// Fills a text. The error is a sentence that names what is not known.
    pub(crate) fn fill(&self, text: &str) -> Result<String, String> {
        static NAME: LazyLock<Option<Regex>> =
            LazyLock::new(|| Regex::new(r"\{([a-z][A-Za-z0-9_.-]*)\}").ok());
        let Some(names) = &*NAME else {
            return Ok(text.to_owned());
        };
        let mut unknown = None;
        let filled = names.replace_all(text, |found: &Captures<'_>| {
            self.0.get(&found[1]).cloned().unwrap_or_else(|| {
                unknown = Some(found[1].to_owned());
                String::new()
            })
        });
        match unknown {
            None => Ok(filled.into_owned()),
            Some(name) => Err(format!("`{text}`: nothing is known by the name {{{name}}}")),
        }
    }

    /// Fills each of several texts.
    pub(crate) fn fill_all(&self, texts: &[String]) -> Result<Vec<String>, String> {
        texts.iter().map(|text| self.fill(text)).collect()
    }

    /// Fills every text inside a value.
    pub(crate) fn fill_value(&self, value: &mut serde_json::Value) -> Result<(), String> {
        match value {
            serde_json::Value::String(text) => *text = self.fill(text)?,
            serde_json::Value::Array(items) => {
                for item in items {
                    self.fill_value(item)?;
                }
            }
            serde_json::Value::Object(keys) => {
                for item in keys.values_mut() {
                    self.fill_value(item)?;
                }
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let mut values = Values::default();
        let file = "[endpoints]\napi = 'http://127.0.0.1:80/x'\n[owner]\npid = 5\n[[processes]]\nname = 'a-b'\npid = 7\n";
        values.set_file(file).unwrap();
        values
    }

    #[test]
    fn keys_of_the_file_are_filled_in_and_other_braces_stay() {
        let values = values();
        for (text, filled) in [
            ("{endpoints.api}/ready", "http://127.0.0.1:80/x/ready"),
            ("{endpoints.api.host}", "127.0.0.1:80"),
            ("kill {owner.pid} {processes.a-b.pid}", "kill 5 7"),
            (r#"{"type":"timeout"}"#, r#"{"type":"timeout"}"#),
            (r#"x{job="a"} { } {}"#, r#"x{job="a"} { } {}"#),
        ] {
            assert_eq!(values.fill(text).unwrap(), filled);
        }
    }

    #[test]
    fn a_name_that_is_not_known_is_told() {
        let error = values().fill("{endpoints.logs}/x").unwrap_err();
        assert!(error.contains("{endpoints.logs}"), "{error}");
    }
}
