//! `cargo xtask docs`: makes a site with search of README.md and docs/, in `target/site`, and checks each of its links.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::install::{self, MDBOOK, Need};
use crate::process::{Outcome, program, root, run, target};

/// Installs the generator if it is missing, and builds the site.
pub(crate) fn install_and_build() -> Outcome {
    let absent = install::provide([Need::MdBook].iter());
    if let Some(reason) = absent.into_values().next() {
        return Err(reason);
    }
    build()?;
    println!("{}", target().join("site/book/index.html").display());
    Ok(())
}

/// Builds the site; fails if a page is not in its table of contents, or a link leads nowhere.
pub(crate) fn build() -> Outcome {
    let mdbook = MDBOOK.path().ok_or("mdbook is gone")?;
    let site = target().join("site");
    if site.exists() {
        fs::remove_dir_all(&site).map_err(|error| format!("{}: {error}", site.display()))?;
    }
    let pages = pages()?;
    let mut faults = absent_from_the_summary(&pages)?;
    for (from, to) in &pages {
        let text = read(&root().join(from))?;
        let text = rewritten(&text, Path::new(from), &pages, &mut faults);
        write(&site.join("src").join(to), text)?;
    }
    for asset in files_below("docs", &["svg", "json"])? {
        let to = asset.trim_start_matches("docs/");
        write(&site.join("src").join(to), read(&root().join(&asset))?)?;
    }
    for file in ["book.toml", "site.css"] {
        write(&site.join(file), read(&root().join("docs").join(file))?)?;
    }
    run(program(mdbook).arg("build").arg(&site))?;
    faults.extend(dead_links(&site.join("book"))?);
    if faults.is_empty() {
        return Ok(());
    }
    Err(faults.join("\n"))
}

/// The pages of the site: where each is in the repository, and where on the site.
fn pages() -> Result<BTreeMap<String, String>, String> {
    let mut pages: BTreeMap<String, String> = OUTSIDE_DOCS
        .iter()
        .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
        .collect();
    for page in files_below("docs", &["md"])? {
        // The generator makes `index.html` of it, but does not change the links to it.
        let to = page
            .trim_start_matches("docs/")
            .replace("README.md", "index.md");
        pages.insert(page, to);
    }
    Ok(pages)
}

fn absent_from_the_summary(pages: &BTreeMap<String, String>) -> Result<Vec<String>, String> {
    let summary = read(&root().join(SUMMARY))?;
    let listed: BTreeSet<_> = links(&summary)
        .into_iter()
        .map(|link| joined(Path::new(SUMMARY), &summary[link]))
        .collect();
    let absent = pages
        .keys()
        .filter(|page| *page != SUMMARY && !listed.contains(*page));
    Ok(absent
        .map(|page| format!("{SUMMARY} does not list {page}"))
        .collect())
}

/// The page with links as the site needs them. A link to a file that is not on the site becomes plain text.
fn rewritten(
    text: &str,
    page: &Path,
    pages: &BTreeMap<String, String>,
    faults: &mut Vec<String>,
) -> String {
    let on_site = |path: &str| match pages.get(path) {
        // The table of contents is on each page of the site.
        Some(_) if path == SUMMARY && page != Path::new(SUMMARY) => None,
        Some(place) => Some(place.clone()),
        None => path.strip_prefix("docs/").map(str::to_owned),
    };
    let own = on_site(&page.to_string_lossy()).unwrap_or_default();
    let mut result = String::new();
    let mut copied = 0;
    for link in links(text) {
        let target = &text[link.clone()];
        let (path, anchor) = target.split_at(target.find('#').unwrap_or(target.len()));
        if path.is_empty() || path.contains(':') {
            continue;
        }
        let path = joined(page, path);
        if !root().join(&path).exists() {
            faults.push(format!("{}: {target} does not exist", page.display()));
        }
        let Some(place) = on_site(&path) else {
            // `[name](path)` becomes `name`.
            let opening = text[..link.start].rfind('[').unwrap_or(link.start);
            result.push_str(&text[copied..opening]);
            result.push_str(&text[opening + 1..link.start - 2]);
            copied = link.end + 1;
            continue;
        };
        let up = "../".repeat(own.matches('/').count());
        result.push_str(&text[copied..link.start]);
        result.push_str(&format!("{up}{place}{anchor}"));
        copied = link.end;
    }
    result.push_str(&text[copied..]);
    result
}

/// Where the targets of the links of a page are in its text; code is left out.
fn links(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut is_code = false;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        let mut rest = line;
        while let (false, Some(at)) = (is_code, rest.find("](")) {
            let begin = start + line.len() - rest.len() + at + 2;
            let length = text[begin..].find([')', ' ', '\n']).unwrap_or(0);
            found.push(begin..begin + length);
            rest = &rest[at + 2..];
        }
        start += line.len();
    }
    found
}

/// The path of the repository that a relative path on a page means.
fn joined(page: &Path, relative: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let folder = page.parent().and_then(Path::to_str).unwrap_or_default();
    let relative = relative.split('#').next().unwrap_or_default();
    for part in folder.split('/').chain(relative.split('/')) {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The links of the built site that lead to no file, or to no element of the file.
fn dead_links(book: &Path) -> Result<Vec<String>, String> {
    let mut texts = BTreeMap::new();
    for file in all_files(book)? {
        let is_page = file
            .extension()
            .is_some_and(|extension| extension == "html");
        if is_page && !file.ends_with("print.html") && !file.ends_with("404.html") {
            let text = read(&file)?;
            texts.insert(file, text);
        }
    }
    let mut faults = BTreeSet::new();
    for (file, text) in &texts {
        for target in attributes(text, "href").chain(attributes(text, "src")) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if path.contains(':') {
                continue;
            }
            let folder = file.parent().unwrap_or(book);
            let aim = if path.is_empty() {
                file.clone()
            } else {
                clean(&folder.join(path))
            };
            let leads = match texts.get(&aim) {
                Some(page) => anchor.is_empty() || attributes(page, "id").any(|id| id == anchor),
                None => aim.exists(),
            };
            if !leads {
                let page = file.strip_prefix(book).unwrap_or(file);
                faults.insert(format!("{}: {target} leads nowhere", page.display()));
            }
        }
    }
    Ok(faults.into_iter().collect())
}

fn attributes<'a>(html: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let begin = format!(" {name}=\"");
    let parts: Vec<&str> = html.split(begin.as_str()).skip(1).collect();
    parts.into_iter().filter_map(|rest| rest.split('"').next())
}

fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part.as_os_str().to_str() {
            Some("..") => _ = clean.pop(),
            _ => clean.push(part),
        }
    }
    clean
}

/// The files with these extensions below a folder of the repository, as paths from its root.
fn files_below(folder: &str, extensions: &[&str]) -> Result<Vec<String>, String> {
    let files = all_files(&root().join(folder))?;
    let wanted = files.iter().filter(|file| {
        let extension = file.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| extensions.contains(&extension))
    });
    Ok(wanted
        .filter_map(|file| Some(file.strip_prefix(root()).ok()?.to_str()?.to_owned()))
        .collect())
}

fn all_files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let cannot_read = |error| format!("{} cannot be read: {error}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot_read)? {
        let path = entry.map_err(cannot_read)?.path();
        if path.is_dir() {
            files.extend(all_files(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

fn write(path: &Path, text: String) -> Outcome {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

const SUMMARY: &str = "docs/SUMMARY.md";

/// Pages that are elsewhere in the repository, and where they are on the site.
const OUTSIDE_DOCS: &[(&str, &str)] = &[
    ("README.md", "index.md"),
    ("crates/keyfob-cli/README.md", "reference/command-line.md"),
    ("crates/keyfob-python/README.md", "reference/python.md"),
    ("ARCHITECTURE.md", "explanation/architecture.md"),
    ("CONTRIBUTING.md", "project/contributing.md"),
    ("SECURITY.md", "project/security.md"),
    ("CHANGELOG.md", "project/changelog.md"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_a_page_become_those_of_the_site() {
        let pages = pages().unwrap();
        let mut faults = Vec::new();
        let text = "[a](../../README.md#speed) [`b`](../../xtask/Cargo.toml) [c](gone.md)\n\
                    ```\n[d](../x)\n```\n[e](https://e.example/)";
        let page = Path::new("docs/reference/contract.md");
        assert_eq!(
            rewritten(text, page, &pages, &mut faults),
            "[a](../index.md#speed) `b` [c](../reference/gone.md)\n\
             ```\n[d](../x)\n```\n[e](https://e.example/)"
        );
        assert_eq!(
            faults,
            ["docs/reference/contract.md: gone.md does not exist"]
        );
    }

    #[test]
    fn a_link_to_an_element_that_is_not_there_is_dead() {
        let book = tempfile();
        let page =
            "<h2 id=\"b\"></h2><a href=\"#b\"></a><a href=\"#c\"></a><a href=\"../x.html\"></a>";
        write(&book.join("in/a.html"), page.to_owned()).unwrap();
        let dead = dead_links(&book).unwrap();
        fs::remove_dir_all(&book).unwrap();
        assert_eq!(
            dead,
            [
                "in/a.html: #c leads nowhere",
                "in/a.html: ../x.html leads nowhere"
            ]
        );
    }

    fn tempfile() -> PathBuf {
        std::env::temp_dir().join(format!("keyfob-xtask-{}", std::process::id()))
    }
}
