//! Pieces of what strangers send: what lies outside of it is empty, so that no piece can panic.

/// Cuts that can't fail.
pub trait Cut {
    /// The first `length` of it; all of it where it is shorter.
    fn head(&self, length: usize) -> &Self;
    /// All from `start` on; nothing where it is shorter.
    fn tail(&self, start: usize) -> &Self;
}

impl<T> Cut for [T] {
    fn head(&self, length: usize) -> &Self {
        self.get(..length).unwrap_or(self)
    }

    fn tail(&self, start: usize) -> &Self {
        self.get(start..).unwrap_or_default()
    }
}

impl Cut for str {
    /// Nothing where a character would be torn apart.
    fn head(&self, length: usize) -> &Self {
        if length >= self.len() { self } else { self.get(..length).unwrap_or_default() }
    }

    fn tail(&self, start: usize) -> &Self {
        self.get(start..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::Cut;

    #[test]
    fn nothing_lies_outside() {
        let bytes = [1, 2, 3];
        assert_eq!((bytes.head(2), bytes.head(3), bytes.head(4)), (&[1, 2][..], &bytes[..], &bytes[..]));
        assert_eq!((bytes.tail(2), bytes.tail(3), bytes.tail(4)), (&[3][..], &[][..], &[][..]));
        assert_eq!(("aé".head(1), "aé".head(2), "aé".head(3), "aé".head(9)), ("a", "", "aé", "aé"));
        assert_eq!(("aé".tail(1), "aé".tail(2), "aé".tail(3), "aé".tail(9)), ("é", "", "", ""));
    }
}
