//! The daemon as its own process, as it is installed.

use crate::place::{self, Place};
use crate::usage;
use support::leash::Leash;
use support::ports;

/// A daemon that runs.
pub struct Running {
    leash: Leash,
    desk: Place,
}

impl Running {
    /// Starts it on a desk and waits until it answers requests.
    pub fn start(desk: Place) -> Self {
        let settings: Vec<String> =
            desk.settings.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let listen = format!("POSTROOM__SERVER__LISTEN=127.0.0.1:{}", ports::free());
        let program = place::program();
        let program = program.to_string_lossy();
        let mut command = vec!["/usr/bin/env", &listen];
        command.extend(settings.iter().map(String::as_str));
        command.extend([&*program, "serve"]);
        let leash = Leash::start("postroom", &command, "TERM", None);
        leash.wait_for_line("listens on").expect("the daemon starts");
        Self { leash, desk }
    }

    /// Its data.
    pub fn desk(&self) -> &Place {
        &self.desk
    }

    /// Seconds of processor time that it has used, its own and the kernel's for it.
    pub fn cpu(&self) -> f64 {
        usage::cpu(&self.leash.pid().to_string())
    }

    /// Bytes of a line of its `/proc/PID/status`.
    pub fn memory(&self, line: &str) -> f64 {
        usage::memory(&self.leash.pid().to_string(), line).expect("the daemon runs")
    }
}
