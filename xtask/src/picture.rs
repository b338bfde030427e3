//! `cargo xtask picture`: draws `docs/architecture.svg` from its source, and `docs/demo.svg` from a run of the demo.
//!
//! The pictures are text, not pixels. Where a viewer shows animations, each line of the demo appears when it was printed;
//! elsewhere all lines are there from the start.

use std::fmt::Write;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::debian::install_debian_packages;
use crate::process::{Outcome, cargo, program, read, root, run, target};

/// A line of the terminal, and when it came.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    text: String,
    at: Duration,
}

/// Draws both pictures; fails if the demo broke a promise.
pub(crate) fn draw() -> Outcome {
    draw_architecture()?;
    let lines = record()?;
    write(PICTURE, &svg(&lines))?;
    println!("{PICTURE} has {} lines", lines.len());
    Ok(())
}

/// Has Graphviz draw the architecture. The picture holds its source, so that a test can compare them.
fn draw_architecture() -> Outcome {
    if !Path::new("/usr/bin/dot").exists() {
        install_debian_packages(&["graphviz"])?;
    }
    let source = fs::read_to_string(root().join(ARCHITECTURE).with_extension("dot"))
        .map_err(|error| format!("the source of {ARCHITECTURE} cannot be read: {error}"))?;
    let drawn = read(program("dot").args(["-Tsvg", "docs/architecture.dot"]))?;
    let (head, rest) = drawn
        .split_once("<g id=")
        .ok_or("Graphviz drew a picture of an unknown form")?;
    write(
        ARCHITECTURE,
        &format!("{head}<desc><![CDATA[\n{source}]]></desc>\n{ARCHITECTURE_STYLE}<g id={rest}"),
    )
}

fn write(path: &str, text: &str) -> Outcome {
    fs::write(root().join(path), text).map_err(|error| format!("{path} cannot be written: {error}"))
}

/// What the demo prints: how it goes to stderr, line by line, and the table to stdout at its end.
fn record() -> Result<Vec<Line>, String> {
    // Built first and run without cargo, whose own words are not part of the demo.
    run(&mut cargo(["build", "--quiet", "--release"]))?;
    let mut command = program(target().join("release/keyfob"));
    let started = command
        .arg("demo")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut demo = started.map_err(|error| format!("the demo cannot be started: {error}"))?;
    let broken = |error| format!("the demo cannot be read: {error}");
    let mut lines = vec![Line {
        text: SHOWN.to_owned(),
        at: Duration::ZERO,
    }];
    let mut start = None;
    if let Some(progress) = demo.stderr.take() {
        for text in BufReader::new(progress).lines() {
            let start = *start.get_or_insert_with(Instant::now);
            lines.push(Line {
                text: text.map_err(broken)?,
                at: start.elapsed(),
            });
        }
    }
    let end = start.map_or(Duration::ZERO, |start| start.elapsed());
    let mut table = String::new();
    if let Some(mut stdout) = demo.stdout.take() {
        stdout.read_to_string(&mut table).map_err(broken)?;
    }
    lines.extend(table.lines().map(|text| Line {
        text: text.to_owned(),
        at: end,
    }));
    let status = demo.wait().map_err(broken)?;
    if !status.success() {
        let printed: Vec<_> = lines.into_iter().map(|line| line.text).collect();
        return Err(format!(
            "the demo ended with {status}:\n{}",
            printed.join("\n")
        ));
    }
    Ok(lines)
}

fn svg(lines: &[Line]) -> String {
    let lines: Vec<Line> = lines.iter().flat_map(folded).collect();
    let height = TOP + ROW * lines.len() + MARGIN;
    let width = 2 * MARGIN + COLUMNS * COLUMN_TENTHS / 10;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
         role=\"img\" aria-label=\"What keyfob demo printed\">\n{STYLE}\
         <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#16181d\"/>\n"
    );
    for (row, line) in lines.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"{}\" xml:space=\"preserve\" style=\"animation-delay:{:.1}s\">{}</text>",
            TOP + ROW * row,
            line.at.as_secs_f32(),
            escaped(&line.text),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The line as a terminal of this width shows it, but cut between words.
fn folded(line: &Line) -> Vec<Line> {
    let mut rows = vec![String::new()];
    for word in line.text.split_inclusive(' ') {
        let row = rows.last_mut().expect("it began with one");
        if !row.is_empty() && row.chars().count() + word.trim_end().chars().count() > COLUMNS {
            rows.push(word.to_owned());
        } else {
            row.push_str(word);
        }
    }
    rows.into_iter()
        .map(|text| Line { text, at: line.at })
        .collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

const ARCHITECTURE: &str = "docs/architecture.svg";
/// Its colours where the reader's theme is dark.
const ARCHITECTURE_STYLE: &str = "\
<style>
text { fill: #24292f }
@media (prefers-color-scheme: dark) {
text, text[fill] { fill: #e6edf3 }
[fill=\"white\"] { fill: #0d1117 }
[fill=\"#ffffff\"] { fill: #161b22 }
[fill=\"#f6f8fa\"] { fill: #21262d }
[fill=\"#ddf4ff\"] { fill: #12304d }
[fill=\"#dafbe1\"] { fill: #12361f }
[stroke=\"#57606a\"] { stroke: #9da7b3 }
[fill=\"#57606a\"] { fill: #9da7b3 }
[stroke=\"#afb8c1\"] { stroke: #57606a }
}
</style>
";
const PICTURE: &str = "docs/demo.svg";
/// What a reader types for the same.
const SHOWN: &str = "$ cargo run --release -- demo";

const COLUMNS: usize = 88;
const COLUMN_TENTHS: usize = 84;
const ROW: usize = 20;
const TOP: usize = 32;
const MARGIN: usize = 18;

const STYLE: &str = "\
<style>
text { font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #d7dae0; white-space: pre }
text { animation: appear 0.1s both }
@keyframes appear { from { opacity: 0 } }
@media (prefers-reduced-motion: reduce) { text { animation: none } }
</style>
";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        Line {
            text: text.to_owned(),
            at: Duration::from_millis(1500),
        }
    }

    #[test]
    fn a_line_is_text_that_appears_in_its_time() {
        let svg = svg(&[line("a  <b> & c")]);
        assert!(
            svg.contains("animation-delay:1.5s\">a  &lt;b&gt; &amp; c</text>"),
            "{svg}"
        );
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn a_long_line_is_cut_between_words_and_loses_none() {
        let long = "twelve chars ".repeat(20);
        let rows = folded(&line(&long));
        assert!(rows.len() > 1);
        assert!(rows.iter().all(|row| row.text.trim_end().len() <= COLUMNS));
        assert_eq!(
            rows.iter().map(|row| row.text.as_str()).collect::<String>(),
            long
        );
        assert_eq!(folded(&line("  of these")), [line("  of these")]);
    }
}
