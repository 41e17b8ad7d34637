//! What a process uses of the machine, as proc(5) tells it.

use std::fs;

/// Clock ticks a second in proc(5): the kernel shows every process 100, whatever it counts in.
const TICKS: f64 = 100.0;
/// One MiB.
pub const MIB: f64 = 1024.0 * 1024.0;

/// Seconds of processor time of a process (user and system, all its threads); `self` is this one.
pub fn cpu(pid: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The name stands in brackets and may hold any byte; utime and stime are fields 14 and 15.
    let (_, rest) = stat.rsplit_once(") ").expect("proc(5) has brackets");
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("proc(5) has a number here");
    (ticks(11) + ticks(12)) / TICKS
}

/// Bytes of a line of `/proc/PID/status`: `VmRSS` (resident now), `VmHWM` (resident at most); `self`
/// is this process. `None` where it has ended.
pub fn memory(pid: &str, line: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'))?;
    Some(value.trim().strip_suffix(" kB")?.parse::<f64>().ok()? * 1024.0)
}

/// What others do on the machine beside: processes that want a processor, on the average of the last
/// minute.
pub fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}
