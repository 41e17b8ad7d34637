//! Secrets of the configuration: in place, in a file, or in a variable of the environment.

use anyhow::{Context, bail};
use std::path::Path;

/// The secret, from the one place where it stands; `None` where it stands nowhere.
pub(super) fn read(
    name: &str,
    value: Option<&str>,
    file: Option<&Path>,
    variable: Option<&str>,
) -> anyhow::Result<Option<String>> {
    if [value.is_some(), file.is_some(), variable.is_some()].iter().filter(|set| **set).count() > 1 {
        bail!("{name} is set in more than one way; one is enough");
    }
    if let Some(file) = file {
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("{name}: the file {} can't be read", file.display()))?;
        return Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if let Some(variable) = variable {
        let text = std::env::var(variable)
            .with_context(|| format!("{name}: the environment variable {variable} is not set"))?;
        return Ok(Some(text));
    }
    Ok(value.map(str::to_owned))
}
