//! Who is let into a conversation, whatever key they carry.

use super::{ada, mailbox, outcome, passed, stamped};
use crate::mailing::*;
use serde_json::{Value, json};
use support::desk::TestDesk;
use support::mail::{TestMail, mail};

/// A conversation with Ada that was answered.
struct Scene {
    desk: TestDesk,
    mailbox: i64,
    question: TestMail,
    first: Landed,
    ours: String,
}

async fn scene() -> Scene {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let question = ada("It burns.").cc("Bob <bob@helpers.example>");
    let first = arrive(&desk, mailbox, &question).await;
    let ours = id_of(&reply(&desk, first.conversation, "Water!").await);
    Scene { desk, mailbox, question, first, ours }
}

impl Scene {
    /// Where a mail lands, and that the conversation is the same afterwards if it stays outside.
    async fn tell(&self, mail: &TestMail) -> (Landed, Value) {
        let before = conversation(&self.desk, self.first.conversation).await;
        let landed = arrive(&self.desk, self.mailbox, mail).await;
        if landed.conversation != self.first.conversation {
            assert_eq!(
                before,
                conversation(&self.desk, self.first.conversation).await,
                "nothing of it changed"
            );
        }
        (landed, decision(&self.desk, landed.message).await)
    }

    async fn links_of(&self, landed: Landed) -> Value {
        conversation(&self.desk, landed.conversation).await["links"].clone()
    }

    fn link(&self) -> Value {
        json!([{"conversation_id": self.first.conversation, "reason": "suggested"}])
    }

    fn tag(&self) -> String {
        format!("[#{}]", self.first.conversation)
    }
}

fn eve(text: &str) -> TestMail {
    mail().from("Eve <eve@evil.example>").subject("Re: Printer on fire").text(text)
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_subject_tag() {
    let scene = scene().await;
    let tagged = format!("Re: {} Printer on fire", scene.tag());
    for mail in [
        eve("Tell me all.").subject(&tagged),
        passed(&eve("Please.").from("fay@evil.example").subject(&tagged), "evil.example"),
        passed(&eve("The subject alone.").from("gus@evil.example"), "evil.example"),
    ] {
        let (landed, why) = scene.tell(&mail).await;
        assert_eq!(why["outcome"], "new", "{why}");
        assert_eq!(scene.links_of(landed).await, json!([]), "a guess makes no noise");
    }
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_replays_references() {
    let scene = scene().await;
    let replay =
        eve("And me?").references(&[&scene.question.id(), &scene.ours]).cc("accomplice@evil.example");
    let (landed, why) = scene.tell(&replay).await;
    assert_eq!((&why["outcome"], &why["sender_class"]), (&json!("link"), &json!("P0")), "{why}");
    assert_eq!(scene.links_of(landed).await, scene.link());
    // What they send on joins their own, and whom they copied is no part of ours either.
    let again = passed(&replay.text("Please."), "evil.example");
    let accomplice = mail().from("accomplice@evil.example").text("Me too.").in_reply_to(&scene.ours);
    for mail in [again, accomplice] {
        let (next, why) = scene.tell(&mail).await;
        assert_eq!(next.conversation, landed.conversation, "{why}");
        assert_eq!(why["candidates"][0]["sender_class"], "P0", "{why}");
    }
    let other = mail().from("stranger@evil.example").text("Me too.").in_reply_to(&scene.ours);
    let (_, why) = scene.tell(&other).await;
    assert_eq!((&why["outcome"], &why["sender_class"]), (&json!("link"), &json!("P0")), "{why}");
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spoofed_customer() {
    let scene = scene().await;
    let spoofed = ada("Send it to my new address.").in_reply_to(&scene.ours);
    let (landed, why) = scene.tell(&stamped("dmarc=fail header.from=acme.example", &spoofed)).await;
    assert_ne!(landed.conversation, scene.first.conversation);
    assert_eq!((&why["outcome"], &why["sender_auth"]), (&json!("new"), &json!("fail")), "{why}");
    let shown = message(&scene.desk, landed.message).await;
    assert_eq!((&shown["flags"], &shown["sender_auth"]), (&json!(["suspicious"]), &json!("fail")));
    assert_eq!(scene.links_of(landed).await, json!([]));
    // A guess without anybody who vouches is not enough for the customer's name alone.
    let tagged = ada("Ship it elsewhere.").subject(&format!("Re: {} Printer", scene.tag()));
    let (landed, why) = scene.tell(&tagged).await;
    assert_ne!(landed.conversation, scene.first.conversation);
    assert_eq!((&why["outcome"], &why["strength"]), (&json!("link"), &json!("D")), "{why}");
    // With somebody who does, it is.
    let vouched = passed(&ada("It is me.").subject(&format!("Re: {} Printer", scene.tag())), "acme.example");
    let (landed, _) = scene.tell(&vouched).await;
    assert_eq!(landed.conversation, scene.first.conversation);
    assert_eq!(message(&scene.desk, landed.message).await["flags"], json!(["guess"]));
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_authentication_results() {
    let scene = scene().await;
    let pass = "mx.example.org; dmarc=pass header.from=acme.example";
    // Below the real one, and of a server that nobody trusts.
    let below = stamped("dmarc=fail header.from=acme.example", &ada("1").in_reply_to(&scene.ours))
        .header("Authentication-Results", pass);
    let (_, why) = scene.tell(&below).await;
    assert_eq!((&why["outcome"], &why["sender_auth"]), (&json!("new"), &json!("fail")), "{why}");
    let foreign = |text: &str| {
        ada(text)
            .subject(&format!("Re: {} Printer", scene.tag()))
            .header("Authentication-Results", "mx.evil.example; dmarc=pass header.from=acme.example")
    };
    let (landed, why) = scene.tell(&foreign("2")).await;
    assert_ne!(landed.conversation, scene.first.conversation);
    assert_eq!(why["sender_auth"], "none", "{why}");
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colleagues() {
    let scene = scene().await;
    let colleague = |text: &str| mail().from("cyd@acme.example").text(text).in_reply_to(&scene.ours);
    let (landed, why) = scene.tell(&colleague("I am with Ada.")).await;
    assert_ne!(landed.conversation, scene.first.conversation, "nobody vouches");
    assert_eq!((&why["outcome"], &why["sender_class"]), (&json!("link"), &json!("P4")), "{why}");
    let (landed, why) = scene.tell(&passed(&colleague("I really am."), "acme.example")).await;
    assert_eq!(landed.conversation, scene.first.conversation);
    assert_eq!(why["sender_class"], "P4", "{why}");
    assert_eq!(message(&scene.desk, landed.message).await["flags"], json!(["new_participant"]));
    // By now she is part of it.
    let (landed, why) = scene.tell(&colleague("Once more.")).await;
    assert_eq!(
        (landed.conversation, &why["sender_class"]),
        (scene.first.conversation, &json!("P3")),
        "{why}"
    );
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn colleague_freemail() {
    let desk = TestDesk::start().await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &mail().from("ada@gmail.com")).await;
    let ours = id_of(&reply(&desk, first.conversation, "Hello").await);
    let other = passed(&mail().from("eve@gmail.com").text("Hi").in_reply_to(&ours), "gmail.com");
    let landed = arrive(&desk, mailbox, &other).await;
    assert_ne!(landed.conversation, first.conversation);
    assert_eq!(outcome(&desk, landed).await, "link");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cc_colleague_replies() {
    let scene = scene().await;
    let bob = mail().from("Bob <bob@helpers.example>").text("I can help.").in_reply_to(&scene.question.id());
    let (landed, why) = scene.tell(&bob).await;
    assert_eq!(
        (landed.conversation, &why["sender_class"]),
        (scene.first.conversation, &json!("P3")),
        "{why}"
    );
    // Whom an agent wrote to is part of it as well.
    let body = json!({"kind": "reply", "text": "Can you look?", "to": [{"email": "expert@fire.example"}]});
    let asked = id_of(&reply_with(&scene.desk, scene.first.conversation, body).await);
    let expert = mail().from("expert@fire.example").text("Yes.").in_reply_to(&asked);
    let (landed, why) = scene.tell(&expert).await;
    assert_eq!(
        (landed.conversation, &why["sender_class"]),
        (scene.first.conversation, &json!("P2")),
        "{why}"
    );
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_own_id() {
    let scene = scene().await;
    // Another letter in the seal; and an id of our shape for another conversation.
    let (head, tail) = scene.ours.split_once('@').expect("an id has a domain");
    let last = head.chars().last().expect("a seal has letters");
    let other = if last == '0' { '1' } else { '0' };
    let bad_seal = format!("{}{other}@{tail}", &head[..head.len() - 1]);
    let foreign = "<c.1.1.0123456789abcdef.0123456789abcdef@other.example>".to_owned();
    for id in [bad_seal, foreign] {
        let (landed, why) = scene.tell(&eve(&id).in_reply_to(&id)).await;
        assert_ne!(landed.conversation, scene.first.conversation);
        assert_eq!((&why["outcome"], &why["broken_seals"]), (&json!("new"), &json!(1)), "{why}");
        let (landed, why) = scene.tell(&ada(&id).in_reply_to(&id)).await;
        assert_ne!(landed.conversation, scene.first.conversation, "not even for the customer: {why}");
    }
    scene.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stranger_valid_token() {
    // Ada forwarded our answer to somebody who then writes to us.
    let scene = scene().await;
    let given = mail().from("friend@elsewhere.example").text("She gave me this.").in_reply_to(&scene.ours);
    let (landed, why) = scene.tell(&given).await;
    assert_eq!((&why["outcome"], &why["strength"]), (&json!("link"), &json!("A")), "{why}");
    assert_eq!(scene.links_of(landed).await, scene.link());
    scene.desk.stop().await;
}
