//! Where a profile's token outlives the process.

use std::path::PathBuf;

use crate::profile::reference::anchored;
use crate::profile::table::Table;
use crate::profile::table::Value;

/// The store of a profile.
#[derive(Debug, Default)]
pub(crate) enum StoreChoice {
    /// As is usual for the source: none for a place that keeps the token anyway, else the usual directory.
    #[default]
    Usual,
    /// The process alone.
    Memory,
    /// Files in this directory, or in the usual one.
    File(Option<PathBuf>),
}

#[derive(Clone, Copy)]
enum Name {
    Memory,
    File,
}

/// Reads `store = "memory"`, or the table `[profiles.name.store]`.
pub(super) fn read(value: Value<'_>) -> Option<StoreChoice> {
    if !value.is_table() {
        return Some(match value.one_of("store", &NAMES)? {
            Name::Memory => StoreChoice::Memory,
            Name::File => StoreChoice::File(None),
        });
    }
    let table = value.table()?;
    let choice = read_table(&table);
    table.close(&KEYS);
    choice
}

fn read_table(table: &Table<'_>) -> Option<StoreChoice> {
    let kind = table.need("kind", "which store it is, such as \"file\"")?;
    Some(match kind.one_of("store", &NAMES)? {
        Name::Memory => StoreChoice::Memory,
        Name::File => {
            let directory = match table.get("directory") {
                Some(value) => Some(directory(value)?),
                None => None,
            };
            StoreChoice::File(directory)
        }
    })
}

fn directory(value: Value<'_>) -> Option<PathBuf> {
    match anchored(value.clone().text()?) {
        Ok(path) => Some(path),
        Err(says) => {
            value.fault(format!("`directory` {says}"));
            None
        }
    }
}

const NAMES: [(&str, Name); 2] = [("memory", Name::Memory), ("file", Name::File)];

const KEYS: [&str; 1] = ["directory"];
