//! A chart of horizontal bars, as SVG. The scale is logarithmic if the longest bar would hide the others.

use std::fmt::Write;

use crate::figure::figure;

/// One bar. A bar without a length has a text instead.
#[derive(Clone)]
pub struct Bar {
    pub name: String,
    pub value: f64,
    pub label: String,
    /// Whether the bar is keyfob's, which has its own color.
    pub ours: bool,
}

impl Bar {
    pub fn new(name: impl Into<String>, value: f64, ours: bool) -> Self {
        Self {
            name: name.into(),
            value,
            label: figure(value),
            ours,
        }
    }

    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }
}

/// The chart of these bars.
pub fn chart(title: &str, measured: &str, bars: &[Bar]) -> String {
    let lengths = lengths(bars);
    let height = TOP + bars.len() as f64 * STEP + 16.0;
    let mut svg = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" font-family="Helvetica, Arial, sans-serif" font-size="13">
<title>{}</title>
{DARK}<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
<text x="12" y="24" font-size="15" font-weight="bold" fill="#1f2328">{}</text>
<text x="12" y="44" fill="#59636e">{}{}</text>
"##,
        escaped(title),
        escaped(title),
        escaped(measured),
        if is_logarithmic(bars) {
            "; logarithmic scale"
        } else {
            ""
        },
    );
    for (place, (bar, length)) in bars.iter().zip(lengths).enumerate() {
        let y = TOP + place as f64 * STEP;
        let colour = if bar.ours { OURS } else { OTHERS };
        let text = y + BAR / 2.0 + 4.5;
        let _ = writeln!(
            svg,
            r##"<text x="{}" y="{text}" text-anchor="end" fill="#1f2328">{}</text><rect x="{LEFT}" y="{y}" width="{length:.1}" height="{BAR}" rx="2" fill="{colour}"/><text x="{:.1}" y="{text}" fill="#1f2328">{}</text>"##,
            LEFT - 8.0,
            escaped(&bar.name),
            LEFT + length + 6.0,
            escaped(&bar.label),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn lengths(bars: &[Bar]) -> Vec<f64> {
    let (least, most) = range(bars);
    let room = WIDTH - LEFT - RIGHT;
    let length = |value: f64| match value {
        value if value <= 0.0 => 0.0,
        value if is_logarithmic(bars) => {
            // The shortest bar is visible too.
            room * ((value / least).ln() + 0.4) / ((most / least).ln() + 0.4)
        }
        value => room * value / most,
    };
    bars.iter().map(|bar| length(bar.value)).collect()
}

fn is_logarithmic(bars: &[Bar]) -> bool {
    let (least, most) = range(bars);
    most > 30.0 * least
}

/// The minimum and the maximum of the values that have a length.
fn range(bars: &[Bar]) -> (f64, f64) {
    let values = bars
        .iter()
        .map(|bar| bar.value)
        .filter(|value| *value > 0.0);
    values.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), value| {
        (least.min(value), most.max(value))
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// The colours where the reader's theme is dark.
const DARK: &str = "\
<style>
@media (prefers-color-scheme: dark) {
[fill=\"#ffffff\"] { fill: #161b22 }
[fill=\"#1f2328\"] { fill: #e6edf3 }
[fill=\"#59636e\"] { fill: #9da7b3 }
[fill=\"#1a7f37\"] { fill: #3fb950 }
[fill=\"#8c959f\"] { fill: #6e7681 }
}
</style>
";
const WIDTH: f64 = 760.0;
const LEFT: f64 = 230.0;
const RIGHT: f64 = 130.0;
const TOP: f64 = 58.0;
const STEP: f64 = 25.0;
const BAR: f64 = 17.0;
const OURS: &str = "#1a7f37";
const OTHERS: &str = "#8c959f";

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(values: [f64; 3]) -> Vec<Bar> {
        values.map(|value| Bar::new("x", value, false)).to_vec()
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_fit() {
        let lengths = lengths(&bars([1.0, 2.0, 4.0]));
        assert_eq!(lengths[1], 2.0 * lengths[0]);
        assert_eq!(lengths[2], WIDTH - LEFT - RIGHT);
    }

    #[test]
    fn a_wide_range_is_logarithmic_and_nothing_has_no_length() {
        let lengths = lengths(&bars([0.0, 1.0, 1e4]));
        assert_eq!(lengths[0], 0.0);
        assert!(lengths[1] > 0.0 && lengths[1] < lengths[2]);
        assert!(chart("a < b", "x", &bars([0.0, 1.0, 1e4])).contains("a &lt; b"));
    }
}
