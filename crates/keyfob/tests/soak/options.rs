//! How long the soak is.

use std::time::Duration;

/// How long the soak is, and with which stores.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) processes: usize,
    pub(crate) lifetimes: u32,
    pub(crate) lifetime: Duration,
    pub(crate) kill_every: Duration,
    /// How often the server of a store is killed, if another takes over or it keeps its data.
    pub(crate) server_fault_every: Duration,
    pub(crate) stores: Vec<String>,
}

/// A token is renewed once, when a quarter to a third of its lifetime is left.
pub(crate) fn most_exchanges(lifetimes: u32) -> u32 {
    (lifetimes + 1) * 2
}

impl Options {
    /// The maximum length of the soak, if no process was killed during an exchange before.
    pub(crate) fn lifetimes_at_most(&self) -> u32 {
        self.lifetimes * 2
    }

    /// The short variant, changed by arguments such as `--processes 50 --lifetimes 20 --lifetime 3 --store file`.
    ///
    /// Unknown arguments are ignored: they may be meant for the test harness of other tests.
    pub(crate) fn parse(arguments: &[String]) -> Self {
        let value = |name: &str| {
            let at = arguments.iter().rposition(|argument| argument == name)?;
            arguments.get(at + 1)
        };
        let number = |name: &str, usual: u32| {
            value(name).map_or(usual, |text| text.parse().expect("a number"))
        };
        Self {
            processes: number("--processes", 8) as usize,
            lifetimes: number("--lifetimes", 3),
            lifetime: Duration::from_secs(number("--lifetime", 6).into()),
            kill_every: Duration::from_millis(number("--kill-every-ms", 500).into()),
            server_fault_every: Duration::from_secs(number("--server-fault-every", 5).into()),
            stores: stores(arguments),
        }
    }
}

/// The stores that are named, such as `--postgres`, `--sentinel` or `--store postgres`, or else those that the gate runs.
fn stores(arguments: &[String]) -> Vec<String> {
    let words = arguments.iter().map(|word| word.trim_start_matches("--"));
    let named: Vec<_> = words.filter_map(store).collect();
    let chosen = match named.is_empty() {
        true => SHORT.to_vec(),
        false => named,
    };
    chosen.into_iter().map(str::to_owned).collect()
}

/// The store of this name, with or without the name of the program before it.
fn store(word: &str) -> Option<&'static str> {
    let mut stores = STORES.into_iter();
    stores.find(|store| *store == word || store.strip_prefix("redis-") == Some(word))
}

const STORES: [&str; 5] = [
    "file",
    "redis",
    "postgres",
    "redis-cluster",
    "redis-sentinel",
];

/// Without those whose failovers take longer than the short variant.
const SHORT: [&str; 3] = ["file", "redis", "postgres"];
