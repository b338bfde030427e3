//! Names with `*` for any text.

/// Whether a text fits a pattern, in which `*` means any text, also none.
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(text) = text.strip_prefix(start) else {
        return false;
    };
    let ends = (0..=text.len()).filter(|&at| text.is_char_boundary(at));
    ends.into_iter().any(|at| matches(rest, &text[at..]))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text, fits) in [
            ("retries: *", "retries: a 503", true),
            ("*503*", "retries: a 503", true),
            ("*503", "a 503 twice", false),
            ("a*b*c", "a-b-b-c", true),
            ("a", "ab", false),
        ] {
            assert_eq!(matches(pattern, text), fits, "{pattern} {text}");
        }
    }
}
