//! The figures that pages state are those of docs/benchmarks/figures.json, which `cargo xtask bench` writes.

use serde_json::Value;

use crate::{fail_on, read, root};

/// The tables of one run of the benchmarks.
struct Figures(Value);

impl Figures {
    fn read() -> Self {
        let text = read(&root().join("docs/benchmarks/figures.json"));
        Self(serde_json::from_str(&text).expect("figures.json is JSON"))
    }

    /// The cell of a table. The row is named by its first cells, the column by its head.
    fn of(&self, table: &str, row: &[&str], column: &str) -> String {
        let table = &self.0["tables"][table];
        let columns = table["columns"].as_array().expect("a known table");
        let column = columns.iter().position(|head| head == column);
        let rows = table["rows"].as_array().expect("a known table");
        let mut rows = rows.iter().filter_map(Value::as_array);
        let found = rows.find(|cells| row.iter().zip(*cells).all(|(name, cell)| cell == name));
        let cell = &found.expect("a known row")[column.expect("a known column")];
        cell.as_str().expect("cells are text").to_owned()
    }

    fn build(&self) -> &'static str {
        if self.0["link_time_optimization"] == true {
            "with link-time optimization"
        } else {
            "without link-time optimization"
        }
    }
}

#[test]
fn the_page_of_the_comparison_has_the_figures_of_the_data() {
    let (figures, page) = (Figures::read(), read(&root().join("docs/benchmarks.md")));
    let tables = figures.0["tables"].as_object().expect("tables by name");
    let mut rows: Vec<String> = tables
        .values()
        .flat_map(|table| table["rows"].as_array().expect("each table has rows"))
        .map(|row| {
            let cells = row
                .as_array()
                .expect("cells")
                .iter()
                .filter_map(Value::as_str);
            format!("| {} |", cells.collect::<Vec<_>>().join(" | "))
        })
        .collect();
    rows.retain(|row| !page.contains(row));
    fail_on("docs/benchmarks.md lacks", &rows);
    assert!(page.contains(&format!("- Build: release, {}.", figures.build())));
}

#[test]
fn the_readme_states_the_figures_of_the_comparison_and_no_others() {
    let figures = Figures::read();
    let read = |row| figures.of("cached-read", &[row], "one thread");
    let boundary = |column| figures.of("expiry-boundary", &["keyfob, async"], column);
    let cpu = |kind| figures.of("request", &["keyfob, async", kind], "CPU to reqwest");
    let mut cpu = ["HTTP/1.1, 1", "HTTP/1.1, 64", "HTTP/2, 1", "HTTP/2, 64"].map(cpu);
    cpu.sort();
    let python = figures.of("python-request", &["keyfob session"], "CPU to requests");
    states(
        "README.md",
        "## Speed",
        &[
            format!("Built {};", figures.build()),
            format!("takes {} of the time of a load", read("keyfob, header()")),
            "Tokens that live for 3 s, 2,000 reads a second".to_owned(),
            format!("{} of the reads wait", boundary("delayed")),
            format!("99.9 % take less than {}", boundary("p99.9")),
            format!("takes {} to {} times the CPU", cpu[0], cpu[3]),
            format!("in Python, {python} times"),
        ],
    );
}

#[test]
fn the_page_on_other_libraries_states_the_figures_of_the_comparison_and_no_others() {
    let figures = Figures::read();
    let herd = |row| figures.of("python-herd", &[row], "calls to the hook");
    let failing = |row| figures.of("failing-herd", &[row, "100"], "calls to the source");
    let outage = |row| figures.of("outage", &[row], "p50");
    let delayed = |row| figures.of("expiry-boundary", &[row], "delayed");
    let impatient = |row| figures.of("impatient", &[row], "first token after");
    let late = |row| figures.of("late-401s", &[row, "over 200 ms"], "renewals");
    for row in [
        "azure_core",
        "aws-smithy-runtime",
        "object_store",
        "gcp_auth",
        "huskarl",
    ] {
        assert_eq!(impatient(row), "never", "{row}");
    }
    states(
        "docs/explanation/other-libraries.md",
        "# What other libraries do",
        &[
            format!("built {};", figures.build()),
            format!(
                "200 threads on an expired token: google-auth makes {} calls, authlib {}, keyfob {}",
                herd("google-auth"),
                herd("authlib"),
                herd("keyfob")
            ),
            format!(
                "100 callers on a source that fails: azure_core makes {} calls, aws-smithy-runtime {}, object_store {}, \
                 gcp_auth {} in the 10 s of the test; keyfob makes {}",
                failing("azure_core"),
                failing("aws-smithy-runtime"),
                failing("object_store"),
                failing("gcp_auth"),
                failing("keyfob, async")
            ),
            format!(
                "azure_core {}, aws-smithy-runtime {}, object_store {}, gcp_auth {}; keyfob {}",
                outage("azure_core"),
                outage("aws-smithy-runtime"),
                outage("object_store"),
                outage("gcp_auth"),
                outage("keyfob, async")
            ),
            format!(
                "tokens of 3 s, reads that wait: google-cloud-auth {}, azure_core {}, object_store {}; keyfob {}",
                delayed("google-cloud-auth"),
                delayed("azure_core"),
                delayed("object_store"),
                delayed("keyfob, async")
            ),
            format!(
                "get a token never; keyfob after {}",
                impatient("keyfob, async")
            ),
            format!(
                "azure_core renews {} times, huskarl {} times; keyfob {} time",
                late("azure_core"),
                late("huskarl"),
                late("keyfob, async")
            ),
        ],
    );
}

#[test]
fn the_readme_of_the_python_package_states_the_figures_of_the_comparison() {
    let figures = Figures::read();
    let read = |row| figures.of("python-read", &[row], "to the reference's shape");
    states(
        "crates/keyfob-python/README.md",
        "## Speed",
        &[
            format!("| {} |", read("keyfob, get_valid_token()")),
            format!("| {} |", read("keyfob, request_headers")),
            format!(
                "| {} |",
                figures.of("python-request", &["keyfob session"], "CPU to requests")
            ),
            format!(
                "200 threads without a token: the time until the last one has it, compared to the time of the hook | {}, and one call |",
                figures.of("python-herd", &["keyfob"], "last")
            ),
        ],
    );
}

/// The section states each of these, and has no other number.
#[track_caller]
fn states(path: &str, heading: &str, facts: &[String]) {
    let page = read(&root().join(path));
    let section = page
        .split_once(&format!("{heading}\n"))
        .expect("the section")
        .1;
    let section = section.split("\n## ").next().unwrap_or(section);
    let mut rest = section.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut faults = Vec::new();
    for fact in facts {
        if rest.contains(fact) {
            rest = rest.replace(fact, "…");
        } else {
            faults.push(format!("it does not say {fact:?}"));
        }
    }
    let numbers = rest
        .split([' ', '|', '(', ')', ',', ';', ':'])
        .filter(|word| {
            // Names such as T1, 401 and oauth2 are no figures.
            word.starts_with(|first: char| first.is_ascii_digit()) && *word != "401s"
        });
    faults.extend(numbers.map(|number| format!("{number} is not from figures.json")));
    fail_on(path, &faults);
}
