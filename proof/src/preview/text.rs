//! Text of boards: a small part of Markdown, and links that stay within the page or lead to the web.
//!
//! Everything is escaped; HTML in a board is shown as the text that it is.

use std::collections::BTreeSet;

use maud::{Markup, html};

/// The boards of the page, by uid: a link to one of them leads to its place.
pub(super) type Uids = BTreeSet<String>;

/// Bytes of one text that are shown; no board explains itself at greater length.
const LONGEST: usize = 20_000;

/// Headings, lists, tables, code blocks and paragraphs.
pub(super) fn markdown(text: &str, uids: &Uids) -> Markup {
    let text = &text[..text.floor_char_boundary(LONGEST)];
    let mut blocks: Vec<Markup> = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            continue;
        }
        if trimmed.starts_with("```") {
            let code: Vec<&str> = lines
                .by_ref()
                .take_while(|line| !line.trim().starts_with("```"))
                .collect();
            blocks.push(html! { pre { code { (code.join("\n")) } } });
            continue;
        }
        if let Some(heading) = trimmed.strip_prefix('#') {
            blocks.push(html! { h5 { (inline(heading.trim_start_matches('#').trim(), uids)) } });
            continue;
        }
        let kind = Kind::of(trimmed);
        let mut block = vec![trimmed];
        while let Some(next) =
            lines.next_if(|next| !next.trim().is_empty() && Kind::of(next.trim()) == kind)
        {
            block.push(next.trim());
        }
        blocks.push(kind.markup(&block, uids));
    }
    html! { @for block in &blocks { (block) } }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    List,
    Table,
    Paragraph,
}

impl Kind {
    fn of(line: &str) -> Self {
        if bullet(line).is_some() {
            Self::List
        } else if line.starts_with('|') {
            Self::Table
        } else {
            Self::Paragraph
        }
    }

    fn markup(self, block: &[&str], uids: &Uids) -> Markup {
        match self {
            Self::List => html! {
                ul { @for item in block { li { (inline(bullet(item).unwrap_or(item), uids)) } } }
            },
            Self::Table => table(block, uids),
            Self::Paragraph => html! { p { (inline(&block.join(" "), uids)) } },
        }
    }
}

/// The text of a list's item.
fn bullet(line: &str) -> Option<&str> {
    let numbered = || {
        let (number, rest) = line.split_once(". ")?;
        number
            .bytes()
            .all(|byte| byte.is_ascii_digit())
            .then_some(rest)
    };
    line.strip_prefix("- ")
        .or_else(|| line.strip_prefix("* "))
        .or_else(numbered)
}

fn table(block: &[&str], uids: &Uids) -> Markup {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let is_rule = |line: &str| line.chars().all(|c| matches!(c, '|' | '-' | ':' | ' '));
    let rows = block.iter().skip(1).filter(|line| !is_rule(line));
    html! {
        table.data {
            thead { tr { @for cell in block.first().map(|line| cells(line)).unwrap_or_default() { th scope="col" { (inline(&cell, uids)) } } } }
            tbody { @for row in rows { tr { @for cell in cells(row) { td { (inline(&cell, uids)) } } } } }
        }
    }
}

type Mark = (&'static str, &'static str, &'static str);

/// Marks within a line: how they open, what they become, how they close.
const MARKS: [Mark; 3] = [("`", "code", "`"), ("**", "strong", "**"), ("[", "a", "]")];

/// Code, strong text and links. Marks do not nest, so that no text can make this deep.
fn inline(text: &str, uids: &Uids) -> Markup {
    let mut parts: Vec<Markup> = Vec::new();
    let mut rest = text;
    while let Some((place, (open, element, close))) = first_mark(rest) {
        let (before, inside) = (&rest[..place], &rest[place + open.len()..]);
        parts.push(html! { (before) });
        let Some((inner, after)) = inside.split_once(close) else {
            parts.push(html! { (open) });
            rest = inside;
            continue;
        };
        rest = after;
        parts.push(match *element {
            "code" => html! { code { (inner) } },
            "strong" => html! { strong { (inner) } },
            _ => {
                let target = after
                    .strip_prefix('(')
                    .and_then(|after| after.split_once(')'));
                rest = target.map_or(after, |(_, after)| after);
                target.map_or_else(
                    || html! { "[" (inner) "]" },
                    |(url, _)| link(url, inner, uids),
                )
            }
        });
    }
    html! { @for part in &parts { (part) } (rest) }
}

fn first_mark(text: &str) -> Option<(usize, &'static Mark)> {
    MARKS
        .iter()
        .filter_map(|mark| Some((text.find(mark.0)?, mark)))
        .min_by_key(|(place, _)| *place)
}

/// A link, if it leads to a board of this page or to the web; else its text.
pub(super) fn link(url: &str, text: &str, uids: &Uids) -> Markup {
    let board = url
        .strip_prefix("/d/")
        .and_then(|rest| rest.split(['/', '?', '#']).next())
        .filter(|uid| uids.contains(*uid));
    if let Some(uid) = board {
        return html! { a href=(format!("#{}", anchor(uid))) { (text) } };
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return html! { a href=(url) rel="noopener noreferrer" { (text) } };
    }
    html! { (text) }
}

/// The place of a board in the page. Only letters, digits and hyphens are kept.
pub(super) fn anchor(uid: &str) -> String {
    let safe: String = uid
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!("board-{safe}")
}

/// Text of which nothing is markup, with its line breaks.
pub(super) fn plain(text: &str) -> Markup {
    html! { pre.plain { (text) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        let uids = Uids::from(["chitram-requests".to_owned()]);
        markdown(text, &uids).into_string()
    }

    #[test]
    fn the_marks_that_boards_use_become_elements() {
        let cases = [
            ("# How to read", "<h5>How to read</h5>"),
            ("one\ntwo\n\nthree", "<p>one two</p><p>three</p>"),
            (
                "- a\n- **b**",
                "<ul><li>a</li><li><strong>b</strong></li></ul>",
            ),
            ("1. a\n2. b", "<ul><li>a</li><li>b</li></ul>"),
            ("use `rate(x[5m])`", "<p>use <code>rate(x[5m])</code></p>"),
            (
                "[Requests](/d/chitram-requests?orgId=1)",
                r##"<p><a href="#board-chitram-requests">Requests</a></p>"##,
            ),
            ("[gone](/d/other)", "<p>gone</p>"),
            (
                "an array [0] and an open ** mark",
                "<p>an array [0] and an open ** mark</p>",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(html(text), expected, "{text}");
        }
        assert!(html("| a | b |\n|---|---|\n| 1 | 2 |").contains("<td>1</td><td>2</td>"));
        assert!(html("```\na < b\n```").contains("<pre><code>a &lt; b</code></pre>"));
    }

    #[test]
    fn text_cannot_become_markup_nor_a_link_code() {
        let cases = [
            "<script>alert(1)</script>",
            "[x](javascript:alert(1))",
            "[x](data:text/html,<script>)",
            "`<img src=x onerror=alert(1)>`",
            "[<b>](https://x/\"onmouseover=alert(1))",
        ];
        for text in cases {
            let html = html(text);
            assert!(
                !html.contains("<script") && !html.contains("<img") && !html.contains("<b>"),
                "{html}"
            );
            assert!(
                !html.contains("href=\"javascript") && !html.contains("href=\"data"),
                "{html}"
            );
            assert!(!html.contains("\"onmouseover"), "{html}");
        }
    }
}
