//! The page with all results: the machine, the versions, the date, and how to repeat the measurement.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::table::Table;

/// Writes `benchmarks.md`, a chart for each table, and all figures as data into this folder.
///
/// A test of keyfob compares the figures that other pages state with the data.
pub fn write(folder: &Path, tables: &[Table], python: &str) {
    let charts = folder.join("benchmarks");
    fs::create_dir_all(&charts).expect("a folder for the charts");
    let mut page = introduction(python);
    for table in tables {
        page.push('\n');
        page.push_str(&table.markdown());
        draw(&charts, table);
    }
    page.push('\n');
    page.push_str(MISSED);
    fs::write(folder.join(PAGE), page).expect("the page");
    write_figures(&charts, &figures(tables));
}

/// Replaces the sections, charts and figures of these tables, which a run of some questions has, and keeps all others.
///
/// Each of these sections says when it was measured.
pub fn update(folder: &Path, tables: &[Table]) {
    let charts = folder.join("benchmarks");
    let mut page = fs::read_to_string(folder.join(PAGE)).expect("the page of a complete run");
    let figures = fs::read_to_string(charts.join(FIGURES)).expect("the figures of a complete run");
    let mut figures: Value = serde_json::from_str(&figures).expect("JSON");
    let (day, machine) = (today(), machine());
    for table in tables {
        let measured = format!("\n- Measured in a run of its own: {day}, {machine}.\n");
        replace_section(&mut page, &(table.markdown() + &measured));
        draw(&charts, table);
        let mut data = figures_of(table);
        data["day"] = json!(day);
        data["machine"] = json!(machine);
        figures["tables"][table.name] = data;
    }
    replace_section(&mut page, MISSED);
    fs::write(folder.join(PAGE), page).expect("the page");
    write_figures(&charts, &figures);
}

/// Puts a section in the place of the one with the same heading, or in front of the last one.
fn replace_section(page: &mut String, section: &str) {
    let heading = section.lines().next().unwrap_or_default();
    let begin = |heading: &str| page.find(&format!("\n{heading}\n")).map(|at| at + 1);
    let last = MISSED.lines().next().unwrap_or_default();
    let (begin, is_new) = match begin(heading) {
        Some(at) => (at, false),
        None => (begin(last).unwrap_or(page.len()), true),
    };
    let end = match page[begin..].find("\n## ") {
        _ if is_new => begin,
        Some(length) => begin + length + 1,
        None => page.len(),
    };
    let gap = if section == MISSED { "" } else { "\n" };
    page.replace_range(begin..end, &format!("{section}{gap}"));
}

fn draw(charts: &Path, table: &Table) {
    if !table.bars.is_empty() {
        let chart = charts.join(format!("{}.svg", table.name));
        fs::write(chart, table.svg()).expect("a chart");
    }
}

fn write_figures(charts: &Path, figures: &Value) {
    let data = serde_json::to_string_pretty(figures).expect("text and numbers");
    fs::write(charts.join(FIGURES), data + "\n").expect("the figures");
}

fn figures(tables: &[Table]) -> Value {
    let tables: Map<String, Value> = tables
        .iter()
        .map(|table| (table.name.to_owned(), figures_of(table)))
        .collect();
    json!({
        "day": today(),
        "machine": machine(),
        "link_time_optimization": IS_LINK_TIME_OPTIMIZED,
        "tables": tables,
    })
}

fn figures_of(table: &Table) -> Value {
    json!({"title": table.title, "columns": table.columns, "rows": table.rows})
}

fn introduction(python: &str) -> String {
    let mut page = String::from(
        "# Side by side\n\n\
         This page compares keyfob with the libraries that a program could use instead, in one run on one machine. All \
         sources and servers are on loopback. Ratios are medians of runs that alternate. Absolute times depend on this \
         machine at that time; compare only ratios.\n\n\
         `cargo xtask bench` repeats all measurements, and `cargo xtask bench read herd` repeats some; with `--page` they \
         replace their sections of this page. The names are \
         `read`, `request`, `herd`, `boundary`, `impatient`, `outage`, `python`, `start`, `users`, `fleet`, `proxy` and `build`. A complete \
         run takes most of an hour. Run it on a machine that does nothing else.\n\n",
    );
    let facts = [
        ("Day", today()),
        ("Machine", machine()),
        ("System", said("uname", &["-srm"])),
        ("Rust", said("rustc", &["--version"])),
        ("Build", build().to_owned()),
        ("Crates", crates()),
        (
            "Python",
            format!("{}; {python}", said("python3", &["--version"])),
        ),
    ];
    for (name, fact) in facts {
        let _ = writeln!(page, "- {name}: {fact}.");
    }
    page
}

fn build() -> &'static str {
    if IS_LINK_TIME_OPTIMIZED {
        "release, with link-time optimization"
    } else {
        "release, without link-time optimization"
    }
}

fn machine() -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or("unknown", |(_, model)| model);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    format!("{model}, {cores} processors, load {load} at the end")
}

/// The versions of the compared crates, from the lock file.
fn crates() -> String {
    let lock = include_str!("../Cargo.lock");
    let version = |name: &&str| {
        // If there are several versions, the newest one comes last.
        let (_, entry) = lock.rsplit_once(&format!("name = \"{name}\"\nversion = \""))?;
        let (version, _) = entry.split_once('"')?;
        Some(format!("{name} {version}"))
    };
    COMPARED
        .iter()
        .filter_map(version)
        .collect::<Vec<_>>()
        .join(", ")
}

fn today() -> String {
    said("date", &["-u", "+%Y-%m-%d"])
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

const PAGE: &str = "benchmarks.md";
const FIGURES: &str = "figures.json";
const MISSED: &str = include_str!("missed.md");

/// As `profile.release` in Cargo.toml has it: most programs are built without.
const IS_LINK_TIME_OPTIMIZED: bool = false;

const COMPARED: &[&str] = &[
    "hyper-util",
    "reqwest",
    "reqwest-middleware",
    "reqwest-retry",
    "google-cloud-auth",
    "azure_core",
    "aws-smithy-runtime",
    "object_store",
    "gcp_auth",
    "huskarl",
    "middle",
    "moka",
    "tokio",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_takes_the_place_of_the_one_with_its_heading_or_comes_before_the_last() {
        let last = MISSED.lines().next().unwrap();
        let mut page = format!("# Page\n\n## A\n\nold\n\n## B\n\nkept\n\n{last}\n\nold\n");
        replace_section(&mut page, "## A\n\nnew\n");
        replace_section(&mut page, "## C\n\nmore\n");
        replace_section(&mut page, MISSED);
        let expected = "# Page\n\n## A\n\nnew\n\n## B\n\nkept\n\n## C\n\nmore\n\n";
        assert_eq!(page, format!("{expected}{MISSED}"));
    }
}
