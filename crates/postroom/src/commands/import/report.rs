//! A line for every mail of an import: NDJSON, or CSV (RFC 4180) by the file's name.

use anyhow::Context;
use postroom_core::id::{ConversationId, MessageId};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

/// What became of one mail.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Line {
    /// Where it was found: file and number, or folder and number.
    pub source: String,
    /// What became of it.
    pub verdict: &'static str,
    /// It was here before this run.
    pub before: bool,
    /// The message it is.
    pub message_id: Option<MessageId>,
    /// Where that belongs.
    pub conversation_id: Option<ConversationId>,
    /// Why, unless it was accepted.
    pub reason: Option<String>,
}

/// The file.
pub(super) struct Report {
    path: PathBuf,
    file: BufWriter<File>,
    is_csv: bool,
}

impl Report {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file =
            File::create(path).with_context(|| format!("the report {} can't be written", path.display()))?;
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let mut report = Self { path: path.to_owned(), file: BufWriter::new(file), is_csv };
        if is_csv {
            report.put("source,verdict,before,message_id,conversation_id,reason\r\n")?;
        }
        Ok(report)
    }

    pub(super) fn write(&mut self, line: &Line) -> anyhow::Result<()> {
        let text = if self.is_csv { csv(line) } else { format!("{}\n", serde_json::json!(line)) };
        self.put(&text)
    }

    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.file.flush().with_context(|| format!("the report {} can't be written", self.path.display()))
    }

    fn put(&mut self, text: &str) -> anyhow::Result<()> {
        self.file
            .write_all(text.as_bytes())
            .with_context(|| format!("the report {} can't be written", self.path.display()))
    }
}

fn csv(line: &Line) -> String {
    let number = |id: Option<i64>| id.map(|id| id.to_string()).unwrap_or_default();
    let cells = [
        line.source.clone(),
        line.verdict.to_owned(),
        line.before.to_string(),
        number(line.message_id.map(|id| id.0)),
        number(line.conversation_id.map(|id| id.0)),
        line.reason.clone().unwrap_or_default(),
    ];
    let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
    format!("{}\r\n", cells.join(","))
}

fn quoted(cell: &str) -> String {
    if cell.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_csv_is_one_row_whatever_is_in_it() {
        let line = Line {
            source: "a, \"b\".mbox:1".to_owned(),
            verdict: "quarantined",
            before: false,
            message_id: None,
            conversation_id: Some(ConversationId(3)),
            reason: Some("two\nlines".to_owned()),
        };
        assert_eq!(csv(&line), "\"a, \"\"b\"\".mbox:1\",quarantined,false,,3,\"two\nlines\"\r\n");
    }
}
