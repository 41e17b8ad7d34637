//! Files on their way to a browser: a name that every browser reads (RFC 6266) and a type that
//! lets none of them run anything.

use postroom_core::picture;

/// The value of `Content-Disposition` that makes a browser keep the file.
pub fn attachment(filename: &str) -> String {
    let ascii: String = filename
        .chars()
        .map(|c| if c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '%') || c == ' ' { c } else { '_' })
        .collect();
    if ascii == filename {
        return format!("attachment; filename=\"{ascii}\"");
    }
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{}", percent(filename))
}

/// RFC 8187 section 3.2.1: everything but `attr-char` as its bytes.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 15] {
                encoded.push(char::from(b"0123456789ABCDEF"[usize::from(digit)]));
            }
        }
    }
    encoded
}

/// The type a file is served as: an image that is declared as one and begins like one, else
/// bytes without a meaning.
pub fn served_type(declared: &str, content: &[u8]) -> &'static str {
    picture::content_type(content).filter(|found| *found == declared).unwrap_or("application/octet-stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_twice_where_ascii_does_not_do() {
        for (name, value) in [
            ("bill.pdf", "attachment; filename=\"bill.pdf\""),
            ("a b.pdf", "attachment; filename=\"a b.pdf\""),
            (
                "Rechnung für Ödön.pdf",
                "attachment; filename=\"Rechnung f_r _d_n.pdf\"; \
                 filename*=UTF-8''Rechnung%20f%C3%BCr%20%C3%96d%C3%B6n.pdf",
            ),
            ("a\"b\\c.txt", "attachment; filename=\"a_b_c.txt\"; filename*=UTF-8''a%22b%5Cc.txt"),
            ("100%.txt", "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt"),
            ("x\r\ny", "attachment; filename=\"x__y\"; filename*=UTF-8''x%0D%0Ay"),
        ] {
            assert_eq!(attachment(name), value);
        }
    }

    #[test]
    fn only_true_images_are_images() {
        assert_eq!(served_type("image/png", b"\x89PNG\r\n\x1a\nrest"), "image/png");
        assert_eq!(served_type("image/gif", b"GIF89a"), "image/gif");
        assert_eq!(served_type("image/jpeg", b"\xff\xd8\xff\xe0"), "image/jpeg");
        assert_eq!(served_type("image/webp", b"RIFF\x10\0\0\0WEBPVP8 "), "image/webp");
        for (declared, content) in [
            ("image/png", &b"<script>"[..]),
            ("image/svg+xml", b"<svg/>"),
            ("text/html", b"<html>"),
            ("image/webp", b"RIFF"),
            ("application/pdf", b"%PDF-1.7"),
        ] {
            assert_eq!(served_type(declared, content), "application/octet-stream");
        }
    }
}
