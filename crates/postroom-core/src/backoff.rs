//! How long a server is left alone after it failed: longer each time, within bounds, and never as
//! long as somebody else's pause (mail.md 2.7).

use crate::mailbox::Trouble;
use std::time::Duration;

/// The shortest pause.
pub const SHORTEST: Duration = Duration::from_secs(5);
/// The longest pause.
pub const LONGEST: Duration = Duration::from_mins(15);

/// The pause after so many failures in a row. `share`, from 0 to 1, is drawn by lot, so that
/// mailboxes that failed together don't come back together.
///
/// After a refused login the pauses are long from the start: with two attempts at first and 12
/// minutes or more between all others no hour sees more than six, so that no account is locked
/// for them.
pub fn pause(trouble: Trouble, failures: i32, share: f64) -> Duration {
    let share = share.clamp(0.0, 1.0);
    let (least, spread) = match (trouble, failures) {
        (Trouble::Login, ..=1) => (Duration::from_mins(2), Duration::from_mins(1)),
        (Trouble::Login, _) => (Duration::from_mins(12), Duration::from_mins(3)),
        _ => {
            let doublings = u32::try_from(failures.saturating_sub(1)).unwrap_or(0).min(7);
            let least = (SHORTEST * 2_u32.pow(doublings)).min(Duration::from_mins(10));
            (least, least / 2)
        }
    };
    (least + spread.mul_f64(share)).clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_bounds() {
        for trouble in [Trouble::Mailbox, Trouble::Server] {
            assert_eq!(pause(trouble, 1, 0.0), SHORTEST);
            assert_eq!(pause(trouble, 2, 0.0), SHORTEST * 2);
            assert_eq!(pause(trouble, 2, 1.0), SHORTEST * 3);
            assert_eq!(pause(trouble, 8, 0.0), Duration::from_mins(10));
            assert_eq!(pause(trouble, i32::MAX, 1.0), LONGEST);
            for failures in [i32::MIN, -1, 0] {
                assert_eq!(pause(trouble, failures, 0.0), SHORTEST);
            }
            for failures in 1..20 {
                assert!(pause(trouble, failures, 0.0) < pause(trouble, failures, 1.0), "{failures}: no lot");
                assert!(pause(trouble, failures, 0.0) <= pause(trouble, failures + 1, 0.0), "{failures}");
            }
        }
    }

    #[test]
    fn a_refused_login_is_tried_six_times_an_hour_at_the_most() {
        const HOUR: Duration = Duration::from_hours(1);
        let mut attempts = vec![Duration::ZERO];
        for failures in 1..20 {
            let last = attempts[attempts.len() - 1];
            attempts.push(last + pause(Trouble::Login, failures, 0.0));
        }
        for begin in &attempts {
            let within = attempts.iter().filter(|at| *at >= begin && **at < *begin + HOUR).count();
            assert!(within <= 6, "{within} logins in the hour from {begin:?}");
        }
    }
}
