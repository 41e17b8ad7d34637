//! Text of type format=flowed (RFC 3676) put back into paragraphs.

use crate::cut::Cut;

/// Undoes the flowing: a line that ends in a space goes on in the next one of the same quote
/// depth. `del_sp` takes that space out (`DelSp=yes`, for scripts that write no spaces).
pub(crate) fn unflow(text: &str, del_sp: bool) -> String {
    let mut out = String::with_capacity(text.len());
    // The quote depth of the paragraph under way; `None` at the start of one.
    let mut flowing: Option<usize> = None;
    for (at, line) in text.lines().enumerate() {
        let depth = line.bytes().take_while(|b| *b == b'>').count();
        let content = line.tail(depth);
        // One space was stuffed before a line that begins with a space, `>` or `From `.
        let content = content.strip_prefix(' ').unwrap_or(content);
        let is_signature = content == "-- ";
        if flowing.take_if(|open| *open == depth && !is_signature).is_none() {
            if at > 0 {
                out.push('\n');
            }
            if depth > 0 {
                out.extend(std::iter::repeat_n('>', depth));
                out.push_str(if content.is_empty() { "" } else { " " });
            }
        }
        if is_signature {
            out.push_str(content);
            flowing = None;
        } else if let Some(open) = content.strip_suffix(' ') {
            out.push_str(if del_sp { open } else { content });
            flowing = Some(depth);
        } else {
            out.push_str(content);
            flowing = None;
        }
    }
    if text.ends_with('\n') {
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::unflow;

    #[test]
    fn paragraphs_are_joined() {
        assert_eq!(unflow("one \ntwo \nthree\nfour\n", false), "one two three\nfour\n");
        assert_eq!(unflow("one \r\ntwo\r\n", false), "one two\n");
        assert_eq!(unflow("日本 \n語\n", true), "日本語\n");
    }

    #[test]
    fn quotes_and_signatures_stay_apart() {
        assert_eq!(unflow("> one \n> two\nthree \n> four\n", false), "> one two\nthree \n> four\n");
        assert_eq!(unflow(">> a \n> b\n", false), ">> a \n> b\n");
        assert_eq!(unflow("end \n-- \nAda\n", false), "end \n-- \nAda\n");
    }

    #[test]
    fn stuffing_is_taken_out() {
        assert_eq!(
            unflow(" > not quoted\n From here\n  indented\n", false),
            "> not quoted\nFrom here\n indented\n"
        );
    }

    #[test]
    fn empty_lines_stay() {
        assert_eq!(unflow("a\n\n\nb\n", false), "a\n\n\nb\n");
        assert_eq!(unflow("\na\n", false), "\na\n");
        assert_eq!(unflow("", false), "");
    }
}
