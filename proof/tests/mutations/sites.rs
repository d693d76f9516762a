//! Where a mutation can be made: every place of every file that it fits, and a choice of them.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::{Value, json};

use crate::table::{Change, Mutation};
use crate::tree;

/// One place, and what stands there after the change.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// The file, relative to the repository's root.
    pub(crate) file: String,
    /// The place in it, for a person.
    pub(crate) place: String,
    /// The alerts and recorded series that the change concerns.
    pub(crate) rules: Vec<String>,
    edit: Edit,
}

/// A change that is made when it is tried: most places are not chosen.
#[derive(Clone, Debug)]
enum Edit {
    /// The whole file.
    Text(String),
    /// The value at a JSON pointer of a board.
    Board { pointer: String, value: Value },
    /// A rule of a file, by its group and place; `alone`: the file has its group alone.
    Rule {
        from: &'static str,
        group: usize,
        at: usize,
        rule: Value,
        alone: bool,
    },
}

impl Site {
    /// The changed file.
    pub(crate) fn text(&self) -> String {
        match &self.edit {
            Edit::Text(text) => text.clone(),
            Edit::Board { pointer, value } => {
                let mut board: Value = serde_json::from_str(&tree::text(&self.file)).unwrap();
                *board.pointer_mut(pointer).unwrap() = value.clone();
                proof::boards::format::canonical(&board.to_string()).unwrap()
            }
            Edit::Rule {
                from,
                group,
                at,
                rule,
                alone,
            } => {
                let mut whole = yaml(from);
                whole["groups"][group]["rules"][at] = rule.clone();
                if *alone {
                    let mut group = whole["groups"][group].take();
                    group["name"] = json!("by-hand");
                    whole = json!({"groups": [group]});
                }
                whole.to_string()
            }
        }
    }
}

const CAUSES: &str = "alerts/rules/causes.yml";
const GENERATED: &str = "alerts/rules/objectives.yml";
const OBJECTIVES: &str = "alerts/objectives.toml";
const ROUTES: &str = "alerts/alertmanager.yml";
const DATA_SOURCES: &str = "dashboards/provisioning/datasources/chitram.yml";
/// The file in which changed rules of objectives stand, as if somebody had written them.
const BY_HAND: &str = "alerts/rules/by-hand.yml";

/// Some places of a mutation: chosen by their hash, from as many files as there are.
pub(crate) fn chosen(mutation: &Mutation, most: usize) -> Vec<Site> {
    let mut by_file: BTreeMap<String, Vec<(u64, Site)>> = BTreeMap::new();
    for site in all(mutation.change) {
        let mut hasher = DefaultHasher::new();
        (mutation.name, &site.file, &site.place).hash(&mut hasher);
        let of_file = by_file.entry(site.file.clone()).or_default();
        of_file.push((hasher.finish(), site));
    }
    for sites in by_file.values_mut() {
        sites.sort_by_key(|(hash, _)| std::cmp::Reverse(*hash));
    }
    let mut queues: Vec<_> = by_file.into_values().collect();
    queues.sort_by_key(|sites| sites.last().map(|(hash, _)| *hash));
    let mut sites = Vec::new();
    while sites.len() < most && queues.iter().any(|sites| !sites.is_empty()) {
        let round = queues.iter_mut().filter_map(Vec::pop).map(|(_, site)| site);
        sites.extend(round);
    }
    sites.truncate(most);
    sites
}

fn all(change: Change) -> Vec<Site> {
    match change {
        Change::Query(change) => on_boards(|board| of_queries(board, change)),
        Change::Panel(change) => on_boards(|board| of_panels(board, change)),
        Change::Board(change) => on_boards(|board| {
            let mut changed = board.clone();
            let done = change(&mut changed);
            done.map(|()| ("board".to_owned(), String::new(), changed))
                .into_iter()
                .collect()
        }),
        Change::DataSources(change) => of_text(DATA_SOURCES, change),
        Change::Objectives(change) => of_text(OBJECTIVES, change),
        Change::Tests(change) => tree::files("alerts/tests", "yml")
            .iter()
            .flat_map(|file| of_text(file, change))
            .collect(),
        Change::Alert(change) => of_rules(CAUSES, CAUSES, |rule| {
            changed_expression(rule, change).filter(|_| rule["alert"].is_string())
        }),
        Change::AlertFields(change) => of_rules(CAUSES, CAUSES, |rule| {
            let mut changed = rule.clone();
            rule["alert"].as_str()?;
            change(&mut changed).map(|()| changed)
        }),
        Change::Generated(change) => {
            of_rules(GENERATED, BY_HAND, |rule| changed_expression(rule, change))
        }
        Change::GeneratedRules(change) => of_groups(change),
        Change::Routes(change) => {
            let mut routes = yaml(ROUTES);
            let done = change(&mut routes);
            let site = done.map(|()| Site {
                file: ROUTES.to_owned(),
                place: "the configuration".to_owned(),
                rules: Vec::new(),
                edit: Edit::Text(routes.to_string()),
            });
            site.into_iter().collect()
        }
    }
}

fn of_text(file: &str, change: fn(&str) -> Option<String>) -> Vec<Site> {
    let site = change(&tree::text(file)).map(|text| Site {
        file: file.to_owned(),
        place: "the text".to_owned(),
        rules: Vec::new(),
        edit: Edit::Text(text),
    });
    site.into_iter().collect()
}

/// Place, JSON pointer and new value of each change of a board.
type Changes = Vec<(String, String, Value)>;

/// Every change of every board.
fn on_boards(changes: impl Fn(&Value) -> Changes) -> Vec<Site> {
    let mut sites = Vec::new();
    for file in tree::files("dashboards", "json") {
        let board: Value = serde_json::from_str(&tree::text(&file)).unwrap();
        for (place, pointer, value) in changes(&board) {
            sites.push(Site {
                file: file.clone(),
                place,
                rules: Vec::new(),
                edit: Edit::Board { pointer, value },
            });
        }
    }
    sites
}

/// JSON pointers of the panels, those in collapsed rows too.
fn panels(board: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (at, panel) in board["panels"].as_array().unwrap().iter().enumerate() {
        let inner = panel["panels"].as_array().map_or(0, Vec::len);
        found.extend((0..inner).map(|inner| format!("/panels/{at}/panels/{inner}")));
        if panel["type"] != "row" {
            found.push(format!("/panels/{at}"));
        }
    }
    found
}

fn of_panels(board: &Value, change: fn(&mut Value) -> Option<()>) -> Changes {
    let changed = |pointer: String| {
        let mut panel = board.pointer(&pointer)?.clone();
        let place = format!("panel {} {}", panel["id"], panel["title"]);
        change(&mut panel)?;
        Some((place, pointer, panel))
    };
    panels(board).into_iter().filter_map(changed).collect()
}

fn of_queries(board: &Value, change: fn(&str) -> Option<String>) -> Changes {
    let mut found = Vec::new();
    for pointer in panels(board) {
        let panel = board.pointer(&pointer).unwrap();
        let targets = panel["targets"].as_array().map_or(0, Vec::len);
        for at in 0..targets {
            let target = &panel["targets"][at];
            let Some(expr) = target["expr"].as_str().and_then(change) else {
                continue;
            };
            let place = format!("panel {} query {}: {expr}", panel["id"], target["refId"]);
            found.push((place, format!("{pointer}/targets/{at}/expr"), json!(expr)));
        }
    }
    found
}

fn changed_expression(rule: &Value, change: fn(&str) -> Option<String>) -> Option<Value> {
    let mut changed = rule.clone();
    changed["expr"] = json!(change(rule["expr"].as_str()?)?);
    Some(changed)
}

/// A file of rules as JSON, which is YAML as well.
fn yaml(file: &str) -> Value {
    serde_saphyr::from_str(&tree::text(file)).unwrap()
}

/// Every change of every rule of a file. If it goes into another file, that has the rule's group alone.
fn of_rules(from: &'static str, to: &str, change: impl Fn(&Value) -> Option<Value>) -> Vec<Site> {
    let file = yaml(from);
    let mut sites = Vec::new();
    for (group_at, group) in file["groups"].as_array().unwrap().iter().enumerate() {
        for (at, rule) in group["rules"].as_array().unwrap().iter().enumerate() {
            let Some(changed) = change(rule) else {
                continue;
            };
            let names = [rule, &changed].map(name);
            sites.push(Site {
                file: to.to_owned(),
                place: format!("{} {}: {}", names[1], rule["labels"], changed["expr"]),
                rules: names.to_vec(),
                edit: Edit::Rule {
                    from,
                    group: group_at,
                    at,
                    rule: changed,
                    alone: from != to,
                },
            });
        }
    }
    sites
}

fn of_groups(change: fn(&mut Vec<Value>) -> Option<()>) -> Vec<Site> {
    let file = yaml(GENERATED);
    let groups = file["groups"].as_array().unwrap();
    let changed = |group: &Value| {
        let mut rules = group["rules"].as_array().unwrap().clone();
        change(&mut rules)?;
        let names = rules.iter().map(name).collect();
        let mut group = group.clone();
        let place = group["name"].to_string();
        group["name"] = json!("by-hand");
        group["rules"] = json!(rules);
        Some(Site {
            file: BY_HAND.to_owned(),
            place,
            rules: names,
            edit: Edit::Text(json!({"groups": [group]}).to_string()),
        })
    };
    groups.iter().filter_map(changed).collect()
}

fn name(rule: &Value) -> String {
    let name = rule["alert"].as_str().or(rule["record"].as_str());
    name.unwrap_or_default().to_owned()
}
