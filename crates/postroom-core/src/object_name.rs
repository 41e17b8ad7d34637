//! The names of large files in the object store. Each is given once and never again, even to the same
//! bytes, so that to delete a file can never be to delete what somebody is just about to name.

use std::fmt;

/// Hex digits of the hash in a name.
const HASH: usize = 64;
/// Hex digits of the mark and of the number.
const PART: usize = 16;

/// A name: the hash of what the file holds, the mark of the desk that wrote it, and a number.
///
/// The mark tells a desk's own files from those of others: two desks may have one bucket, where one was
/// restored from a backup of the other, say to try it. Neither may delete what the other still names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ObjectName(String);

impl ObjectName {
    /// A new name for the bytes under a hash, given by the desk with this mark.
    pub fn fresh(hash: &str, mark: &str) -> Self {
        Self(format!("{hash}-{mark}-{:0PART$x}", rand::random::<u64>()))
    }

    /// The name for the bytes under a hash in a desk that is being restored. Its mark is new, so that the
    /// name can be told from the hash.
    pub fn restored(hash: &str, mark: &str) -> Self {
        Self(format!("{hash}{}", Self::restored_end(mark)))
    }

    /// What stands behind the hash in [`ObjectName::restored`].
    pub(crate) fn restored_end(mark: &str) -> String {
        format!("-{mark}-{:0PART$x}", 0)
    }

    /// Reads a name; `None`: it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let mut is_next = |digits| parts.next().is_some_and(|part| is_hex(part, digits));
        let is_ours = is_next(HASH) && is_next(PART) && is_next(PART);
        (is_ours && parts.next().is_none()).then(|| Self(text.to_owned()))
    }

    /// The hex SHA-256 of what is in the file, before compression.
    pub fn hash(&self) -> &str {
        &self.0[..HASH]
    }

    /// The mark of the desk that gave the name.
    pub fn mark(&self) -> &str {
        &self.0[HASH + 1..HASH + 1 + PART]
    }

    /// The two letters that it is filed under, so that no folder grows without end.
    pub fn group(&self) -> &str {
        &self.0[..2]
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The mark of a desk that begins.
pub fn fresh_mark() -> String {
    format!("{:0PART$x}", rand::random::<u64>())
}

/// Whether a text could be a desk's mark.
pub fn is_mark(text: &str) -> bool {
    is_hex(text, PART)
}

/// The groups that names are filed under: `00` to `ff`.
pub fn groups() -> impl Iterator<Item = String> {
    (0..=255_u8).map(|group| format!("{group:02x}"))
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_as_it_was_given_and_no_other_is() {
        let (hash, mark) = ("ab".repeat(32), fresh_mark());
        let name = ObjectName::fresh(&hash, &mark);
        assert_eq!(ObjectName::parse(name.as_str()), Some(name.clone()));
        assert_eq!((name.hash(), name.mark(), name.group()), (hash.as_str(), mark.as_str(), "ab"));
        assert_ne!(ObjectName::fresh(&hash, &mark), name, "never the same again");
        let restored = ObjectName::restored(&hash, &mark);
        assert_eq!(ObjectName::parse(restored.as_str()), Some(restored));
        let odd = [
            hash.clone(),
            format!("{hash}-{mark}"),
            format!("{name}-0"),
            format!("{name}.draft-0"),
            name.as_str().to_uppercase(),
            format!("../{}", &name.as_str()[3..]),
            format!(" {name}"),
            String::new(),
        ];
        for odd in odd {
            assert_eq!(ObjectName::parse(&odd), None, "{odd}");
        }
        assert_eq!(groups().count(), 256);
        assert!(groups().any(|group| group == "ab"));
    }
}
