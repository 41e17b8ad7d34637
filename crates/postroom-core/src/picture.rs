//! Pictures, known by what they begin with.

/// The type of a picture that browsers and mail programs show without harm, by what it begins with. What it
/// is said to be counts for nothing.
pub fn content_type(content: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| content.starts_with(magic);
    match content {
        _ if begins(b"\x89PNG\r\n\x1a\n") => Some("image/png"),
        _ if begins(b"\xff\xd8\xff") => Some("image/jpeg"),
        _ if begins(b"GIF87a") || begins(b"GIF89a") => Some("image/gif"),
        _ if begins(b"RIFF") && content.get(8..12) == Some(b"WEBP") => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::content_type;

    #[test]
    fn only_true_pictures_are_pictures() {
        assert_eq!(content_type(b"\x89PNG\r\n\x1a\nrest"), Some("image/png"));
        assert_eq!(content_type(b"\xff\xd8\xff\xe0"), Some("image/jpeg"));
        assert_eq!(content_type(b"GIF89a"), Some("image/gif"));
        assert_eq!(content_type(b"RIFF\x10\0\0\0WEBPVP8 "), Some("image/webp"));
        for no_picture in [&b"<svg/>"[..], b"", b"BM", b"\0\0\x01\0", b"%PDF-", b"RIFF\x10\0\0\0WAVE"] {
            assert_eq!(content_type(no_picture), None);
        }
    }
}
