//! A frontend on another origin, in a real browser: a listed one may call, listen, frame and show, and
//! another may not. Part of the long run; needs Chromium.

use crate::browser::browser;
use crate::mailing::*;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use support::browser::{Pages, pixels, png, visit};
use support::desk::TestDesk;
use support::mail::mail;
use support::workdir::WorkDir;

/// The colours of the picture in the framed mail, of an image, and of one whose pixels scripts may read.
const COLOURS: [[u8; 3]; 3] = [[255, 0, 128], [0, 128, 255], [128, 255, 0]];
const PIXELS: usize = 60 * 40;
/// What runs in the page. Everything is tried, each on its own, and what came of it is told at once.
const SCRIPT: &str = "
const headers = {authorization: 'Bearer ' + token};
const told = {};
const ask = async (name, does) => { try { told[name] = await does(); } catch (e) { told[name] = 'refused'; } };
const send = (method, path, body, more) => fetch(api + path, {method, body: JSON.stringify(body),
    headers: {...headers, 'content-type': 'application/json', ...more}});
const read = (answer, ...names) => [answer.status, ...names.map(name => answer.headers.get(name) !== null)];
(async () => {
    await ask('list', async () => {
        const answer = await fetch(api + '/api/v1/conversations?limit=1', {headers});
        return [...read(answer, 'link', 'ratelimit', 'ratelimit-policy', 'x-request-id'), (await answer.json()).data.length];
    });
    await ask('create', async () => {
        const made = () => send('POST', '/api/v1/tags', {name: 'from afar'}, {'idempotency-key': 'one'});
        const again = (await made(), await made());
        return read(again, 'idempotency-replayed');
    });
    await ask('change', async () => {
        const etag = (await fetch(conversation, {headers})).headers.get('etag');
        const change = () => fetch(conversation, {method: 'PATCH', body: '{\"subject\": \"Changed\"}',
            headers: {...headers, 'content-type': 'application/merge-patch+json', 'if-match': etag}});
        return [(await change()).status, (await change()).status];
    });
    await ask('refusal', async () => {
        const answer = await fetch(api + '/api/v1/me');
        return [answer.status, (await answer.json()).code];
    });
    await ask('file', async () => {
        const answer = await fetch(file, {headers: {range: 'bytes=1-3'}});
        return [...read(answer, 'content-range', 'content-disposition'), await answer.text()];
    });
    await ask('reply', async () => {
        const answer = await send('POST', conversation.slice(api.length) + '/messages', {kind: 'note', text: 'Seen'});
        return read(answer, 'location', 'etag');
    });
    await ask('events', () => new Promise((resolve, reject) => {
        const events = new EventSource(stream);
        events.addEventListener('message.received', event => { events.close(); resolve(JSON.parse(event.data).type); });
        events.onerror = () => { events.close(); reject(); };
    }));
    await fetch('/told?' + encodeURIComponent(JSON.stringify(told)));
})();
";

/// What came of a page: what its script told, and how much is seen of each colour.
#[derive(Debug, PartialEq)]
struct Seen {
    told: Value,
    pixels: [usize; 3],
}

async fn link(desk: &TestDesk, path: &str) -> String {
    let link = desk.http.post(path, &json!({})).await.expect(200).json();
    format!("http://{}{}", desk.address(), link["url"].as_str().expect("a link"))
}

/// A link to a picture that somebody uploaded.
async fn picture(desk: &TestDesk, colour: [u8; 3]) -> String {
    let kind = [("Content-Type", "image/png")];
    let picture = png(60, 40, colour);
    let file =
        desk.http.send("POST", "/api/v1/attachments?filename=a.png", &kind, &picture).await.expect(201);
    link(desk, &format!("/api/v1/attachments/{}/link", file.json()["id"].as_str().expect("an id"))).await
}

/// Opens a page of `host` that uses the desk in every way a frontend does.
async fn look(browser: &Path, desk: &TestDesk, host: &str) -> Seen {
    let mailbox = pushed(desk, json!({})).await;
    let picture_inside = png(60, 40, COLOURS[0]);
    let framed = mail().html("<img src=\"cid:p@x\">").inline("p@x", "image/png", &picture_inside);
    let landed = arrive(desk, mailbox, &framed).await;
    arrive(desk, mailbox, &mail().subject("Another")).await;
    let token = json!({"name": "page", "scopes": ["conversations:read", "conversations:write", "tags:manage", "notes:write"]});
    let token = desk.http.post("/api/v1/tokens", &token).await.expect(201).json();
    let ticket = desk.http.post("/api/v1/events/ticket", &json!({})).await.expect(200).json();
    let here = format!("http://{}", desk.address());
    let values = [
        ("api", json!(here)),
        ("token", token["token"].clone()),
        ("conversation", json!(format!("{here}/api/v1/conversations/{}", landed.conversation))),
        ("file", json!(picture(desk, COLOURS[1]).await)),
        ("stream", json!(format!("{here}{}&after=0", ticket["url"].as_str().expect("an address")))),
    ];
    let values: Vec<String> = values.iter().map(|(name, value)| format!("const {name} = {value};")).collect();
    let values = values.join("\n");
    let attribute = |url: String| url.replace('&', "&amp;");
    let page = format!(
        "<!doctype html><iframe width=200 height=200 src=\"{}\"></iframe><img src=\"{}\">\
         <img crossorigin src=\"{}\"><script>{values}{SCRIPT}</script>",
        attribute(link(desk, &format!("/api/v1/messages/{}/html/link", landed.message)).await),
        attribute(picture(desk, COLOURS[1]).await),
        attribute(picture(desk, COLOURS[2]).await),
    );
    let (dir, pages) = (WorkDir::new("browser"), Pages::start(HashMap::from([("/".to_owned(), page)])));
    let file = dir.join("shot.png");
    let shot = format!("--screenshot={}", file.display());
    visit(
        browser,
        host,
        &pages,
        &pages,
        &dir,
        &[&shot, "--window-size=600,500", "--virtual-time-budget=10000"],
    );
    let heard = pages.heard();
    let told = heard.iter().find_map(|request| request.strip_prefix("GET /told?")?.split(' ').next());
    let told = told.unwrap_or_else(|| panic!("the page told nothing: {heard:?}"));
    let told =
        url::form_urlencoded::parse(format!("told={told}").as_bytes()).next().expect("it").1.into_owned();
    let shot = std::fs::read(&file).expect("a screenshot");
    Seen {
        told: serde_json::from_str(&told).expect("JSON"),
        pixels: COLOURS.map(|colour| pixels(&shot, colour)),
    }
}

async fn desk_for(origins: &[&str]) -> TestDesk {
    TestDesk::start_with(postroom_core::time::Clock::System, |config| {
        config.server.cors_origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        config.limits.requests_per_minute = 6000;
    })
    .await
}

fn refused() -> Value {
    let all = ["list", "create", "change", "refusal", "file", "reply", "events"];
    Value::Object(all.map(|name| (name.to_owned(), json!("refused"))).into_iter().collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listed_origin_may_do_what_a_frontend_does() {
    let Some(browser) = browser() else { return };
    let desk = desk_for(&["https://other.example", "http://frame.example"]).await;
    let seen = look(&browser, &desk, "frame.example").await;
    let told = json!({
        "list": [200, true, true, true, true, 1],
        "create": [201, true],
        "change": [200, 412],
        "refusal": [401, "unauthorized"],
        "reply": [201, true, true],
        "file": [206, true, true, "PNG"],
        "events": "message.received",
    });
    assert_eq!(seen, Seen { told, pixels: [PIXELS; 3] });
    desk.stop().await;
}

/// A plain image is the one thing that is not kept from an origin that isn't listed: a browser says
/// nothing of who shows it, and whoever has the link has the picture.
#[tokio::test(flavor = "multi_thread")]
async fn another_origin_may_not() {
    let Some(browser) = browser() else { return };
    let desk = desk_for(&["https://frame.example", "http://frame.example:8080"]).await;
    let seen = look(&browser, &desk, "frame.example").await;
    assert_eq!(seen, Seen { told: refused(), pixels: [0, PIXELS, 0] });
    desk.stop().await;
    let desk = desk_for(&["http://frame.example"]).await;
    let seen = look(&browser, &desk, "sub.frame.example").await;
    assert_eq!(seen, Seen { told: refused(), pixels: [0, PIXELS, 0] });
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_origin_is_listed_nothing_is_seen_elsewhere() {
    let Some(browser) = browser() else { return };
    let desk = desk_for(&[]).await;
    let seen = look(&browser, &desk, "frame.example").await;
    assert_eq!(seen, Seen { told: refused(), pixels: [0; 3] });
    desk.stop().await;
}
