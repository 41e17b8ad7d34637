//! What waits: fetched in batches, taken in, and looked for where it did not come.

use super::{FolderPoll, HOPELESS, Stopped};
use crate::work::batch::{self, BATCH_MAILS, HEAD_BYTES, LARGE_BYTES, next_batch};
use postroom_core::actor::Actor;
use postroom_core::intake::{Arrival, Batch};
use postroom_core::operations::fetching::{self, Fault, Folder};
use postroom_core::ports::ReadContext;
use postroom_core::store::pending::{Pending, UNKNOWN_SIZE};
use postroom_ingest::error::SourceError;
use postroom_ingest::source::{Fetched, MailSource};
use std::collections::HashSet;

impl FolderPoll<'_> {
    /// Fetches what waits: what is new in batches; what was tried in vain before, one by one and
    /// once in this poll.
    pub(super) fn fetch_all(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
    ) -> Result<Option<String>, Stopped> {
        let mut fault = None;
        while !*self.stopping.borrow() && self.desk.shortage().is_none() && !self.has_asked_enough() {
            let limit = (BATCH_MAILS + self.tried.len()) as i64;
            let is_asked_for = self.is_asked_for;
            let waiting = self
                .desk
                .read_here(&Actor::system(), |cx| fetching::waiting(cx, folder, is_asked_for, limit))?;
            let fresh: Vec<Pending> =
                waiting.into_iter().filter(|mail| !self.tried.contains(&mail.uid)).collect();
            let batch = next_batch(&fresh, self.alone_above(), &self.doubtful);
            if batch.is_empty() {
                break;
            }
            match self.fetch_batch(session, folder, batch) {
                // They are in the ledger now and will not be found waiting again.
                Ok(None) => {}
                Ok(Some(missed)) => {
                    self.tried.extend(batch.iter().map(|mail| mail.uid));
                    fault = Some(missed);
                }
                Err(error) => {
                    if let [culprit] = batch
                        && !error.is_token_expired()
                    {
                        self.tried.insert(culprit.uid);
                    }
                    return Err(error);
                }
            }
        }
        match self.not_now.clone() {
            // Others came: it means these mails, and what is here is to be done with all the same.
            Some(said) if !self.something_came => Err(Stopped::NotNow(said)),
            _ => Ok(fault),
        }
    }

    /// The server has said "not now" of one mail after the other: this poll asks for no more of the folder.
    fn has_asked_enough(&self) -> bool {
        self.is_throttled() && self.refusals >= HOPELESS
    }

    /// Gives what was put aside and is due for it another chance.
    pub(super) fn reopen(&self, folder: &Folder) -> Result<(), Stopped> {
        let system = Actor::system();
        let due = self.desk.read_here(&system, |cx| fetching::due_again(cx, folder))?;
        if !due.is_empty() {
            self.desk.write_here(&system, |cx| fetching::reopen(cx, folder, &due))?;
        }
        Ok(())
    }

    /// A mail above this size goes alone: it is fetched in pieces, or only its beginning is.
    fn alone_above(&self) -> i64 {
        LARGE_BYTES.min(self.desk.settings().mail_bytes as i64)
    }

    /// Fetches and takes in one batch. What did not come is looked for: gone, or missed.
    fn fetch_batch(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
        batch: &[Pending],
    ) -> Result<Option<String>, Stopped> {
        let fetched = match self.fetch(session, batch) {
            Ok(fetched) => fetched,
            Err(error) => return self.fetch_failed(session, folder, batch, error),
        };
        let (short, fetched) = self.sort_out_short(batch, fetched);
        if fetched.iter().any(|mail| !self.is_in_part(batch, mail)) {
            self.note_something_came(folder)?;
        }
        let came: HashSet<i64> = fetched.iter().map(|mail| i64::from(mail.uid)).collect();
        let (old, fetched): (Vec<Fetched>, _) = fetched.into_iter().partition(|mail| {
            let wanted = batch.iter().find(|wanted| wanted.uid == i64::from(mail.uid));
            !wanted.is_some_and(|wanted| wanted.asked_for || !wanted.was_there) && self.is_too_old(mail)
        });
        self.ignore(folder, batch, &old)?;
        self.take_in(session, folder, batch, fetched)?;
        let missing: Vec<&Pending> = batch.iter().filter(|mail| !came.contains(&mail.uid)).collect();
        if missing.is_empty() {
            return Ok(None);
        }
        let uids: Vec<u32> = missing.iter().filter_map(|mail| u32::try_from(mail.uid).ok()).collect();
        let there: HashSet<i64> = session.still_there(&uids)?.into_iter().map(i64::from).collect();
        let gone: Vec<Pending> =
            missing.iter().filter(|mail| !there.contains(&mail.uid)).map(|mail| (*mail).clone()).collect();
        let system = Actor::system();
        self.desk.write_here(&system, |cx| fetching::gone(cx, folder, &gone))?;
        // Another poll looks for them once more.
        self.tried.extend(gone.iter().map(|mail| mail.uid));
        if there.is_empty() {
            return Ok(None);
        }
        let missed: Vec<Pending> =
            missing.into_iter().filter(|mail| there.contains(&mail.uid)).cloned().collect();
        let why = short.unwrap_or_else(|| "the server lists the mail but did not send it".to_owned());
        // The line is well: the server left it out.
        self.desk.write_here(&system, |cx| fetching::missed(cx, folder, &missed, &why, Fault::Mail))?;
        Ok(Some(why))
    }

    /// Takes out what has far fewer bytes than the server says, and tells of it: a server in trouble
    /// answers so, and who takes that for the mail may then have the mail deleted. The last try keeps
    /// what there is.
    fn sort_out_short(&self, batch: &[Pending], fetched: Vec<Fetched>) -> (Option<String>, Vec<Fetched>) {
        let mut why = None;
        let mut kept = Vec::with_capacity(fetched.len());
        for mail in fetched {
            let of = batch.iter().find(|wanted| wanted.uid == i64::from(mail.uid));
            let is_last = of.is_some_and(|wanted| {
                let is_due = wanted.next_try_at <= self.desk.now();
                is_due && (wanted.was_aside || wanted.attempts + 1 >= self.desk.settings().ingest_tries)
            });
            // Without a byte there is nothing to keep: it is put aside, and asked for again daily.
            if mail.raw.is_empty() || (self.is_in_part(batch, &mail) && !is_last) {
                let (got, size) = (mail.raw.len(), of.map_or(UNKNOWN_SIZE, |wanted| wanted.size));
                why = Some(match size {
                    UNKNOWN_SIZE => "the server sent nothing of the mail".to_owned(),
                    size => format!("the server sent {got} bytes of the mail's {size}"),
                });
            } else {
                kept.push(mail);
            }
        }
        (why, kept)
    }

    /// Less than half of what its server says that it has; sizes are off, but not by so much.
    fn is_in_part(&self, batch: &[Pending], mail: &Fetched) -> bool {
        let of = batch.iter().find(|wanted| wanted.uid == i64::from(mail.uid));
        let size = of.map_or(UNKNOWN_SIZE, |wanted| wanted.size);
        size != UNKNOWN_SIZE
            && size <= self.desk.settings().mail_bytes as i64
            && (mail.raw.len() as i64) < size / 2
    }

    /// The server sends mail: what did not come before in this poll is itself to blame.
    fn note_something_came(&mut self, folder: &Folder) -> Result<(), Stopped> {
        self.something_came = true;
        self.refusals = 0;
        self.not_now = None;
        if !self.suspects.is_empty() {
            let suspects = std::mem::take(&mut self.suspects);
            self.desk.write_here(&Actor::system(), |cx| fetching::blame(cx, folder, &suspects))?;
        }
        Ok(())
    }

    fn ignore(&self, folder: &Folder, batch: &[Pending], old: &[Fetched]) -> Result<(), Stopped> {
        let is_old = |mail: &&Pending| old.iter().any(|old| i64::from(old.uid) == mail.uid);
        let mails: Vec<Pending> = batch.iter().filter(is_old).cloned().collect();
        let why = "it was there before the mailbox was added";
        Ok(self.desk.write_here(&Actor::system(), |cx| fetching::ignored(cx, folder, &mails, why))?)
    }

    /// A refused batch is asked for mail by mail; so are, over the next connection, the mails of one
    /// that broke it, and none of them counts as tried: the culprit, if it is one of them, will stand
    /// alone.
    fn fetch_failed(
        &mut self,
        session: &mut dyn MailSource,
        folder: &Folder,
        batch: &[Pending],
        error: SourceError,
    ) -> Result<Option<String>, Stopped> {
        if error.is_token_expired() {
            // No mail's fault, and nothing that was tried in vain.
            return Err(error.into());
        }
        let why = error.to_string();
        if batch.len() > 1 && !error.drops_session() {
            let mut fault = None;
            for mail in batch {
                if self.has_asked_enough() {
                    break;
                }
                if let Some(missed) = self.fetch_batch(session, folder, std::slice::from_ref(mail))? {
                    fault = Some(missed);
                }
            }
            return Ok(fault);
        }
        self.broke_over_mail = error.drops_session();
        if batch.len() > 1 {
            self.doubtful.extend(batch.iter().map(|mail| mail.uid));
            return Err(error.into());
        }
        if error.is_not_now() {
            // No mail's fault either. Where it says so to one after the other, it means all of them; or
            // just these, so that the next poll begins with others.
            self.desk.write_here(&Actor::system(), |cx| fetching::put_off(cx, folder, batch, &why))?;
            self.refusals += 1;
            self.not_now = (!self.something_came || self.refusals >= HOPELESS).then(|| why.clone());
            return Ok(Some(why));
        }
        let fault = if self.something_came { Fault::Mail } else { Fault::Line };
        let suspects =
            self.desk.write_here(&Actor::system(), |cx| fetching::missed(cx, folder, batch, &why, fault))?;
        self.suspects.extend(suspects);
        self.refusals += usize::from(!error.drops_session());
        let is_servers = !self.something_came && self.refusals >= HOPELESS;
        if error.drops_session() || is_servers { Err(error.into()) } else { Ok(Some(why)) }
    }

    fn fetch(&self, session: &mut dyn MailSource, batch: &[Pending]) -> Result<Vec<Fetched>, SourceError> {
        let uid = |mail: &Pending| u32::try_from(mail.uid).unwrap_or(0);
        let most = self.desk.settings().mail_bytes as u64;
        match batch {
            [one] if one.size == UNKNOWN_SIZE => {
                Ok(session.fetch_large(uid(one), None, most)?.into_iter().collect())
            }
            [one] if self.is_oversized(one) => {
                Ok(session.fetch_head(uid(one), HEAD_BYTES)?.into_iter().collect())
            }
            [one] if one.size > LARGE_BYTES => {
                let size = Some(one.size.unsigned_abs());
                Ok(session.fetch_large(uid(one), size, most)?.into_iter().collect())
            }
            several => session.fetch(&several.iter().map(uid).collect::<Vec<_>>()),
        }
    }

    fn is_oversized(&self, mail: &Pending) -> bool {
        mail.size > self.desk.settings().mail_bytes as i64
    }

    fn take_in(
        &self,
        session: &mut dyn MailSource,
        folder: &Folder,
        batch: &[Pending],
        fetched: Vec<Fetched>,
    ) -> Result<(), Stopped> {
        if fetched.is_empty() {
            return Ok(());
        }
        let context = ReadContext { trusted_authserv_ids: self.mailbox.trusted_authserv_ids.clone() };
        let known_to_be = batch.len() == 1 && self.is_oversized(&batch[0]);
        let mut arrivals = Vec::with_capacity(fetched.len());
        for mut mail in fetched {
            let uid = i64::from(mail.uid);
            let wanted = batch.iter().find(|wanted| wanted.uid == uid);
            let in_part = self.is_in_part(batch, &mail);
            let is_large = mail.raw.len() > self.desk.settings().mail_bytes;
            let size = match wanted {
                Some(wanted) if known_to_be || in_part => wanted.size,
                _ => mail.raw.len() as i64,
            };
            if is_large && !known_to_be {
                mail.raw.truncate(HEAD_BYTES as usize);
            }
            let mut read = self.desk.ports().reader.read(&mail.raw, &context);
            // A server that was moved may have lost when its mail came; the mail itself says when it was
            // written.
            let found_anew = batch.iter().any(|wanted| wanted.uid == uid && wanted.found_anew);
            let written = read.date.filter(|_| found_anew);
            read.is_shortened |= in_part;
            arrivals.push(Arrival {
                location: folder.location(uid),
                uid: Some(uid),
                internal_date: mail.internal_date,
                size,
                mail: read,
                raw: self.desk.keep_here(&mail.raw)?,
                // Of a mail that never came whole there is a beginning only, too.
                oversized: known_to_be || is_large || in_part,
                is_history: self.is_history(mail.internal_date) || self.is_history(written),
                asked_for: wanted.is_some_and(|wanted| wanted.asked_for),
            });
        }
        let batch = Batch {
            mailbox_id: folder.mailbox_id,
            lease: Some(folder.lease.clone()),
            folder: folder.name.clone(),
            role: self.role,
            uidvalidity: Some(folder.uidvalidity),
            history: None,
            arrivals,
        };
        batch::receive(self.desk, Some(session), batch)?;
        Ok(())
    }
}
