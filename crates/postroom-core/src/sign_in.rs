//! People who sign in: by a password, perhaps with a code besides, for a session.

use crate::audit::Origin;
use crate::id::{AgentId, TokenId};
use crate::password::Cost;
use crate::time::Timestamp;
use crate::word::words;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

words! {
    /// What a secret that is sent by mail is good for, once.
    pub enum OneTimePurpose {
        /// To set another password.
        PasswordReset = "password_reset",
        /// To set the first one.
        Invitation = "invitation",
    }
}

/// How people sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// A session that is not used for so long ends.
    pub idle: Duration,
    /// A session ends so long after it began at the latest.
    pub longest: Duration,
    /// What it costs to try a password.
    pub cost: Cost,
    /// Passwords that are tried at once.
    pub at_once: usize,
    /// Where the links of mails lead: a page of the frontend, which gets the secret behind `#token=`.
    pub reset_url: Option<url::Url>,
    /// The same for invitations.
    pub invitation_url: Option<url::Url>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            idle: Duration::from_hours(12),
            longest: Duration::from_hours(30 * 24),
            cost: Cost::default(),
            at_once: 2,
            reset_url: None,
            invitation_url: None,
        }
    }
}

/// Tries in vain of one account, or links asked for it, within [`WINDOW`].
pub const TRIES_EACH: i64 = 5;
/// The same from one network.
pub const TRIES_FROM: i64 = 20;
/// How long they count.
pub const WINDOW: Duration = Duration::from_mins(15);
/// How long the link of a forgotten password opens.
pub const RESET_FOR: Duration = Duration::from_hours(1);
/// How long an invitation stands.
pub const INVITED_FOR: Duration = Duration::from_hours(7 * 24);

/// Whose tries are counted together: the network that an address is in, /24 of IPv4 and /64 of IPv6. Nobody
/// knows from where: all of those are one.
pub fn network(origin: &Origin) -> String {
    match origin.address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(v4)) => {
            let [a, b, c, _] = v4.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        Some(IpAddr::V6(v6)) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        None => "nowhere".to_owned(),
    }
}

/// A session as its agent sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The id of its token.
    pub id: TokenId,
    /// Whose.
    pub agent_id: AgentId,
    /// From where somebody signed in.
    pub address: Option<String>,
    /// With what program.
    pub user_agent: Option<String>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it ends at the latest.
    pub expires_at: Option<Timestamp>,
    /// When it began.
    pub created_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_counted_as_one() {
        let at = |text: &str| network(&Origin::new(text.parse().ok(), None));
        assert_eq!(at("192.0.2.1"), at("192.0.2.254"));
        assert_eq!(at("192.0.2.1"), at("::ffff:192.0.2.9"));
        assert_ne!(at("192.0.2.1"), at("192.0.3.1"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:0:0:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
    }
}
