//! The command `postroom`.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    postroom::commands::Arguments::parse().run()
}
