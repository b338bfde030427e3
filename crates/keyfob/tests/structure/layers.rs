//! The layer tables of ARCHITECTURE.md, one for each crate that has one.
//!
//! A row is the lines that begin with its number, and names its modules in order. A module may import modules of lower
//! rows, and those of its own row that stand after it, to its right or on a line below: so no two files import each
//! other, even by a detour. `name::*` stands for every child of `name` that no row names itself; such children do not
//! import each other.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Which module may import which.
pub(crate) struct Layers {
    places: BTreeMap<String, Place>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    row: u32,
    /// Counted through all rows.
    column: usize,
}

impl Layers {
    /// Reads the table that begins with [`HEADER`] in the section of the page under this heading.
    pub(crate) fn parse(page: &str, heading: &str) -> Result<Self, String> {
        let mut places = BTreeMap::new();
        let mut row_above = u32::MAX;
        for line in table(page, heading) {
            let (row, names) = parse_line(line)?;
            if row > row_above {
                return Err(format!("row {row} stands below row {row_above}"));
            }
            row_above = row;
            for name in names {
                let column = places.len();
                if places
                    .insert(name.to_owned(), Place { row, column })
                    .is_some()
                {
                    return Err(format!("`{name}` is named twice"));
                }
            }
        }
        if places.is_empty() {
            Err(format!("no table below {heading} begins with {HEADER}"))
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

/// The lines of the table without its head.
fn table<'a>(page: &'a str, heading: &str) -> impl Iterator<Item = &'a str> {
    page.lines()
        .skip_while(move |line| *line != heading)
        .skip(1)
        .take_while(|line| !line.starts_with("## "))
        .skip_while(|line| !line.starts_with(HEADER))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
}

/// The number and the modules of a line, which are few: so that changes of different people are in different lines.
fn parse_line(line: &str) -> Result<(u32, Vec<&str>), String> {
    let mut cells = line.split('|').map(str::trim).skip(1);
    let row = cells.next().and_then(|cell| cell.parse().ok());
    let row = row.ok_or(format!("no row number: {line}"))?;
    let names: Vec<_> = cells
        .next()
        .map(in_backticks)
        .into_iter()
        .flatten()
        .collect();
    if names.len() > MOST_NAMES {
        return Err(format!(
            "more than {MOST_NAMES} modules in one line: {line}"
        ));
    }
    Ok((row, names))
}

fn in_backticks(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

const HEADER: &str = "| row | modules |";
const MOST_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "\
# Page

## Other

| row | modules | what |
|---|---|---|
| 0 | `elsewhere` | |

## Layers

| other | table |
|---|---|
| 1 | `neither` |

| row | modules | what |
|---|---|---|
| 2 | `session` | |
| 1 | `source::persisted`, `source::*` | |
| 1 | `source` | |
| 0 | `token`, `clock` | |
| 0 | `clock::*`, `error` | |

| row | modules |
|---|---|
| 3 | `nor::this` |
";

    fn layers() -> Layers {
        Layers::parse(PAGE, "## Layers").unwrap()
    }

    fn objection(importer: &str, imported: &str) -> Option<String> {
        layers().objection(importer, imported)
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
    fn in_a_row_the_first_may_import_the_later_only() {
        assert_eq!(objection("token", "clock"), None);
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
        let layers = layers();
        assert!(layers.has("source::file"));
        assert!(!layers.has("util"));
        assert!(!layers.has("token::part"));
    }

    #[test]
    fn only_the_layer_table_of_the_section_is_read() {
        assert_eq!(
            layers().named(),
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
        for rows in [
            "",
            "| 0 | `a` |\n| 1 | `b` |",
            "| 1 | `a` |\n| 0 | `a` |",
            "| 1 | `a` |\n| 1 | `a` |",
            "| `a` |",
        ] {
            let page = format!("## Layers\n\n| row | modules |\n|---|---|\n{rows}");
            assert!(Layers::parse(&page, "## Layers").is_err(), "{page}");
        }
        assert!(Layers::parse(PAGE, "## Gone").is_err());
    }

    #[test]
    fn a_line_that_names_many_modules_is_refused() {
        let page = |names: &str| {
            let page = format!("## Layers\n| row | modules |\n|---|---|\n| 0 | {names} |");
            Layers::parse(&page, "## Layers")
        };
        assert!(page("`a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`").is_ok());
        assert!(page("`a`, `b`, `c`, `d`, `e`, `f`, `g`, `h`, `i`").is_err());
    }
}
