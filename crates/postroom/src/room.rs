//! How much room is left on the disks that the daemon writes to. Below the low-water mark nothing new
//! is taken, so that what is already here can be finished.

use nix::sys::statvfs::{FsFlags, statvfs};
use postroom_core::error::READ_ONLY;
use postroom_core::ports::WatchRoom;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is said below the low-water mark.
const LOW: &str = "the disk that the daemon's data lies on is almost full (storage.low_water_mib): no mail is \
                   fetched and nothing is changed until there is room again; free some space, and it goes on \
                   by itself (mail waits where it is, and nothing that was accepted is lost)";

/// One look serves for so long.
const FRESH: Duration = Duration::from_secs(1);

/// The disks, and what was seen last.
pub struct Disks {
    folders: Vec<PathBuf>,
    low_water: u64,
    seen: Mutex<Option<(Instant, Option<&'static str>)>>,
}

impl Disks {
    /// Watches the disks that these folders lie on. `low_water` is in bytes; 0 looks only whether
    /// they can be written to.
    pub fn new(folders: Vec<PathBuf>, low_water: u64) -> Self {
        Self { folders, low_water, seen: Mutex::new(None) }
    }

    fn look(&self, before: Option<&'static str>) -> Option<&'static str> {
        // A little more than the mark ends a shortage, or it would come and go with every mail.
        let wanted = if before == Some(LOW) { self.low_water + self.low_water / 16 } else { self.low_water };
        self.folders.iter().find_map(|folder| {
            #[cfg(feature = "chaos")]
            if let Some(free) = crate::chaos::free_bytes() {
                return (free < wanted).then_some(LOW);
            }
            // A folder that can't be looked at makes itself known where it is written to.
            let disk = statvfs(folder).ok()?;
            if disk.flags().contains(FsFlags::ST_RDONLY) {
                return Some(READ_ONLY);
            }
            // What root alone may fill does not count.
            let free = disk.blocks_available().saturating_mul(disk.fragment_size());
            (free < wanted).then_some(LOW)
        })
    }
}

impl WatchRoom for Disks {
    fn shortage(&self) -> Option<&'static str> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen {
            Some((when, what)) if when.elapsed() < FRESH => what,
            before => {
                let what = self.look(before.and_then(|(_, what)| what));
                *seen = Some((Instant::now(), what));
                what
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free() -> u64 {
        let disk = statvfs("/proc/self/..").map(|_| statvfs("/").expect("there is a root"));
        let disk = disk.expect("there is a /proc");
        disk.blocks_available() * disk.fragment_size()
    }

    #[test]
    fn the_mark_decides() {
        assert!(free() > 0);
        let below = |low_water| Disks::new(vec![PathBuf::from("/")], low_water).shortage();
        // Others write to this disk meanwhile: far from the mark on both sides.
        assert_eq!(below(0), None);
        assert_eq!(below(free() / 2), None);
        assert_eq!(below(free().saturating_mul(2)), Some(LOW));
        assert_eq!(below(u64::MAX / 2), Some(LOW));
    }

    #[test]
    fn what_can_not_be_looked_at_is_left_to_who_writes() {
        assert_eq!(Disks::new(vec![PathBuf::from("/no/such/folder")], u64::MAX / 2).shortage(), None);
        assert_eq!(Disks::new(Vec::new(), u64::MAX / 2).shortage(), None);
    }

    #[test]
    fn one_look_serves_for_a_while() {
        let disks = Disks::new(Vec::new(), 1);
        *disks.seen.lock().unwrap() = Some((Instant::now(), Some(LOW)));
        assert_eq!(disks.shortage(), Some(LOW));
        *disks.seen.lock().unwrap() = Instant::now().checked_sub(FRESH).map(|when| (when, Some(LOW)));
        assert_eq!(disks.shortage(), None);
    }
}
