//! The sections and examples of docs/how-to/platforms.md.

/// The page.
pub(crate) const PAGE: &str = include_str!("../../../../../docs/how-to/platforms.md");

/// The section of a preset, without the next heading.
pub(crate) fn section(preset: &str) -> &'static str {
    let begin = format!("\n## {preset}\n");
    let (_, rest) = PAGE.split_once(&begin).expect("each preset has a section");
    rest.split("\n## ").next().unwrap_or(rest)
}

/// The examples in TOML of a text, as they are written.
pub(crate) fn examples(text: &str) -> Vec<String> {
    let blocks = text.split("```toml\n").skip(1);
    let examples = blocks.map(|block| block.split("```").next().unwrap_or_default());
    examples.map(str::to_owned).collect()
}

/// The first example of a preset, with these parts replaced. Each of them has to be there.
pub(crate) fn example(preset: &str, replacements: &[(&str, &str)]) -> String {
    replaced(&examples(section(preset))[0], replacements)
}

/// A text with these parts replaced. Each of them has to be there.
pub(crate) fn replaced(text: &str, replacements: &[(&str, &str)]) -> String {
    let mut text = text.to_owned();
    for (from, to) in replacements {
        assert!(text.contains(from), "{from} is not in\n{text}");
        text = text.replace(from, to);
    }
    text
}

#[test]
fn each_example_of_a_platform_has_at_most_six_lines() {
    let examples = examples(PAGE);
    assert!(examples.len() >= 10);
    for example in examples {
        assert!(example.lines().count() <= 6, "{example}");
    }
}
