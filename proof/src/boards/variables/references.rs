//! Where a text names variables.

/// A place in a text where a variable is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// First byte.
    pub start: usize,
    /// First byte after it.
    pub end: usize,
    /// The variable.
    pub name: &'a str,
    /// How it wants to be filled in: `${name:format}`.
    pub format: Option<&'a str>,
}

/// Every place where a variable is named, in order: `$name`, `${name}`, `${name:format}`, `[[name]]`, `[[name:format]]`.
/// A number is none: `$1` is a group of `label_replace`.
pub fn references(text: &str) -> Vec<Reference<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = text[at..].find(['$', '[']) {
        let start = at + next;
        match reference(text, start) {
            Some(reference) => {
                at = reference.end;
                if !reference.name.bytes().all(|byte| byte.is_ascii_digit()) {
                    found.push(reference);
                }
            }
            None => at = start + 1,
        }
    }
    found
}

/// The reference that begins here, if one does.
fn reference(text: &str, start: usize) -> Option<Reference<'_>> {
    let rest = &text[start..];
    let (inner, length) = if let Some(braced) = rest.strip_prefix("${") {
        let end = braced.find('}')?;
        (&braced[..end], end + 3)
    } else if let Some(bracketed) = rest.strip_prefix("[[") {
        let end = bracketed.find("]]")?;
        (&bracketed[..end], end + 4)
    } else {
        let plain = rest.strip_prefix('$')?;
        let end = plain.find(|c: char| !is_word(c)).unwrap_or(plain.len());
        (&plain[..end], end + 1)
    };
    let (name, format) = match inner.split_once(':') {
        Some((name, format)) => (name, Some(format)),
        None => (inner, None),
    };
    // `${name.field}`: a field of a value with parts, of which queries have none.
    let name = name.split('.').next().unwrap_or(name);
    (!name.is_empty() && name.chars().all(is_word)).then_some(Reference {
        start,
        end: start + length,
        name,
        format,
    })
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}
