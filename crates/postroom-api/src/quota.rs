//! How often somebody may ask: so many requests a minute, for each token and for each address that
//! brings none. What is left stands in every answer (draft-ietf-httpapi-ratelimit-headers-10).

use crate::problem::Problem;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota as Rate, RateLimiter};
use postroom_core::id::TokenId;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

/// The header that says what is left.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// The header that says how much there is.
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// After so many requests those are forgotten who have asked nothing for a minute.
const TIDY_EVERY: u32 = 4_096;
/// Seconds of the window.
const WINDOW: u32 = 60;

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Who {
    /// A token.
    Token(TokenId),
    /// An address without a token that is known.
    Address(IpAddr),
}

impl Who {
    /// Whoever asks from an address. Of IPv6 a whole /64 is one household.
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    fn policy(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::Address(_) => "address",
        }
    }
}

/// How many requests there are for each, and who has asked how many.
pub struct Quota<C: Clock = DefaultClock> {
    limiter: RateLimiter<Who, DashMapStateStore<Who>, C, StateInformationMiddleware>,
    a_minute: NonZeroU32,
    clock: C,
    asked: AtomicU32,
}

/// What is left to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    policy: &'static str,
    a_minute: u32,
    /// Requests that may be sent at once.
    left: u32,
    /// Seconds until all are back; of who may ask nothing, until they may ask again.
    seconds: u64,
}

impl Quota {
    /// So many requests a minute; they come back evenly.
    pub fn new(a_minute: NonZeroU32) -> Self {
        Self::with_clock(a_minute, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Quota<C> {
    fn with_clock(a_minute: NonZeroU32, clock: C) -> Self {
        let limiter =
            RateLimiter::new(Rate::per_minute(a_minute), DashMapStateStore::default(), clock.clone());
        Self { limiter, a_minute, clock, asked: AtomicU32::new(0) }
    }

    /// Counts a request. `Err`: there was none left.
    pub fn spend(&self, who: &Who) -> Result<Standing, Standing> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.limiter.retain_recent();
        }
        let a_minute = self.a_minute.get();
        let standing = |left, seconds| Standing { policy: who.policy(), a_minute, left, seconds };
        match self.limiter.check_key(who) {
            Ok(state) => {
                let left = state.remaining_burst_capacity();
                let spent = u64::from(a_minute.saturating_sub(left));
                Ok(standing(left, (spent * u64::from(WINDOW)).div_ceil(u64::from(a_minute))))
            }
            Err(until) => {
                let wait = until.wait_time_from(self.clock.now());
                Err(standing(0, wait.as_secs() + u64::from(wait.subsec_nanos() > 0)))
            }
        }
    }
}

impl Standing {
    /// Writes what is left into the head of an answer.
    pub fn tell(self, headers: &mut HeaderMap) {
        let Self { policy, a_minute, left, seconds } = self;
        let told = [
            (RATE_LIMIT_POLICY, format!("\"{policy}\";q={a_minute};w={WINDOW}")),
            (RATE_LIMIT, format!("\"{policy}\";r={left};t={seconds}")),
        ];
        for (name, value) in told {
            // Words and numbers are always a value.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }

    /// What somebody is told who has none left.
    pub fn refusal(self) -> Problem {
        let Self { policy, a_minute, seconds, .. } = self;
        let told = format!("this {policy} may send {a_minute} requests a minute; try again in {seconds} s");
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", told)
            .header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;
    use std::time::Duration;

    fn token(name: &str) -> Who {
        Who::Token(TokenId(name.to_owned()))
    }

    fn quota(a_minute: u32) -> (Quota<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (Quota::with_clock(NonZeroU32::new(a_minute).expect("some"), clock.clone()), clock)
    }

    #[test]
    fn each_has_so_many_and_no_more() {
        let (quota, clock) = quota(6);
        let one = token("tok_1");
        for left in (0..6).rev() {
            let standing = quota.spend(&one).expect("there are some left");
            assert_eq!((standing.left, standing.seconds), (left, u64::from(6 - left) * 10));
        }
        let none = quota.spend(&one).expect_err("the seventh");
        assert_eq!((none.left, none.seconds), (0, 10));
        quota.spend(&token("tok_2")).expect("another token has its own");
        clock.advance(Duration::from_millis(9_999));
        assert_eq!(quota.spend(&one).expect_err("not yet").seconds, 1);
        clock.advance(Duration::from_millis(1));
        assert_eq!(quota.spend(&one).expect("one came back").left, 0);
        quota.spend(&one).expect_err("and no more");
        clock.advance(Duration::from_mins(1));
        assert_eq!(quota.spend(&one).expect("all came back").left, 5);
    }

    #[test]
    fn who_asks_no_more_is_forgotten() {
        let (quota, clock) = quota(60);
        for number in 0..1_000 {
            quota.spend(&token(&format!("tok_{number}"))).expect("each has its own");
        }
        assert_eq!(quota.limiter.len(), 1_000);
        clock.advance(Duration::from_mins(2));
        for _ in 1_000..TIDY_EVERY {
            let _spent = quota.spend(&token("tok_x"));
        }
        assert_eq!(quota.limiter.len(), 1);
    }

    #[test]
    fn a_household_is_one() {
        let at = |address: &str| Who::at(address.parse().expect("an address"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1:2:3"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }

    #[test]
    fn what_is_left_is_told() {
        let mut headers = HeaderMap::new();
        Standing { policy: "token", a_minute: 600, left: 598, seconds: 1 }.tell(&mut headers);
        let told = |name| headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(told("ratelimit-policy"), Some("\"token\";q=600;w=60"));
        assert_eq!(told("ratelimit"), Some("\"token\";r=598;t=1"));
    }
}
