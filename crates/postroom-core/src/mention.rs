//! Agents whom a note names, so that they look at it: `@ada`, `@"Ada Lovelace"`.

use crate::people::Agent;
use crate::text::fold;

/// The most agents whom one note names.
pub const MENTIONS: usize = 50;
/// The longest name behind an `@`, in characters.
const NAME_CHARS: usize = 200;

/// The names that stand behind an `@` in a text, as they are written. An `@` in the midst of a word is an address.
pub fn names(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut names: Vec<String> = Vec::new();
    for (at, _) in chars.iter().enumerate().filter(|(_, c)| **c == '@') {
        let begins = at == 0 || chars.get(at - 1).is_some_and(|before| !is_of_a_word(*before));
        let rest = chars.get(at + 1..).unwrap_or_default();
        let name = match rest.first() {
            Some('"') => rest.get(1..).and_then(quoted),
            _ => word(rest),
        };
        if let Some(name) = name.filter(|_| begins)
            && !names.contains(&name)
        {
            names.push(name);
        }
        if names.len() == MENTIONS {
            break;
        }
    }
    names
}

fn is_of_a_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '@')
}

fn quoted(rest: &[char]) -> Option<String> {
    let end = rest.iter().take(NAME_CHARS + 1).position(|c| *c == '"')?;
    let name: String = rest.get(..end)?.iter().collect();
    (!name.trim().is_empty()).then(|| name.trim().to_owned())
}

/// Signs at its end belong to the sentence.
fn word(rest: &[char]) -> Option<String> {
    let name: String = rest.iter().take_while(|c| is_of_a_word(**c) && **c != '@').take(NAME_CHARS).collect();
    let name = name.trim_end_matches(['.', '_', '-', '+']);
    (!name.is_empty()).then(|| name.to_owned())
}

/// Whom a name means: by the whole name, or what stands before the `@` of their address, or the first of their names.
/// `None` where that is nobody, or more than one.
pub fn meant<'a>(name: &str, agents: &'a [Agent]) -> Option<&'a Agent> {
    let name = fold(name);
    let by: [fn(&Agent) -> String; 3] = [
        |agent| fold(&agent.name),
        |agent| fold(agent.email.split('@').next().unwrap_or_default()),
        |agent| fold(agent.name.split_whitespace().next().unwrap_or_default()),
    ];
    for called in by {
        let mut found = agents.iter().filter(|agent| called(agent) == name);
        if let Some(agent) = found.next() {
            return found.next().is_none().then_some(agent);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_behind_an_at_that_begins_a_word() {
        for (text, expected) in [
            ("@ada, please", vec!["ada"]),
            ("(@ada.lovelace) and @Bob.", vec!["ada.lovelace", "Bob"]),
            ("write to ada@example.org or @", vec![]),
            ("@\"Ada Lovelace\" @\" \" @\"open", vec!["Ada Lovelace"]),
            ("@ada @ada", vec!["ada"]),
            ("@\u{5c71}\u{7530}\u{3055}\u{3093}", vec!["\u{5c71}\u{7530}\u{3055}\u{3093}"]),
            ("a @@b", vec![]),
        ] {
            assert_eq!(names(text), expected, "{text}");
        }
        let many: Vec<String> = (0..60).map(|number| format!("@a{number}")).collect();
        assert_eq!(names(&many.join(" ")).len(), MENTIONS);
    }
}
