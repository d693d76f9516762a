//! What Prometheus evaluates and how Alertmanager routes it: the repository's `alerts/`, or a folder of the same shape.

use std::fs;
use std::path::Path;

use crate::error::Error;

/// The files of the repository's `alerts/rules/`, in this program so that it runs from anywhere.
const RULES: [(&str, &str); 2] = [
    ("causes.yml", include_str!("../../alerts/rules/causes.yml")),
    (
        "objectives.yml",
        include_str!("../../alerts/rules/objectives.yml"),
    ),
];
/// The repository's `alerts/alertmanager.yml`.
const ROUTES: &str = include_str!("../../alerts/alertmanager.yml");

/// Rule files and Alertmanager's configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alerts {
    /// Name and text of each file in `rules/`.
    pub rules: Vec<(String, String)>,
    /// `alertmanager.yml`. Its webhooks name the file `webhook-url`, which is written beside it.
    pub routes: String,
}

impl Alerts {
    /// Those of the repository.
    pub fn shipped() -> Self {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        Self {
            rules: RULES.iter().map(owned).collect(),
            routes: ROUTES.to_owned(),
        }
    }

    /// `DIR/rules/*.yml` and `DIR/alertmanager.yml`.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let folder = dir.join("rules");
        let mut rules = Vec::new();
        for entry in folder.read_dir().map_err(missing(&folder))? {
            let path = entry.map_err(missing(&folder))?.path();
            let is_rules = path.extension().is_some_and(|extension| extension == "yml");
            if let Some(name) = path.file_name().filter(|_| is_rules) {
                let text = fs::read_to_string(&path).map_err(missing(&path))?;
                rules.push((name.to_string_lossy().into_owned(), text));
            }
        }
        if rules.is_empty() {
            return Err(Error::Usage(format!(
                "--alerts {}: {} has no *.yml: put Prometheus' rule files there",
                dir.display(),
                folder.display()
            )));
        }
        rules.sort();
        let path = dir.join("alertmanager.yml");
        let routes = fs::read_to_string(&path).map_err(missing(&path))?;
        Ok(Self { rules, routes })
    }
}

/// `--alerts` names a folder without what is read from it.
fn missing(path: &Path) -> impl Fn(std::io::Error) -> Error {
    move |source| {
        Error::Usage(format!(
            "--alerts: cannot read {}: {source}; a folder with rules/*.yml and alertmanager.yml is expected",
            path.display()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_is_what_the_repository_holds() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../alerts");
        assert_eq!(Alerts::read(&repository).unwrap(), Alerts::shipped());
    }

    #[test]
    fn a_folder_without_rules_or_routes_is_refused_with_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = || Alerts::read(folder.path()).unwrap_err();
        assert_eq!(refusal().exit_code(), 64);
        assert!(refusal().to_string().contains("/rules: "), "{}", refusal());
        fs::create_dir(folder.path().join("rules")).unwrap();
        assert!(refusal().to_string().contains("has no *.yml"));
        fs::write(folder.path().join("rules/own.yml"), "groups: []").unwrap();
        fs::write(folder.path().join("rules/notes.txt"), "").unwrap();
        assert!(refusal().to_string().contains("/alertmanager.yml: "));
        fs::write(folder.path().join("alertmanager.yml"), "route: {}").unwrap();
        let alerts = Alerts::read(folder.path()).unwrap();
        assert_eq!(alerts.rules, [("own.yml".into(), "groups: []".into())]);
    }
}
