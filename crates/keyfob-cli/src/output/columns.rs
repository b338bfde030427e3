//! Text in columns, for people and for `cut`.

/// A line of titles and a line for each row, in columns as wide as their widest cell. Empty if there are no rows.
pub(crate) fn columns<const N: usize>(titles: [&str; N], rows: &[[String; N]]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let titles = titles.map(str::to_owned);
    let all = || std::iter::once(&titles).chain(rows);
    let width = |column: usize| {
        let widths = all().map(|row: &[String; N]| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..N).map(width).collect();
    all().fold(String::new(), |mut text, row| {
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
}
