//! Stories about what a conversation is in when a mail comes, and about mail that is special.

use super::Case;
use super::desk::*;
use crate::id::ConversationId;
use crate::mail::{Class, SenderAuth};
use crate::threading::{Outcome, SenderClass, Strength};

pub(super) const CASES: &[Case] = &[
    ("agent-answers-from-outlook", agent_from_outlook),
    ("forward-wg-to-other-mailbox", forward_to_other_mailbox),
    ("reply-to-closed-29-days", closed_29_days),
    ("reply-to-closed-31-days", closed_31_days),
    ("reply-to-merged", merged),
    ("ooo-to-closed", out_of_office_to_closed),
    ("bounce-by-original-id", bounce),
    ("deleted-is-passed-over", deleted),
];

const ADA: &str = "ada@acme.example";

fn agent_from_outlook() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    // Sent folders hold nothing that vouches for anybody; the folder does.
    let sent = letter("AM0@outlook", AGENT).to(ADA).cc("supplier@parts.example").refs(&["1@acme"]);
    let sent = desk.find_sent(&sent.auth(SenderAuth::None));
    assert_eq!(sent.conversation, first.conversation);
    assert_eq!(sent.decision().sender_class, SenderClass::Agent);
    assert_eq!(sent.decision().flags, []);
    // What the agent wrote is known now, and so is whom they wrote to.
    let reply = desk.receive(&letter("2@acme", ADA).refs(&["AM0@outlook"]));
    assert_eq!(reply.conversation, first.conversation);
    let supplier = letter("1@parts", "supplier@parts.example").refs(&["AM0@outlook"]);
    let supplier = desk.receive(&supplier);
    assert_eq!(supplier.conversation, first.conversation);
    assert_eq!(supplier.decision().sender_class, SenderClass::P2);
    // A number in the subject counts for a mail to somebody who is part of it alone.
    let elsewhere = letter("AM1@outlook", AGENT).to("bob@bree.example").subject("Order [#1]");
    let elsewhere = desk.find_sent(&elsewhere);
    assert_eq!(elsewhere.outcome(), Outcome::New);
    let to_ada = desk.find_sent(&letter("AM2@outlook", AGENT).to(ADA).subject("Order [#1]"));
    assert_eq!(to_ada.conversation, first.conversation);
}

fn forward_to_other_mailbox() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    // A colleague of ours forwards it to sales (Zammad #4965).
    let forward = |id: &str, from: &str| letter(id, from).to(SALES).subject("WG: Printer on fire [#1]");
    let landed = desk.receive(&forward("1@desk", AGENT).refs(&["1@acme"]));
    assert_ne!(landed.conversation, first.conversation);
    assert_eq!(landed.outcome(), Outcome::Link);
    // Ada's colleague answers, or forwards: only the answer joins.
    let colleague = desk.receive(&forward("2@acme", "bob@acme.example").refs(&["1@acme"]));
    assert_eq!(colleague.outcome(), Outcome::Link);
    assert_eq!(colleague.decision().rule, "R7: B, P4, pass → link");
    // Ada forwards without references: number and subject do not count.
    let hers = desk.receive(&forward("3@acme", ADA));
    assert_eq!(hers.outcome(), Outcome::New);
    assert_eq!(hers.decision().rule, "R7: D, P1, pass → new (a forward)");
    let wrapped = letter("4@acme", ADA).subject("Re: [#1]").with(|mail| mail.is_wrapped_mail = true);
    assert_eq!(desk.receive(&wrapped).outcome(), Outcome::New);
    // With references it is hers.
    let referring = desk.receive(&forward("5@acme", ADA).refs(&["1@acme"]));
    assert_eq!(referring.conversation, first.conversation);
    // The prefix that means both keeps guesses out and lets references in.
    let finnish = |id: &str| letter(id, "bob@acme.example").subject("VS: Printer on fire [#1]");
    assert_eq!(desk.receive(&finnish("6@acme")).outcome(), Outcome::New);
    assert_eq!(desk.receive(&finnish("7@acme").refs(&["1@acme"])).conversation, first.conversation);
    // Another group does not know the mail at all; nor does a seal lead out of a group.
    let ours = desk.answer(first.conversation, ADA);
    let other = desk.receive_at("other", &forward("8@acme", ADA).refs(&["1@acme", &ours]));
    assert_eq!(other.decision().rule, "R9: A, P1, pass → new (another group)");
    assert!(desk.links(other.conversation).is_empty());
}

fn closed_after(days: u32) -> (Desk, i64) {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    desk.close(first.conversation);
    desk.pass(DAY * days);
    (desk, first.conversation)
}

fn closed_29_days() {
    for days in [29, 30] {
        let (mut desk, adas) = closed_after(days);
        let reply = desk.receive(&letter("2@acme", ADA).refs(&["1@acme"]));
        assert_eq!((reply.outcome(), reply.conversation), (Outcome::Append, adas));
    }
}

fn closed_31_days() {
    let (mut desk, adas) = closed_after(31);
    let reply = desk.receive(&letter("2@acme", ADA).refs(&["1@acme"]));
    assert_eq!(reply.outcome(), Outcome::FollowUp);
    assert_eq!(reply.decision().rule, "R6: B, P1, pass → follow_up");
    assert_eq!(reply.decision().conversation_id, Some(ConversationId(adas)));
    assert_ne!(reply.conversation, adas);
    // What answers the new one stays there, though it refers to the old one as well.
    let next = desk.receive(&letter("3@acme", ADA).refs(&["1@acme", "2@acme"]));
    assert_eq!(next.conversation, reply.conversation);
    // A stranger follows nothing up.
    let (mut desk, _) = closed_after(31);
    let stranger = desk.receive(&letter("1@evil", "eve@evil.example").refs(&["1@acme"]));
    assert_eq!(stranger.outcome(), Outcome::Link);
    // An agent who answers by another program means that very conversation.
    let sent = desk.find_sent(&letter("AM0@outlook", AGENT).to(ADA).refs(&["1@acme"]));
    assert_eq!(sent.outcome(), Outcome::Append);
}

fn merged() {
    let mut desk = Desk::new();
    let old = desk.receive(&letter("1@acme", ADA)).conversation;
    let target = desk.receive(&letter("2@acme", ADA)).conversation;
    let ours = desk.answer(old, ADA);
    let plus = desk.plus_address(old);
    desk.merge(old, target);
    for (id, mail) in [("3@acme", vec!["1@acme"]), ("4@acme", vec![ours.as_str()])] {
        let reply = desk.receive(&letter(id, ADA).refs(&mail));
        assert_eq!(reply.conversation, target);
        assert_eq!(reply.decision().conversation_id, Some(ConversationId(target)));
    }
    assert_eq!(desk.receive(&letter("5@acme", ADA).to(&plus)).conversation, target);
    assert_eq!(desk.receive(&letter("6@acme", ADA).subject("[#1]")).conversation, target);
}

fn out_of_office_to_closed() {
    let (mut desk, adas) = closed_after(31);
    let away = letter("2@acme", ADA).refs(&["1@acme"]).class(Class::AutoReply);
    let landed = desk.receive(&away);
    assert_eq!((landed.outcome(), landed.conversation), (Outcome::Append, adas), "of any age");
    // It has references or nothing.
    let tagged = letter("3@acme", ADA).subject("Re: Printer on fire [#1]").class(Class::AutoReply);
    let tagged = desk.receive(&tagged);
    assert_eq!(tagged.outcome(), Outcome::New);
    assert_eq!(tagged.decision().rule, "R4: D, P1, pass → new (automatic mail)");
}

fn bounce() {
    let mut desk = Desk::new();
    let first = desk.receive(&letter("1@acme", ADA));
    let other = desk.receive(&letter("1@bree", "bob@bree.example"));
    let ours = desk.answer(first.conversation, ADA);
    let about = |id: &str, about: &str| {
        letter(id, "mailer-daemon@relay.example")
            .auth(SenderAuth::None)
            .class(Class::Bounce)
            .subject("Undelivered: Re: [#2]")
            .refs(&["1@bree"])
            .with(|mail| mail.about_ids = vec![format!("<{about}>")])
    };
    let landed = desk.receive(&about("1@mx", &ours));
    assert_eq!(landed.conversation, first.conversation, "by what it is about");
    assert_eq!(landed.decision().rule, "R2: A, P0, none → append");
    assert_eq!(landed.decision().flags, []);
    assert_eq!(landed.decision().also_references, [], "its own References do not count");
    desk.learn_alias(&ours, "0100@amazonses.com");
    assert_eq!(desk.receive(&about("2@mx", "0100@amazonses.com")).conversation, first.conversation);
    let sent = desk.find_sent(&letter("AM0@outlook", AGENT).to(ADA).refs(&["1@acme"]));
    let about_sent = desk.receive(&about("5@mx", "AM0@outlook"));
    assert_eq!((sent.conversation, about_sent.conversation), (first.conversation, first.conversation));
    // About a mail that was not ours to send, and with a seal that does not hold: outside.
    let foreign = desk.receive(&about("3@mx", "1@bree"));
    assert_ne!(foreign.conversation, other.conversation);
    assert_eq!(foreign.decision().rule, "R2: B, P0, none → link");
    let forged = desk.receive(&about("4@mx", &ours.replacen("c.1.2.", "c.1.3.", 1)));
    assert_eq!((forged.outcome(), forged.decision().broken_seals), (Outcome::New, 1));
}

fn deleted() {
    let mut desk = Desk::new();
    let older = desk.receive(&letter("1@acme", ADA)).conversation;
    let gone = desk.receive(&letter("2@acme", ADA)).conversation;
    desk.delete(gone);
    let landed = desk.receive(&letter("3@acme", ADA).refs(&["2@acme"]));
    assert_eq!(landed.outcome(), Outcome::New);
    assert_eq!(landed.decision().rule, "R6: B, P1, pass → new (deleted)");
    // What else it refers to still counts.
    let both = desk.receive(&letter("4@acme", ADA).refs(&["1@acme", "2@acme"]));
    assert_eq!((both.conversation, both.decision().strength), (older, Some(Strength::B)));
    assert_eq!(both.decision().also_references, []);
}
