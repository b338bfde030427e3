//! How often the libraries inside the program say `unsafe`, for those who have to judge them.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::str::FromStr;

use proc_macro2::{TokenStream, TokenTree};

use crate::dist::licences::libraries;
use crate::dist::write;
use crate::process::{Outcome, root};

/// Writes `docs/reference/unsafe-code.md`.
pub(crate) fn report() -> Outcome {
    let libraries = libraries()?;
    let mut counts = Vec::new();
    for library in &libraries {
        let mut count = 0;
        count_in(&library.folder, &mut count)?;
        counts.push((count, &library.name));
    }
    let (free, sum) = (
        counts.iter().filter(|(count, _)| *count == 0).count(),
        counts.iter().map(|(count, _)| count).sum::<usize>(),
    );
    counts.retain(|(count, _)| *count > 0);
    counts.sort_by_key(|(count, name)| (std::cmp::Reverse(*count), name.as_str()));
    let all = libraries.len();
    let mut page = format!("{HEAD}Of {all} crates, {free} have none. The others have {sum}:\n\n");
    page += "| crate | `unsafe` |\n|---|---|\n";
    for (count, name) in counts {
        // Writing to a string cannot fail.
        _ = writeln!(page, "| {name} | {count} |");
    }
    write(&root().join("docs/reference/unsafe-code.md"), page)
}

/// Adds the keywords in each Rust file below a folder, unless it is no part of the library.
fn count_in(folder: &Path, count: &mut usize) -> Outcome {
    let files = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    for path in files.filter_map(Result::ok).map(|file| file.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if path.is_dir() {
            if !NOT_INSIDE.contains(&&*name) {
                count_in(&path, count)?;
            }
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).map_err(|error| error.to_string())?;
            // A file that is no Rust by itself is included in another one by a macro.
            *count += TokenStream::from_str(&text).map_or(0, keywords);
        }
    }
    Ok(())
}

/// Blocks, functions, traits, implementations and attributes that are `unsafe`; comments and texts do not count.
fn keywords(tokens: TokenStream) -> usize {
    let counts = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(name) => usize::from(name == "unsafe"),
        TokenTree::Group(group) => keywords(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => 0,
    });
    counts.sum()
}

const NOT_INSIDE: &[&str] = &["tests", "benches", "examples", "fuzz"];

const HEAD: &str = "\
# Unsafe code

This page counts the keyword `unsafe` in the crates that are inside the program, on x86_64 Linux. `cargo xtask unsafe` writes it.

keyfob's own crates have none, because the lint `unsafe_code` denies it. The number counts blocks, functions, traits
and implementations in the sources of a crate, also those for other systems and for features that keyfob does not turn on. It says
where to look, and not whether the code is right. aws-lc-sys also has the C and assembler code of AWS-LC, which does the
cryptography, and which no count of `unsafe` shows.

";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_keyword_counts_at_any_depth() {
        let text = r#"
            // unsafe
            #[expect(unsafe_code, reason = "unsafe")]
            unsafe fn a() { if b { unsafe { c("unsafe") } } }
        "#;
        assert_eq!(keywords(TokenStream::from_str(text).unwrap()), 2);
    }
}
