//! Pages name files of the repository; each has to exist.

use std::path::Path;

/// The paths in backticks on the page that look like files or folders below `root`, and do not exist.
pub(crate) fn missing_files(page: &str, root: &Path) -> Vec<String> {
    let prose = page.split("```").step_by(2);
    let quoted = prose.flat_map(|text| text.split('`').skip(1).step_by(2));
    quoted
        .filter(|name| name.contains('/') && !name.contains([' ', ':', '*', '<', '$']))
        // Build output is there only after a build.
        .filter(|name| !name.starts_with("target/"))
        .filter(|name| {
            let places = [
                "",
                "crates/keyfob/src",
                "crates/keyfob-cli/src",
                "crates/keyfob-python",
            ];
            places
                .iter()
                .all(|place| !root.join(place).join(name).exists())
        })
        .map(|name| format!("`{name}` does not exist"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_does_not_exist_is_found() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let page = "Open `tests/structure/main.rs`, then `tests/structure/gone.rs`, not `a b/c`.";
        assert_eq!(
            missing_files(page, root),
            ["`tests/structure/gone.rs` does not exist"]
        );
    }
}
