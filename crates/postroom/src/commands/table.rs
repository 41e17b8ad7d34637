//! Tables for people, as wide as what stands in them.

use std::fmt::Write;

/// Lays out rows under their headings. Controls in cells are shown, not obeyed.
pub(super) fn lay_out(headings: &[&str], rows: &[Vec<String>]) -> String {
    let clean = |cell: &str| -> String {
        let kept = cell.chars().map(|c| if c.is_control() { '\u{FFFD}' } else { c });
        let cell: String = kept.collect();
        if cell.chars().count() > 60 {
            format!("{}…", cell.chars().take(59).collect::<String>())
        } else {
            cell
        }
    };
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([headings[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut table = String::new();
    let heading: Vec<String> = headings.iter().map(|text| text.to_uppercase()).collect();
    for row in std::iter::once(&heading).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let pad = width - cell.chars().count();
            write!(line, "{cell}{}  ", " ".repeat(pad)).expect("a String takes all that is written");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

#[cfg(test)]
mod tests {
    use super::lay_out;

    #[test]
    fn columns_stand_under_their_headings() {
        let rows = vec![vec!["1".to_owned(), "Ünal".to_owned()], vec!["20".to_owned(), "b\x1b".to_owned()]];
        assert_eq!(lay_out(&["id", "name"], &rows), "ID  NAME\n1   Ünal\n20  b\u{FFFD}\n");
    }
}
