//! The one judge of every case: is every mail that was placed there exactly once, whole, where it
//! belongs, and is everything that is counted and told about it right?

use crate::plan::Plan;
use crate::rig::{Caller, Rig};
use diesel::{QueryableByName, RunQueryDsl, sql_query};
use postroom_core::store::conn::{self, Conn, DatabaseUrl};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// What is wrong.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    /// Mails that are not there.
    pub lost: usize,
    /// Mails that are there more than once.
    pub doubled: usize,
    /// Mails in a conversation that is not theirs, or that is not whole.
    pub misplaced: usize,
    /// Anything else, in words.
    pub others: Vec<String>,
}

impl Findings {
    /// Nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.misplaced == 0 && self.others.is_empty()
    }

    fn check(&mut self, well: bool, what: impl FnOnce() -> String) {
        if !well {
            self.others.push(what());
        }
    }
}

/// A message as the API shows it.
struct Shown {
    id: i64,
    conversation: i64,
    raw: Vec<u8>,
}

/// Judges a desk on which everything has come to rest.
pub fn judge(caller: &Caller, plan: &Plan) -> Findings {
    let mut findings = Findings::default();
    let (shown, written_in) = shown(caller, plan, &mut findings);
    places(&mut findings, plan, &shown);
    told(&mut findings, caller, &shown, written_in);
    counted(&mut findings, caller, plan);
    findings
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// All mails, and the conversations in which something else was written.
fn shown(caller: &Caller, plan: &Plan, findings: &mut Findings) -> (Vec<Shown>, BTreeSet<i64>) {
    let (mut shown, mut written_in) = (Vec::new(), BTreeSet::new());
    let mut written: HashMap<&str, usize> = plan.written.iter().map(|text| (text.as_str(), 0)).collect();
    for conversation in caller.list("/api/v1/conversations?sort=id") {
        let id = number(&conversation["id"]);
        let messages = caller.list(&format!("/api/v1/conversations/{id}/messages"));
        findings.check(conversation["message_count"] == messages.len(), || {
            format!("conversation {id} counts {}, has {}", conversation["message_count"], messages.len())
        });
        for message in messages {
            if message["kind"] != "inbound" {
                written_in.insert(id);
                let text = message["text"].as_str().unwrap_or_default().trim();
                match written.get_mut(text) {
                    Some(count) => *count += 1,
                    None => findings.others.push(format!("nobody was told that this is written: {message}")),
                }
                let sent = message["kind"] == "note" || message["delivery"]["state"] == "sent";
                findings.check(sent, || format!("an answer did not leave: {message}"));
                continue;
            }
            let message = number(&message["id"]);
            let raw = caller.ask(&format!("/api/v1/messages/{message}/raw"));
            // Bytes that are not there are no mail: what is placed then counts as lost.
            findings.check(raw.status == 200, || format!("raw of {message}: {} {}", raw.status, raw.text()));
            if raw.status == 200 {
                shown.push(Shown { id: message, conversation: id, raw: raw.body });
            }
        }
    }
    findings.lost += written.values().filter(|count| **count == 0).count();
    findings.doubled += written.values().filter(|count| **count > 1).count();
    (shown, written_in)
}

fn places(findings: &mut Findings, plan: &Plan, shown: &[Shown]) {
    let mut placed: HashMap<&[u8], usize> = HashMap::new();
    for mail in &plan.mails {
        placed.insert(&mail.raw, mail.thread);
    }
    let mut found: HashMap<&[u8], Vec<i64>> = HashMap::new();
    for message in shown {
        found.entry(&message.raw).or_default().push(message.conversation);
        findings.check(placed.contains_key(&*message.raw), || {
            format!("message {} was never placed, or its bytes changed", message.id)
        });
    }
    let mut by_thread: HashMap<usize, BTreeSet<i64>> = HashMap::new();
    let mut by_conversation: HashMap<i64, BTreeSet<usize>> = HashMap::new();
    for (raw, thread) in &placed {
        let conversations = found.get(raw).map_or(&[][..], Vec::as_slice);
        findings.lost += usize::from(conversations.is_empty());
        findings.doubled += usize::from(conversations.len() > 1);
        for conversation in conversations {
            by_thread.entry(*thread).or_default().insert(*conversation);
            by_conversation.entry(*conversation).or_default().insert(*thread);
        }
    }
    for (raw, thread) in &placed {
        let Some(conversation) = found.get(raw).and_then(|all| all.first()) else { continue };
        let whole = by_thread[thread].len() == 1 && by_conversation[conversation].len() == 1;
        findings.misplaced += usize::from(!whole);
        findings.check(whole, || {
            let (own, shared) = (&by_thread[thread], &by_conversation[conversation]);
            format!(
                "planned as {thread}, which is in {own:?}; {conversation} holds {shared:?}: {}",
                head(raw)
            )
        });
    }
}

/// The first lines of a mail, for a message.
fn head(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    text.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n", " | ")
}

/// Every message has its event, once.
fn told(findings: &mut Findings, caller: &Caller, shown: &[Shown], written_in: BTreeSet<i64>) {
    let events = caller.events();
    let rises = events.windows(2).all(|two| number(&two[0]["seq"]) < number(&two[1]["seq"]));
    findings.check(rises, || "the events' numbers don't rise".to_owned());
    let of_kind = |kind: &str, member: &str| {
        let all = events.iter().filter(|event| event["type"] == kind);
        let mut ids: Vec<i64> = all.map(|event| number(&event[member])).collect();
        ids.sort_unstable();
        ids
    };
    let mut messages: Vec<i64> = shown.iter().map(|message| message.id).collect();
    messages.sort_unstable();
    findings.check(of_kind("message.received", "message_id") == messages, || {
        "message.received does not stand for each message once".to_owned()
    });
    let mut conversations: BTreeSet<i64> = shown.iter().map(|message| message.conversation).collect();
    conversations.extend(written_in);
    let begun = of_kind("conversation.created", "conversation_id");
    findings.check(begun == conversations.into_iter().collect::<Vec<_>>(), || {
        "conversation.created does not stand for each conversation once".to_owned()
    });
    let aside = events.iter().filter(|event| event["type"] == "mail.quarantined").count();
    findings.check(aside == 0, || format!("{aside} good mails were put aside"));
}

fn counted(findings: &mut Findings, caller: &Caller, plan: &Plan) {
    let mailbox = caller.mailbox().expect("the configuration has one");
    let status = caller.get(&format!("{mailbox}/status"));
    let distinct = plan.distinct();
    let well = status["pending"] == 0 && status["accepted"] == distinct && status["state"] == "ok";
    findings.check(well, || format!("{distinct} mails are placed; the mailbox says {status}"));
    let ledger = caller.list(&format!("{mailbox}/ingest?verdict=accepted"));
    findings.check(ledger.len() == distinct, || format!("{} ledger rows are accepted", ledger.len()));
}

#[derive(QueryableByName)]
struct Word {
    #[diesel(sql_type = diesel::sql_types::Text)]
    word: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    count: i64,
}

/// What only the database can tell, once the daemon has ended: it is whole, and nobody holds or waits
/// for anything.
pub fn judge_database(rig: &Rig, findings: &mut Findings) {
    let mut conn = conn::open(rig.database()).expect("the database opens");
    if let DatabaseUrl::Sqlite(_) = rig.database() {
        let said = words(&mut conn, "SELECT integrity_check AS word FROM pragma_integrity_check");
        findings.check(said == ["ok"], || format!("integrity_check: {said:?}"));
        let said = words(&mut conn, "SELECT \"table\" AS word FROM pragma_foreign_key_check");
        findings.check(said.is_empty(), || format!("rows without what they belong to in {said:?}"));
    }
    for table in ["pending_mails", "mail_actions"] {
        let left = count(&mut conn, &format!("SELECT count(*) AS count FROM {table}"));
        findings.check(left == 0, || format!("{left} rows are left in {table}"));
    }
    let claimed = count(&mut conn, "SELECT count(*) AS count FROM outbox WHERE claimed_until IS NOT NULL");
    findings.check(claimed == 0, || format!("{claimed} mails are claimed"));
}

fn words(conn: &mut Conn, query: &str) -> Vec<String> {
    let rows: Vec<Word> = each(conn, query);
    rows.into_iter().map(|row| row.word).collect()
}

fn count(conn: &mut Conn, query: &str) -> i64 {
    let rows: Vec<Count> = each(conn, query);
    rows.first().map_or(0, |row| row.count)
}

fn each<T>(conn: &mut Conn, query: &str) -> Vec<T>
where
    T: 'static
        + diesel::deserialize::FromSqlRow<diesel::sql_types::Untyped, diesel::pg::Pg>
        + diesel::deserialize::FromSqlRow<diesel::sql_types::Untyped, diesel::sqlite::Sqlite>
        + QueryableByName<diesel::pg::Pg>
        + QueryableByName<diesel::sqlite::Sqlite>,
{
    let rows = match conn {
        Conn::Postgres(conn) => sql_query(query).load(conn),
        Conn::Sqlite(conn) => sql_query(query).load(conn),
    };
    rows.unwrap_or_else(|error| panic!("{query}: {error}"))
}
