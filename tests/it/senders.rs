//! Who sent this: where no trusted server says so, the mail's own signature does, if it is the
//! sender's and holds. Keys lie on a DNS server of the test's own.

use crate::mailing::*;
use postroom::Config;
use postroom_core::time::{Clock, Timestamp};
use serde_json::{Value, json};
use std::process::Command;
use support::desk::TestDesk;
use support::dkim::{DkimKey, sign_with_rsa};
use support::dns::Dns;
use support::mail::{TestMail, mail};
use support::maildir;
use support::workdir::WorkDir;

async fn desk(dns: &Dns) -> TestDesk {
    desk_at(dns, Clock::System, |_| {}).await
}

async fn desk_at(dns: &Dns, clock: Clock, change: impl FnOnce(&mut Config)) -> TestDesk {
    let address = dns.address;
    TestDesk::start_with(clock, move |config| {
        config.ingest.dns_server = Some(address);
        change(config);
    })
    .await
}

async fn mailbox(desk: &TestDesk) -> i64 {
    pushed(desk, json!({"trusted_authserv_ids": ["mx.example.org"]})).await
}

fn ada(text: &str) -> TestMail {
    mail().from("Ada <ada@mail.acme.example>").to("support@example.org").subject("Printer on fire").text(text)
}

async fn sender_auth(desk: &TestDesk, mailbox: i64, raw: &[u8]) -> Value {
    let receipt = push(desk, mailbox, raw).await;
    assert_eq!(receipt["verdict"], "accepted", "{}", String::from_utf8_lossy(raw));
    message(desk, number(&receipt["message_id"])).await["sender_auth"].clone()
}

fn replaced(raw: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(raw.to_vec()).expect("a mail of the tests is text");
    assert!(text.contains(from), "{from} in {text}");
    text.replacen(from, to, 1).into_bytes()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_of_the_senders_domain_vouches_for_the_sender() {
    let key = DkimKey::new("acme.example", "k1");
    let dns = Dns::start(&[key.record("")]);
    let desk = desk(&dns).await;
    let mailbox = mailbox(&desk).await;
    let first = arrive(&desk, mailbox, &ada("It burns.")).await;
    assert_eq!(message(&desk, first.message).await["sender_auth"], "none");
    assert!(dns.asked().is_empty(), "a mail without a signature asks nothing");

    // A guess alone opens nothing; with the signature it does.
    let tagged = ada("It is me.").subject(&format!("Re: [#{}] Printer", first.conversation));
    let without = arrive(&desk, mailbox, &tagged).await;
    assert_ne!(without.conversation, first.conversation);
    let vouched = tagged.clone().text("It is really me.");
    let receipt = push(&desk, mailbox, &key.sign(&vouched.build())).await;
    let landed = number(&receipt["message_id"]);
    assert_eq!(message(&desk, landed).await["sender_auth"], "pass");
    let why = decision(&desk, landed).await;
    assert_eq!((&why["outcome"], &why["sender_auth"]), (&json!("append"), &json!("pass")), "{why}");
    assert_eq!(receipt["conversation_id"], first.conversation);

    // With the line ends of a Maildir too, and the key is asked for once.
    let lines = String::from_utf8(key.sign(&ada("Once more.").build())).expect("text").replace("\r\n", "\n");
    assert_eq!(sender_auth(&desk, mailbox, lines.as_bytes()).await, "pass");
    assert_eq!(dns.asked(), [key.name()]);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rsa_key_does_as_well() {
    let dir = WorkDir::new("rsa");
    let file = dir.join("key.der");
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-outform", "DER", "-out"])
        .arg(&file)
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let pkcs8 = std::fs::read(&file).expect("the key");
    let (signed, record) = sign_with_rsa("acme.example", "r1", &pkcs8, &ada("RSA").build());
    let dns = Dns::start(&[record]);
    let desk = desk(&dns).await;
    let mailbox = mailbox(&desk).await;
    assert_eq!(sender_auth(&desk, mailbox, &signed).await, "pass");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_hold_proves_nothing() {
    let key = DkimKey::new("acme.example", "k1");
    let (strict, trial, unknown) = (
        DkimKey::new("acme.example", "strict"),
        DkimKey::new("acme.example", "trial"),
        DkimKey::new("acme.example", "unknown"),
    );
    let (evil, revoked) = (DkimKey::new("evil.example", "k1"), DkimKey::new("acme.example", "revoked"));
    let dns = Dns::start(&[
        key.record(""),
        strict.record("t=s"),
        trial.record("t=y"),
        evil.record(""),
        (revoked.name(), "v=DKIM1; k=ed25519; p=".to_owned()),
    ]);
    let desk = desk(&dns).await;
    let mailbox = mailbox(&desk).await;
    let raw = |text: &str| ada(text).build();
    let signed = |text: &str| key.sign(&raw(text));
    let below = |key: &DkimKey, text: &str| {
        key.sign_as(&raw(text), |signer| signer.agent_user_identifier("ada@mail.acme.example"))
    };
    let with_length = key.sign_as(&raw("l1"), |signer| signer.body_length(true));
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("as signed", signed("fine"), "pass"),
        ("another body", replaced(&signed("a body"), "a body", "another"), "none"),
        ("text below", [signed("b"), b"Send money.\r\n".to_vec()].concat(), "none"),
        ("another subject", replaced(&signed("c"), "Printer on fire", "Printer on ice"), "none"),
        ("another sender", replaced(&signed("d"), "ada@mail.acme", "ceo@mail.acme"), "none"),
        ("somebody else's signature", evil.sign(&raw("e")), "none"),
        ("a signed length", with_length.clone(), "none"),
        ("a signed length, and text below", [with_length, b"more\r\n".to_vec()].concat(), "none"),
        ("a key that is not there", unknown.sign(&raw("f")), "none"),
        ("a key that was taken back", revoked.sign(&raw("g")), "none"),
        ("a key that is being tried out", trial.sign(&raw("h")), "none"),
        ("an identity below", below(&key, "i"), "pass"),
        ("an identity below a strict key", below(&strict, "j"), "none"),
        ("two, one good", key.sign(&evil.sign(&raw("k"))), "pass"),
        ("two, the upper one broken", [b"DKIM-Signature: v=1; a=rsa-sha256; d=acme.example; s=x; h=from; bh=AAAA; b=AAAA\r\n".to_vec(), signed("l")].concat(), "pass"),
        ("From twice, the false one on top", [b"From: ceo@acme.example\r\n".to_vec(), signed("m")].concat(), "none"),
        ("From twice, the false one below", replaced(&signed("n"), "Subject:", "From: ceo@acme.example\r\nSubject:"), "none"),
        ("two senders in From", key.sign(&ada("o").from("a@mail.acme.example, b@other.example").build()), "none"),
        ("a forged word, and no signature", [b"Authentication-Results: mx.evil.example; dmarc=pass header.from=acme.example\r\n".to_vec(), raw("p")].concat(), "none"),
        ("a forged word over a broken signature", [b"Authentication-Results: mx.evil.example; dmarc=pass\r\n".to_vec(), replaced(&signed("qq"), "qq", "xx")].concat(), "none"),
        ("a forged word under none of ours", [b"Authentication-Results: mx.example.org; none\r\nAuthentication-Results: mx.example.org; dmarc=pass\r\n".to_vec(), raw("r")].concat(), "none"),
        ("a forged word over a good signature", [b"Authentication-Results: mx.evil.example; dmarc=fail\r\n".to_vec(), signed("s")].concat(), "pass"),
    ];
    for (case, raw, expected) in cases {
        assert_eq!(sender_auth(&desk, mailbox, &raw).await, expected, "{case}");
    }
    // What the mailbox's own server says weighs more than a signature, and asks nothing.
    let asked = dns.asked().len();
    let other = DkimKey::new("acme.example", "never-asked");
    for (word, expected) in
        [("dkim=fail header.d=acme.example", "none"), ("dmarc=fail header.from=mail.acme.example", "fail")]
    {
        let stamp = format!("Authentication-Results: mx.example.org; {word}\r\n");
        let raw = [stamp.into_bytes(), other.sign(&raw(word))].concat();
        assert_eq!(sender_auth(&desk, mailbox, &raw).await, expected, "{word}");
    }
    assert_eq!(dns.asked().len(), asked);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_signatures_ask_few_questions() {
    let key = DkimKey::new("acme.example", "k1");
    let dns = Dns::start(&[key.record("")]);
    let desk = desk(&dns).await;
    let mailbox = mailbox(&desk).await;
    // Twenty of the sender's own domain: the first five are asked for.
    let mut raw = ada("many").build();
    for n in 0..20 {
        raw = DkimKey::new("acme.example", &format!("s{n}")).sign(&raw);
    }
    assert_eq!(sender_auth(&desk, mailbox, &raw).await, "none");
    let mut asked = dns.asked();
    asked.sort();
    assert_eq!(asked, ["s15", "s16", "s17", "s18", "s19"].map(|s| format!("{s}._domainkey.acme.example")));
    // Of somebody else's none is, and one's own is found among them.
    let mut raw = key.sign(&ada("others").build());
    for n in 0..20 {
        raw = DkimKey::new("list.example", &format!("s{n}")).sign(&raw);
    }
    assert_eq!(sender_auth(&desk, mailbox, &raw).await, "pass");
    assert_eq!(dns.asked().len(), 6);
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_whose_time_is_over_proves_nothing() {
    let key = DkimKey::new("acme.example", "k1");
    let dns = Dns::start(&[key.record("")]);
    let much_later = Timestamp::parse("2090-01-01T00:00:00Z").expect("a time");
    let desk = desk_at(&dns, Clock::fixed(much_later), |_| {}).await;
    let mailbox = mailbox(&desk).await;
    let over = key.sign_as(&ada("over").build(), |signer| signer.expiration(3600));
    assert_eq!(sender_auth(&desk, mailbox, &over).await, "none");
    assert!(dns.asked().is_empty());
    assert_eq!(sender_auth(&desk, mailbox, &key.sign(&ada("for ever").build())).await, "pass");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_dns_mail_comes_in_all_the_same() {
    let key = DkimKey::new("acme.example", "k1");
    let silent = Dns::silent();
    let desk = desk(&silent).await;
    let box_of_nobody = mailbox(&desk).await;
    assert_eq!(sender_auth(&desk, box_of_nobody, &key.sign(&ada("silence").build())).await, "none");
    assert!(silent.asked().contains(&key.name()));
    desk.stop().await;

    let dns = Dns::start(&[key.record("")]);
    let desk = desk_at(&dns, Clock::System, |config| config.ingest.check_dkim = false).await;
    let off = mailbox(&desk).await;
    assert_eq!(sender_auth(&desk, off, &key.sign(&ada("off").build())).await, "none");
    assert!(dns.asked().is_empty());
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_that_is_fetched_is_judged_like_mail_that_is_pushed() {
    let key = DkimKey::new("acme.example", "k1");
    let dns = Dns::start(&[key.record("")]);
    let desk = desk(&dns).await;
    let path = desk.dir().join("Maildir");
    maildir::make(&path, None);
    for n in 0..20 {
        maildir::deliver(&path, &key.sign(&ada(&format!("Mail {n}")).build()), None);
    }
    maildir::deliver(&path, &ada("Without").build(), None);
    let mailbox = add(&desk, json!({"type": "maildir", "path": path}), json!({"type": "sink"})).await;
    let status = sync(&desk, mailbox).await;
    assert_eq!(status["accepted"], 21, "{status}");
    let mut words = Vec::new();
    for conversation in conversations(&desk).await {
        for message in messages(&desk, number(&conversation["id"])).await {
            words.push(message["sender_auth"].as_str().expect("a word").to_owned());
        }
    }
    assert_eq!(words.iter().filter(|word| *word == "pass").count(), 20, "{words:?}");
    assert_eq!(words.len(), 21);
    assert_eq!(dns.asked(), [key.name()], "one batch asks once");
    desk.stop().await;
}
