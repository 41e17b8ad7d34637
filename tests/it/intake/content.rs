//! What a mail says and carries: kept whole, shown harmless.

use crate::mailing::*;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use support::desk::TestDesk;
use support::mail::mail;

#[tokio::test(flavor = "multi_thread")]
async fn files_are_served_out_of_the_kept_mail() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let (bill, logo) = (noise(100_000), [b"\x89PNG\r\n\x1a\n".to_vec(), noise(500)].concat());
    let page = "<html><script>alert(1)</script><p>See the bill.</p></html>";
    let sent = mail()
        .html("<p>Hello! <img src=\"cid:logo@shop\"></p>")
        .inline("logo@shop", "image/png", &logo)
        .attachment("Rechnung für März.pdf", "application/pdf", &bill)
        .attachment("../../etc/page.html", "text/html", page.as_bytes());
    let landed = arrive(&desk, mailbox, &sent).await;
    assert_eq!(raw(&desk, landed.message).await, sent.build());
    let files = message(&desk, landed.message).await["attachments"].as_array().expect("a list").clone();
    let names: Vec<&str> = files.iter().filter_map(|file| file["filename"].as_str()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
    assert!(names.contains(&"Rechnung für März.pdf"), "{names:?}");
    assert!(names.iter().all(|name| !name.contains('/')), "{names:?}");
    for (kind, inline, content) in [
        ("image/png", true, &logo[..]),
        ("application/pdf", false, &bill),
        ("text/html", false, page.as_bytes()),
    ] {
        let file = files.iter().find(|file| file["content_type"] == kind).expect("it is listed");
        assert_eq!((&file["inline"], &file["size"]), (&json!(inline), &json!(content.len())), "{file}");
        let path = format!("/api/v1/attachments/{}/content", file["id"].as_str().expect("an id"));
        let got = desk.http.get(&path).await.expect(200);
        assert!(got.body == content, "{kind}");
        let header = |name: &str| got.header(name).unwrap_or_default().to_owned();
        assert!(header("Content-Disposition").starts_with("attachment"), "{}", header("Content-Disposition"));
        assert_eq!(header("X-Content-Type-Options"), "nosniff");
        assert!(header("Content-Security-Policy").contains("sandbox"));
        let served = if kind == "image/png" { kind } else { "application/octet-stream" };
        assert_eq!(header("Content-Type"), served);
        let part = desk.http.send("GET", &path, &[("Range", "bytes=2-5")], b"").await.expect(206);
        assert_eq!(part.body, content[2..=5]);
    }
    let logo = files.iter().find(|file| file["inline"] == true).expect("it is listed");
    assert_eq!(logo["content_id"], "logo@shop");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn html_is_shown_without_its_teeth() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let evil = "<html><head><style>body{background:url(https://spy.example/css)}</style></head>\
        <body onload=\"steal()\"><script>steal()</script><h1>Hello</h1>\
        <a href=\"javascript:steal()\">click</a><img src=\"https://spy.example/pixel.gif\">\
        <form action=\"https://spy.example\"><input name=\"password\"></form>\
        <iframe src=\"https://spy.example\"></iframe><svg onload=\"steal()\"></svg></body></html>";
    let landed = arrive(&desk, mailbox, &mail().html(evil)).await;
    let path = format!("/api/v1/messages/{}/html", landed.message);
    let shown = desk.http.get(&path).await.expect(200);
    let text = shown.text();
    assert!(text.contains("<h1>Hello</h1>"), "{text}");
    for word in
        ["steal", "javascript:", "spy.example", "<script", "<form", "<iframe", "<style", "<svg", "onload"]
    {
        assert!(!text.contains(word), "{word} in {text}");
    }
    assert_eq!(shown.header("X-Dropped-Images"), Some("1"));
    assert_eq!(shown.header("Content-Type"), Some("text/html; charset=utf-8"));
    let policy = shown.header("Content-Security-Policy").unwrap_or_default();
    for directive in ["default-src 'none'", "sandbox", "form-action 'none'", "frame-ancestors"] {
        assert!(policy.contains(directive), "{policy}");
    }
    assert!(!policy.contains("allow-scripts") && !policy.contains("unsafe-inline"), "{policy}");
    // Asked for, the picture comes, and only that.
    let with_images = desk.http.get(&format!("{path}?remote_images=true")).await.expect(200).text();
    assert!(
        with_images.contains("https://spy.example/pixel.gif") && !with_images.contains("steal"),
        "{with_images}"
    );
    // A mail of text alone is shown as text.
    let plain = arrive(&desk, mailbox, &mail().text("1 < 2 <script>steal()</script>")).await;
    let shown = desk.http.get(&format!("/api/v1/messages/{}/html", plain.message)).await.expect(200).text();
    assert!(shown.contains("1 &lt; 2 &lt;script&gt;"), "{shown}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_not_be_read_is_kept_and_listed() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let odd: [&[u8]; 5] = [
        b"\x00\x01\x02\xff\xfe no mail at all \x00",
        b"just a line of text",
        b"\r\n\r\nno header at all",
        b"Subject: nul \x00 in it\r\nFrom: a\x00b@c\x00d.example\r\nMessage-ID: <n\x00ul@x>\r\n\r\nbo\x00dy\r\n",
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x",
    ];
    for (index, bytes) in odd.iter().enumerate() {
        let receipt = push(&desk, mailbox, bytes).await;
        assert_eq!(receipt["verdict"], "accepted", "{index}: {receipt}");
        assert_eq!(raw(&desk, number(&receipt["message_id"])).await, *bytes, "{index}");
        let shown = message(&desk, number(&receipt["message_id"])).await;
        assert!(!shown.to_string().contains("\\u0000"), "{shown}");
        desk.http.get(&format!("/api/v1/messages/{}/html", receipt["message_id"])).await.expect(200);
        assert_eq!(push(&desk, mailbox, bytes).await["verdict"], "duplicate", "{index}");
    }
    let all = conversations(&desk).await;
    assert_eq!(all.len(), odd.len());
    let flagged = messages(&desk, number(&all[0]["id"])).await.remove(0);
    assert_eq!(flagged["flags"], json!(["unreadable"]));
    // Nobody's mail lies among nobody else's.
    let customers: std::collections::HashSet<i64> = all.iter().map(|c| number(&c["customer_id"])).collect();
    assert_eq!(customers.len(), odd.len());
    // The next mail comes in as ever.
    arrive(&desk, mailbox, &mail()).await;
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_mail_is_refused() {
    let clock = postroom_core::time::Clock::System;
    let desk = TestDesk::start_with(clock, |config| config.limits.mail_mib = 1).await;
    let mailbox = pushed(&desk, json!({})).await;
    let path = format!("/api/v1/mailboxes/{mailbox}/inbound");
    let rfc822 = [("Content-Type", "message/rfc822")];
    for nothing in [&b""[..], b" \r\n\r\n"] {
        let refused = desk.http.send("POST", &path, &rfc822, nothing).await.expect(422);
        assert_eq!(refused.json()["code"], "validation_failed");
    }
    let json = [("Content-Type", "application/json")];
    desk.http.send("POST", &path, &json, &mail().build()).await.expect(415);
    desk.http.send("POST", "/api/v1/mailboxes/999/inbound", &rfc822, &mail().build()).await.expect(404);
    let head = mail().text("").build();
    let padded = |size: usize| [&head[..], &vec![b'x'; size - head.len()]].concat();
    desk.http.send("POST", &path, &rfc822, &padded((1 << 20) + 1)).await.expect(413);
    assert!(conversations(&desk).await.is_empty());
    assert_eq!(push(&desk, mailbox, &padded(1 << 20)).await["verdict"], "accepted", "at the limit");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mail_of_the_demonstration_comes_in() {
    let desk = TestDesk::start().await;
    let shop = pushed(
        &desk,
        json!({
            "name": "Lantern", "address": "support@lantern.example", "aliases": ["hello@lantern.example"],
            "trusted_authserv_ids": ["mx.lantern.example"],
        }),
    )
    .await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/postroom/demo");
    let mut files: Vec<_> = fs::read_dir(folder).expect("the demonstration's mails").flatten().collect();
    files.sort_by_key(fs::DirEntry::file_name);
    assert!(files.len() >= 40);
    let mut kept = 0;
    for file in &files {
        let bytes = fs::read(file.path()).expect("a mail");
        let receipt = push(&desk, shop, &bytes).await;
        let name = file.file_name();
        let message = number(&receipt["message_id"]);
        if name.to_string_lossy().contains("second-copy") {
            assert_eq!(receipt["verdict"], "duplicate");
            continue;
        }
        assert_eq!(receipt["verdict"], "accepted", "{name:?}");
        assert!(raw(&desk, message).await == bytes, "{name:?}");
        desk.http.get(&format!("/api/v1/messages/{message}/html")).await.expect(200);
        decision(&desk, message).await;
        kept += 1;
    }
    let all = conversations(&desk).await;
    let held: i64 = all.iter().map(|conversation| number(&conversation["message_count"])).sum();
    assert_eq!(held, kept);
    assert!(all.len() < files.len(), "answers lie where they belong");
    let without: Vec<&Value> =
        all.iter().filter(|c| c["subject"].as_str().is_none_or(str::is_empty)).collect();
    assert!(without.is_empty(), "{without:?}");
    desk.stop().await;
}
