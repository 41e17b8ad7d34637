//! Whose address a request comes from, behind proxies that are trusted and no others.

use crate::problem::Problem;
use crate::state::Api;
use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use ipnet::IpNet;
use postroom_core::audit::Origin;
use std::future::{Ready, ready};
use std::net::{IpAddr, SocketAddr};

/// The address of the client, as far as it can be known.
pub fn client(req: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    let peer = req.peer_addr()?.ip();
    let forwarded = req.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let chain: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    Some(behind(peer, &chain, trusted))
}

/// Where a request comes from, for the audit log.
pub fn origin(req: &HttpRequest, trusted: &[IpNet]) -> Origin {
    let user_agent = req.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    Origin::new(client(req, trusted), user_agent)
}

/// Where a request comes from, for handlers.
#[derive(Debug, Clone)]
pub struct From(pub Origin);

impl FromRequest for From {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let api = req.app_data::<Data<Api>>();
        ready(api.map(|api| Self(origin(req, &api.trusted_proxies))).ok_or_else(Problem::internal))
    }
}

/// Walks from the peer outwards as long as a trusted proxy vouches for the next. What stands
/// before the first untrusted address may be anybody's invention.
fn behind(peer: IpAddr, chain: &[&str], trusted: &[IpNet]) -> IpAddr {
    // A socket of both families shows IPv4 as IPv6.
    let mut nearest = peer.to_canonical();
    for hop in chain.iter().rev() {
        if !trusted.iter().any(|net| net.contains(&nearest)) {
            break;
        }
        // Some proxies write the port as well.
        let address = hop.parse().or_else(|_| hop.parse().map(|hop: SocketAddr| hop.ip()));
        match address {
            Ok(address) => nearest = IpAddr::to_canonical(&address),
            Err(_) => break,
        }
    }
    nearest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_trusted_proxies_are_believed() {
        let trusted: Vec<IpNet> = vec!["127.0.0.1/32".parse().unwrap(), "10.0.0.0/8".parse().unwrap()];
        let seen = |peer: &str, chain: &[&str]| behind(peer.parse().unwrap(), chain, &trusted).to_string();
        assert_eq!(seen("192.0.2.1", &["198.51.100.9"]), "192.0.2.1");
        assert_eq!(seen("127.0.0.1", &["198.51.100.9"]), "198.51.100.9");
        assert_eq!(seen("127.0.0.1", &["6.6.6.6", "198.51.100.9", "10.1.1.1"]), "198.51.100.9");
        assert_eq!(seen("127.0.0.1", &["198.51.100.9", "garbage"]), "127.0.0.1");
        assert_eq!(seen("127.0.0.1", &[]), "127.0.0.1");
        assert_eq!(seen("::ffff:127.0.0.1", &["198.51.100.9"]), "198.51.100.9");
        assert_eq!(seen("127.0.0.1", &["198.51.100.9:4711", "::ffff:10.1.1.1"]), "198.51.100.9");
        assert_eq!(seen("127.0.0.1", &["[2001:db8::1]:443"]), "2001:db8::1");
    }
}
