//! Which parts of a mail are its text, which its HTML, and which are files.

use crate::limits::Limits;
use crate::mime::{Node, Tree};
use crate::{flowed, html_text};

/// What a part is to the reader of the mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Plain,
    Html,
    /// Another spelling of the text that nobody needs beside the other two.
    Twin,
    File,
    Container,
}

/// The parts of a mail by what they are for; all hold indices into the tree.
#[derive(Debug, Default)]
pub(crate) struct Roles {
    /// What to show as text, in order; HTML only where an alternative has no text.
    pub(crate) text: Vec<usize>,
    /// What to show as HTML, in order; text only where an alternative has no HTML.
    pub(crate) html: Vec<usize>,
    /// Everything else that has content.
    pub(crate) files: Vec<usize>,
    /// There is HTML among `html`.
    pub(crate) has_html: bool,
}

fn role(node: &Node<'_>, tree: &Tree<'_>) -> Role {
    if node.is_container {
        return Role::Container;
    }
    let parent = node.parent.map(|p| tree.kind(p));
    // RFC 8621 section 4.1.4: a named part is a file, unless it comes first.
    let is_body = !node.is_attachment() && (node.is_first || node.name().is_none()) && {
        node.is_first || parent != Some("multipart/related")
    };
    match node.media.kind.as_str() {
        "text/plain" if is_body => Role::Plain,
        "text/html" if is_body => Role::Html,
        "text/x-amp-html" | "text/watch-html" | "text/enriched" | "text/richtext"
            if parent == Some("multipart/alternative") =>
        {
            Role::Twin
        }
        _ => Role::File,
    }
}

/// Sorts the parts of a mail.
pub(crate) fn roles(tree: &Tree<'_>, limits: &Limits) -> Roles {
    let mut roles = Roles::default();
    let parts: Vec<(usize, Role, Option<usize>)> =
        tree.nodes.iter().enumerate().map(|(i, node)| (i, role(node, tree), tree.alternative(i))).collect();
    // What each alternative offers, by the index of its container.
    let mut offers = vec![(false, false); tree.nodes.len()];
    for (index, role, alternative) in &parts {
        let Some(offer) = alternative.and_then(|container| offers.get_mut(container)) else { continue };
        match role {
            Role::Plain if tree.nodes.get(*index).is_some_and(|node| !is_blank(node, limits)) => {
                offer.0 = true;
            }
            Role::Html => offer.1 = true,
            _ => {}
        }
    }
    for (index, role, alternative) in parts {
        let (has_plain, has_html) =
            alternative.and_then(|container| offers.get(container).copied()).unwrap_or_default();
        match role {
            Role::Plain => {
                roles.text.push(index);
                if !has_html {
                    roles.html.push(index);
                }
            }
            Role::Html => {
                roles.html.push(index);
                roles.has_html = true;
                if !has_plain {
                    roles.text.push(index);
                }
            }
            Role::File => roles.files.push(index),
            Role::Twin | Role::Container => {}
        }
    }
    roles
}

/// An empty text part beside HTML, as some programs send it. A long one holds something.
fn is_blank(node: &Node<'_>, limits: &Limits) -> bool {
    node.body.len() < 1024 && node.text(limits).trim().is_empty()
}

/// The plain text of a text or HTML part, at most about `max` bytes.
pub(crate) fn plain(node: &Node<'_>, decoded: &str, max: usize) -> String {
    if node.media.kind == "text/html" {
        html_text::text(decoded, max)
    } else if node.media.says("format", "flowed") {
        flowed::unflow(decoded, node.media.says("delsp", "yes"))
    } else {
        decoded.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime;

    fn sorted(raw: &str) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
        let limits = Limits::default();
        let roles = roles(&mime::read(raw.as_bytes(), &limits), &limits);
        (roles.text, roles.html, roles.files)
    }

    fn multipart(kind: &str, parts: &[&str]) -> String {
        let parts: String =
            parts.iter().map(|part| format!("--{kind}\n{part}\n")).collect::<Vec<_>>().concat();
        format!("Content-Type: multipart/{kind}; boundary={kind}\n\n{parts}--{kind}--\n")
    }

    const PLAIN: &str = "Content-Type: text/plain\n\nplain";
    const HTML: &str = "Content-Type: text/html\n\n<p>html";
    const IMAGE: &str = "Content-Type: image/png\nContent-ID: <i>\n\nPNG";

    #[test]
    fn an_alternative_gives_each_its_own() {
        assert_eq!(sorted(&multipart("alternative", &[PLAIN, HTML])), (vec![1], vec![2], vec![]));
        let related = multipart("related", &[HTML, IMAGE]);
        assert_eq!(sorted(&multipart("alternative", &[PLAIN, &related])), (vec![1], vec![3], vec![4]));
    }

    #[test]
    fn html_is_the_text_where_there_is_no_other() {
        assert_eq!(sorted(HTML), (vec![0], vec![0], vec![]));
        let blank = "Content-Type: text/plain\n\n \n";
        assert_eq!(sorted(&multipart("alternative", &[blank, HTML])).0, [1, 2]);
    }

    #[test]
    fn text_beside_files_is_text_and_named_text_is_a_file() {
        let named = "Content-Type: text/plain; name=a.txt\n\nfile";
        let attached = "Content-Type: text/html\nContent-Disposition: attachment\n\nfile";
        assert_eq!(
            sorted(&multipart("mixed", &[PLAIN, IMAGE, PLAIN, named, attached])),
            (vec![1, 3], vec![1, 3], vec![2, 4, 5])
        );
        assert_eq!(sorted(named), (vec![0], vec![0], vec![]));
    }

    #[test]
    fn twins_are_nobodys_file() {
        let amp = "Content-Type: text/x-amp-html\n\n<html amp>";
        assert_eq!(sorted(&multipart("alternative", &[PLAIN, amp, HTML])), (vec![1], vec![3], vec![]));
    }
}
