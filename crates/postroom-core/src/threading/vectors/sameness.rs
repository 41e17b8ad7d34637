//! Stories about which mail is which.

use super::Case;
use super::desk::*;
use crate::threading::{IdKind, Outcome};

pub(super) const CASES: &[Case] = &[
    ("same-mail-two-mailboxes", two_mailboxes),
    ("same-mail-list-and-direct", list_and_direct),
    ("reused-mid-different-content", reused_id),
    ("no-mid", no_id),
    ("mid-without-brackets", id_without_brackets),
];

const ADA: &str = "ada@acme.example";

fn two_mailboxes() {
    let mut desk = Desk::new();
    let mail = letter("1@acme", ADA).cc(SALES);
    let first = desk.receive(&mail);
    // The other mailbox of the group: the trace headers differ, the mail does not.
    let second = desk.receive(&mail.clone().with(|mail| mail.delivered_to = vec![SALES.to_owned()]));
    assert_eq!(second.sameness, Sameness::Same);
    assert_eq!((second.message, second.conversation), (first.message, first.conversation));
    assert_eq!(desk.places(first.message), 2);
    // A mailbox of another group has it as a conversation of its own.
    let apart = desk.receive_at("other", &mail);
    assert_eq!(apart.outcome(), Outcome::New);
    assert_ne!(apart.conversation, first.conversation);
    // An answer reaches both groups, and joins its own conversation in each.
    let reply = letter("2@acme", ADA).refs(&["1@acme"]);
    assert_eq!(desk.receive(&reply).conversation, first.conversation);
    assert_eq!(desk.receive_at("other", &reply).conversation, apart.conversation);
}

fn list_and_direct() {
    let mut desk = Desk::new();
    let direct = desk.receive(&letter("1@acme", ADA));
    let by_list = letter("1@acme", ADA).subject("[users] Printer on fire").with(|mail| {
        mail.list_id = Some("users.lists.example".into());
    });
    let by_list = desk.receive(&by_list);
    assert_eq!(by_list.sameness, Sameness::Same);
    assert_eq!(by_list.message, direct.message);
    assert_eq!(desk.message_count(), 1);
}

fn reused_id() {
    let mut desk = Desk::new();
    let parcel =
        |text: &str| letter("noreply@parcel", "info@parcel.example").with(|mail| mail.text = text.into());
    let first = desk.receive(&parcel("your parcel 1"));
    let second = desk.receive(&parcel("your parcel 2"));
    assert_eq!(second.sameness, Sameness::Reused);
    assert_eq!(second.outcome(), Outcome::New, "one's own id is no reference");
    assert_ne!(second.conversation, first.conversation);
    assert_eq!(desk.message_count(), 2, "neither is lost");
    assert_eq!(desk.owner("noreply@parcel"), Some((IdKind::Real, first.conversation)));
    assert_eq!(desk.receive(&parcel("your parcel 1")).sameness, Sameness::Same);
}

fn no_id() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("", ADA));
    let other = desk.receive(&letter("", ADA).with(|mail| mail.text = "another".into()));
    assert_ne!(first.message, other.message);
    assert_ne!(first.conversation, other.conversation);
    let copy = desk.receive(&letter("", ADA));
    assert_eq!((copy.sameness, copy.message), (Sameness::Same, first.message));
    // It can be answered: our answer's id is the key then.
    let ours = desk.answer(first.conversation, ADA);
    assert_eq!(desk.receive(&letter("3@acme", ADA).refs(&[&ours])).conversation, first.conversation);
}

fn id_without_brackets() {
    let mut desk = Desk::new();
    let bare = letter("", ADA).with(|mail| mail.message_id = vec![" 1@acme ".into()]);
    let first = desk.receive(&bare);
    assert_eq!(first.keys.message_id.as_deref(), Some("1@acme"));
    assert_eq!(desk.receive(&letter("2@acme", ADA).refs(&["1@acme"])).conversation, first.conversation);
    // In the headers that refer, text without brackets is no id.
    let loose = letter("3@acme", ADA).with(|mail| mail.in_reply_to = "1@acme".into());
    assert_eq!(desk.receive(&loose).outcome(), Outcome::New);
}
