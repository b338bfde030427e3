//! A line at the terminal for each request that will be sent again.

use std::fmt::Debug;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::output::print::print_notice;

/// Reads the library's event about a retry, and prints it for a person.
pub(crate) struct Retries;

impl<S: Subscriber> Layer<S> for Retries {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut retry = Retry::default();
        event.record(&mut retry);
        if retry.attempts > 0 {
            print_notice(format!("keyfob: {}\n", retry.line()));
        }
    }
}

/// The fields of the event. Other events have no `attempts`.
#[derive(Default)]
struct Retry {
    status: Option<u64>,
    cause: String,
    pause: String,
    attempt: u64,
    attempts: u64,
}

impl Retry {
    fn line(&self) -> String {
        let why = match (self.status, &*self.cause) {
            (Some(status), _) => status.to_string(),
            (None, "connect") => "no connection".to_owned(),
            (None, cause) => cause.to_owned(),
        };
        let (pause, attempt, attempts) = (shortened(&self.pause), self.attempt, self.attempts);
        format!("{why}, trying again in {pause} ({attempt} of {attempts})")
    }
}

impl Visit for Retry {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "status" => self.status = Some(value),
            "attempt" => self.attempt = value,
            "attempts" => self.attempts = value,
            _ => {}
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "cause" {
            self.cause = value.to_owned();
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if field.name() == "pause" {
            self.pause = format!("{value:?}");
        }
    }
}

/// A duration such as `1.234567s` with one digit after the point, and a space before its unit.
fn shortened(duration: &str) -> String {
    let unit = duration.find(|c: char| !(c.is_ascii_digit() || c == '.'));
    let (number, unit) = duration.split_at(unit.unwrap_or(duration.len()));
    match (number.parse::<f64>(), unit) {
        (Ok(number), "s") if number >= 10.0 => format!("{number:.0} s"),
        (Ok(number), "s") => format!("{} s", format!("{number:.1}").trim_end_matches(".0")),
        (Ok(number), unit) => format!("{number:.0} {unit}"),
        (Err(_), _) => duration.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_short_to_read() {
        for (pause, shown) in [
            ("2s", "2 s"),
            ("1.234567s", "1.2 s"),
            ("1.98s", "2 s"),
            ("12.3s", "12 s"),
            ("345.678ms", "346 ms"),
            ("12.5µs", "12 µs"),
        ] {
            assert_eq!(shortened(pause), shown);
        }
    }
}
