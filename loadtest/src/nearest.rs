//! "Did you mean": the name among those that exist that a misspelt one was probably meant to be.

/// The longest name that is compared: the work grows with the square of it, and names come from files.
const MAX_NAME: usize = 64;

/// The nearest of `names`, when so few letters differ that it was probably meant: a third of them, at least one.
pub fn nearest<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (wrong.chars().count() / 3).max(1);
    names
        .into_iter()
        .filter(|name| wrong.len() <= MAX_NAME && name.len() <= MAX_NAME)
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// `; did you mean "content"?`, or nothing when no name is near.
pub fn hint<'a>(wrong: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(wrong, names).map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

/// Letters to insert, remove, replace or swap with their neighbour until `a` is `b`: the optimal string alignment
/// distance (Damerau 1964), three rows of its table at a time.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUTES: [&str; 5] = ["list", "metadata", "content", "render", "upload"];

    #[test]
    fn a_name_with_few_wrong_letters_is_the_nearest_one() {
        for (wrong, right) in [
            ("contnet", "content"),
            ("conten", "content"),
            ("Content", "content"),
            ("lst", "list"),
            ("metdata", "metadata"),
            ("uplaod", "upload"),
        ] {
            assert_eq!(nearest(wrong, ROUTES), Some(right), "{wrong}");
        }
        assert_eq!(
            hint("smok", ["browse", "smoke"]),
            "; did you mean \"smoke\"?"
        );
    }

    #[test]
    fn a_name_that_is_like_none_has_no_nearest_one() {
        for wrong in ["", "teapot", "x", &"content".repeat(1_000)] {
            assert_eq!(nearest(wrong, ROUTES), None, "{wrong}");
        }
    }
}
