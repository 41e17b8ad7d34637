//! The vectors of threading that the pure module is tried on, told to the whole daemon: through
//! the parser, the store and the API.

mod gate;
mod order;
mod promises;
mod renamed;
mod reused;

use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::{TestMail, mail};

/// A mailbox whose mail server is believed.
async fn mailbox(desk: &TestDesk) -> i64 {
    pushed(desk, json!({"trusted_authserv_ids": ["mx.example.org"]})).await
}

/// A mail from Ada, a customer at a firm.
fn ada(text: &str) -> TestMail {
    mail().from("Ada <ada@acme.example>").subject("Printer on fire").text(text)
}

/// What the mailbox's own server says of the sender, stamped above everything else.
fn stamped(verdict: &str, mail: &TestMail) -> TestMail {
    mail.clone().header("Authentication-Results", &format!("mx.example.org; {verdict}"))
}

/// Passed by the mailbox's own server.
fn passed(mail: &TestMail, domain: &str) -> TestMail {
    stamped(&format!("dmarc=pass header.from={domain}"), mail)
}

async fn outcome(desk: &TestDesk, landed: Landed) -> String {
    decision(desk, landed.message).await["outcome"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn reply_plain() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let question = passed(&ada("It burns."), "acme.example");
    let first = arrive(&desk, mailbox, &question).await;
    assert_eq!(decision(&desk, first.message).await["rule"], "R3: no key → new");
    assert_eq!(message(&desk, first.message).await["sender_auth"], "pass");
    let ours = id_of(&reply(&desk, first.conversation, "Water!").await);
    let answer = passed(&ada("Thanks.").references(&[&question.id(), &ours]), "acme.example");
    let second = arrive(&desk, mailbox, &answer).await;
    assert_eq!(second.conversation, first.conversation);
    let why = decision(&desk, second.message).await;
    assert_eq!((&why["rule"], &why["strength"]), (&json!("R4: A, P1, pass → append"), &json!("A")));
    assert_eq!(why["key"], ours.trim_matches(['<', '>']));
    assert_eq!(why["candidates"][0]["conversation_id"], first.conversation);
    assert_eq!(message(&desk, second.message).await["flags"], json!([]));
    // And to their own mail, with nobody vouching for them.
    let third = arrive(&desk, mailbox, &ada("Hello?").in_reply_to(&question.id())).await;
    assert_eq!(third.conversation, first.conversation);
    assert_eq!(decision(&desk, third.message).await["rule"], "R4: B, P1, none → append");
    assert_eq!(message(&desk, third.message).await["flags"], json!(["unverified"]));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reply_apple_mail_refs_overwritten() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &ada("It burns.")).await;
    let ours = id_of(&reply(&desk, first.conversation, "Water!").await);
    let answer = ada("Thanks.").in_reply_to(&ours).references(&["<junk@apple.example>"]);
    assert_eq!(arrive(&desk, mailbox, &answer).await.conversation, first.conversation);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reply_outlook_original_id() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &ada("It burns.")).await;
    let ours = id_of(&reply(&desk, first.conversation, "Water!").await);
    // Our mail went through a relay that gave it another name; References kept ours.
    let answer =
        ada("Thanks.").in_reply_to("<AM0PR@outlook.example>").references(&[&ours, "<AM0PR@outlook.example>"]);
    let landed = arrive(&desk, mailbox, &answer).await;
    assert_eq!(landed.conversation, first.conversation);
    assert_eq!(decision(&desk, landed.message).await["strength"], "A");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_reply_to_is_address() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let says = |from: &str, whose: &str| {
        mail().from(from).text(from).header("In-Reply-To", &format!("Your message of Monday <{whose}>"))
    };
    let one = arrive(&desk, mailbox, &says("ada@acme.example", "someone@yahoo.com")).await;
    let two = arrive(&desk, mailbox, &says("bob@bree.example", "someone@yahoo.com")).await;
    let three = arrive(&desk, mailbox, &says("cyd@cree.example", "support@example.org")).await;
    for landed in [one, two, three] {
        assert_eq!(outcome(&desk, landed).await, "new");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn same_mail_list_and_direct() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let direct = ada("It burns.").message_id("<1@acme.example>");
    let first = arrive(&desk, mailbox, &direct).await;
    let by_list = direct.subject("[users] Printer on fire").header("List-Id", "<users.lists.example>");
    let receipt = push(&desk, mailbox, &by_list.build()).await;
    assert_eq!((&receipt["verdict"], &receipt["message_id"]), (&json!("duplicate"), &json!(first.message)));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mid_without_brackets() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &ada("It burns.").message_id(" 1@acme.example ")).await;
    assert_eq!(message(&desk, first.message).await["internet_message_id"], "<1@acme.example>");
    let answer = ada("Still.").in_reply_to("<1@acme.example>");
    assert_eq!(arrive(&desk, mailbox, &answer).await.conversation, first.conversation);
    // In the headers that refer, text without brackets is no id.
    let loose = arrive(&desk, mailbox, &ada("Or not.").in_reply_to("1@acme.example")).await;
    assert_eq!(outcome(&desk, loose).await, "new");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guess_by_subject() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &ada("It burns.")).await;
    let bare = |text: &str| ada(text).subject("AW: Printer on FIRE");
    // With somebody who vouches it joins, to be undone in one step; without, it begins one that
    // says where it probably belongs, and after that the next could belong to either.
    let guessed = arrive(&desk, mailbox, &passed(&bare("vouched for"), "acme.example")).await;
    assert_eq!(guessed.conversation, first.conversation);
    assert_eq!(message(&desk, guessed.message).await["flags"], json!(["guess"]));
    let unsure = arrive(&desk, mailbox, &bare("not vouched for")).await;
    assert_ne!(unsure.conversation, first.conversation);
    let why = decision(&desk, unsure.message).await;
    assert_eq!((&why["outcome"], &why["strength"]), (&json!("link"), &json!("E")), "{why}");
    let either = arrive(&desk, mailbox, &passed(&bare("to which?"), "acme.example")).await;
    assert_eq!(outcome(&desk, either).await, "new");
    // What was long ago is not guessed at.
    pass(&desk, days(8)).await;
    let other = passed(&ada("x").subject("Scanner in flames"), "acme.example");
    arrive(&desk, mailbox, &other).await;
    pass(&desk, days(8)).await;
    let late = passed(&ada("late").subject("Re: Scanner in flames"), "acme.example");
    let late = arrive(&desk, mailbox, &late).await;
    assert_eq!(outcome(&desk, late).await, "new");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nil_in_reply_to_matches_nothing() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    arrive(&desk, mailbox, &mail().from("bob@bree.example").without_message_id()).await;
    for (index, nothing) in ["", "<>", "< >", "<none>", "nil", "<@>"].iter().enumerate() {
        let empty = mail()
            .from("bob@bree.example")
            .text(&format!("{index}"))
            .header("In-Reply-To", nothing)
            .header("References", nothing);
        let landed = arrive(&desk, mailbox, &empty).await;
        let why = decision(&desk, landed.message).await;
        assert_eq!((&why["outcome"], &why["candidates"]), (&json!("new"), &json!([])), "{nothing:?}");
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_references() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let root = arrive(&desk, mailbox, &ada("root").message_id("<root@acme.example>")).await;
    let ids: Vec<String> = (0..9_998).map(|number| format!("<{number}@acme.example>")).collect();
    let mut all = vec!["<root@acme.example>"];
    all.extend(ids.iter().map(String::as_str));
    let landed = arrive(&desk, mailbox, &ada("leaf").references(&all)).await;
    assert_eq!(landed.conversation, root.conversation);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reply_to_closed_29_and_31_days() {
    for (age, expected) in [(29, "append"), (31, "follow_up")] {
        let desk = TestDesk::start_fixed().await;
        let mailbox = mailbox(&desk).await;
        let question = ada("It burns.");
        let first = arrive(&desk, mailbox, &question).await;
        set_status(&desk, first.conversation, "closed").await;
        pass(&desk, days(age)).await;
        let landed = arrive(&desk, mailbox, &ada("Again!").in_reply_to(&question.id())).await;
        assert_eq!(outcome(&desk, landed).await, expected, "{age}");
        let old = conversation(&desk, first.conversation).await;
        let new = conversation(&desk, landed.conversation).await;
        if age == 29 {
            assert_eq!((landed.conversation, &old["status"]), (first.conversation, &json!("open")));
        } else {
            assert_ne!(landed.conversation, first.conversation);
            assert_eq!(old["status"], "closed");
            assert_eq!(new["status"], "open");
            assert_eq!(new["links"], json!([{"conversation_id": first.conversation, "reason": "follow_up"}]));
            assert_eq!(new["customer_id"], old["customer_id"]);
            // What answers the new one stays there, though it names the old one as well.
            let again = ada("And?").references(&[&question.id(), &ada("Again!").id()]);
            assert_eq!(arrive(&desk, mailbox, &again).await.conversation, landed.conversation);
        }
        desk.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn out_of_office_to_closed() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &ada("It burns.")).await;
    let ours = id_of(&reply(&desk, first.conversation, "Water!").await);
    set_status(&desk, first.conversation, "closed").await;
    pass(&desk, days(31)).await;
    let away = ada("Away.").header("Auto-Submitted", "auto-replied").in_reply_to(&ours);
    let landed = arrive(&desk, mailbox, &away).await;
    assert_eq!(landed.conversation, first.conversation, "of any age");
    assert_eq!(conversation(&desk, first.conversation).await["status"], "closed");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_subject() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let question = ada("It burns.");
    let first = arrive(&desk, mailbox, &question).await;
    let changed = ada("It smokes.").subject("AW: And now the scanner too").in_reply_to(&question.id());
    assert_eq!(arrive(&desk, mailbox, &changed).await.conversation, first.conversation);
    assert_eq!(conversation(&desk, first.conversation).await["subject"], "Printer on fire");
    let answer = reply(&desk, first.conversation, "Water!").await;
    assert_eq!(answer["subject"], "Re: And now the scanner too");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forward() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let question = ada("It burns.");
    let first = arrive(&desk, mailbox, &question).await;
    // A colleague forwards the thread to the desk: a matter of its own, with a link to it.
    let fwd = mail().from("bob@acme.example").subject("WG: Printer on fire").text("See below.");
    let by_colleague = passed(&fwd.in_reply_to(&question.id()), "acme.example");
    let landed = arrive(&desk, mailbox, &by_colleague).await;
    assert_ne!(landed.conversation, first.conversation);
    assert_eq!(outcome(&desk, landed).await, "link");
    // A forward without any reference is nobody's answer, tag or no tag.
    let tagged = passed(
        &ada("Look.").subject(&format!("Fwd: Printer on fire [#{}]", first.conversation)),
        "acme.example",
    );
    let landed = arrive(&desk, mailbox, &tagged).await;
    assert_eq!(outcome(&desk, landed).await, "new");
    // The customer's own, with references, is hers.
    let own = ada("FYI").subject("Fwd: Printer on fire").in_reply_to(&question.id());
    assert_eq!(arrive(&desk, mailbox, &own).await.conversation, first.conversation);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_own_mailbox_loop() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &ada("It burns.")).await;
    let answer = reply(&desk, first.conversation, "Water!").await;
    let echo = raw(&desk, number(&answer["id"])).await;
    for copy in [echo.clone(), [b"X-Loop: list.example\r\n", &echo[..]].concat()] {
        let receipt = push(&desk, mailbox, &copy).await;
        assert_eq!((&receipt["verdict"], &receipt["message_id"]), (&json!("duplicate"), &answer["id"]));
    }
    // Somebody else's mail with our address in From is a stranger's.
    let forged = mail().from("support@example.org").text("Do as I say.").in_reply_to(&id_of(&answer));
    let landed = arrive(&desk, mailbox, &forged).await;
    assert_ne!(landed.conversation, first.conversation);
    assert_eq!(conversation(&desk, first.conversation).await["message_count"], 2);
    assert_eq!(message(&desk, number(&answer["id"])).await["kind"], "reply");
    let shown: Value = conversation(&desk, first.conversation).await;
    assert_eq!(shown["waiting_on"], "customer");
    desk.stop().await;
}
