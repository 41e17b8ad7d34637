//! Tables for people, as wide as what stands in them.

use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The widest a cell may be, in columns of a terminal.
const WIDEST: usize = 60;

/// Lays out rows under their headings. Controls in cells are shown, not obeyed.
pub(super) fn lay_out(headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.width());
        cells.chain([headings[column].width()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..headings.len()).map(width).collect();
    let mut table = String::new();
    let heading: Vec<String> = headings.iter().map(|text| text.to_uppercase()).collect();
    for row in std::iter::once(&heading).chain(&rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let pad = width - cell.width();
            write!(line, "{cell}{}  ", " ".repeat(pad)).expect("a String takes all that is written");
        }
        table.push_str(line.trim_end());
        table.push('\n');
    }
    table
}

/// One line, no wider than it may be, its controls shown and not obeyed.
fn clean(cell: &str) -> String {
    let shown = |c: char| if c.is_control() { '\u{FFFD}' } else { c };
    if cell.width() <= WIDEST {
        return cell.chars().map(shown).collect();
    }
    let mut left = WIDEST - 1;
    let fits = |c: &char| {
        let width = c.width().unwrap_or(1);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    let mut cut: String = cell.chars().take_while(fits).map(shown).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::lay_out;

    #[test]
    fn columns_stand_under_their_headings() {
        let rows = vec![vec!["1".to_owned(), "Ünal".to_owned()], vec!["20".to_owned(), "b\x1b".to_owned()]];
        assert_eq!(lay_out(&["a", "b"], &[vec!["中文".into(), "x".into()]]), "A     B\n中文  x\n");
        assert_eq!(lay_out(&["id", "name"], &rows), "ID  NAME\n1   Ünal\n20  b\u{FFFD}\n");
    }
}
