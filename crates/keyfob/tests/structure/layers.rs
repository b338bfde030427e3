//! The layer table of ARCHITECTURE.md.
//!
//! Each row names its modules in order. A module may import modules of lower rows, and those that stand to its
//! right in its own row: so no two files import each other, even by a detour. `name::*` stands for every child
//! of `name` that no row names itself; such children do not import each other.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Which module may import which.
pub(crate) struct Layers {
    places: BTreeMap<String, Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    row: u32,
    column: usize,
}

impl Layers {
    /// Reads the one table of the page that begins with [`HEADER`].
    pub(crate) fn parse(page: &str) -> Result<Self, String> {
        let mut places = BTreeMap::new();
        let mut row_above = u32::MAX;
        let table = page
            .lines()
            .skip_while(|line| !line.starts_with(HEADER))
            .skip(2);
        for line in table.take_while(|line| line.starts_with('|')) {
            let mut cells = line.split('|').map(str::trim).skip(1);
            let row: u32 = cells
                .next()
                .and_then(|cell| cell.parse().ok())
                .ok_or(format!("no row number: {line}"))?;
            if row >= row_above {
                return Err(format!("row {row} stands below row {row_above}"));
            }
            row_above = row;
            for (column, entry) in cells.next().unwrap_or_default().split(',').enumerate() {
                let place = Place { row, column };
                for name in in_backticks(entry) {
                    if places.insert(name.to_owned(), place).is_some() {
                        return Err(format!("`{name}` is named twice"));
                    }
                }
            }
        }
        if places.is_empty() {
            Err(format!("no table begins with {HEADER}"))
        } else {
            Ok(Self { places })
        }
    }

    pub(crate) fn has(&self, module: &str) -> bool {
        self.place(module).is_some()
    }

    /// The modules that the table names one by one.
    pub(crate) fn named(&self) -> Vec<String> {
        self.places
            .keys()
            .filter(|name| !name.ends_with("::*"))
            .cloned()
            .collect()
    }

    /// Why `importer` may not import `imported`, if it may not.
    pub(crate) fn objection(&self, importer: &str, imported: &str) -> Option<String> {
        let (from, to) = (self.place(importer)?, self.place(imported)?);
        let is_allowed = match to.row.cmp(&from.row) {
            Ordering::Less => true,
            Ordering::Equal => to.column > from.column,
            Ordering::Greater => false,
        };
        if is_allowed || importer == imported {
            return None;
        }
        let direction = if to.row > from.row { "up" } else { "sideways" };
        Some(format!(
            "`{importer}` (row {}) looks {direction} at `{imported}` (row {})",
            from.row, to.row
        ))
    }

    fn place(&self, module: &str) -> Option<Place> {
        let own = self.places.get(module);
        let of_siblings = || {
            self.places
                .get(&format!("{}::*", module.rsplit_once("::")?.0))
        };
        own.or_else(of_siblings).copied()
    }
}

fn in_backticks(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

const HEADER: &str = "| row | modules |";

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
text

| row | modules | what |
|---|---|---|
| 2 | `session` | |
| 1 | `source::persisted`, `source::*`, `source` | |
| 0 | `token`, `clock`, `clock::*`, `error` | |

| other | table |
";

    fn objection(importer: &str, imported: &str) -> Option<String> {
        Layers::parse(PAGE).unwrap().objection(importer, imported)
    }

    #[test]
    fn down_is_allowed() {
        assert_eq!(objection("session", "token"), None);
    }

    #[test]
    fn up_is_not() {
        assert_eq!(
            objection("token", "session").unwrap(),
            "`token` (row 0) looks up at `session` (row 2)"
        );
    }

    #[test]
    fn in_a_row_left_may_import_right_only() {
        assert_eq!(objection("token", "error"), None);
        assert_eq!(
            objection("error", "token").unwrap(),
            "`error` (row 0) looks sideways at `token` (row 0)"
        );
    }

    #[test]
    fn a_star_stands_for_children_that_do_not_know_each_other() {
        assert_eq!(objection("source::file", "source"), None);
        assert!(objection("source", "source::file").is_some());
        assert!(objection("source::file", "source::hook").is_some());
    }

    #[test]
    fn a_child_that_is_named_has_its_own_place() {
        assert_eq!(objection("source::persisted", "source::file"), None);
        assert!(objection("source::file", "source::persisted").is_some());
    }

    #[test]
    fn a_module_that_no_row_names_has_no_layer() {
        let layers = Layers::parse(PAGE).unwrap();
        assert!(layers.has("source::file"));
        assert!(!layers.has("util"));
        assert!(!layers.has("token::part"));
    }

    #[test]
    fn only_the_layer_table_is_read() {
        assert_eq!(
            Layers::parse(PAGE).unwrap().named(),
            [
                "clock",
                "error",
                "session",
                "source",
                "source::persisted",
                "token"
            ]
        );
    }

    #[test]
    fn a_table_that_contradicts_itself_is_refused() {
        assert!(Layers::parse("").is_err());
        assert!(Layers::parse("| row | modules |\n|---|---|\n| 0 | `a` |\n| 1 | `b` |").is_err());
        assert!(Layers::parse("| row | modules |\n|---|---|\n| 1 | `a` |\n| 0 | `a` |").is_err());
    }
}
