//! Free ports on loopback, for servers that can't be told to take any port themselves.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below Linux' range for outgoing connections (32768 and up), so that a port that was free when
/// it was handed out is not taken by somebody's client a moment later.
const FIRST: u16 = 16_000;
const COUNT: u16 = 16_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port of 127.0.0.1 on which nobody listens now. No port is handed out twice by one process.
///
/// Another program can still take it before its server does; servers of this crate try again then.
///
/// # Panics
/// If all ports between 16000 and 31999 are taken.
pub fn free() -> u16 {
    // Test processes that run side by side start at different places.
    let start = (std::process::id() % u32::from(COUNT)) as u16;
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let spread = (u32::from(start) * 37 + u32::from(step)) % u32::from(COUNT);
        let port = FIRST + spread as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port on 127.0.0.1 between {FIRST} and {}", FIRST + COUNT - 1);
}

/// An address of this machine at which nobody answers: for "the server is not there" tests.
pub fn unreachable() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, free()))
}
