//! Parts of a file: one byte range at a time (RFC 9110 section 14).

/// What a `Range` header comes to for a file of a known size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no header, one we don't follow (several ranges, another unit), or a broken one.
    Whole,
    /// From the first byte to the last, both counted from 0 and inside the file.
    Part {
        /// The first byte.
        first: usize,
        /// The last byte.
        last: usize,
    },
    /// Nothing of it lies in the file.
    Nothing,
}

/// Reads the header's value.
pub fn wanted(range: Option<&str>, size: usize) -> Wanted {
    let Some((unit, spec)) = range.and_then(|range| range.split_once('=')) else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") || spec.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = spec.trim().split_once('-') else { return Wanted::Whole };
    let number = |text: &str| -> Option<usize> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
    };
    match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            None => Wanted::Whole,
            Some(0) => Wanted::Nothing,
            Some(_) if size == 0 => Wanted::Nothing,
            Some(count) => Wanted::Part { first: size.saturating_sub(count), last: size - 1 },
        },
        (first, last) => {
            let end = if last.is_empty() { Some(usize::MAX) } else { number(last) };
            match (number(first), end) {
                (Some(first), Some(last)) if first > last => Wanted::Whole,
                (Some(first), Some(_)) if first >= size => Wanted::Nothing,
                (Some(first), Some(last)) => Wanted::Part { first, last: last.min(size - 1) },
                _ => Wanted::Whole,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_cut_to_the_file() {
        let part = |first, last| Wanted::Part { first, last };
        for (range, wants) in [
            ("bytes=0-0", part(0, 0)),
            ("bytes=2-4", part(2, 4)),
            ("bytes=2-", part(2, 9)),
            ("bytes=-3", part(7, 9)),
            ("bytes=-30", part(0, 9)),
            ("bytes=5-99", part(5, 9)),
            ("BYTES=5-6", part(5, 6)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=4-2", Wanted::Whole),
            ("bytes=0-1,3-4", Wanted::Whole),
            ("bytes=a-b", Wanted::Whole),
            ("bytes=+1-2", Wanted::Whole),
            ("bytes=-", Wanted::Whole),
            ("lines=1-2", Wanted::Whole),
            ("nonsense", Wanted::Whole),
        ] {
            assert_eq!(wanted(Some(range), 10), wants, "{range}");
        }
        assert_eq!(wanted(None, 10), Wanted::Whole);
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(wanted(Some("bytes=-1"), 0), Wanted::Nothing);
    }
}
