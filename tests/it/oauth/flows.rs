//! How a mailbox is authorized: by a page, by a code, or by the program alone.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_authorizes_and_mail_comes_and_goes() {
    let world = World::begin().await;
    assert_eq!(status(&world.desk, world.mailbox).await["state"], "needs_authorization");
    world.desk.http.get(&world.path()).await.expect(404);
    world.imap.deliver(&mail().from("Ada <ada@example.net>").subject("Parcel lost").build());

    let started = world.start("authorization_code").await.expect(202).json();
    assert_eq!(started["user_code"], Value::Null);
    let page = started["authorization_url"].as_str().expect("a page");
    assert!(
        page.contains("redirect_uri=https%3A%2F%2Fdesk.example.org%2Fsupport%2Fapi%2Fv1%2Foauth%2Fcallback")
    );
    let waiting = world.authorization().await;
    assert_eq!(waiting["state"], "needs_authorization");
    assert_eq!(waiting["pending"]["grant"], "authorization_code");

    let back = world.provider.agree(page);
    let done = world.come_back(&back).await.expect(200);
    assert_eq!(done.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(done.header("cache-control"), Some("no-store"));
    assert!(done.text().contains("Support is authorized"), "{}", done.text());
    let now = world.authorization().await;
    assert_eq!((&now["state"], &now["pending"]), (&json!("authorized"), &Value::Null));
    assert_eq!((&now["has_client_secret"], &now["is_renewable"]), (&json!(true), &json!(true)));

    let after = world.synced().await;
    assert_eq!((&after["state"], &after["accepted"]), (&json!("ok"), &json!(1)));
    let answer = reply(&world.desk, 1, "It left today.").await;
    delivered(&world.desk, &answer, "sent").await;
    assert_eq!(world.smtp.next().await.login.as_deref(), Some("support@example.org"));
    assert!(world.desk.event_types().await.contains(&"mailbox.authorized".to_owned()));

    // The way back is good once.
    let again = world.come_back(&back).await.expect(409).json();
    assert_eq!(again["code"], "state_conflict");
    assert_eq!(world.provider.count("authorization_code"), 1);
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_is_good_for_ten_minutes_and_for_nobody_elses() {
    let world = World::begin().await;
    let started = world.start("authorization_code").await.expect(202).json();
    let back = world.provider.agree(started["authorization_url"].as_str().expect("a page"));
    let mut forged = back.clone();
    forged.set_query(Some("code=x&state=guessed"));
    world.come_back(&forged).await.expect(409);
    forged.set_query(Some("code=x"));
    world.come_back(&forged).await.expect(400);
    forged.set_query(Some("state=x"));
    world.come_back(&forged).await.expect(400);
    pass(&world.desk, minutes(10)).await;
    world.come_back(&back).await.expect(409);
    assert_eq!(world.authorization().await["pending"], Value::Null);
    assert_eq!(world.provider.asked().len(), 0, "the provider was not asked");

    // A second beginning ends the first.
    let first = world.start("authorization_code").await.expect(202).json();
    let second = world.start("authorization_code").await.expect(202).json();
    let back = |started: &Value| world.provider.agree(started["authorization_url"].as_str().expect("a page"));
    world.come_back(&back(&first)).await.expect(409);
    world.come_back(&back(&second)).await.expect(200);
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_does_not_agree_is_told_and_seen() {
    let world = World::begin().await;
    let started = world.start("authorization_code").await.expect(202).json();
    let back = world.provider.deny(started["authorization_url"].as_str().expect("a page"));
    let told = world.come_back(&back).await.expect(409).json();
    assert!(told["detail"].as_str().expect("words").contains("access_denied"), "{told}");
    let now = world.authorization().await;
    assert_eq!((&now["state"], &now["pending"]), (&json!("needs_authorization"), &Value::Null));
    assert!(now["last_error"].as_str().expect("words").contains("access_denied"), "{now}");
    // What was begun and came to nothing can be forgotten.
    world.desk.http.delete(&world.path()).await.expect(204);
    world.desk.http.get(&world.path()).await.expect(404);
    world.desk.http.delete(&world.path()).await.expect(404);
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_a_public_url_and_tokens_need_a_mailbox_for_them() {
    let provider = OauthProvider::start();
    let desk = TestDesk::start_with(Clock::System, |config| with_provider(config, &provider)).await;
    let source = json!({
        "type": "imap", "host": "127.0.0.1", "port": 1, "security": "none", "username": "a", "auth": "oauth2",
    });
    let mailbox = add(&desk, source, json!({"type": "sink"})).await;
    let body = json!({"provider": "google", "grant": "authorization_code", "client_id": "x"});
    let path = format!("/api/v1/mailboxes/{mailbox}/oauth");
    let told = desk.http.post(&path, &body).await.expect(409).json();
    assert!(told["detail"].as_str().expect("words").contains("server.public_url"), "{told}");
    let device = with(body.clone(), json!({"grant": "device_code"}));
    let told = desk.http.post(&path, &device).await.expect(422).json();
    assert_eq!(told["errors"][0]["pointer"], "/grant");

    let pushed = desk.mailbox("Other", "other@example.org").await;
    let told = desk.http.post(&format!("/api/v1/mailboxes/{pushed}/oauth"), &body).await.expect(409).json();
    assert!(told["detail"].as_str().expect("words").contains("oauth2"), "{told}");
    desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_code_is_asked_about_as_often_as_the_provider_says() {
    const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
    let world = World::begin().await;
    let started = world.start("device_code").await.expect(202).json();
    assert_eq!((&started["user_code"], &started["interval_seconds"]), (&json!("BDWP-HQPK"), &json!(5)));
    assert_eq!(started["verification_uri"], "https://provider.example/device");
    let ask = async || world.desk.desk().poll_device_codes().await.expect("it can be asked");
    let asked = || world.provider.count(GRANT);
    let until = async |count: usize| {
        world.desk.until(|| async { (asked() == count).then_some(()) }).await;
    };
    ask().await;
    assert_eq!(asked(), 0, "not before its time");
    pass(&world.desk, Duration::from_secs(5)).await;
    until(1).await;
    ask().await;
    assert_eq!(asked(), 1, "once");

    // RFC 8628 section 3.5: five seconds slower from then on.
    world.provider.fail_next(400, r#"{"error":"slow_down"}"#);
    pass(&world.desk, Duration::from_secs(5)).await;
    until(2).await;
    // The slower pace is written down after the answer.
    let due = BEGINNING.plus(Duration::from_secs(20));
    world.desk.until(|| async { (ask().await == Some(due)).then_some(()) }).await;
    pass(&world.desk, Duration::from_secs(9)).await;
    ask().await;
    assert_eq!(asked(), 2);
    world.provider.enter_codes();
    pass(&world.desk, Duration::from_secs(1)).await;
    until(3).await;
    world.desk.until(|| async { (world.authorization().await["state"] == "authorized").then_some(()) }).await;
    assert_eq!(world.synced().await["state"], "ok");
    assert_eq!(ask().await, None, "nothing is asked any more");
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_code_that_runs_out_or_is_refused_says_so() {
    let world = World::begin().await;
    world.start("device_code").await.expect(202);
    let failed = async |words: &str| {
        let seen = async || {
            let now = world.authorization().await;
            (now["last_error"].as_str().is_some_and(|told| told.contains(words))).then_some(now)
        };
        world.desk.until(seen).await
    };
    pass(&world.desk, minutes(15)).await;
    let now = failed("ran out").await;
    assert_eq!(now["pending"], Value::Null);
    assert_eq!(world.provider.asked().len(), 1, "it was only begun");

    world.start("device_code").await.expect(202);
    world.provider.fail_next(400, r#"{"error":"access_denied"}"#);
    pass(&world.desk, Duration::from_secs(5)).await;
    failed("access_denied").await;
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_alone_is_checked_at_once() {
    let world = World::begin().await;
    let body = json!({
        "provider": "custom", "grant": "client_credentials", "client_id": CLIENT_ID,
        "client_secret": "another-s3cret", "scopes": ["x"],
    });
    let told = world.desk.http.post(&world.path(), &body).await.expect(409);
    assert!(
        told.text().contains("invalid_client") && !told.text().contains("another-s3cret"),
        "{}",
        told.text()
    );
    world.provider.fail_next(500, "<html>");
    let told = world.desk.http.post(&world.path(), &body).await.expect(502).json();
    assert_eq!(told["code"], "provider_unavailable");
    // A redirect could lead a secret anywhere.
    world.provider.fail_next(307, "");
    world.desk.http.post(&world.path(), &body).await.expect(502);
    world.provider.fail_next(200, &format!("{{\"access_token\":\"{}\"}}", "x".repeat(64 * 1024)));
    world.desk.http.post(&world.path(), &body).await.expect(502);
    world.desk.http.get(&world.path()).await.expect(404);

    let done = world.start("client_credentials").await.expect(200).json();
    assert_eq!(done["authorization"]["state"], "authorized");
    assert_eq!(done["authorization"]["is_renewable"], true);
    assert_eq!(world.synced().await["state"], "ok");
    // There is no refresh token; the program asks anew.
    let before = world.provider.count("client_credentials");
    pass(&world.desk, minutes(55)).await;
    assert_eq!(world.synced().await["state"], "ok");
    assert_eq!((world.provider.count("client_credentials"), world.refreshes()), (before + 1, 0));
    world.desk.stop().await;
}
