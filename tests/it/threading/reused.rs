//! Somebody else uses a Message-ID that belongs to a conversation: whoever they are, and whenever
//! their mail comes, the conversation stays what it is without them.

use super::order::orders;
use super::{ada, mailbox, passed};
use crate::mailing::*;
use std::collections::BTreeSet;
use support::desk::TestDesk;
use support::mail::{TestMail, mail};

/// Three mails of Ada's, each an answer to the one before, which is all it names.
fn chain(name: &str) -> Vec<TestMail> {
    let id = |number: usize| format!("<{name}.{number}@acme.example>");
    let link = |number: usize| {
        let mail = ada(&format!("{name} {number}")).message_id(&id(number));
        if number == 0 { mail } else { mail.in_reply_to(&id(number - 1)) }
    };
    (0..3).map(link).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_under_an_id_of_the_conversation() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let mut wrong = Vec::new();
    for taken in 0..3 {
        for (index, order) in orders(4).iter().enumerate() {
            let mut mails = chain(&format!("s{taken}-{index}"));
            let stranger = mail().from("Eve <eve@evil.example>").text(&format!("{taken} {index}"));
            mails.push(stranger.message_id(&mails[taken].id()));
            let mut landed = BTreeSet::new();
            for number in order {
                landed.insert(arrive(&desk, mailbox, &mails[*number]).await.conversation);
            }
            let (mut adas, mut eves) = (BTreeSet::new(), BTreeSet::new());
            for conversation in landed {
                for message in messages(&desk, conversation).await {
                    let is_eves = message["from"]["email"] == "eve@evil.example";
                    if is_eves { &mut eves } else { &mut adas }.insert(conversation);
                }
            }
            if adas.len() != 1 || eves.len() != 1 || adas == eves {
                wrong.push(format!("under the id of {taken}, in the order {order:?}: {adas:?}, {eves:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    desk.stop().await;
}

/// Where a message is in the end, by what it says.
async fn at(desk: &TestDesk, subject_of: &str) -> i64 {
    let mut found = Vec::new();
    for (id, conversation) in everything(desk).await {
        if id == subject_of {
            found.push(conversation);
        }
    }
    assert_eq!(found.len(), 1, "{subject_of}");
    found[0]
}

/// A stranger names the customer as whom to answer, and an id of the customer's conversation: the
/// customer's next mail must not draw the stranger's in, nor the other way round.
#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_names_the_customer_stays_outside() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let first = ada("It burns.").message_id("<v1@acme.example>");
    let home = arrive(&desk, mailbox, &first).await.conversation;
    let eve = || {
        mail().from("Eve <eve@evil.example>").subject("Printer on fire").references(&["<v1@acme.example>"])
    };
    let tricks = [
        eve().header("X-Original-From", "ada@acme.example").cc("eve@evil.example"),
        eve().header("Reply-To", "ada@acme.example").header("List-Id", "<x.evil.example>"),
        eve().from("support@example.org").header("Reply-To", "ada@acme.example"),
    ];
    for (number, trick) in tricks.iter().enumerate() {
        let domain = if number == 2 { "example.org" } else { "evil.example" };
        let trick = passed(&trick.clone().message_id(&format!("<t{number}@evil.example>")), domain);
        let strange = arrive(&desk, mailbox, &trick).await.conversation;
        assert_ne!(strange, home);
        let next = ada(&format!("And {number}?")).message_id(&format!("<n{number}@acme.example>"));
        let next = passed(&next.in_reply_to("<v1@acme.example>"), "acme.example");
        arrive(&desk, mailbox, &next).await;
        assert_eq!(at(&desk, &next.id()).await, home, "{number}");
        assert_ne!(at(&desk, &trick.id()).await, home, "{number}");
    }
    desk.stop().await;
}

/// Somebody who is let into one conversation of a customer's names an id of another one there.
#[tokio::test(flavor = "multi_thread")]
async fn who_is_let_into_one_conversation_draws_no_other_in() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let shared = ada("With a copy.").cc("eve@evil.example").message_id("<x1@acme.example>");
    let shared = arrive(&desk, mailbox, &shared).await.conversation;
    let private = ada("Between us.").subject("Salary").message_id("<y1@acme.example>");
    let private = arrive(&desk, mailbox, &private).await.conversation;
    let draw = mail()
        .from("Eve <eve@evil.example>")
        .references(&["<y1@acme.example>", "<x1@acme.example>"])
        .message_id("<e1@evil.example>");
    assert_eq!(arrive(&desk, mailbox, &passed(&draw, "evil.example")).await.conversation, shared);
    let next = ada("More.").subject("Re: Salary").in_reply_to("<y1@acme.example>");
    assert_eq!(arrive(&desk, mailbox, &next).await.conversation, private);
    assert_eq!(conversation(&desk, private).await["message_count"], 2);
    assert_eq!(conversation(&desk, shared).await["message_count"], 2);
    desk.stop().await;
}

/// A guess by subject leads to what the customer wrote, not to what somebody else filed under them.
#[tokio::test(flavor = "multi_thread")]
async fn a_guess_needs_that_the_customer_wrote_there() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let planted = mail()
        .from("Eve <eve@evil.example>")
        .subject("Parcel delivery trouble")
        .header("X-Original-From", "ada@acme.example")
        .cc("eve@evil.example");
    let planted = arrive(&desk, mailbox, &passed(&planted, "evil.example")).await;
    let genuine = passed(&ada("Where is it?").subject("Re: Parcel delivery trouble"), "acme.example");
    assert_ne!(arrive(&desk, mailbox, &genuine).await.conversation, planted.conversation);
    desk.stop().await;
}

/// One id for every mail, and copies of them on another way: each is there once.
#[tokio::test(flavor = "multi_thread")]
async fn copies_under_an_id_of_many_mails() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let parcel = |number: usize| {
        mail()
            .from("Parcels <robot@parcels.example>")
            .subject(&format!("Parcel {number} is lost"))
            .text("See the subject.")
            .message_id("<constant@parcels.example>")
    };
    for number in 0..24 {
        arrive(&desk, mailbox, &parcel(number)).await;
    }
    for number in [0, 1, 22, 23] {
        let copy = parcel(number).header("Received", "by another way");
        assert_eq!(push(&desk, mailbox, &copy.build()).await["verdict"], "duplicate", "{number}");
    }
    desk.stop().await;
}

/// Twenty strangers name a foreseeable id before it comes: whose it is finds its answers all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_come_counts_for_more_than_what_was_named() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    for number in 0..21 {
        let stranger = mail().from(&format!("s{number}@evil.example")).in_reply_to("<order.1@acme.example>");
        arrive(&desk, mailbox, &stranger).await;
    }
    let root = ada("It burns.").message_id("<order.1@acme.example>");
    let home = arrive(&desk, mailbox, &root).await.conversation;
    let answer = ada("Still.").in_reply_to("<order.1@acme.example>");
    assert_eq!(arrive(&desk, mailbox, &answer).await.conversation, home);
    desk.stop().await;
}
