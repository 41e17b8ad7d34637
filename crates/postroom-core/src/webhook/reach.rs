//! Where a webhook may be. The desk must not become a way into its own network: addresses that are not public
//! are refused, by number and after every look-up of a name, unless whoever runs the desk allows them.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// The longest address of a webhook, in characters.
pub const URL_CHARS: usize = 2_000;

/// What the configuration allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Without TLS as well.
    pub allow_http: bool,
    /// Ports; none is any.
    pub ports: Vec<u16>,
    /// Networks that are not public, and allowed all the same.
    pub networks: Vec<IpNet>,
    /// Names that may lead to any address.
    pub hosts: Vec<String>,
}

impl Default for Reach {
    fn default() -> Self {
        Self { allow_http: false, ports: vec![80, 443, 8443], networks: Vec::new(), hosts: Vec::new() }
    }
}

/// Networks that are nobody's public address (IANA's special-purpose registries), and those that lead to
/// others: a gateway would make a private address of one in them.
const CLOSED_V4: [(Ipv4Addr, u8); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

const CLOSED_V6: [(Ipv6Addr, u8); 15] = [
    // ::/96 holds ::, ::1 and the IPv4-compatible addresses.
    (Ipv6Addr::UNSPECIFIED, 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// Names of this machine, and of what clouds tell their machines.
const CLOSED_NAMES: [&str; 4] = ["localhost", "metadata", "metadata.google.internal", "instance-data"];

/// Whether an address is somebody's public one.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !CLOSED_V4.iter().any(|(net, bits)| {
            let shift = 32 - u32::from(*bits);
            v4.to_bits() >> shift == net.to_bits() >> shift
        }),
        IpAddr::V6(v6) => !CLOSED_V6.iter().any(|(net, bits)| {
            let shift = 128 - u32::from(*bits);
            v6.to_bits() >> shift == net.to_bits() >> shift
        }),
    }
}

impl Reach {
    /// Reads where a webhook is to be. What is wrong with it is a code and a sentence. A name is not looked
    /// up here: where it leads is asked each time that it is called.
    pub fn read(&self, text: &str) -> Result<Url, (&'static str, String)> {
        let fault = |code, detail: &str| Err((code, detail.to_owned()));
        if text.chars().count() > URL_CHARS {
            return Err(("too_long", format!("has at most {URL_CHARS} characters")));
        }
        let Ok(url) = Url::parse(text) else {
            return fault("invalid_url", "must be an address such as https://example.org/hook");
        };
        match url.scheme() {
            "https" => {}
            "http" if self.allow_http => {}
            "http" => {
                return fault("not_https", "must begin with https://; webhooks.allow_http is not set");
            }
            _ => return fault("not_https", "must begin with https://"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return fault("credentials", "must hold no user and no password; the signature proves who calls");
        }
        if url.fragment().is_some() {
            return fault("fragment", "must hold no #");
        }
        let port = url.port_or_known_default().unwrap_or(0);
        if port == 0 || !(self.ports.is_empty() || self.ports.contains(&port)) {
            return Err(("port_not_allowed", format!("port {port} is not one of webhooks.ports")));
        }
        let refused = match url.host() {
            None => Some("has no host".to_owned()),
            Some(Host::Ipv4(address)) => self.fault(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => self.fault(IpAddr::V6(address)),
            Some(Host::Domain(name)) => self.name_fault(name),
        };
        refused.map_or(Ok(url), |why| Err(("address_not_allowed", why)))
    }

    /// What is wrong with the addresses that a name leads to: all of them must be allowed. Whoever calls it connects
    /// to no other ones.
    pub fn vet(&self, name: &str, addresses: &[IpAddr]) -> Result<(), String> {
        if addresses.is_empty() {
            return Err("the name leads nowhere".to_owned());
        }
        if self.is_open_name(name) {
            return Ok(());
        }
        addresses.iter().find_map(|address| self.fault(*address)).map_or(Ok(()), Err)
    }

    fn fault(&self, address: IpAddr) -> Option<String> {
        let is_allowed = is_public(address) || self.networks.iter().any(|net| net.contains(&address));
        (!is_allowed)
            .then(|| format!("{address} is not a public address, nor one of webhooks.allow_networks"))
    }

    fn is_open_name(&self, name: &str) -> bool {
        let name = name.trim_end_matches('.');
        self.hosts.iter().any(|open| open.trim_end_matches('.').eq_ignore_ascii_case(name))
    }

    fn name_fault(&self, name: &str) -> Option<String> {
        let bare = name.trim_end_matches('.');
        let is_closed = CLOSED_NAMES.contains(&bare)
            || bare.rsplit_once('.').is_some_and(|(_, last)| last == "localhost");
        (is_closed && !self.is_open_name(name)).then(|| {
            format!("{bare} is a name of this machine or its network; webhooks.allow_hosts allows names")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(reach: &Reach, url: &str) -> Result<(), &'static str> {
        reach.read(url).map(drop).map_err(|(code, _)| code)
    }

    #[test]
    fn no_form_of_an_address_that_is_not_public_is_reached() {
        let refused = [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0x7f.1",
            "0177.0.0.1",
            "017700000001",
            "0",
            "169.254.169.254",
            "169.254.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "192.168.255.255",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "１２７.0.0.1",
            "127。0。0。1",
            "%31%32%37.0.0.1",
            "127.0.0.1.",
            "[::]",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[::ffff:8.8.8.8]",
            "[::ffff:0:127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b::8.8.8.8]",
            "[64:ff9b:1::1]",
            "[100::1]",
            "[2001::1]",
            "[2001:1ff::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[2002:808:808::1]",
            "[3fff::1]",
            "[3fff:fff::1]",
            "[5f00::1]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fdff::1]",
            "[fe80::1]",
            "[febf::1]",
            "[fec0::1]",
            "[ff02::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "a.localhost",
            "metadata.google.internal",
            "metadata",
            "instance-data",
            "Metadata.Google.Internal.",
        ];
        let reach = Reach::default();
        for host in refused {
            assert_eq!(code(&reach, &format!("https://{host}/hook")), Err("address_not_allowed"), "{host}");
        }
        assert!(refused.len() >= 60);
    }

    #[test]
    fn the_neighbours_of_closed_networks_are_open() {
        let open = [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "[2001:200::1]",
            "[2001:db7:ffff::1]",
            "[2001:db9::1]",
            "[2003::1]",
            "[2606:4700::1]",
            "[3ffe::1]",
            "[3fff:1000::1]",
            "hooks.example.org",
            "localhost.example.org",
            "xn--bcher-kva.example",
        ];
        for host in open {
            assert_eq!(code(&Reach::default(), &format!("https://{host}/hook")), Ok(()), "{host}");
        }
    }

    #[test]
    fn an_address_is_https_without_credentials_on_an_allowed_port() {
        let reach = Reach::default();
        for (url, told) in [
            ("http://example.org/", "not_https"),
            ("ftp://example.org/", "not_https"),
            ("file:///etc/passwd", "not_https"),
            ("gopher://example.org/", "not_https"),
            ("https://user@example.org/", "credentials"),
            ("https://user:word@example.org/", "credentials"),
            ("https://example.org@10.0.0.1/", "credentials"),
            ("https://example.org/#there", "fragment"),
            ("https://example.org:22/", "port_not_allowed"),
            ("https://example.org:0/", "port_not_allowed"),
            ("example.org/hook", "invalid_url"),
            ("https://", "invalid_url"),
            ("", "invalid_url"),
        ] {
            assert_eq!(code(&reach, url), Err(told), "{url}");
        }
        for url in ["https://example.org:8443/a?b=c", "https://example.org:443", "https://bücher.example/"] {
            assert_eq!(code(&reach, url), Ok(()), "{url}");
        }
        let longest = format!("https://example.org/{}", "a".repeat(URL_CHARS - 20));
        assert_eq!(code(&reach, &longest), Ok(()));
        assert_eq!(code(&reach, &format!("{longest}a")), Err("too_long"));
    }

    #[test]
    fn what_is_allowed_is_reached_and_nothing_beside_it() {
        let reach = Reach {
            allow_http: true,
            ports: Vec::new(),
            networks: vec!["10.1.0.0/16".parse().unwrap(), "fd00::/64".parse().unwrap()],
            hosts: vec!["Hooks.Internal.".to_owned()],
        };
        for url in ["http://10.1.2.3:8080/", "https://[fd00::7]:1/", "http://hooks.internal/"] {
            assert_eq!(code(&reach, url), Ok(()), "{url}");
        }
        for url in ["http://10.2.0.1/", "https://[fd00:0:0:1::7]/", "http://[::ffff:10.1.2.3]/"] {
            assert_eq!(code(&reach, url), Err("address_not_allowed"), "{url}");
        }
        let inside = [IpAddr::from([10, 9, 9, 9])];
        assert_eq!(reach.vet("hooks.internal.", &inside), Ok(()));
        assert!(reach.vet("other.internal", &inside).is_err());
    }

    #[test]
    fn one_address_that_is_not_public_is_enough_to_refuse_a_name() {
        let reach = Reach::default();
        let (open, closed) = (IpAddr::from([1, 1, 1, 1]), IpAddr::from([127, 0, 0, 1]));
        assert_eq!(reach.vet("a.example", &[open]), Ok(()));
        assert!(reach.vet("a.example", &[open, closed]).is_err());
        assert!(reach.vet("a.example", &[]).is_err());
    }
}
