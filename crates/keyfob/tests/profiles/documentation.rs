//! The profile files in README.md and docs/ are valid.

use keyfob::Profiles;

#[test]
fn each_profile_file_in_the_documentation_is_valid() {
    let pages = [
        include_str!("../../../../README.md"),
        include_str!("../../../../docs/profiles.md"),
    ];
    for page in pages {
        let examples: Vec<_> = page.split("```toml\n").skip(1).collect();
        assert!(!examples.is_empty());
        for example in examples {
            let text = example.split("```").next().unwrap_or_default();
            let profiles =
                Profiles::from_text(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert!(profiles.iter().count() > 0, "{text}");
        }
    }
}
