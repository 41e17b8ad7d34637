//! The audit log: written in the transaction of its change, last before the events, and held against itself.

use super::tokens::require_whole_sight;
use crate::access::Scope;
use crate::audit::{self, AuditRow, By, Details, GENESIS, NewNote};
use crate::cx::Cx;
use crate::event::NewEvent;
use crate::page::{Page, PageRequest};
use crate::store::audit::AuditFilter;
use crate::{Error, store};
use serde::Serialize;

/// Where the settings keep which row is the last, sealed.
const HEAD: &str = "audit_head";
/// Rows that are read at once to be checked.
const PIECE: i64 = 1_000;

/// Notes something for the audit log. All of a transaction's notes are written together, just before its
/// events; what fails leaves none. Whoever tells an event of the set-up ([`audit::is_of_set_up`]) notes nothing
/// besides: the event is noted by itself.
///
/// Never a secret: what is noted is shown to every administrator and kept for good.
pub fn note(cx: &mut Cx<'_>, note: NewNote) {
    cx.notes.push(note);
}

/// Writes down what was noted and the changes of the set-up among what was told.
pub(crate) fn keep(cx: &mut Cx<'_>, told: &[NewEvent]) -> Result<(), Error> {
    let mut notes = std::mem::take(&mut cx.notes);
    notes.extend(told.iter().filter(|event| audit::is_of_set_up(event.kind)).map(of_event));
    if notes.is_empty() {
        return Ok(());
    }
    // Two transactions that read the last row at once would both go on from it.
    store::conn::lock_audit(cx.conn)?;
    let (mut id, mut before) =
        store::audit::last(cx.conn)?.map_or((0, GENESIS.to_owned()), |last| (last.id, last.hash));
    let mut rows = Vec::with_capacity(notes.len());
    for note in notes {
        id += 1;
        let row = chained(cx, note, id, &before);
        before.clone_from(&row.hash);
        rows.push(row);
    }
    store::audit::insert(cx.conn, &rows)?;
    let seal = cx.keys.audit_seal(id, &before);
    store::settings::set(cx.conn, HEAD, &format!("{id} {before} {seal}"))?;
    Ok(())
}

fn of_event(event: &NewEvent) -> NewNote {
    let mut data = event.data.clone();
    if let Some(mailbox) = event.about.mailbox_id {
        data.insert("mailbox_id".to_owned(), mailbox.0.into());
    }
    if let Some(customer) = event.about.customer_id {
        data.insert("customer_id".to_owned(), customer.0.into());
    }
    NewNote { kind: event.kind.as_str(), data, by: None }
}

fn chained(cx: &Cx<'_>, note: NewNote, id: i64, before: &str) -> AuditRow {
    let actor = cx.actor;
    let caller = || By { kind: actor.kind, id: actor.event_id(), name: Some(actor.name.clone()) };
    let by = note.by.unwrap_or_else(caller);
    let details = Details {
        actor_name: by.name,
        token_id: actor.token_id.clone(),
        address: actor.origin.address.map(|address| address.to_string()),
        user_agent: actor.origin.user_agent.clone(),
        data: note.data,
    };
    let details = serde_json::to_string(&details).expect("strings and JSON can be written as JSON");
    let mut salt = [0_u8; 16];
    rand::fill(&mut salt);
    let salt = crate::keys::hex(&salt);
    let mut row = AuditRow {
        id,
        kind: note.kind.to_owned(),
        actor_type: by.kind,
        actor_id: by.id,
        details_hash: AuditRow::hash_of_details(&salt, &details),
        details: Some(details),
        salt: Some(salt),
        hash: String::new(),
        created_at: cx.now,
    };
    row.hash = row.hash_behind(before);
    row
}

/// One page of the log, newest first. For those who see the whole desk.
pub fn list(cx: &mut Cx<'_>, filter: &AuditFilter, page: PageRequest) -> Result<Page<AuditRow>, Error> {
    cx.access().require(Scope::AdminRead)?;
    require_whole_sight(cx)?;
    Ok(store::audit::list(cx.conn, filter, page)?)
}

/// What a look at the whole log came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Rows that were looked at.
    pub rows: i64,
    /// Rows whose details were taken out.
    pub redacted: i64,
    /// The hash of the last row: who notes it down elsewhere can tell later whether the log was written anew.
    pub head: Option<String>,
    /// What is wrong, and at which row first; `None`: nothing is.
    pub fault: Option<AuditFault>,
}

/// The first thing that is wrong with the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditFault {
    /// The row.
    pub id: i64,
    /// What.
    pub what: &'static str,
}

/// Holds the whole log against itself: each row against the one before it, the last one against the seal.
pub fn verify(cx: &mut Cx<'_>) -> Result<Verified, Error> {
    cx.access().require(Scope::AdminRead)?;
    require_whole_sight(cx)?;
    let mut seen = Verified::default();
    let (mut id, mut before) = (0, GENESIS.to_owned());
    loop {
        let rows = store::audit::behind(cx.conn, id, PIECE)?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if let Some(what) = fault(&row, id, &before) {
                let fault = AuditFault { id: row.id.min(id + 1), what };
                return Ok(Verified { fault: Some(fault), ..seen });
            }
            seen.rows += 1;
            seen.redacted += i64::from(row.details.is_none());
            (id, before) = (row.id, row.hash);
        }
    }
    let sealed = store::settings::find(cx.conn, HEAD)?;
    let expected = (id > 0).then(|| format!("{id} {before} {}", cx.keys.audit_seal(id, &before)));
    if sealed != expected {
        let what = "the last row is not the one that was sealed: rows were removed from the end, or added";
        return Ok(Verified { fault: Some(AuditFault { id, what }), ..seen });
    }
    seen.head = (id > 0).then_some(before);
    Ok(seen)
}

fn fault(row: &AuditRow, last: i64, before: &str) -> Option<&'static str> {
    if row.id != last + 1 {
        return Some("rows are missing from here on");
    }
    if row.hash != row.hash_behind(before) {
        return Some("this row, or the one before it, is not what was written");
    }
    match (&row.salt, &row.details) {
        (Some(salt), Some(details)) if AuditRow::hash_of_details(salt, details) != row.details_hash => {
            Some("the details of this row are not what was written")
        }
        (Some(_), None) | (None, Some(_)) => Some("the details of this row were taken out by halves"),
        _ => None,
    }
}
