//! Durations, as an error may show them.

use std::time::Duration;

/// A duration as people write it: `200 ms`, `1.5 s`, `30 s`, `5 min`, `2 h`.
///
/// The value stays exact down to a millisecond, because it is often a setting that the reader looks for.
pub(crate) fn shown_duration(time: Duration) -> String {
    let (seconds, milliseconds) = (time.as_secs(), time.subsec_millis());
    match (seconds, milliseconds) {
        (0, 0) if !time.is_zero() => "less than 1 ms".to_owned(),
        (0, 1..) => format!("{milliseconds} ms"),
        (_, 1..) => {
            let fraction = format!("{milliseconds:03}");
            format!("{seconds}.{} s", fraction.trim_end_matches('0'))
        }
        (7_200.., 0) if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        (120.., 0) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        (_, 0) => format!("{seconds} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_one_unit_and_its_exact_value() {
        for (milliseconds, text) in [
            (0, "0 s"),
            (200, "200 ms"),
            (1_000, "1 s"),
            (1_050, "1.05 s"),
            (90_000, "90 s"),
            (119_500, "119.5 s"),
            (300_000, "5 min"),
            (301_000, "301 s"),
            (7_200_000, "2 h"),
        ] {
            assert_eq!(shown_duration(Duration::from_millis(milliseconds)), text);
        }
        assert_eq!(shown_duration(Duration::from_nanos(1)), "less than 1 ms");
    }
}
