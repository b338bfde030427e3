//! Formats numbers for people.

/// A number with its significant digits.
pub fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// A time in a suitable unit.
pub fn time(seconds: f64) -> String {
    match seconds {
        s if s >= 1.0 => format!("{} s", figure(s)),
        s if s >= 1e-3 => format!("{} ms", figure(s * 1e3)),
        s if s >= 1e-6 => format!("{} µs", figure(s * 1e6)),
        s => format!("{:.0} ns", s * 1e9),
    }
}
