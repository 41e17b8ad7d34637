//! Somebody else uses a Message-ID that belongs to a conversation: whoever they are, and whenever
//! their mail comes, the conversation stays what it is without them.

use super::order::orders;
use super::{ada, mailbox};
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
