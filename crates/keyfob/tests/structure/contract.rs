//! docs/reference/contract.md against the tests: each promise has tests whose names begin with its identifier, and each test that the
//! page names exists.

use std::collections::BTreeSet;

/// Where the page and the tests disagree.
pub(crate) fn faults(page: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let sections = sections(page);
    let mut faults: Vec<_> = PROMISES
        .iter()
        .filter(|promise| sections.iter().all(|section| section.promise != **promise))
        .map(|promise| format!("no section is headed `## {promise} …`"))
        .collect();
    for section in &sections {
        faults.extend(section.faults(tests));
    }
    faults.extend(
        tests
            .iter()
            .filter(|test| looks_like_a_proof(test) && promise_of(test).is_none())
            .map(|test| format!("the test `{test}` is named after no promise")),
    );
    faults
}

/// The names of the functions of a source file that are tests.
pub(crate) fn tests_in(source: &str) -> BTreeSet<String> {
    let mut tests = BTreeSet::new();
    let mut is_test = false;
    for line in source.lines() {
        is_test |= line.contains("test]") || line.contains("::test(");
        let Some((_, rest)) = line.split_once("fn ") else {
            continue;
        };
        let name = rest.split(['(', '<']).next().unwrap_or_default();
        if std::mem::take(&mut is_test) {
            tests.insert(name.to_owned());
        }
    }
    tests
}

/// What the page says of one promise.
struct Section<'a> {
    promise: &'a str,
    is_kept: bool,
    proofs: Vec<&'a str>,
}

impl Section<'_> {
    fn faults(&self, tests: &BTreeSet<String>) -> Vec<String> {
        let promise = self.promise;
        if !PROMISES.contains(&promise) {
            return vec![format!("`{promise}` is not a promise")];
        }
        let mut faults: Vec<_> = self
            .proofs
            .iter()
            .filter(|proof| !tests.contains(**proof))
            .map(|proof| format!("{promise} names the test `{proof}`, which does not exist"))
            .collect();
        let has_test = tests.iter().any(|test| promise_of(test) == Some(promise));
        let names_own = self
            .proofs
            .iter()
            .any(|proof| promise_of(proof) == Some(promise));
        match (self.is_kept, has_test) {
            (true, false) => faults.push(format!("{promise} has no test of its own name")),
            (false, true) => faults.push(format!("{promise} is not yet kept, but has tests")),
            (true, true) if !names_own => {
                faults.push(format!("{promise} names no test of its own"))
            }
            _ => {}
        }
        faults
    }
}

fn sections(page: &str) -> Vec<Section<'_>> {
    let bodies = page.split("\n## ").skip(1);
    bodies
        .map(|body| Section {
            promise: body.split(' ').next().unwrap_or_default(),
            is_kept: !body.contains("Not yet kept"),
            proofs: body
                .split("\n\n")
                .filter(|paragraph| paragraph.starts_with("Proved by "))
                .flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2))
                .collect(),
        })
        .collect()
}

/// The promise whose identifier begins the name of a test.
fn promise_of(test: &str) -> Option<&'static str> {
    let prefix = test.split('_').next()?;
    PROMISES
        .into_iter()
        .find(|promise| promise.eq_ignore_ascii_case(prefix))
}

/// Whether a name begins with a letter of the contract and a number.
fn looks_like_a_proof(test: &str) -> bool {
    let prefix = test.split('_').next().unwrap_or_default();
    let number = prefix.strip_prefix(['t', 'r', 's']).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Every identifier of the contract.
const PROMISES: [&str; 30] = [
    "T1", "T2", "T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10", "R1", "R2", "R3", "R4", "R5",
    "R6", "R7", "R8", "R9", "S1", "S2", "S3", "P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn tests(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    /// The faults of a page with this one section, without those about sections that are not there.
    fn faults_of(section: &str, names: &[&str]) -> Vec<String> {
        let faults = faults(&format!("# Page\n\n## {section}\n"), &tests(names));
        faults
            .into_iter()
            .filter(|fault| !fault.starts_with("no section"))
            .collect()
    }

    #[test]
    fn a_promise_with_a_test_that_exists_is_kept() {
        let section = "R4 Safe\n\nWords, `r4_not_a_name`.\n\nProved by `r4_is_safe`,\n`another`.";
        assert_eq!(faults_of(section, &["r4_is_safe", "another"]), [""; 0]);
    }

    #[test]
    fn a_promise_without_a_test_is_not() {
        let faults = faults_of("R4 Safe\n\nProved by `another`.", &["another", "r40_x"]);
        assert_eq!(
            faults,
            [
                "R4 has no test of its own name",
                "the test `r40_x` is named after no promise"
            ]
        );
    }

    #[test]
    fn a_test_that_does_not_exist_is_found() {
        let faults = faults_of("R4 Safe\n\nProved by `r4_gone`.", &["r4_is_safe"]);
        assert_eq!(
            faults,
            ["R4 names the test `r4_gone`, which does not exist"]
        );
    }

    #[test]
    fn a_promise_names_a_test_of_its_own() {
        let faults = faults_of("R4 Safe\n\nProved by `another`.", &["r4_x", "another"]);
        assert_eq!(faults, ["R4 names no test of its own"]);
    }

    #[test]
    fn what_is_not_yet_kept_has_no_test() {
        assert_eq!(faults_of("T9 Crash\n\nNot yet kept: why.", &[]), [""; 0]);
        assert_eq!(
            faults_of("T9 Crash\n\nNot yet kept: why.", &["t9_survives"]),
            ["T9 is not yet kept, but has tests"]
        );
    }

    #[test]
    fn a_promise_that_is_gone_is_missed() {
        assert!(faults("# Page\n", &tests(&[])).contains(&"no section is headed `## S3 …`".into()));
    }

    #[test]
    fn only_functions_with_a_test_attribute_are_tests() {
        let source = "
            #[test]
            fn one() {}
            #[tokio::test(flavor = \"x\")]
            async fn two() {}
            fn helper() {}
            proptest! {
                #[test]
                fn three(a in 0..1) {}
            }";
        assert_eq!(tests_in(source), tests(&["one", "two", "three"]));
    }
}
