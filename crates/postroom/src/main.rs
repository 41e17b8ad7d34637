//! The command `postroom`.

use std::process::ExitCode;

fn main() -> ExitCode {
    match postroom::commands::Arguments::from_command_line() {
        Ok(arguments) => arguments.run(),
        Err(code) => code,
    }
}
