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
        if !table.bars.is_empty() {
            let chart = charts.join(format!("{}.svg", table.name));
            fs::write(chart, table.svg()).expect("a chart");
        }
    }
    page.push('\n');
    page.push_str(include_str!("missed.md"));
    fs::write(folder.join("benchmarks.md"), page).expect("the page");
    let data = serde_json::to_string_pretty(&figures(tables)).expect("text and numbers");
    fs::write(charts.join("figures.json"), data + "\n").expect("the figures");
}

fn figures(tables: &[Table]) -> Value {
    let tables: Map<String, Value> = tables
        .iter()
        .map(|table| {
            let data = json!({"title": table.title, "columns": table.columns, "rows": table.rows});
            (table.name.to_owned(), data)
        })
        .collect();
    json!({
        "day": today(),
        "machine": machine(),
        "link_time_optimization": IS_LINK_TIME_OPTIMIZED,
        "tables": tables,
    })
}

fn introduction(python: &str) -> String {
    let mut page = String::from(
        "# Side by side\n\n\
         This page compares keyfob with the libraries that a program could use instead, in one run on one machine. All \
         sources and servers are on loopback. Ratios are medians of runs that alternate. Absolute times depend on this \
         machine at that time; compare only ratios.\n\n\
         `cargo xtask bench` repeats all measurements, and `cargo xtask bench read herd` repeats some. The names are \
         `read`, `request`, `herd`, `boundary`, `impatient`, `outage`, `python`, `start`, `proxy` and `build`. A complete run \
         takes most of an hour. Run it on a machine that does nothing else.\n\n",
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
    "tokio",
];
