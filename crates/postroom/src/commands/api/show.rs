//! Shows answers: as they are, as ids for the next command, or as a table for people.

use super::super::table;
use super::call::lost;
use super::{Ended, Lost};
use anyhow::Context;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use std::io::{self, Write};

/// How to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum As {
    /// JSON, indented. All pages of a list are one list.
    Json,
    /// The ids of what is in it, a line each.
    Ids,
    /// A table of what is in it.
    Table,
}

/// What most things are known by, in this order, where no columns were asked for.
const USUAL: [&str; 18] = [
    "id",
    "seq",
    "name",
    "subject",
    "email",
    "address",
    "kind",
    "type",
    "status",
    "state",
    "verdict",
    "priority",
    "role",
    "assignee_id",
    "conversation_id",
    "is_public",
    "created_at",
    "updated_at",
];

/// What comes out of one command.
pub(super) struct Shown {
    how: As,
    /// Pages are put together.
    all: bool,
    columns: Vec<String>,
    /// Rows of a table, which is as wide as the widest of them.
    rows: Vec<Value>,
    /// How many rows of a list were written.
    written: usize,
    /// A list was begun and is to be closed.
    open: bool,
}

impl Shown {
    pub(super) fn new(how: As, all: bool, columns: &[String]) -> Self {
        Self { how, all, columns: columns.to_vec(), rows: Vec::new(), written: 0, open: false }
    }

    /// Shows one JSON answer. Where there is more, returns the parameter that leads to it.
    pub(super) fn page(&mut self, bytes: &[u8]) -> anyhow::Result<Option<(&'static str, String)>> {
        let mut answer: Value = serde_json::from_slice(bytes).context("the answer is no JSON")?;
        let next = next(&answer);
        let is_list = answer["data"].is_array();
        if self.how == As::Json && !(self.all && is_list) {
            print(&format!("{answer:#}\n"))?;
            return Ok(next);
        }
        let rows = match answer["data"].take() {
            Value::Array(rows) => rows,
            _ => vec![serde_json::from_slice(bytes)?],
        };
        match self.how {
            As::Table => self.rows.extend(rows),
            As::Ids => {
                let lines: Vec<String> = rows.iter().filter_map(|row| self.id(row)).collect();
                print(&lines.concat())?;
            }
            As::Json => {
                let mut text = String::new();
                for row in rows {
                    text.push_str(if self.open { ",\n" } else { "{\"data\": [\n" });
                    text.push_str(&row.to_string());
                    self.open = true;
                    self.written += 1;
                }
                print(&text)?;
            }
        }
        Ok(next)
    }

    /// What is shown when all has come.
    pub(super) fn end(&mut self) -> anyhow::Result<()> {
        match self.how {
            As::Json if self.open => print("\n]}\n"),
            As::Json if self.all && self.written == 0 => print("{\"data\": []}\n"),
            As::Table => print(&self.table()),
            _ => Ok(()),
        }
    }

    fn id(&self, row: &Value) -> Option<String> {
        if !self.columns.is_empty() {
            let cells: Vec<String> = self.columns.iter().map(|name| cell(row, name)).collect();
            return Some(cells.join("\t") + "\n");
        }
        let id = ["id", "seq"].iter().map(|name| &row[*name]).find(|id| !id.is_null())?;
        Some(plain(id) + "\n")
    }

    fn table(&self) -> String {
        let columns: Vec<&str> = if self.columns.is_empty() {
            let is_shown = |name: &&str| self.rows.iter().any(|row| is_plain(&row[*name]));
            let usual: Vec<&str> = USUAL.into_iter().filter(is_shown).collect();
            if usual.is_empty() { self.plain_members() } else { usual }
        } else {
            self.columns.iter().map(String::as_str).collect()
        };
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| columns.iter().map(|name| cell(row, name)).collect()).collect();
        table::lay_out(&columns, &rows)
    }

    /// Members of the first row that fit into a cell.
    fn plain_members(&self) -> Vec<&str> {
        let members = self.rows.first().and_then(Value::as_object).into_iter().flatten();
        members.filter(|(_, value)| is_plain(value)).map(|(name, _)| name.as_str()).collect()
    }

    /// Shows an answer that is not JSON as it comes, without end if it has none.
    pub(super) async fn pass_on(&mut self, answer: &mut Response) -> Result<(), Ended> {
        let mut out = io::stdout();
        loop {
            match answer.chunk().await {
                Ok(None) => return Ok(()),
                Err(error) => {
                    let Lost(error) = lost(&error, answer.url());
                    return Err(Ended::Lost(error));
                }
                Ok(Some(chunk)) => {
                    let written = out.write_all(&chunk).and_then(|()| out.flush());
                    written.map_err(|error| Ended::Here(unwritten(error)))?;
                }
            }
        }
    }

    /// Shows what was refused, or failed.
    pub(super) fn problem(&mut self, status: StatusCode, bytes: &[u8]) -> anyhow::Result<()> {
        let problem: Value = serde_json::from_slice(bytes).unwrap_or_default();
        let text = |name: &str| problem[name].as_str().unwrap_or_default().to_owned();
        let mut line = format!("postroom: {} {}: {}", status.as_u16(), text("code"), text("detail"));
        for fault in problem["errors"].as_array().into_iter().flatten() {
            let (at, detail) = (plain(&fault["pointer"]), plain(&fault["detail"]));
            line = format!("{line}; {at}: {detail}");
        }
        // Controls of whoever answered are no orders to a terminal.
        eprintln!("{}", line.replace(char::is_control, " "));
        if self.how == As::Json && !self.open && problem.is_object() {
            print(&format!("{problem:#}\n"))?;
        }
        Ok(())
    }
}

/// The parameter that leads to what comes next.
fn next(answer: &Value) -> Option<(&'static str, String)> {
    let page = &answer["page"];
    if page["has_more"] != true {
        return None;
    }
    let cursor = page["next_cursor"].as_str().map(|cursor| ("cursor", cursor.to_owned()));
    cursor.or_else(|| page["next_after"].as_i64().map(|after| ("after", after.to_string())))
}

fn is_plain(value: &Value) -> bool {
    !matches!(value, Value::Null | Value::Array(_) | Value::Object(_))
}

/// A member, by its name or by its names from level to level.
fn cell(row: &Value, name: &str) -> String {
    let found = name.split('.').fold(row, |at, part| match part.parse::<usize>() {
        Ok(number) if at.is_array() => &at[number],
        _ => &at[part],
    });
    plain(found)
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether the answer is JSON; a long poll and a list are, a mail and a stream are not.
pub(super) fn is_json(answer: &Response) -> bool {
    let kind = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind == "application/json" || kind.ends_with("+json")
}

/// Says the status and the headers on standard error.
pub(super) fn head(answer: &Response) {
    eprintln!("{}", answer.status());
    for (name, value) in answer.headers() {
        eprintln!("{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(unwritten)
}

fn unwritten(error: io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context("standard output can't be written to")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn members_are_found_at_their_levels() {
        let row = json!({"id": 7, "customer": {"name": "Ada"}, "tags": ["a", "b"], "none": null});
        assert_eq!(cell(&row, "id"), "7");
        assert_eq!(cell(&row, "customer.name"), "Ada");
        assert_eq!(cell(&row, "tags.1"), "b");
        assert_eq!(cell(&row, "tags"), r#"["a","b"]"#);
        assert_eq!((cell(&row, "none"), cell(&row, "what.is.it")), (String::new(), String::new()));
    }

    #[test]
    fn a_page_says_where_the_next_one_is() {
        let more = json!({"data": [], "page": {"has_more": true, "next_cursor": "c"}});
        assert_eq!(next(&more), Some(("cursor", "c".to_owned())));
        let feed = json!({"data": [], "page": {"has_more": true, "next_after": 9}});
        assert_eq!(next(&feed), Some(("after", "9".to_owned())));
        assert_eq!(next(&json!({"page": {"has_more": false, "next_cursor": "c"}})), None);
        assert_eq!(next(&json!([])), None);
    }

    #[test]
    fn a_table_has_what_things_are_known_by() {
        let mut shown = Shown::new(As::Table, false, &[]);
        shown.rows = vec![json!({"id": 1, "name": "A", "more": {}}), json!({"id": 2, "name": null})];
        assert_eq!(shown.table(), "ID  NAME\n1   A\n2\n");
        shown.rows = vec![json!({"version": "0.1", "more": []})];
        assert_eq!(shown.table(), "VERSION\n0.1\n");
        shown.columns = vec!["more".to_owned()];
        assert_eq!(shown.table(), "MORE\n[]\n");
    }
}
