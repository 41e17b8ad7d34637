//! A DNS server of the tests' own: TXT records over UDP on loopback, and nothing else.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The name and type at which a question ends, and where it ends (RFC 1035 section 4.1.2).
fn question(packet: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*packet.get(at)?);
        at += 1;
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(packet.get(at..at + length)?).to_lowercase());
        at += length;
    }
    packet.get(at..at + 4)?;
    Some((labels.join("."), at + 4))
}

/// An answer with one TXT record; without one, that there is no such name (RFC 1035 section 4.1).
fn answer(packet: &[u8], end: usize, text: Option<&str>) -> Vec<u8> {
    let mut reply = packet[..2].to_vec();
    let code = if text.is_some() { 0x80 } else { 0x83 };
    reply.extend([0x81, code, 0, 1, 0, u8::from(text.is_some()), 0, 0, 0, 0]);
    reply.extend(&packet[12..end]);
    if let Some(text) = text {
        let mut strings = Vec::new();
        for piece in text.as_bytes().chunks(255) {
            strings.push(piece.len() as u8);
            strings.extend(piece);
        }
        // The name of the question, TXT, IN, a minute.
        reply.extend([0xC0, 12, 0, 16, 0, 1, 0, 0, 0, 60]);
        reply.extend((strings.len() as u16).to_be_bytes());
        reply.extend(strings);
    }
    reply
}

/// A DNS server that ends when it is dropped.
pub struct Dns {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Dns {
    /// With these records, names without the dot at their end.
    pub fn start(records: &[(String, String)]) -> Self {
        Self::run(Some(records.iter().cloned().collect()))
    }

    /// One that hears questions and never answers.
    pub fn silent() -> Self {
        Self::run(None)
    }

    fn run(records: Option<HashMap<String, String>>) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = socket.local_addr().expect("an address");
        let (asked, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (heard, stop) = (Arc::clone(&asked), Arc::clone(&ends));
        let serving = std::thread::spawn(move || {
            let mut packet = [0; 2048];
            while let Ok((length, from)) = socket.recv_from(&mut packet) {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let packet = &packet[..length];
                let Some((name, end)) = question(packet) else { continue };
                heard.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
                if let Some(records) = &records {
                    let reply = answer(packet, end, records.get(&name).map(String::as_str));
                    socket.send_to(&reply, from).expect("loopback takes a packet");
                }
            }
        });
        Self { address, asked, ends, serving: Some(serving) }
    }

    /// The names that were asked for, in order.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes it, so that it sees.
        let woken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|s| s.send_to(b"end", self.address));
        if let (Ok(_), Some(serving)) = (woken, self.serving.take()) {
            serving.join().expect("the DNS server did not panic");
        }
    }
}
