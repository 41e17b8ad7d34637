//! The section `[webhooks]`: where webhooks may be, and how long they may take.

use postroom_core::webhook::reach::Reach;
use serde::{Deserialize, Serialize};

/// Where webhooks may be.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// Addresses that begin with `http://` as well.
    pub allow_http: bool,
    /// The ports they may have; none is any.
    pub ports: Vec<u16>,
    /// Networks that are not public, and allowed all the same.
    pub allow_networks: Vec<ipnet::IpNet>,
    /// Names that may lead to any address.
    pub allow_hosts: Vec<String>,
    /// Seconds that a receiver has to answer.
    pub timeout_seconds: u32,
}

impl Default for Webhooks {
    fn default() -> Self {
        let usual = Reach::default();
        Self {
            allow_http: usual.allow_http,
            ports: usual.ports,
            allow_networks: usual.networks,
            allow_hosts: usual.hosts,
            timeout_seconds: 15,
        }
    }
}

impl Webhooks {
    /// As the desk goes by it.
    pub(crate) fn reach(&self) -> Reach {
        Reach {
            allow_http: self.allow_http,
            ports: self.ports.clone(),
            networks: self.allow_networks.clone(),
            hosts: self.allow_hosts.clone(),
        }
    }
}
