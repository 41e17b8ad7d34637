//! Networks that callers may come from.

use crate::error::Faults;
use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The most networks of one token.
pub const NETWORKS: usize = 100;

/// Some networks. IPv4 in IPv6 (`::ffff:192.0.2.7`) is IPv4, in networks as in addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Networks(Vec<IpNet>);

impl Networks {
    /// Reads `192.0.2.0/24`, `2001:db8::/32`, or one address alone. What is wrong is noted below `at`.
    pub fn read(texts: &[String], at: &str, faults: &mut Faults) -> Self {
        if texts.is_empty() {
            faults.add(at, "required", "name at least one network, or leave it out for all");
        }
        if texts.len() > NETWORKS {
            faults.add(at, "too_many", format!("has at most {NETWORKS} members"));
        }
        let mut networks = Vec::with_capacity(texts.len().min(NETWORKS));
        for (index, text) in texts.iter().take(NETWORKS).enumerate() {
            let Some(network) = network(text) else {
                let detail = "must be a network such as 192.0.2.0/24 or 2001:db8::/32, or an address";
                faults.add(format!("{at}/{index}"), "invalid_network", detail);
                continue;
            };
            if network.addr() != network.network() {
                let detail = format!("its address has bits beyond the prefix: write {}", network.trunc());
                faults.add(format!("{at}/{index}"), "invalid_network", detail);
            }
            networks.push(network);
        }
        networks.sort_unstable();
        networks.dedup();
        Self(networks)
    }

    /// Whether a caller may come from an address. One that is not known comes from none of them.
    pub fn allow(&self, address: Option<IpAddr>) -> bool {
        let Some(address) = address.map(|address| address.to_canonical()) else { return false };
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether all of these lie within those.
    pub fn are_within(&self, others: &Self) -> bool {
        self.0.iter().all(|network| others.0.iter().any(|other| other.contains(network)))
    }

    /// As they are written.
    pub fn texts(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

fn network(text: &str) -> Option<IpNet> {
    let network = text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address))).ok()?;
    let IpNet::V6(v6) = network else { return Some(network) };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(prefix)) => Ipv4Net::new(v4, prefix).ok().map(IpNet::V4),
        _ => Some(network),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<Networks, String> {
        let mut faults = Faults::default();
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        let networks = Networks::read(&texts, "/n", &mut faults);
        faults.check().map(|()| networks).map_err(|error| format!("{error:?}"))
    }

    #[test]
    fn callers_come_from_where_they_may() {
        let networks =
            read(&["192.0.2.0/24", "2001:db8::/32", "::ffff:198.51.100.0/120", "203.0.113.9"]).unwrap();
        let allow = |address: &str| networks.allow(Some(address.parse().unwrap()));
        for inside in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8:1::1", "198.51.100.255", "203.0.113.9"] {
            assert!(allow(inside), "{inside}");
        }
        for outside in ["192.0.3.1", "2001:db9::1", "198.51.101.0", "203.0.113.8", "::192.0.2.1"] {
            assert!(!allow(outside), "{outside}");
        }
        assert!(!networks.allow(None));
        assert_eq!(networks.texts().len(), 4);
    }

    #[test]
    fn networks_are_written_without_doubt() {
        for wrong in [
            "",
            "192.0.2",
            "192.0.2.0/33",
            "192.0.2.7/24",
            "example.org",
            "::ffff:192.0.2.7/100",
            " 10.0.0.0/8",
        ] {
            assert!(read(&[wrong]).is_err(), "{wrong:?}");
        }
        assert!(read(&[]).is_err());
        assert!(read(&["10.0.0.0/8"; NETWORKS + 1]).is_err());
        assert_eq!(read(&["0.0.0.0/0"; 2]).unwrap().texts(), ["0.0.0.0/0"]);
    }

    #[test]
    fn narrower_is_within() {
        let wide = read(&["10.0.0.0/8", "2001:db8::/32"]).unwrap();
        assert!(read(&["10.1.0.0/16", "2001:db8:1::/48"]).unwrap().are_within(&wide));
        assert!(!read(&["10.1.0.0/16", "11.0.0.0/8"]).unwrap().are_within(&wide));
        assert!(!read(&["0.0.0.0/0"]).unwrap().are_within(&wide));
    }
}
