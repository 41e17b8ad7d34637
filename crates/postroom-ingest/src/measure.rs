//! A mail that is read in pieces: as much of it as fits, with the size and the hash of all of it. What a
//! mail is known by must not change with the limit up to which mails are taken in.

use crate::cut::Cut;
use postroom_core::keys::hex;
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Bytes that are read together.
const PIECE: usize = 64 * 1024;

/// A mail, or its beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// The mail; at most as much of it as was asked for.
    pub raw: Vec<u8>,
    /// Bytes of the whole mail.
    pub size: u64,
    /// Hex SHA-256 of the whole mail.
    pub hash: String,
}

/// A mail that is being read.
pub(crate) struct Measuring {
    raw: Vec<u8>,
    most: usize,
    size: u64,
    hash: Sha256,
}

impl Measuring {
    /// Of a mail `most` bytes are kept.
    pub fn new(most: usize) -> Self {
        Self { raw: Vec::new(), most, size: 0, hash: Sha256::new() }
    }

    /// The next piece.
    pub fn add(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.hash.update(bytes);
        let room = self.most - self.raw.len();
        self.raw.extend_from_slice(bytes.head(room));
    }

    /// The mail is over.
    pub fn end(self) -> Measured {
        Measured { raw: self.raw, size: self.size, hash: hex(&self.hash.finalize()) }
    }
}

/// Reads to the end and keeps `most` bytes.
pub(crate) fn measure(mut reader: impl Read, most: usize) -> io::Result<Measured> {
    let mut mail = Measuring::new(most);
    let mut piece = vec![0; PIECE];
    loop {
        match reader.read(&mut piece) {
            Ok(0) => return Ok(mail.end()),
            Ok(count) => mail.add(piece.head(count)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postroom_core::keys::sha256_hex;

    #[test]
    fn what_a_mail_is_known_by_does_not_change_with_the_limit() {
        let whole = vec![b'x'; PIECE + 1];
        for most in [0, 1, PIECE - 1, PIECE, PIECE + 1, PIECE + 2] {
            let measured = measure(whole.as_slice(), most).unwrap();
            assert_eq!(measured.raw.len(), most.min(whole.len()));
            assert_eq!((measured.size, measured.hash), (whole.len() as u64, sha256_hex(&whole)));
        }
    }
}
