//! A desk with many conversations, filled through its own door.

use postroom_core::actor::Actor;
use postroom_core::desk::Desk;
use postroom_core::id::MailboxId;
use postroom_core::intake::{Arrival, Batch};
use postroom_core::mailbox::{Delivery, FolderRole, OnUncertain, SentCopy, Source, Strangers};
use postroom_core::operations::mailboxes::{self, NewMailbox};
use postroom_core::ports::ReadContext;
use support::mail::mail;

/// Mails of one transaction.
const BATCH: usize = 500;
/// Customers, so that the conversations of one are few, however many there are.
const CUSTOMERS: usize = 20_000;

/// Makes a mailbox and so many conversations of so many mails each, the first mails first. `rare` stands
/// in one conversation alone, and `order` in each.
pub fn fill(desk: &Desk, conversations: usize, mails: usize, rare: &str) {
    let mailbox_id = mailbox(desk);
    let all = conversations * mails;
    let numbers: Vec<usize> = (0..all).collect();
    for numbers in numbers.chunks(BATCH) {
        let arrivals = numbers.iter().map(|at| {
            let (conversation, place) = (at % conversations, at / conversations);
            let town = if *at == conversations / 2 { rare } else { "Augsburg" };
            arrival(desk, conversation, place, town)
        });
        let arrivals = arrivals.collect();
        desk.receive_here(&Batch {
            mailbox_id,
            lease: None,
            folder: "push".to_owned(),
            role: FolderRole::Inbox,
            uidvalidity: None,
            history: None,
            arrivals,
        })
        .expect("mail comes in");
    }
}

fn mailbox(desk: &Desk) -> MailboxId {
    let new = NewMailbox {
        name: "Support".to_owned(),
        address: "support@example.org".to_owned(),
        aliases: Vec::new(),
        group: None,
        poll_interval_seconds: 60,
        source: Source::Push {},
        source_password: None,
        delivery: Delivery::Sink {},
        delivery_password: None,
        strangers: Strangers::Link,
        trusted_authserv_ids: Vec::new(),
        relay_addresses: Vec::new(),
        sent_copy: SentCopy::Auto,
        on_uncertain: OnUncertain::RetryOnce,
        undo_seconds: 0,
        paused: false,
    };
    let made = desk.write_here(&Actor::system(), |cx| mailboxes::create(cx, &new));
    made.expect("a mailbox can be made").id
}

/// The mail of a conversation that stands at this place in it.
fn arrival(desk: &Desk, conversation: usize, place: usize, town: &str) -> Arrival {
    let customer = conversation % CUSTOMERS;
    let first = format!("<{conversation}.0@customer.example>");
    let mut new = mail()
        .from(&format!("Customer {customer} <someone@customer{customer}.example>"))
        .message_id(&format!("<{conversation}.{place}@customer.example>"))
        .subject(&format!("Where is order {conversation}?"))
        .text(&format!(
            "Hello,\n\nit should have been in {town} by now, and is not. This is mail {place} about it.\n\n\
             Would you please look where it is, and when it comes?\n"
        ));
    if place > 0 {
        new = new.in_reply_to(&first);
    }
    let raw = new.build();
    Arrival {
        location: format!("{conversation}.{place}"),
        uid: None,
        internal_date: Some(desk.now()),
        size: raw.len() as i64,
        mail: desk.ports().reader.read(&raw, &ReadContext::default()),
        raw: desk.keep_here(&raw).expect("bytes can be compressed"),
        oversized: false,
        is_history: false,
        asked_for: false,
    }
}
