//! The program as people run it, made from the sources as they are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The program, made anew where its sources have changed: cargo makes the commands of other
/// packages than the tested one only when it is asked to. It has the fault switches that the rest
/// of this build has, so that nothing is compiled twice.
///
/// # Panics
/// If it can't be made.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = env::current_exe().expect("a test knows where it is");
        let folder = test.parent().and_then(Path::parent).expect("target/PROFILE/deps/it-…");
        if let Some(cargo) = env::var_os("CARGO") {
            let mut build = Command::new(cargo);
            build.args(["build", "--quiet", "--package", "postroom", "--bin", "postroom"]);
            build.args(["--features", "chaos"]);
            if folder.ends_with("release") {
                build.arg("--release");
            }
            let built = build.output().expect("cargo runs");
            let said = String::from_utf8_lossy(&built.stderr).into_owned();
            assert!(built.status.success(), "the program can't be made:\n{said}");
        }
        folder.join("postroom")
    })
}
