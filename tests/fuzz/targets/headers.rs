//! What threading reads of a mail's headers: bounded, clean ids that are read the same again, a subject
//! that an answer keeps, and no seal that nobody made.

use postroom_core::own_id::Signer;
use postroom_core::ports::{ReadContext, ReadMail};
use postroom_core::text::fold_address;
use postroom_core::threading::{keys, subject};
use postroom_ingest::reader::Reader;
use std::collections::HashSet;

/// Fails where something does not hold of these bytes.
pub fn check(raw: &[u8]) {
    let signer = Signer::new([7; 32]);
    let own = HashSet::from(["support@shop.example".to_owned()]);
    let mail = Reader::default().read(raw, &ReadContext::default());
    let keys = keys::read(&mail, &own, &signer);
    assert!(keys.candidates.len() <= 300 && keys.ghosts.len() <= keys.candidates.len() + 1);
    assert!(keys.aliases.len() <= 20 && keys.answered <= keys.candidates.len());
    for id in keys.ids() {
        assert!(!id.is_empty() && id.len() <= keys::ID_BYTES && !id.contains(['\n', '\0']), "{id:?}");
        let is_thread_index = keys.thread_index.as_deref() == Some(id);
        assert!(is_thread_index || keys::normalise_id(id).as_deref() == Some(id), "{id:?} is read otherwise");
    }
    assert!(keys.candidates.iter().all(|id| keys.message_id.as_ref() != Some(id)), "a mail answers itself");
    assert!(keys.seals.is_empty(), "nobody can guess a seal");

    let (base, ..) = subject::base(&mail.subject);
    assert_eq!(subject::base(&format!("Re: {}", mail.subject)), (base, true, false), "an answer's subject");
    let stem = subject::stem(&mail.subject);
    assert_eq!(subject::stem(&format!("Re: {stem}")), stem);
    for address in mail.from.iter().chain(&mail.to).chain(&mail.cc).chain(&mail.reply_to) {
        let folded = fold_address(&address.email);
        assert_eq!(fold_address(&folded), folded, "one customer is one");
    }
}
