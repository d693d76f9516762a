//! The load plans that experiments name.

use std::ffi::OsString;
use std::path::Path;

use loadtest::nearest::hint;
use loadtest::plan::Plan;

/// What the load generator is given as its plan: a file of the folder, or a name that it knows. The error is a sentence.
pub fn find(folder: Option<&Path>, name: &str) -> Result<OsString, String> {
    let Some(folder) = folder else {
        return Ok(name.into());
    };
    let file = folder.join(format!("{name}.toml"));
    if file.is_file() {
        return Ok(file.into_os_string());
    }
    let there = names(folder);
    let hint = hint(name, there.iter().map(String::as_str));
    Err(format!(
        "{} does not exist: name a plan of {}{hint}",
        file.display(),
        folder.display()
    ))
}

/// The plan itself, as the load generator will read it. The error is the rest of a sentence that begins with the key.
pub fn load(folder: Option<&Path>, name: &str) -> Result<Plan, String> {
    let found = find(folder, name).and_then(|plan| Plan::load(Path::new(&plan)));
    found.map_err(|why| format!("names a plan that can't be used: {why}"))
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path());
    let plans = files.filter(|path| path.extension().is_some_and(|kind| kind == "toml"));
    let stems = plans.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()));
    stems.collect()
}
