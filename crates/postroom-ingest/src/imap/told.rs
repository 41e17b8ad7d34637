//! What mails are about and who wrote them, for people to know them by.

use super::words::uid_set;
use super::{ImapSession, UIDS};
use crate::error::SourceError;
use crate::fields::unstructured;
use crate::headers::Headers;
use crate::limits::Limits;
use postroom_core::ports::Told;
use postroom_core::text::one_line;

/// Characters of a line that people know a mail by.
const SHOWN: usize = 200;

impl ImapSession {
    /// Subject and sender of these mails; those that are gone are left out.
    pub fn told(&mut self, uids: &[u32]) -> Result<Vec<Told>, SourceError> {
        let query = "(UID BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])";
        let mut all = Vec::with_capacity(uids.len());
        for uids in uids.chunks(UIDS) {
            let set = uid_set(uids);
            let fetches = self.ask("look at mails", |session| session.uid_fetch(&set, query))?;
            for fetch in fetches.iter() {
                let head = fetch.header().and_then(|header| self.shelf.take(header));
                let (Some(uid), Some(head)) = (fetch.uid, head) else { continue };
                let (headers, _) = Headers::read(&head, 0, true, &Limits::default());
                let line = |name| headers.first(name).map(|value| one_line(&unstructured(value), SHOWN));
                let line = |name| line(name).filter(|line| !line.is_empty());
                all.push(Told { uid: i64::from(uid), subject: line("Subject"), from: line("From") });
            }
        }
        Ok(all)
    }
}
