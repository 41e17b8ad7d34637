//! The house rules that no compiler checks: who may depend on whom, where the database's name may
//! stand, who may read the clock and the environment, how long a file is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A source file of a crate, as the rules see it.
struct Source {
    /// From the root of the tree: `crates/postroom-core/src/desk.rs`.
    path: String,
    /// Without the tests that stand at its end.
    code: String,
    lines: usize,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the tree is there")
}

/// All that a crate is made of, but for files that are tests.
fn sources() -> Vec<Source> {
    let root = root();
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join("crates")).expect("there are crates") {
        collect(&root, &entry.expect("can be listed").path().join("src"), &mut found);
    }
    assert!(found.len() > 100, "{} files: the crates were not found", found.len());
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("can be listed").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("sources are UTF-8");
            let tests = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
            found.push(Source {
                path: path.strip_prefix(root).expect("under the root").display().to_string(),
                code: text[..tests].to_owned(),
                lines: text.lines().count(),
            });
        }
    }
}

/// Files that hold nothing but tests.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs")
        || path.ends_with("_tests.rs")
        || path.contains("/tests/")
        || path.contains("/threading/vectors/")
}

/// Lines of code, comments left out, that hold one of these words.
fn lines_with(source: &Source, words: &[&str]) -> Vec<String> {
    let code = source.code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
    let found = code.filter(|(_, line)| words.iter().any(|word| line.contains(word)));
    found.map(|(index, line)| format!("{}:{}: {}", source.path, index + 1, line.trim())).collect()
}

/// Fails with every line that holds one of the words outside of the files that may.
fn only_in(words: &[&str], allowed: impl Fn(&str) -> bool) {
    let all = sources();
    let wrong: Vec<String> = all
        .iter()
        .filter(|source| !is_test(&source.path) && !allowed(&source.path))
        .flat_map(|source| lines_with(source, words))
        .collect();
    assert!(wrong.is_empty(), "{words:?} must not stand here:\n{}", wrong.join("\n"));
    let somewhere = all.iter().any(|source| allowed(&source.path) && !lines_with(source, words).is_empty());
    assert!(somewhere, "{words:?} stands nowhere: the rule looks for something that is gone");
}

/// The names under a heading of a Cargo.toml.
fn dependencies(krate: &str, heading: &str) -> Vec<String> {
    let file = root().join("crates").join(krate).join("Cargo.toml");
    let text = fs::read_to_string(file).expect("every crate has its Cargo.toml");
    let mut inside = false;
    let mut names = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line.trim() == heading;
        } else if inside && let Some((name, _)) = line.split_once(['.', '=', ' ']) {
            names.push(name.trim().to_owned());
        }
    }
    names
}

/// What each crate must never know, from the plan of the house.
const NEVER: [(&str, &[&str]); 5] = [
    (
        "postroom-core",
        &[
            "postroom",
            "postroom-api",
            "postroom-ingest",
            "postroom-outbound",
            "actix-web",
            "imap",
            "mail-parser",
            "lettre",
            "ammonia",
            "object_store",
            "rustls",
            "config",
            "clap",
        ],
    ),
    (
        "postroom-html",
        &["postroom", "postroom-core", "postroom-api", "postroom-ingest", "postroom-outbound", "diesel"],
    ),
    (
        "postroom-ingest",
        &["postroom", "postroom-api", "postroom-outbound", "diesel", "r2d2", "actix-web", "lettre", "config"],
    ),
    (
        "postroom-outbound",
        &["postroom", "postroom-api", "postroom-ingest", "diesel", "r2d2", "actix-web", "imap", "config"],
    ),
    (
        "postroom-api",
        &["postroom", "postroom-ingest", "postroom-outbound", "diesel", "r2d2", "imap", "lettre", "config"],
    ),
];

#[test]
fn a_crate_knows_only_what_it_may() {
    for (krate, never) in NEVER {
        for heading in ["[dependencies]", "[dev-dependencies]", "[build-dependencies]"] {
            let names = dependencies(krate, heading);
            let wrong: Vec<&String> = names.iter().filter(|name| never.contains(&name.as_str())).collect();
            assert!(wrong.is_empty(), "{krate} {heading}: {wrong:?}");
        }
        let some = dependencies(krate, "[dependencies]");
        assert!(!some.is_empty(), "{krate}: its dependencies were not found: {some:?}");
    }
}

#[test]
fn the_daemon_and_the_api_leave_tables_to_the_core() {
    let words = ["diesel::", "use diesel", "store::schema"];
    only_in(&words, |path| path.starts_with("crates/postroom-core/"));
    // Operations say what is done; how it is remembered is the store's.
    let operations: Vec<Source> = sources()
        .into_iter()
        .filter(|source| source.path.starts_with("crates/postroom-core/src/operations/"))
        .collect();
    assert!(operations.len() > 10);
    let wrong: Vec<String> = operations.iter().flat_map(|source| lines_with(source, &words)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_opens_no_socket() {
    for source in sources().iter().filter(|source| source.path.starts_with("crates/postroom-core/")) {
        let words = ["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "ToSocketAddrs"];
        let wrong = lines_with(source, &words);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn no_file_is_longer_than_a_thought() {
    for source in sources() {
        let may_be_long = source.path == "crates/postroom-core/src/store/schema.rs";
        assert!(source.lines <= 600 || may_be_long, "{}: {} lines", source.path, source.lines);
        let says = source.code.starts_with("//!") || is_test(&source.path);
        assert!(says, "{}: does not say what it is", source.path);
    }
}

#[test]
fn six_files_know_which_database_it_is() {
    only_in(&["Conn::Sqlite", "Conn::Postgres"], |path| {
        ["conn", "migrate", "marks", "search", "leases", "whole"]
            .iter()
            .any(|name| path == format!("crates/postroom-core/src/store/{name}.rs"))
    });
}

#[test]
fn one_file_opens_transactions() {
    only_in(
        &["AnsiTransactionManager", "begin_transaction", ".transaction(|", "immediate_transaction"],
        |path| path == "crates/postroom-core/src/store/conn.rs",
    );
}

#[test]
fn the_configuration_alone_reads_the_environment() {
    only_in(
        &["env::var", "env::vars", "env::var_os", "std::env::args", "Environment::with_prefix"],
        |path| {
            path == "crates/postroom/src/config.rs"
                || path.starts_with("crates/postroom/src/config/")
                // Not in what is handed out: see `fault_switches_are_in_no_usual_build`.
                || path == "crates/postroom/src/chaos.rs"
        },
    );
}

/// Who may ask the machine what time it is, and why.
const CLOCKS: [(&str, &str); 2] = [
    ("crates/postroom-core/src/time.rs", "the clock itself"),
    ("crates/postroom/src/commands/demo.rs", "the times of files in a Maildir, before there is a desk"),
];

#[test]
fn nothing_reads_the_clock_but_the_desk() {
    let words = ["SystemTime::now", "Utc::now", "Local::now", "Timestamp::now", "Zoned::now"];
    only_in(&words, |path| CLOCKS.iter().any(|(file, _)| *file == path));
}

#[test]
fn fault_switches_are_in_no_usual_build() {
    let features = |arguments: &[&str]| {
        let mut tree = Command::new(env!("CARGO"));
        tree.args(["tree", "--offline", "--locked", "--package", "postroom", "--depth", "0", "-f", "[{f}]"]);
        let said = tree.args(arguments).current_dir(root()).output().expect("cargo runs");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
        String::from_utf8(said.stdout).expect("cargo speaks UTF-8").trim().to_owned()
    };
    assert_eq!(features(&[]), "[]");
    // What is looked for is shown where it is.
    assert_eq!(features(&["--features", "chaos"]), "[chaos]");
    let file = fs::read_to_string(root().join("crates/postroom/Cargo.toml")).expect("the crate is there");
    assert!(!file.contains("default ="), "no feature is on by itself");
}

/// The packages of a Cargo.lock: name and version, and the names of what each depends on.
fn locked(file: &str) -> BTreeMap<(String, String), BTreeSet<String>> {
    let text = fs::read_to_string(root().join(file)).expect("it is kept");
    let packages = text.split("[[package]]").skip(1).map(|package| {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.expect("every package has it").trim_matches('"').to_owned()
        };
        let listed = package.lines().filter_map(|line| line.strip_prefix(" \""));
        let names = listed.filter_map(|line| line.split(['"', ' ']).next()).map(str::to_owned);
        ((value("name"), value("version")), names.collect())
    });
    packages.collect()
}

#[test]
fn fuzzers_try_what_is_shipped() {
    let (ours, fuzzed) = (locked("Cargo.lock"), locked("tests/fuzz/Cargo.lock"));
    let names: BTreeSet<&String> = ours.keys().map(|(name, _)| name).collect();
    let others: Vec<_> =
        fuzzed.keys().filter(|package| names.contains(&package.0) && !ours.contains_key(package)).collect();
    assert!(others.is_empty(), "tests/fuzz/Cargo.lock has other versions: {others:?}");
    for krate in ["postroom-core", "postroom-ingest"] {
        let of = |lock: &BTreeMap<(String, String), BTreeSet<String>>| {
            let found = lock.iter().find(|((name, _), _)| name == krate).map(|(_, names)| names.clone());
            found.expect("the crate is in both")
        };
        // Only a workspace's own lock knows what its tests need.
        let mut shipped = of(&ours);
        for name in dependencies(krate, "[dev-dependencies]") {
            shipped.remove(&name);
        }
        assert_eq!(
            shipped,
            of(&fuzzed),
            "{krate}: cargo metadata --manifest-path tests/fuzz/Cargo.toml mends its lock"
        );
    }
}

#[test]
fn nothing_is_left_to_do() {
    for source in sources() {
        let wrong = lines_with(&source, &["todo!", "unimplemented!", "TODO", "FIXME", "XXX"]);
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
