//! What is shown of a mail, in a real browser: nothing of it runs, nothing is fetched, and its own
//! pictures are seen. Part of the long run; needs Chromium.

use crate::mailing::*;
use serde_json::json;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::PathBuf;
use support::browser::{Pages, chromium, pixels, png, run};
use support::database;
use support::desk::TestDesk;
use support::mail::mail;
use support::workdir::WorkDir;

/// The colour of the picture.
const COLOUR: [u8; 3] = [255, 0, 128];

/// `None`, with a word, where this is not the run for it.
pub fn browser() -> Option<PathBuf> {
    if !database::is_long_run() {
        eprintln!("skipped: tests/run --long tries the browser");
        return None;
    }
    Some(chromium().expect("chromium is installed: tests/install chromium"))
}

/// A desk whose pages another site may frame.
async fn framed_desk() -> TestDesk {
    TestDesk::start_with(postroom_core::time::Clock::System, |config| {
        config.server.cors_origins = vec!["http://frame.example".to_owned()];
    })
    .await
}

/// The vectors that the sanitiser is tried with. What would run tells the page around all frames,
/// from whatever frame of its own: a true alert would hold up the browser.
fn vectors() -> Vec<String> {
    let file = include_str!("../vectors/html.txt");
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    // NUL can't stand in a mail that the test writes as text; the sanitiser's own tests have it.
    let escapes = [("\\u{0}", ""), ("\\u{feff}", "\u{feff}"), ("\\u{9}", "\t"), ("alert(", "top.mark(")];
    let unescaped = |line: &str| {
        escapes.iter().fold(line.to_owned(), |line, (escape, meant)| line.replace(escape, meant))
    };
    lines.map(unescaped).collect()
}

/// A page that holds each piece of HTML in a frame of its own, counts what runs, and at the end says
/// how much that was, and what is in the frames that is not on the list.
fn harness(pieces: &[String]) -> String {
    let mut page =
        "<!doctype html><meta charset=utf-8><script>var ran = 0; function mark() { ran += 1; }</script>"
            .to_owned();
    for piece in pieces {
        let framed = format!("<body>{piece}");
        let framed = framed.replace('&', "&amp;").replace('"', "&quot;");
        writeln!(page, "<iframe srcdoc=\"{framed}\"></iframe>").expect("memory takes it");
    }
    page + "<pre id=result></pre><script>
        const tags = 'a b i u s em strong p br hr div span ul ol li blockquote pre code h1 h2 h3 h4 h5 h6 table thead tbody tfoot tr td th caption colgroup col img html head body'.split(' ');
        const attributes = 'href rel target src alt width height colspan rowspan dir lang'.split(' ');
        addEventListener('load', () => setTimeout(() => {
            const odd = [];
            document.querySelectorAll('iframe').forEach((frame, index) => {
                let inside; try { inside = frame.contentDocument; } catch (e) { }
                if (!inside) { odd.push(index + ': it went elsewhere'); return; }
                inside.querySelectorAll('*').forEach(element => {
                    if (!tags.includes(element.localName)) odd.push(index + ': ' + element.localName);
                    for (const attribute of element.attributes) {
                        if (!attributes.includes(attribute.name)) odd.push(index + ': ' + attribute.name);
                    }
                    if (element.href && !['http:', 'https:', 'mailto:', 'tel:'].includes(element.protocol)) odd.push(index + ': ' + element.href);
                });
            });
            document.getElementById('result').textContent = 'ran=' + ran + ' odd=' + odd.length + ' ' + odd.join(', ') + ' end';
        }, 2000));
    </script>"
}

fn result(dom: &str) -> &str {
    let from = dom.find("<pre id=\"result\">").expect("the page ran");
    dom[from..].split("</pre>").next().expect("its result")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_runs_and_nothing_is_fetched() {
    let Some(browser) = browser() else { return };
    let vectors = vectors();
    let desk = framed_desk().await;
    let mailbox = pushed(&desk, json!({})).await;
    let (mut shown, mut frames) = (Vec::new(), String::new());
    for (number, vector) in vectors.iter().enumerate() {
        let mail = mail().subject(&format!("Vector {number}")).html(vector);
        let landed = arrive(&desk, mailbox, &mail).await;
        let path = format!("/api/v1/messages/{}/html", landed.message);
        let page = desk.http.get(&path).await.expect(200).text();
        let body = page.split_once("<body>\n").and_then(|(_, rest)| rest.rsplit_once("\n</body>"));
        shown.push(body.expect("a page").0.to_owned());
        let link = desk.http.post(&format!("{path}/link"), &json!({"ttl": 600})).await.expect(200).json();
        let url = link["url"].as_str().expect("a link").replace('&', "&amp;");
        writeln!(frames, "<iframe src=\"http://{}{url}\"></iframe>", desk.address())
            .expect("memory takes it");
    }
    let dir = WorkDir::new("browser");
    let look = |page: String| {
        let (others, pages) =
            (Pages::start(HashMap::new()), Pages::start(HashMap::from([("/".to_owned(), page)])));
        let arguments = ["--dump-dom", "--virtual-time-budget=20000"];
        let dom = run(&browser, &pages, &others, &dir, &arguments);
        (dom, others.heard())
    };
    // As they came they do run and do fetch: the harness would see it.
    let (dom, heard) = look(harness(&vectors));
    assert!(!result(&dom).contains("ran=0 "), "{}", result(&dom));
    assert!(heard.len() > 20, "{heard:?}");
    println!(
        "as they came: {} requests, {}",
        heard.len(),
        result(&dom).split(" odd").next().unwrap_or_default()
    );
    // Made safe, without a policy to help.
    let (dom, heard) = look(harness(&shown));
    assert!(result(&dom).contains("ran=0 odd=0 "), "{}", result(&dom));
    assert!(heard.is_empty(), "{heard:?}");
    println!("made safe: {} requests, {}", heard.len(), result(&dom));
    // And as they are served, in sandboxed frames under the page's policy.
    let page = format!("<!doctype html><meta charset=utf-8>{frames}");
    let (dom, heard) = look(page);
    assert_eq!(dom.matches("<iframe").count(), vectors.len());
    assert!(heard.is_empty(), "{heard:?}");
    println!("served: {} frames, {} requests", vectors.len(), heard.len());
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_the_mail_is_seen_in_its_frame() {
    let Some(browser) = browser() else { return };
    let desk = framed_desk().await;
    let mailbox = pushed(&desk, json!({})).await;
    let picture = png(300, 200, COLOUR);
    let with = mail().html("<img src=\"cid:p@x\">").inline("p@x", "image/png", &picture);
    let without =
        mail().subject("Without").html("<img src=\"cid:other@x\">").inline("p@x", "image/png", &picture);
    let dir = WorkDir::new("browser");
    for (mail, is_seen) in [(with, true), (without, false)] {
        let landed = arrive(&desk, mailbox, &mail).await;
        let path = format!("/api/v1/messages/{}/html/link", landed.message);
        let link = desk.http.post(&path, &json!({})).await.expect(200).json();
        let url = format!("http://{}{}", desk.address(), link["url"].as_str().expect("a link"));
        let page = format!(
            "<!doctype html><iframe width=400 height=300 src=\"{}\"></iframe>",
            url.replace('&', "&amp;")
        );
        let pages = Pages::start(HashMap::from([("/".to_owned(), page)]));
        let file = dir.join("shot.png");
        let shot = format!("--screenshot={}", file.display());
        let arguments = [shot.as_str(), "--window-size=600,500", "--virtual-time-budget=10000"];
        run(&browser, &pages, &pages, &dir, &arguments);
        let seen = pixels(&std::fs::read(&file).expect("a screenshot"), COLOUR);
        println!("{seen} pixels of the picture");
        assert_eq!(seen, if is_seen { 300 * 200 } else { 0 });
    }
    desk.stop().await;
}
