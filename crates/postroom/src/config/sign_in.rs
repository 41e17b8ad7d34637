//! The section `[sign_in]`: how people sign in by password.

use postroom_core::password::Cost;
use postroom_core::sign_in;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How people sign in by password.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct SignIn {
    /// Hours after which a session ends that is not used.
    pub idle_hours: u32,
    /// Days after which a session ends in any case.
    pub longest_days: u32,
    /// The page of the frontend that the mail for a forgotten password leads to.
    pub reset_url: Option<url::Url>,
    /// The page of the frontend that an invitation leads to.
    pub invitation_url: Option<url::Url>,
    /// Memory that a try of a password takes (argon2id).
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Passwords that are tried at once.
    pub at_once: u32,
}

impl Default for SignIn {
    fn default() -> Self {
        let cost = Cost::default();
        Self {
            idle_hours: 12,
            longest_days: 30,
            reset_url: None,
            invitation_url: None,
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            at_once: 2,
        }
    }
}

impl SignIn {
    /// As the desk goes by it.
    pub(crate) fn settings(&self) -> sign_in::Settings {
        let hours = |hours: u32| Duration::from_secs(u64::from(hours) * 60 * 60);
        sign_in::Settings {
            idle: hours(self.idle_hours),
            longest: hours(self.longest_days * 24),
            cost: Cost { memory_kib: self.memory_kib, passes: self.passes },
            at_once: self.at_once as usize,
            reset_url: self.reset_url.clone(),
            invitation_url: self.invitation_url.clone(),
        }
    }
}
