//! `cargo xtask picture`: draws `docs/architecture.svg` from its source, and `docs/demo.svg` from a run of the demo.
//!
//! The pictures are drawings, not pixels, and follow the reader's theme.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::debian::install_debian_packages;
use crate::process::{Outcome, cargo, program, read, root, run, target};

/// Draws both pictures; fails if the demo broke a promise.
pub(crate) fn draw() -> Outcome {
    draw_architecture()?;
    let data = run_demo()?;
    write(PICTURE, &svg(&data)?)
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

/// Runs the demo, and returns what it counted.
fn run_demo() -> Result<Value, String> {
    // Built first and run without cargo, whose own words are not part of the demo.
    run(&mut cargo(["build", "--quiet", "--release"]))?;
    let printed = read(program(target().join("release/keyfob")).args(["demo", "--json"]))?;
    serde_json::from_str(&printed).map_err(|error| format!("the demo printed no JSON: {error}"))
}

/// Two charts over the same seconds, one for each client, with the lives of its tokens below.
fn svg(data: &Value) -> Result<String, String> {
    let (plain, keyfob) = (Side::read(data, "plain")?, Side::read(data, "keyfob")?);
    let samples = plain.samples.len();
    let most = [&plain, &keyfob].into_iter().flat_map(|side| &side.samples);
    // What came in the last sample may be of more than a tenth of a second.
    let most = most.map(|sample| sample[0] + sample[2]).fold(1.0, f64::max);
    let scale = Scale {
        of_time: (WIDTH - LEFT - RIGHT) / (samples as f64 / 10.0),
        of_count: PLOT / most,
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\">\n\
         <title>A plain client and keyfob with the same workers and faults: {} and {} requests fail, {} and {} wait for a token</title>\n\
         {STYLE}{LEGEND}",
        plain.sum(1),
        keyfob.sum(1),
        plain.sum(2),
        keyfob.sum(2),
    );
    plain.draw(&mut svg, "a plain client", TOP, &scale);
    keyfob.draw(&mut svg, "keyfob", TOP + PANEL, &scale);
    for second in (0..=samples / 10).step_by(2) {
        let x = LEFT + second as f64 * scale.of_time;
        // Writing to a string cannot fail.
        let _ = writeln!(
            svg,
            "<text class=\"soft\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{second} s</text>",
            HEIGHT - 10.0
        );
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Pixels for a second and for a request.
struct Scale {
    of_time: f64,
    of_count: f64,
}

/// What the demo counted for one client.
struct Side {
    /// Requests, failures, delays and issuer calls in each tenth of a second.
    samples: Vec<[f64; 4]>,
    /// From when until when each token could be used, in seconds, and whether it was revoked.
    tokens: Vec<(f64, f64, bool)>,
}

impl Side {
    fn read(data: &Value, name: &str) -> Result<Self, String> {
        let rows = |what: &str| {
            let rows = data[name][what].as_array();
            rows.ok_or_else(|| format!("the demo printed no `{what}` of {name}"))
        };
        let number = |cell: &Value| cell.as_f64().unwrap_or_default();
        let samples = rows("samples")?;
        let tokens = rows("tokens")?;
        Ok(Self {
            samples: samples
                .iter()
                .map(|row| [0, 1, 2, 3].map(|at| number(&row[at])))
                .collect(),
            tokens: tokens
                .iter()
                .map(|row| (number(&row[0]), number(&row[1]), row[2] == true))
                .collect(),
        })
    }

    fn sum(&self, column: usize) -> f64 {
        self.samples.iter().map(|sample| sample[column]).sum()
    }

    fn draw(&self, svg: &mut String, name: &str, top: f64, scale: &Scale) {
        let base = top + PLOT;
        let right = WIDTH - RIGHT;
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"{LEFT}\" y=\"{:.1}\">{name}</text>\
             <text class=\"soft\" x=\"{right}\" y=\"{:.1}\" text-anchor=\"end\">{} fail, {} wait, {} calls to the issuer</text>\
             <path class=\"axis\" d=\"M{LEFT} {base} H{right}\"/>",
            top - 8.0,
            top - 8.0,
            self.sum(1),
            self.sum(2),
            self.sum(3),
        );
        let width = scale.of_time / 10.0;
        for (at, [requests, failed, delayed, _]) in self.samples.iter().enumerate() {
            let x = LEFT + at as f64 * width;
            let mut y = base;
            for (class, count) in [
                ("good", requests - failed),
                ("bad", *failed),
                ("late", *delayed),
            ] {
                let height = count * scale.of_count;
                y -= height;
                if height > 0.0 {
                    let _ = writeln!(
                        svg,
                        "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                        width - 0.8
                    );
                }
            }
        }
        let _ = writeln!(
            svg,
            "<text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">tokens</text>",
            LEFT - 8.0,
            base + 20.0
        );
        let end = self.samples.len() as f64 / 10.0;
        for (index, (from, until, is_revoked)) in self.tokens.iter().enumerate() {
            // Two lanes, because a token is renewed before the last one expires.
            let y = base + 9.0 + (index % 2) as f64 * 9.0;
            let x = LEFT + from.max(0.0) * scale.of_time;
            let width = (until.min(end) - from.max(0.0)).max(0.0) * scale.of_time;
            let class = if *is_revoked { "life revoked" } else { "life" };
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"7\" rx=\"2\"/>"
            );
        }
    }
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

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 400.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 76.0;
const PLOT: f64 = 100.0;
const PANEL: f64 = 168.0;

const STYLE: &str = "\
<style>
:root { --ink: #1f2328; --soft: #59636e; --axis: #818b98; --good: #2f81c7; --bad: #d1242f; --late: #d4a017; --life: #8c959f }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9da7b3; --axis: #7d8590; --good: #58a6ff; --bad: #ff6b62; --late: #e3b341; --life: #6e7681 } }
text { font: 13px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: var(--ink) }
.name { font-weight: 600; font-size: 15px }
.soft { fill: var(--soft) }
.axis { stroke: var(--axis); stroke-width: 1 }
.good { fill: var(--good) } .bad { fill: var(--bad) } .late { fill: var(--late) }
.life { fill: var(--life) } .revoked { stroke: var(--bad); stroke-width: 1.5 }
</style>
";
const LEGEND: &str = "\
<rect class=\"good\" x=\"64\" y=\"12\" width=\"12\" height=\"12\"/><text x=\"82\" y=\"23\">succeed</text>
<rect class=\"bad\" x=\"160\" y=\"12\" width=\"12\" height=\"12\"/><text x=\"178\" y=\"23\">fail</text>
<rect class=\"late\" x=\"226\" y=\"12\" width=\"12\" height=\"12\"/><text x=\"244\" y=\"23\">wait for a token</text>
<rect class=\"life\" x=\"392\" y=\"14\" width=\"24\" height=\"8\" rx=\"2\"/><text x=\"422\" y=\"23\">a token is valid</text>
<rect class=\"life revoked\" x=\"548\" y=\"14\" width=\"24\" height=\"8\" rx=\"2\"/><text x=\"578\" y=\"23\">until revoked</text>
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_has_what_the_demo_counted() {
        let side = |failed| {
            serde_json::json!({
                "samples": [[10, failed, 0, 1], [12, 0, 3, 0]],
                "tokens": [[-0.2, 0.1, true], [0.1, 3.0, false]],
            })
        };
        let data = serde_json::json!({"plain": side(2), "keyfob": side(0)});
        let svg = svg(&data).unwrap();
        assert!(svg.contains("2 and 0 requests fail, 3 and 3 wait"), "{svg}");
        // One in the legend, and one in the chart of the plain client.
        assert_eq!(svg.matches("class=\"bad\"").count(), 2);
        assert_eq!(svg.matches("class=\"life revoked\"").count(), 3);
        assert!(super::svg(&serde_json::json!({})).is_err());
    }
}
