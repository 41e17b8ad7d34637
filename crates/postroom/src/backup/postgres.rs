//! PostgreSQL's own programs: pg_dump and pg_restore. The password reaches them through their
//! environment; a command line can be read by everybody on the machine.

use anyhow::{Context, bail};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Writes the database to a file, as it is at one moment, while others go on writing: at that of a
/// snapshot that somebody else's transaction holds, where there is one.
pub(super) fn dump(
    url: &str,
    programs: Option<&Path>,
    snapshot: Option<&str>,
    file: &Path,
) -> anyhow::Result<()> {
    let mut command = command("pg_dump", url, programs)?;
    command.args(snapshot.map(|snapshot| format!("--snapshot={snapshot}")));
    command.args(["--format=custom", "--no-owner", "--no-privileges", "--file"]).arg(file);
    run(command, "pg_dump")
}

/// Reads such a file into an empty database, whole or not at all.
pub(super) fn restore(url: &str, programs: Option<&Path>, file: &Path) -> anyhow::Result<()> {
    let mut command = command("pg_restore", url, programs)?;
    command.args(["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"]).arg(file);
    run(command, "pg_restore")
}

fn command(program: &str, url: &str, programs: Option<&Path>) -> anyhow::Result<Command> {
    let mut url = url::Url::parse(url).context("the database URL can't be read")?;
    let mut password = url.password().map(decoded).transpose()?;
    if password.is_some() && url.set_password(None).is_err() {
        bail!("the database URL can't be read");
    }
    // libpq takes it as a parameter as well, and the last one counts.
    if let Some(query) = url.query().map(str::to_owned) {
        let mut shown = Vec::new();
        for parameter in query.split('&') {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if decoded(name)? == "password" {
                password = Some(decoded(value)?);
            } else {
                shown.push(parameter);
            }
        }
        let shown = shown.join("&");
        url.set_query((!shown.is_empty()).then_some(shown.as_str()));
    }
    let path = match programs {
        Some(folder) => folder.join(program),
        None => found(program),
    };
    let mut command = Command::new(path);
    command.arg("--no-password").arg("--dbname").arg(url.as_str());
    if let Some(password) = password {
        command.env("PGPASSWORD", password);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Ok(command)
}

/// What `%40` and the like stand for.
fn decoded(text: &str) -> anyhow::Result<String> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(String::from).context("the database URL is not UTF-8")
}

/// Debian keeps the programs of each version in a folder of its own; the newest reads all servers.
fn found(program: &str) -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<(u32, PathBuf)> = folders
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin").join(program)))
        })
        .filter(|(_, path)| path.exists())
        .collect();
    versions.sort();
    versions.pop().map_or_else(|| PathBuf::from(program), |(_, path)| path)
}

fn run(mut command: Command, program: &str) -> anyhow::Result<()> {
    let output = command.output().with_context(|| {
        format!(
            "{program} can't be started; install PostgreSQL's client programs, or name their folder with \
             --postgres-programs"
        )
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).take(5).collect();
    bail!("{program} failed ({}): {}", output.status, said.join("; "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_in_the_environment_alone() {
        for (url, shown) in [
            ("postgres://u:s%40cret@h:5/d?sslmode=require", "postgres://u@h:5/d?sslmode=require"),
            ("postgres://u@h/d?password=s%40cret", "postgres://u@h/d"),
            (
                "postgres://u@h/d?a=1&password=s%40cret&options=-c%20x%3D1+2",
                "postgres://u@h/d?a=1&options=-c%20x%3D1+2",
            ),
            // As libpq has it: names may be written in percent, and what stands last counts.
            ("postgres://u:other@h/d?pass%77ord=s%40cret", "postgres://u@h/d"),
            ("postgres://u@h/d?password=other&password=s%40cret&b=", "postgres://u@h/d?b="),
        ] {
            let command = command("pg_dump", url, None).expect("a URL");
            let arguments: Vec<_> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
            assert_eq!(arguments, ["--no-password", "--dbname", shown]);
            let password = command.get_envs().find(|(name, _)| *name == "PGPASSWORD");
            assert_eq!(password.and_then(|(_, value)| value), Some("s@cret".as_ref()), "{url}");
        }
        let command = command("pg_dump", "postgres://u@h/d?passwords=x", None).expect("a URL");
        assert_eq!(command.get_envs().count(), 0);
    }
}
