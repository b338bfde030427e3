//! Text in columns, for people and for `cut`.

use keyfob::error::printable;

/// A line of titles and a line for each row, in columns as wide as their widest cell. Empty if there are no rows.
pub(crate) fn columns<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let titles = titles.map(str::to_owned);
    // Names and labels in a store may be those of another machine.
    let rows = rows.iter().map(|row| row.each_ref().map(printable));
    let all: Vec<_> = std::iter::once(titles).chain(rows).collect();
    let width = |column: usize| {
        let widths = all.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..N).map(width).collect();
    all.iter().fold(String::new(), |mut text, row| {
        let cells: Vec<_> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let text = columns(["A", "BB"], &[row("x", "y"), row("häh", "")]);
        assert_eq!(text, "A    BB\nx    y\nhäh\n");
        assert_eq!(columns(["A"], &[]), "");
    }

    #[test]
    fn a_cell_cannot_obey_the_terminal_or_begin_a_row() {
        let text = columns(["A"], &[["x\u{1b}[2J\ny".to_owned()]]);
        assert_eq!(text, "A\nx y\n");
    }
}
