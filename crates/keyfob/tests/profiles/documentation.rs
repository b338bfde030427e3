//! The profile files in docs/ are valid.

use keyfob::Profiles;

#[test]
fn each_profile_file_in_the_documentation_is_valid() {
    let pages = [
        include_str!("../../../../docs/tutorial/README.md"),
        include_str!("../../../../docs/reference/profiles.md"),
        include_str!("../../../../docs/how-to/proxies-and-private-cas.md"),
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

#[test]
fn the_profiles_of_each_section_on_platforms_are_valid() {
    let page = include_str!("../../../../docs/how-to/platforms.md");
    for section in page.split("\n## ") {
        // One profile of a section may refer to another one.
        let examples = section.split("```toml\n").skip(1);
        let examples = examples.map(|block| block.split("```").next().unwrap_or_default());
        let text = examples.collect::<Vec<_>>().concat();
        Profiles::from_text(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}
