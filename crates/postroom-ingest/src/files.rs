//! The files of a mail: what they are called, what they are, how long they are.

use crate::headers::Headers;
use crate::limits::Limits;
use crate::mime::Node;
use crate::{fields, fingerprint::Fingerprint};
use postroom_core::mail::Part;
use postroom_core::text;
use sha2::{Digest, Sha256};

/// The longest Content-ID that is kept, in characters.
const ID_CHARS: usize = 255;

/// Types that name nested mail whole.
pub(crate) const MAIL: [&str; 2] = ["message/rfc822", "message/global"];

/// Describes a file and adds it to the fingerprint. `is_shown` tells whether the HTML shows the
/// picture of this Content-ID.
pub(crate) fn describe(
    index: usize,
    node: &Node<'_>,
    print: &mut Fingerprint,
    limits: &Limits,
    is_shown: impl Fn(&str) -> bool,
) -> Part {
    let mut size = 0_i64;
    let mut hash = Sha256::new();
    node.stream(&mut |bytes| {
        size += bytes.len() as i64;
        hash.update(bytes);
    });
    print.add_file(&hash.finalize());
    let content_id = node.content_id().map(|id| text::one_line(&id, ID_CHARS));
    let inline = content_id.as_deref().is_some_and(is_shown);
    Part {
        part: i32::try_from(index).unwrap_or(i32::MAX),
        filename: file_name(node, limits),
        content_type: node.media.kind.clone(),
        size,
        inline,
        content_id,
    }
}

/// The name a part was sent under, or one made of what it is.
fn file_name(node: &Node<'_>, limits: &Limits) -> String {
    if let Some(name) = node.name() {
        return text::file_name(name);
    }
    let kind = node.media.kind.as_str();
    if MAIL.contains(&kind) {
        let (inner, _) = Headers::read(node.body, 0, true, limits);
        let subject = inner.first("Subject").map(fields::unstructured).unwrap_or_default();
        // A name, not a path: a slash in a subject would be taken for one.
        let subject = text::one_line(&subject.replace(['/', '\\'], "-"), 100);
        let subject = subject.trim_matches([' ', '.', '-']);
        return text::file_name(&format!("{}.eml", if subject.is_empty() { "message" } else { subject }));
    }
    let name = match kind {
        "text/calendar" => "invite.ics",
        "text/html" => "text.html",
        "text/csv" => "table.csv",
        "text/vcard" | "text/x-vcard" => "contact.vcf",
        "text/rfc822-headers" | "message/global-headers" => "headers.txt",
        "message/delivery-status" | "message/global-delivery-status" => "delivery-status.txt",
        "message/disposition-notification" => "receipt.txt",
        "message/feedback-report" => "report.txt",
        "image/jpeg" | "image/jpg" | "image/pjpeg" => "image.jpg",
        "image/png" => "image.png",
        "image/gif" => "image.gif",
        "image/webp" => "image.webp",
        "image/heic" => "image.heic",
        "image/svg+xml" => "image.svg",
        "audio/mpeg" => "audio.mp3",
        "audio/wav" | "audio/x-wav" => "audio.wav",
        "video/mp4" => "video.mp4",
        "application/pdf" => "document.pdf",
        "application/zip" => "archive.zip",
        "application/json" => "data.json",
        "application/pgp-signature" => "signature.asc",
        "application/pkcs7-signature" | "application/x-pkcs7-signature" => "smime.p7s",
        "application/ms-tnef" | "application/vnd.ms-tnef" => "winmail.dat",
        _ if kind.starts_with("text/") => "text.txt",
        _ => "file.bin",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime;

    fn described(raw: &str) -> Part {
        let limits = Limits::default();
        let tree = mime::read(raw.as_bytes(), &limits);
        describe(0, tree.top(), &mut Fingerprint::new("", "", ""), &limits, |id| id == "shown@x")
    }

    #[test]
    fn names_are_found_or_made() {
        let name = |raw: &str| described(raw).filename;
        assert_eq!(name("Content-Disposition: attachment; filename=\"../a.pdf\"\n\n"), "a.pdf");
        assert_eq!(name("Content-Type: image/png; name=\"=?utf-8?q?=C3=A4.png?=\"\n\n"), "ä.png");
        assert_eq!(name("Content-Type: application/pdf\n\n"), "document.pdf");
        assert_eq!(name("Content-Type: message/rfc822\n\nSubject: Re: a/b\n\n"), "Re: a-b.eml");
        assert_eq!(name("Content-Type: message/rfc822\n\nFrom: a@b\n\n"), "message.eml");
        assert_eq!(name("Content-Type: x/y; name=\" \"\n\n"), "file.bin");
    }

    #[test]
    fn sizes_are_of_the_decoded_bytes() {
        assert_eq!(described("Content-Type: x/y\nContent-Transfer-Encoding: base64\n\nQUJD\nRA==\n").size, 4);
        assert_eq!(described("Content-Type: x/y\r\n\r\nab\r\ncd").size, 5);
    }

    #[test]
    fn pictures_in_the_text_are_inline() {
        let shown = described("Content-Type: image/png\nContent-ID: <shown@x>\n\n");
        assert_eq!((shown.inline, shown.content_id.as_deref()), (true, Some("shown@x")));
        assert!(!described("Content-Type: image/png\nContent-ID: <other@x>\n\n").inline);
        assert!(!described("Content-Type: image/png\nContent-Disposition: inline\n\n").inline);
    }
}
