//! Colours of boards as colours of the page.
//!
//! Names of Grafana's palette become custom properties, which have a shade for light and one for dark. What a board says
//! in any other form is taken only if it is plainly a colour, since it goes into a style attribute.

/// Series colours of the page: `--s0` to `--s9`.
const SERIES: usize = 10;

/// A series' colour by its place among the series.
pub(super) fn of_series(index: usize) -> String {
    format!("var(--s{})", index % SERIES)
}

/// The dashes that tell series apart that share a colour: a number from 0 to 3.
pub(super) fn dash(index: usize) -> usize {
    index / SERIES % 4
}

/// A colour of a board as CSS; `None` if it is no colour that the page knows.
pub(super) fn css(colour: &str) -> Option<String> {
    let hue = colour
        .trim_start_matches("super-")
        .trim_start_matches("semi-")
        .trim_start_matches("dark-")
        .trim_start_matches("light-");
    match hue {
        "green" | "yellow" | "orange" | "red" | "blue" | "purple" => Some(format!("var(--{hue})")),
        "text" | "white" | "black" => Some("var(--text)".to_owned()),
        "gray" | "grey" => Some("var(--quiet)".to_owned()),
        "transparent" => Some("transparent".to_owned()),
        _ if is_hex(colour) || is_rgb(colour) => Some(colour.to_owned()),
        _ => None,
    }
}

fn is_hex(colour: &str) -> bool {
    colour.strip_prefix('#').is_some_and(|digits| {
        matches!(digits.len(), 3 | 4 | 6 | 8) && digits.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

/// `rgb(1, 2, 3)` or `rgba(1, 2, 3, 0.5)`.
fn is_rgb(colour: &str) -> bool {
    let inner = colour
        .strip_prefix("rgba(")
        .or_else(|| colour.strip_prefix("rgb("))
        .and_then(|rest| rest.strip_suffix(')'));
    inner.is_some_and(|inner| {
        let parts: Vec<&str> = inner.split(',').map(str::trim).collect();
        let is_number = |part: &&str| {
            part.len() <= 8
                && part.bytes().all(|b| b.is_ascii_digit() || b == b'.')
                && !part.is_empty()
        };
        matches!(parts.len(), 3 | 4) && parts.iter().all(is_number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_of_the_palette_follows_the_theme_and_others_are_kept() {
        let cases = [
            ("green", Some("var(--green)")),
            ("semi-dark-red", Some("var(--red)")),
            ("super-light-blue", Some("var(--blue)")),
            ("#73BF69", Some("#73BF69")),
            ("rgba(255, 0, 10, 0.5)", Some("rgba(255, 0, 10, 0.5)")),
            ("transparent", Some("transparent")),
        ];
        for (from, to) in cases {
            assert_eq!(css(from).as_deref(), to, "{from}");
        }
    }

    #[test]
    fn what_is_no_colour_never_reaches_a_style() {
        let hostile = [
            "red;background:url(http://x)",
            "#12345",
            "#zzz",
            "rgb(1,2,3);x:y",
            "rgb(1,2)",
            "var(--text)",
            "url(x)",
            "",
        ];
        for colour in hostile {
            assert_eq!(css(colour), None, "{colour}");
        }
    }
}
