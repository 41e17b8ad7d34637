//! The section `[webhooks]`: where webhooks may be, and how long they may take.

use postroom_core::webhook::reach::Reach;
use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Where webhooks may be.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Webhooks {
    /// Addresses that begin with `http://` as well.
    pub allow_http: bool,
    /// The ports they may have; none is any.
    #[serde(deserialize_with = "one_or_more")]
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

/// Numbers, or one alone: a variable of the environment that holds one number is no list to the loader.
fn one_or_more<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u16>, D::Error> {
    struct OneOrMore;
    impl<'de> Visitor<'de> for OneOrMore {
        type Value = Vec<u16>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("ports")
        }

        fn visit_i64<E: de::Error>(self, port: i64) -> Result<Self::Value, E> {
            u16::try_from(port).map(|port| vec![port]).map_err(|_| E::custom("a port has another number"))
        }

        fn visit_u64<E: de::Error>(self, port: u64) -> Result<Self::Value, E> {
            u16::try_from(port).map(|port| vec![port]).map_err(|_| E::custom("a port has another number"))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut ports: A) -> Result<Self::Value, A::Error> {
            let mut all = Vec::new();
            while let Some(port) = ports.next_element()? {
                all.push(port);
            }
            Ok(all)
        }
    }
    deserializer.deserialize_any(OneOrMore)
}
