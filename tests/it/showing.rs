//! Messages and files shown without a token: the page in its frame, the pictures in the page, and
//! what keeps everybody else out.

use crate::mailing::*;
use crate::problems::{faults, problem};
use postroom_core::access::Scope;
use serde_json::{Value, json};
use std::time::Duration;
use support::desk::TestDesk;
use support::http::{Answer, Http};
use support::mail::mail;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nand the rest";

/// The path and query of a link, whatever stands before.
fn local(url: &Value) -> String {
    let url = url.as_str().expect("a link");
    url[url.find("/api/v1/").expect("a path")..].to_owned()
}

/// The address of the first picture of a page, as a browser reads it.
fn picture_of(page: &Answer) -> String {
    let text = page.text();
    let src = text.split("<img src=\"").nth(1).and_then(|rest| rest.split('"').next());
    local(&json!(src.unwrap_or_else(|| panic!("no picture in {text}")).replace("&amp;", "&")))
}

/// A link with another letter in its signature.
fn forged(url: &str) -> String {
    let at = url.find("signature=").expect("a signature") + "signature=".len();
    let other = if url[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &url[..at], &url[at + 1..])
}

async fn page_link(http: &Http, message: i64, body: &Value) -> Value {
    http.post(&format!("/api/v1/messages/{message}/html/link"), body).await.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_shows_a_message_by_its_link() {
    let desk = TestDesk::start_fixed().await;
    let mailbox = pushed(&desk, json!({})).await;
    let html = "<p>Hello <img src=\"cid:logo@shop\"> <img src=\"https://spy.example/p\">\
        <a href=\"https://evil.example.com/\">https://bank.com/</a></p>";
    let landed = arrive(&desk, mailbox, &mail().html(html).inline("logo@shop", "image/png", PNG)).await;
    let other = arrive(&desk, mailbox, &mail().subject("Another").html("<p>Another</p>")).await;
    let link = page_link(&desk.http, landed.message, &json!({"ttl": 300})).await;
    assert_eq!(link["expires_at"], "2026-11-22T08:05:00.000000Z");
    assert_eq!(link["dropped_images"], 1);
    assert_eq!(link["dropped_image_urls"], json!(["https://spy.example/p"]));
    assert_eq!(link["shortened"], false);
    assert_eq!(
        link["misleading_links"],
        json!([{"href": "https://evil.example.com/", "text": "https://bank.com/", "reason": "other_place"}])
    );

    let nobody = Http::new(desk.address());
    let url = local(&link["url"]);
    let page = nobody.get(&url).await.expect(200);
    assert_eq!(
        page.header("Content-Security-Policy"),
        Some(
            "default-src 'none'; img-src 'self'; style-src 'none'; form-action 'none'; base-uri 'none'; \
             frame-ancestors 'self'; sandbox allow-popups"
        )
    );
    for (name, value) in [
        ("Content-Type", "text/html; charset=utf-8"),
        ("X-Content-Type-Options", "nosniff"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "private, no-store"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let picture = picture_of(&page);
    let shown = nobody.get(&picture).await.expect(200);
    assert!(shown.body == PNG);
    for (name, value) in [
        ("Content-Type", "image/png"),
        ("Content-Disposition", "inline"),
        ("X-Content-Type-Options", "nosniff"),
        ("Content-Security-Policy", "sandbox; default-src 'none'"),
        ("Cross-Origin-Resource-Policy", "cross-origin"),
    ] {
        assert_eq!(shown.header(name), Some(value), "{name}");
    }

    // Neither link opens anything else, and no change of one does.
    let refused = [
        url.replace(&format!("messages/{}/", landed.message), &format!("messages/{}/", other.message)),
        format!("{url}&remote_images=true"),
        url.replace("expires=", "expires=1"),
        forged(&url),
        url.split("&signature").next().expect("a query").to_owned(),
        url.split("expires=").next().expect("a query").to_owned() + "signature=AAAA",
        picture.replace("purpose=inline", "purpose=download"),
        picture.replace("purpose=inline&", ""),
        forged(&picture),
    ];
    for path in &refused {
        problem(&nobody.get(path).await, 401, "unauthorized");
    }
    // With a token it is the signature alone that counts.
    problem(&desk.http.get(&refused[1]).await, 401, "unauthorized");

    // Pictures end with the page's link, or a minute after the page was opened by it.
    desk.desk().advance_clock(Duration::from_secs(299));
    nobody.get(&picture).await.expect(200);
    let late = picture_of(&nobody.get(&url).await.expect(200));
    desk.desk().advance_clock(Duration::from_secs(1));
    problem(&nobody.get(&url).await, 401, "unauthorized");
    problem(&nobody.get(&picture).await, 401, "unauthorized");
    desk.desk().advance_clock(Duration::from_secs(58));
    nobody.get(&late).await.expect(200);
    desk.desk().advance_clock(Duration::from_secs(1));
    problem(&nobody.get(&late).await, 401, "unauthorized");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn images_of_other_sites_come_over_https_where_they_are_asked_for() {
    let clock = postroom_core::time::Clock::System;
    let desk = TestDesk::start_with(clock, |config| {
        config.server.public_url = Some("https://desk.example.org/help".parse().expect("a URL"));
        config.server.cors_origins = vec!["https://app.example.org".to_owned()];
    })
    .await;
    let mailbox = pushed(&desk, json!({})).await;
    let html = "<p><img src=\"cid:a\"><img src=\"https://x.example/1\"><img src=\"http://x.example/2\"></p>";
    let landed = arrive(&desk, mailbox, &mail().html(html).inline("a", "image/png", PNG)).await;
    let link = page_link(&desk.http, landed.message, &json!({"remote_images": true})).await;
    let url = link["url"].as_str().expect("a link");
    assert!(url.starts_with("https://desk.example.org/help/api/v1/messages/"), "{url}");
    assert_eq!(link["dropped_image_urls"], json!(["http://x.example/2"]));
    let page = Http::new(desk.address()).get(&local(&link["url"])).await.expect(200);
    let policy = page.header("Content-Security-Policy").expect("a policy");
    assert!(policy.contains("img-src 'self' https://desk.example.org https:; style-src 'none'"), "{policy}");
    assert!(
        policy.contains("frame-ancestors 'self' https://app.example.org; sandbox allow-popups"),
        "{policy}"
    );
    assert_eq!(page.header("X-Dropped-Images"), Some("1"));
    assert_eq!(page.header("Cross-Origin-Resource-Policy"), Some("cross-origin"));
    let text = page.text();
    assert!(text.contains("src=\"https://x.example/1\"") && !text.contains("x.example/2"), "{text}");
    assert!(text.contains("src=\"https://desk.example.org/help/api/v1/attachments/att_"), "{text}");
    desk.stop().await;
}

/// Whoever framed a link sees in the frame why it does not open; what is asked with a token is for no frame.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_seen_where_the_link_was_to_be_shown() {
    let desk = TestDesk::start_with(postroom_core::time::Clock::System, |config| {
        config.server.cors_origins = vec!["https://app.example.org".to_owned()];
    })
    .await;
    let mailbox = pushed(&desk, json!({})).await;
    let landed =
        arrive(&desk, mailbox, &mail().html("<p>Hello</p>").attachment("a", "text/plain", b"a")).await;
    let file = message(&desk, landed.message).await["attachments"][0]["id"].clone();
    let page = format!("/api/v1/messages/{}/html", landed.message);
    let file = format!("/api/v1/attachments/{}/content", file.as_str().expect("an id"));
    let listed = "default-src 'none'; frame-ancestors 'self' https://app.example.org";
    let by_nobody = "default-src 'none'; frame-ancestors 'none'";
    for (path, status, ancestors, resource_policy) in [
        (format!("{page}?expires=1&signature=AAAA"), 401, listed, "cross-origin"),
        (format!("{page}?expires=1&signature=AAAA&other=1"), 400, listed, "cross-origin"),
        (format!("{file}?purpose=download&expires=1&signature=AAAA"), 401, listed, "cross-origin"),
        (format!("{page}?expires=1"), 401, by_nobody, "same-origin"),
        ("/api/v1/me?signature=AAAA".to_owned(), 401, by_nobody, "same-origin"),
        ("/api/v1/version?signature=AAAA".to_owned(), 400, by_nobody, "same-origin"),
    ] {
        let answer = Http::new(desk.address()).get(&path).await.expect(status);
        assert_eq!(answer.header("Content-Security-Policy"), Some(ancestors), "{path}");
        assert_eq!(answer.header("Cross-Origin-Resource-Policy"), Some(resource_policy), "{path}");
    }
    let with_token = desk.http.get(&file).await.expect(200);
    assert_eq!(with_token.header("Cross-Origin-Resource-Policy"), Some("same-origin"));
    let link = desk.http.post(&file.replace("/content", "/link"), &json!({})).await.expect(200).json();
    let by_link = Http::new(desk.address()).get(&local(&link["url"])).await.expect(200);
    assert_eq!(by_link.header("Cross-Origin-Resource-Policy"), Some("cross-origin"));
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_a_picture_is_shown_inside_a_page() {
    let desk = TestDesk::start().await;
    let mailbox = pushed(&desk, json!({})).await;
    let nobody = Http::new(desk.address());
    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" onload=\"alert(1)\"/>";
    for (said, content, shown) in [
        ("image/png", PNG, true),
        ("application/octet-stream", PNG, true),
        ("image/svg+xml", svg, false),
        ("image/png", svg, false),
        ("application/pdf", b"%PDF-1.7 <script>alert(1)</script>", false),
    ] {
        let mail = mail()
            .subject(&format!("{said} {}", content.len()))
            .html("<img src=\"cid:x@y\">")
            .inline("x@y", said, content);
        let landed = arrive(&desk, mailbox, &mail).await;
        let page = desk.http.get(&format!("/api/v1/messages/{}/html", landed.message)).await.expect(200);
        let answer = nobody.get(&picture_of(&page)).await;
        if shown {
            assert_eq!(answer.expect(200).header("Content-Type"), Some("image/png"), "{said}");
        } else {
            problem(&answer, 404, "not_found");
        }
    }
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_a_file_is_made_by_whoever_may_see_it() {
    let desk = TestDesk::start_fixed().await;
    let (ours, theirs) = (pushed(&desk, json!({})).await, desk.mailbox("Theirs", "theirs@example.org").await);
    let landed = arrive(&desk, ours, &mail().attachment("a.html", "text/html", b"<b>x</b>")).await;
    let file =
        message(&desk, landed.message).await["attachments"][0]["id"].as_str().expect("an id").to_owned();
    let (to_file, to_page) = (
        format!("/api/v1/attachments/{file}/link"),
        format!("/api/v1/messages/{}/html/link", landed.message),
    );
    let stranger = desk.client(Scope::ALL, &[theirs]).await;
    for path in [&to_file, &to_page] {
        problem(&stranger.post(path, &json!({})).await, 404, "not_found");
        for ttl in [0, 601] {
            let refused = desk.http.post(path, &json!({"ttl": ttl})).await;
            assert_eq!(faults(&refused), [("/ttl".to_owned(), "out_of_range".to_owned())]);
        }
        for ttl in [1, 600] {
            desk.http.post(path, &json!({"ttl": ttl})).await.expect(200);
        }
    }
    let link = desk.http.post(&to_file, &json!({})).await.expect(200).json();
    assert_eq!(link["expires_at"], "2026-11-22T08:05:00.000000Z");
    let nobody = Http::new(desk.address());
    let url = local(&link["url"]);
    let got = nobody.get(&url).await.expect(200);
    assert_eq!(got.text(), "<b>x</b>");
    assert_eq!(got.header("Content-Disposition"), Some("attachment; filename=\"a.html\""));
    assert_eq!(got.header("Content-Type"), Some("application/octet-stream"));
    problem(&nobody.get(&url.replace("purpose=download", "purpose=inline")).await, 401, "unauthorized");
    problem(&nobody.get(&url.replace("purpose=download", "purpose=other")).await, 400, "bad_parameter");
    desk.desk().advance_clock(Duration::from_secs(300));
    problem(&nobody.get(&url).await, 401, "unauthorized");
    // What waits to be sent is seen by whoever uploaded it, and by their link.
    let uploaded = desk.http.send("POST", "/api/v1/attachments?filename=a.png", &[], PNG).await.expect(201);
    let path = format!("/api/v1/attachments/{}", uploaded.json()["id"].as_str().expect("an id"));
    let link = desk.http.post(&format!("{path}/link"), &json!({})).await.expect(200).json();
    assert!(nobody.get(&local(&link["url"])).await.expect(200).body == PNG);
    let other = desk.client(Scope::ALL, &[]).await;
    problem(&other.get(&path).await, 404, "not_found");
    problem(&other.post(&format!("{path}/link"), &json!({})).await, 404, "not_found");
    desk.stop().await;
}
