//! The cases, by group. Most are made in loops over the values that a promise names.

mod bodies;
mod bounds;
mod builders;
mod callers_things;
mod challenges;
mod hops;
mod origins;
mod proxies;
mod random;
mod redirects;
mod renewals;
mod responses;
mod retries;
mod targets;

use std::collections::BTreeMap;

use crate::case::Case;
pub use crate::corpus::random::random;

/// All cases.
#[must_use]
pub fn corpus() -> Vec<Case> {
    [
        origins::cases(),
        targets::cases(),
        redirects::cases(),
        hops::cases(),
        proxies::cases(),
        renewals::cases(),
        challenges::cases(),
        retries::cases(),
        bounds::cases(),
        bodies::cases(),
        responses::cases(),
        callers_things::cases(),
    ]
    .concat()
}

impl Case {
    /// The group and the name, as failures and exceptions name the case.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{}: {}", self.group, self.name)
    }

    /// The case with real origins and ports in place of `{name}` and `{name.port}`.
    ///
    /// # Panics
    ///
    /// If an origin has a character that JSON escapes.
    #[must_use]
    pub fn resolved(&self, origins: &BTreeMap<String, (String, u16)>) -> Self {
        let mut text = serde_json::to_string(self).expect("a case is JSON");
        for (name, (origin, port)) in origins {
            text = text
                .replace(&format!("{{{name}}}"), origin)
                .replace(&format!("{{{name}.port}}"), &port.to_string());
        }
        serde_json::from_str(&text).expect("an origin needs no escape in JSON")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_case_has_a_name_of_its_own_and_expects_something() {
        let mut titles = BTreeSet::new();
        for case in corpus() {
            assert!(!case.expect.is_empty(), "{}", case.title());
            assert!(titles.insert(case.title()), "{}", case.title());
        }
    }

    #[test]
    fn a_case_survives_json() {
        for case in corpus() {
            let text = serde_json::to_string(&case).unwrap();
            assert_eq!(serde_json::from_str::<Case>(&text).unwrap(), case);
        }
    }

    #[test]
    fn a_seed_gives_the_same_random_cases() {
        assert_eq!(random(7, 4), random(7, 4));
        assert_ne!(random(7, 4)[0].requests, random(8, 4)[0].requests);
    }

    #[test]
    fn placeholders_become_origins_and_ports() {
        let origins = BTreeMap::from([("a".to_owned(), ("http://127.0.0.1:7".to_owned(), 7))]);
        for case in corpus() {
            let text = serde_json::to_string(&case.resolved(&origins)).unwrap();
            assert!(
                !text.contains("{a}") && !text.contains("{a.port}"),
                "{text}"
            );
        }
    }
}
