//! docs/reference/observability.md lists every log event and every metric of the library, and no other.

use std::collections::BTreeSet;

/// The events of a source file, as `level | message`.
pub(crate) fn events(source: &str) -> BTreeSet<String> {
    let calls = source.split("tracing::").skip(1);
    calls.filter_map(event).collect()
}

fn event(call: &str) -> Option<String> {
    let (level, arguments) = call.split_once("!(")?;
    if !LEVELS.contains(&level) {
        return None;
    }
    // The message is the last text before the call ends.
    let (arguments, _) = arguments
        .split_once(");")
        .or_else(|| arguments.split_once(")\n"))?;
    let message = arguments.rsplit('"').nth(1)?;
    let lines = message.split("\\\n").map(str::trim_start);
    Some(format!("{level} | {}", lines.collect::<String>()))
}

/// The names of the metrics in a source file.
pub(crate) fn metrics(source: &str) -> BTreeSet<String> {
    let texts = source.split('"').skip(1).step_by(2);
    let names = texts.filter(|text| text.starts_with("keyfob_") && text.len() > "keyfob_".len());
    names
        .filter(|name| {
            ENDINGS.iter().any(|ending| name.ends_with(ending))
                || BEGINNINGS
                    .iter()
                    .any(|beginning| name.starts_with(beginning))
        })
        .map(str::to_owned)
        .collect()
}

/// What the page lists and the sources lack, and the other way round. A message on the page may end in `…`.
pub(crate) fn faults(
    page: &str,
    events: &BTreeSet<String>,
    metrics: &BTreeSet<String>,
) -> Vec<String> {
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches(['|', ' ']).split(" | ").collect())
        .collect();
    let is_listed = |event: &&String| {
        rows.iter().any(|row| match row.as_slice() {
            [level, message, ..] => covers(level, message.trim_end_matches(" |"), event),
            _ => false,
        })
    };
    let mut faults: Vec<String> = events
        .iter()
        .filter(|event| !is_listed(event))
        .map(|event| format!("not on the page: {event}"))
        .collect();
    for row in rows.iter().filter(|row| LEVELS.contains(&row[0])) {
        let message = row
            .get(1)
            .copied()
            .unwrap_or_default()
            .trim_end_matches(" |");
        if !events.iter().any(|event| covers(row[0], message, event)) {
            faults.push(format!("only on the page: {} | {message}", row[0]));
        }
    }
    let listed: BTreeSet<String> = rows
        .iter()
        .map(|row| row[0].trim_matches('`').to_owned())
        .collect();
    let unlisted = metrics.difference(&listed);
    faults.extend(unlisted.map(|name| format!("not on the page: {name}")));
    let unknown = listed
        .iter()
        .filter(|name| name.starts_with("keyfob_") && !metrics.contains(*name));
    faults.extend(unknown.map(|name| format!("only on the page: {name}")));
    faults
}

fn covers(level: &str, message: &str, event: &str) -> bool {
    let row = format!("{level} | {message}");
    match row.strip_suffix('…') {
        Some(beginning) => event.starts_with(beginning.trim_end()),
        None => event == row,
    }
}

/// How the name of a metric begins or ends.
const ENDINGS: [&str; 2] = ["_total", "_seconds"];
const BEGINNINGS: [&str; 2] = ["keyfob_pool_", "keyfob_proxy_"];

const LEVELS: [&str; 4] = ["error", "warn", "info", "debug"];

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "
        tracing::debug!(target: \"keyfob\", reason, \"token renewed\");
        tracing::warn!(target: \"keyfob\", %error, \"the file is readable \\\n            by all\");
        counter!(\"keyfob_renewals_total\", \"reason\" => reason).increment(1);";

    fn faults_of(page: &str) -> Vec<String> {
        faults(page, &events(SOURCE), &metrics(SOURCE))
    }

    #[test]
    fn a_page_that_lists_everything_is_complete() {
        let page = "| debug | token renewed | `reason` |\n| warn | the file is … | |\n| `keyfob_renewals_total` | x |\n";
        assert_eq!(faults_of(page), [""; 0]);
    }

    #[test]
    fn what_is_missing_or_gone_is_found() {
        let page = "| debug | token fetched | |\n| warn | the file is readable by all | |\n| `keyfob_gone_total` | |\n";
        assert_eq!(
            faults_of(page),
            [
                "not on the page: debug | token renewed",
                "only on the page: debug | token fetched",
                "not on the page: keyfob_renewals_total",
                "only on the page: keyfob_gone_total",
            ]
        );
    }
}
