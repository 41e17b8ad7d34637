//! `postroom openapi`: the document that the API serves.

use std::process::ExitCode;

/// Prints it.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    println!("{}", postroom_api::document().to_pretty_json()?);
    Ok(ExitCode::SUCCESS)
}
