//! A configuration that can't be used, in words: where the mistake stands, and what may stand there.

use anyhow::bail;
use config::ConfigError;
use std::collections::HashMap;
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// What a setting must be, where the loader would say it in the words of Rust.
const MUST_BE: [(&str, &str); 10] = [
    ("server.listen", "an address and a port, such as 127.0.0.1:8080"),
    ("server.public_url", "an address such as https://desk.example.org"),
    ("server.trusted_proxies", "networks such as 10.0.0.0/8"),
    ("storage.objects", "\"folder\" or \"s3\""),
    ("webhooks.ports", "ports such as [443, 8443]"),
    ("log.format", "\"text\" or \"json\""),
    ("ingest.dns_server", "an address and a port, such as 127.0.0.1:53"),
    ("oauth.custom.authorization_url", "an address such as https://login.example.org/authorize"),
    ("oauth.custom.token_url", "an address such as https://login.example.org/token"),
    ("oauth.custom.device_url", "an address such as https://login.example.org/device"),
];

/// What the loader found wrong.
pub(super) fn in_words(error: &ConfigError) -> String {
    let key = match error {
        ConfigError::NotFound(key) => return format!("{} must be set", dotted(key)),
        ConfigError::At { key, .. } | ConfigError::Type { key, .. } => key.as_deref().unwrap_or_default(),
        _ => "",
    };
    let is_it = |name: &str| {
        let rest = key.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
    };
    match MUST_BE.iter().find(|(name, _)| is_it(name)) {
        Some((name, what)) => format!("{name} must be {what}"),
        None => dotted(&error.to_string()),
    }
}

/// Whether every one is an origin alone, as a browser says it. They are written into policies, in
/// which `*`, `;` and `,` mean something.
pub(super) fn check_origins(origins: &[String]) -> anyhow::Result<()> {
    for origin in origins {
        let is_origin = url::Url::parse(origin).is_ok_and(|url| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
            matches!(url.scheme(), "http" | "https")
                && url.origin().ascii_serialization() == *origin
                && url.host_str().is_some_and(|host| host.chars().all(is_plain))
        });
        if !is_origin {
            bail!(
                "server.cors_origins: {origin:?} is not an origin such as https://desk.example.org: http or \
                 https, a host in lower case, and its port if it isn't the usual one; no path and no *"
            );
        }
    }
    Ok(())
}

/// The loader's paths lack a dot behind an index: `mailboxes[0]source`.
fn dotted(text: &str) -> String {
    let mut whole = String::with_capacity(text.len() + 1);
    let mut before = [' '; 2];
    for c in text.chars() {
        if before[0].is_ascii_digit() && before[1] == ']' && c.is_ascii_alphabetic() {
            whole.push('.');
        }
        whole.push(c);
        before = [before[1], c];
    }
    whole
}

/// Where a mistake stands: in the file, in one variable of the environment, or in both together.
/// `read_with` reads the same file with these variables alone, and says what is wrong then.
pub(super) fn place(
    file: Option<&Path>,
    error: &anyhow::Error,
    read_with: impl Fn(HashMap<String, String>) -> Option<anyhow::Error>,
) -> String {
    let told = format!("{error:#}");
    let is_same = |variables| read_with(variables).is_some_and(|other| format!("{other:#}") == told);
    let file = file.map(|file| file.display().to_string());
    if let Some(file) = &file
        && is_same(HashMap::new())
    {
        return file.clone();
    }
    let variables = super::variables("POSTROOM__");
    let culprit =
        variables.into_iter().find(|(name, value)| is_same(HashMap::from([(name.clone(), value.clone())])));
    match (culprit, file) {
        (Some((name, _)), _) => format!("the variable {name}"),
        (None, Some(file)) => format!("{file} and the environment"),
        (None, None) => "the environment".to_owned(),
    }
}

/// A word that is no level would be taken for a part of the program, and silence all others.
pub(super) fn check_level(level: &str) -> anyhow::Result<()> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    const ALLOWED: &str = "must be off, error, warn, info, debug or trace, or such a word for each part, \
                           such as \"postroom=debug,info\"";
    if level.trim().is_empty() {
        bail!("log.level is empty; it {ALLOWED}");
    }
    let is_bare =
        |word: &&str| word.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':' | b'-'));
    let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word));
    let mut bare = level.split(',').map(str::trim).filter(is_bare);
    if let Some(word) = bare.find(|word| !is_level(word)) {
        bail!("log.level: {word:?} is no level; it {ALLOWED}");
    }
    if let Err(error) = EnvFilter::try_new(level) {
        bail!("log.level can't be understood ({error}); it {ALLOWED}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_a_dot_behind_an_index() {
        assert_eq!(dotted("mailboxes[0]source.security"), "mailboxes[0].source.security");
        assert_eq!(dotted("a[12].b, [x]y, c[0]"), "a[12].b, [x]y, c[0]");
    }

    #[test]
    fn a_level_is_one_of_six_words() {
        for good in ["info", "WARN", "off", "postroom=debug,info", "postroom=debug, warn", "info,hyper=off"] {
            assert!(check_level(good).is_ok(), "{good}");
        }
        for wrong in ["inof", "", " ", "postroom", "info,postroom", "postroom=inof", "info,,warn"] {
            let told = check_level(wrong).expect_err(wrong).to_string();
            assert!(told.contains("log.level") && told.contains("debug or trace"), "{told}");
        }
    }
}
