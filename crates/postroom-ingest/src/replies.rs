//! Answers as mail programs write them, in `corpus/replies/`, each beside what its writer wrote: the
//! `.eml` and the `.txt` of one name. How many are found exactly is what the extractor promises.

use crate::reader::Reader;
use postroom_core::mail::Mail;
use postroom_core::ports::{ReadContext, ReadMail};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Of a hundred answers, so many are found exactly.
const EXACT_PERCENT: usize = 94;

/// Name, mail and expected reply.
fn corpus() -> Vec<(String, Mail, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/replies");
    let entries = std::fs::read_dir(folder).expect("the corpus is there");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("can be listed").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "eml"));
    paths.sort();
    let read = |path: PathBuf| {
        let raw = std::fs::read(&path).expect("can be read");
        let expected = std::fs::read_to_string(path.with_extension("txt")).expect("stands beside it");
        let name = path.file_stem().expect("has a name").to_string_lossy().into_owned();
        (name, Reader::default().read(&raw, &ReadContext::default()), expected.trim().to_owned())
    };
    paths.into_iter().map(read).collect()
}

fn shown(mail: &Mail) -> &str {
    mail.reply_text.as_deref().unwrap_or(&mail.text).trim()
}

#[test]
fn replies_are_found_in_every_language_and_program() {
    let corpus = corpus();
    let (mut missed, mut lost) = (Vec::new(), Vec::new());
    for (name, mail, expected) in &corpus {
        let found = shown(mail);
        // A reply is lost whole where not even its first line is shown.
        if !found.contains(expected.lines().next().unwrap_or_default()) {
            lost.push(name);
        }
        if found != expected {
            missed.push(format!("{name}:\n--- expected\n{expected}\n--- found\n{found}"));
        }
    }
    let exact = corpus.len() - missed.len();
    println!("{exact} of {} replies found exactly, {} lost whole", corpus.len(), lost.len());
    let all = missed.join("\n\n");
    assert!(lost.is_empty(), "lost whole: {lost:?}\n{all}");
    assert!(exact * 100 >= corpus.len() * EXACT_PERCENT, "{exact} of {}\n{all}", corpus.len());
    println!("{all}");
    let languages: BTreeSet<&str> =
        corpus.iter().filter_map(|(name, ..)| name.strip_prefix("gmail-")).collect();
    assert!(corpus.len() >= 60 && languages.len() >= 15, "{} in {languages:?}", corpus.len());
}

#[test]
fn the_parts_are_views_into_the_kept_text() {
    let mut signed = 0;
    for (name, mail, _) in corpus() {
        let parts = &mail.parts_of_text;
        let [signature, quoted] = [parts.signature_in(&mail.text), parts.quoted_in(&mail.text)];
        assert_eq!(parts.signature.is_some(), signature.is_some(), "{name}");
        assert_eq!(parts.quoted.is_some(), quoted.is_some(), "{name}");
        let is_cut = signature.is_some() || quoted.is_some();
        assert_eq!(mail.reply_text.is_some(), is_cut, "{name}");
        signed += usize::from(signature.is_some());
        let Some(reply) = &mail.reply_text else { continue };
        assert!(mail.text.trim_start().starts_with(reply.as_str()), "{name}: {reply:?}");
        // Nothing is in two of them, and what is in none of them is a rule or white space.
        let mut left = mail.text.replacen(reply, "", 1);
        for part in [signature, quoted].into_iter().flatten() {
            assert!(left.contains(part), "{name}: {part:?}");
            left = left.replacen(part, "", 1);
        }
        let is_rest = left.chars().all(|c| c.is_whitespace() || "_-=*—>".contains(c));
        assert!(is_rest, "{name}: {left:?}");
    }
    assert!(signed >= 8, "{signed}");
}
