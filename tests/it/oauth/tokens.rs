//! Tokens over time: renewed, refused, taken back, and fetched by one alone.

use super::*;
use postroom_core::actor::Actor;
use postroom_core::id::MailboxId;
use postroom_core::mailbox::{Credential, End, OnUncertain, SentCopy};
use postroom_core::operations::mailboxes;
use support::workdir::WorkDir;
use support::{database, oauth};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_five_minutes_before_it_ends() {
    let world = World::authorized().await;
    // The clock stands a second or so past the hour's beginning.
    pass(&world.desk, minutes(54)).await;
    assert_eq!(world.synced().await["state"], "ok");
    assert_eq!(world.refreshes(), 0);
    pass(&world.desk, minutes(1)).await;
    assert_eq!(world.synced().await["state"], "ok");
    assert_eq!(world.refreshes(), 1);
    // Microsoft's way: every refresh token is good once. The next one was kept with the token.
    for round in 2..=4 {
        pass(&world.desk, minutes(56)).await;
        assert_eq!(world.synced().await["state"], "ok");
        assert_eq!(world.refreshes(), round);
    }
    assert_eq!(world.logins().1, 0, "nothing was ever refused");
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_stays_is_kept() {
    let world = World::authorized().await;
    world.provider.rotate(false);
    for round in 1..=3 {
        pass(&world.desk, minutes(56)).await;
        assert_eq!(world.synced().await["state"], "ok");
        assert_eq!(world.refreshes(), round);
    }
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_refresh_token_outlives_a_restart() {
    let mut world = World::authorized().await;
    pass(&world.desk, minutes(56)).await;
    assert_eq!(world.synced().await["state"], "ok");
    world.provider.end_access();
    world.desk.restart().await;
    let after = world.desk.sync(world.mailbox).await;
    assert_eq!(after["state"], "ok", "{after}");
    assert_eq!(world.refreshes(), 2);
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_refused_once_is_renewed_by_force() {
    let world = World::authorized().await;
    let (well, refused) = world.logins();
    world.provider.end_access();
    world.imap.deliver(&mail().from("Ada <ada@example.net>").subject("Parcel lost").build());
    let after = world.synced().await;
    assert_eq!((&after["state"], &after["accepted"]), (&json!("ok"), &json!(1)), "{after}");
    assert_eq!(world.logins(), (well + 1, refused + 1));
    assert_eq!(world.refreshes(), 1);

    // The way out likewise.
    world.provider.end_access();
    let answer = reply(&world.desk, 1, "It left today.").await;
    delivered(&world.desk, &answer, "sent").await;
    assert_eq!(world.refreshes(), 2);
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_refused_twice_is_left_alone_for_longer_each_time() {
    let world = World::authorized().await;
    let before = world.logins();
    world.imap.deliver(&mail().from("Ada <ada@example.net>").subject("Parcel lost").build());
    world.imap.refuse(true);
    let paused = world.synced().await;
    assert_eq!(paused["state"], "needs_authorization", "{paused}");
    assert_eq!(world.logins(), (before.0, before.1 + 2), "once with each token");
    assert_eq!(world.refreshes(), 1);
    let told = world.authorization().await;
    let refusal = &told["refusals"][0];
    assert_eq!((&told["state"], &refusal["end"]), (&json!("authorized"), &json!("source")), "{told}");
    assert!(refusal["error"].as_str().expect("words").contains("AUTHENTICATIONFAILED"), "{told}");
    let needed =
        |events: &[String]| events.iter().filter(|kind| *kind == "mailbox.needs_authorization").count();
    assert_eq!(needed(&world.desk.event_types().await), 1);

    // Asked to, again and again: the server is not bothered.
    for _ in 0..3 {
        let still = world.synced().await;
        assert_eq!(still["state"], "needs_authorization");
        assert!(still["last_error"].as_str().expect("words").contains("tried again at"), "{still}");
    }
    assert_eq!(world.logins(), (before.0, before.1 + 2));
    // 1 minute after, one try; then none for 2.
    pass(&world.desk, minutes(1)).await;
    world.synced().await;
    assert_eq!(world.logins(), (before.0, before.1 + 3));
    pass(&world.desk, minutes(1)).await;
    world.synced().await;
    assert_eq!(world.logins(), (before.0, before.1 + 3));
    // The other end works all the while: only what is refused stands still.
    let landed = begin_with(&world).await;
    delivered(&world.desk, &landed, "sent").await;

    world.imap.refuse(false);
    pass(&world.desk, minutes(2)).await;
    let well = world.synced().await;
    assert_eq!((&well["state"], &well["accepted"]), (&json!("ok"), &json!(1)), "{well}");
    assert_eq!(world.authorization().await["refusals"], json!([]));
    assert_eq!(needed(&world.desk.event_types().await), 1);
    world.desk.stop().await;
}

/// Writes to somebody who never wrote. Returns the message.
async fn begin_with(world: &World) -> Value {
    let body = json!({
        "mailbox_id": world.mailbox, "subject": "Your order", "customer": {"email": "zoe@shop.example"},
        "message": {"kind": "reply", "text": "It left today."},
    });
    let begun = world.desk.http.post("/api/v1/conversations", &body).await.expect(201).json();
    messages(&world.desk, number(&begun["id"])).await.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn consent_that_was_taken_back_pauses_at_once_and_answers_wait() {
    let world = World::authorized().await;
    world.provider.revoke();
    let paused = world.synced().await;
    assert_eq!(paused["state"], "needs_authorization", "{paused}");
    let words = paused["last_error"].as_str().expect("words");
    let what_to_do = format!("POST {}", world.path());
    assert!(words.contains("invalid_grant") && words.contains(&what_to_do), "{words}");
    let (refreshes, logins) = (world.refreshes(), world.logins());
    assert_eq!(refreshes, 1);
    let answer = begin_with(&world).await;
    let waiting = delivered(&world.desk, &answer, "deferred").await;
    assert!(waiting.to_string().contains("authorize the mailbox"), "{waiting}");
    pass(&world.desk, minutes(90)).await;
    world.synced().await;
    assert_eq!((world.refreshes(), world.logins()), (refreshes, logins), "nobody is bothered in vain");
    assert_eq!(world.authorization().await["is_renewable"], false);
    assert_eq!(world.smtp.mails().len(), 0);

    // Authorized again: the mail goes out and comes in.
    let started = world.start("authorization_code").await.expect(202).json();
    let back = world.provider.agree(started["authorization_url"].as_str().expect("a page"));
    world.come_back(&back).await.expect(200);
    assert_eq!(world.synced().await["state"], "ok");
    pass(&world.desk, days(1)).await;
    delivered(&world.desk, &answer, "sent").await;
    let events = world.desk.event_types().await;
    assert!(events.contains(&"mailbox.needs_authorization".to_owned()), "{events:?}");
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_no_refusal() {
    let world = World::authorized().await;
    // Five minutes are left: the present token still opens logins.
    world.provider.break_down(Some((500, "oops")));
    pass(&world.desk, minutes(56)).await;
    assert_eq!(world.synced().await["state"], "ok");
    let told = world.authorization().await;
    assert_eq!(told["state"], "authorized");
    assert!(told["last_error"].as_str().expect("words").contains("status 500"), "{told}");
    // None is left.
    world.provider.end_access();
    pass(&world.desk, minutes(10)).await;
    for (status, body) in [(503, ""), (200, "not JSON"), (429, r#"{"error":"invalid_grant"}"#)] {
        world.provider.break_down(Some((status, body)));
        let failing = world.synced().await;
        assert_eq!(failing["state"], "failing", "{failing}");
    }
    world.provider.break_down(None);
    let well = world.synced().await;
    assert_eq!(well["state"], "ok", "{well}");
    assert_eq!(world.authorization().await["last_error"], Value::Null);
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_cut_for_its_token_goes_on_with_another() {
    let world = World::authorized().await;
    world.imap.deliver(&mail().from("Ada <ada@example.net>").subject("Parcel lost").build());
    world.imap.expire_next();
    let (before, _) = world.logins();
    let after = world.synced().await;
    assert_eq!((&after["state"], &after["accepted"]), (&json!("ok"), &json!(1)), "{after}");
    assert_eq!(world.logins(), (before + 2, 0));
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_does_not_get_the_token() {
    let world = World::authorized().await;
    let path = format!("/api/v1/mailboxes/{}", world.mailbox);
    // The port alone, or what has nothing to do with servers, changes nothing.
    world
        .desk
        .http
        .patch(&path, &json!({"name": "Help", "source": {"folders": ["INBOX"]}}))
        .await
        .expect(200);
    assert_eq!(world.authorization().await["state"], "authorized");
    // A change is followed by a poll, which shall not be under way when logins are counted.
    world.synced().await;
    world.synced().await;
    world.desk.http.patch(&path, &json!({"source": {"host": "localhost"}})).await.expect(200);
    world.desk.http.get(&world.path()).await.expect(404);
    let logins = world.logins();
    assert_eq!(world.synced().await["state"], "needs_authorization");
    assert_eq!(world.logins(), logins);
    world.desk.stop().await;
}

/// Two daemons on one database, as far as it can tell, that need a new token at once.
#[test]
fn two_at_once_ask_once_and_end_with_one_token() {
    let provider = OauthProvider::start();
    let dir = WorkDir::new("oauth");
    let mut config = Config::default();
    config.storage.data_dir = dir.join("data");
    config.limits.requests_per_minute = 0;
    if database::kind() == database::Kind::Postgres {
        config.database.url = Some(database::fresh(&dir));
    }
    with_provider(&mut config, &provider);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let entered = runtime.enter();
    let desks: Vec<_> = (0..2).map(|_| postroom::open_desk(&config).expect("it opens")).collect();
    drop(entered);
    let system = Actor::system();
    let id = desks[0]
        .write_here(&system, |cx| {
            let new = serde_json::from_value(json!({
                "type": "imap", "host": "127.0.0.1", "port": 1, "security": "none", "username": "a", "auth": "oauth2",
            }));
            Ok(mailboxes::create(cx, &new_mailbox(new.expect("it is a source")))?.id)
        })
        .expect("a mailbox");
    authorize(&runtime, &provider, &desks[0], id);
    let connection = desks[0].read_here(&system, |cx| mailboxes::connection(cx, id)).expect("it is there");
    let first = desks[0].access_here(&connection, End::Source, None).expect("a token").credential;
    let kept = first.clone().expect("a token");

    provider.hold(true);
    let tokens: Vec<Credential> = std::thread::scope(|scope| {
        let fetch = |desk| {
            let (connection, kept) = (&connection, &kept);
            move || -> Credential {
                let desk: &postroom_core::desk::Desk = desk;
                let access = desk.access_here(connection, End::Source, Some(kept)).expect("a token");
                access.credential.expect("a token")
            }
        };
        let running: Vec<_> = desks.iter().chain(&desks).map(|desk| scope.spawn(fetch(desk))).collect();
        // One has asked; the others find that out before there is an answer, or after.
        while provider.count("refresh_token") == 0 {
            std::thread::yield_now();
        }
        provider.hold(false);
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    assert_eq!(provider.count("refresh_token"), 1);
    assert!(tokens.iter().all(|token| *token == tokens[0] && *token != kept), "all have the one new token");
    let again = desks[1].access_here(&connection, End::Source, None).expect("a token").credential;
    assert_eq!(again.as_ref(), Some(&tokens[0]));
    assert!(tokens[0].secret().contains(oauth::CANARY));
}

pub(super) fn new_mailbox(source: postroom_core::mailbox::Source) -> mailboxes::NewMailbox {
    mailboxes::NewMailbox {
        name: "Support".to_owned(),
        address: "support@example.org".to_owned(),
        aliases: Vec::new(),
        group: None,
        poll_interval_seconds: 60,
        source,
        source_password: None,
        delivery: postroom_core::mailbox::Delivery::Sink {},
        delivery_password: None,
        strangers: postroom_core::mailbox::Strangers::Link,
        trusted_authserv_ids: Vec::new(),
        relay_addresses: Vec::new(),
        sent_copy: SentCopy::Auto,
        on_uncertain: OnUncertain::RetryOnce,
        undo_seconds: 0,
        paused: false,
    }
}

pub(super) fn authorize(
    runtime: &tokio::runtime::Runtime,
    provider: &OauthProvider,
    desk: &postroom_core::desk::Desk,
    id: MailboxId,
) {
    use postroom_core::authorization::{GrantType, Provider};
    use postroom_core::operations::authorizations::NewAuthorization;
    let new = NewAuthorization {
        provider: Provider::Custom,
        grant: GrantType::AuthorizationCode,
        client_id: CLIENT_ID.to_owned(),
        client_secret: Some(CLIENT_SECRET.to_owned()),
        tenant: None,
        scopes: None,
    };
    let redirect = Some("https://desk.example.org/api/v1/oauth/callback".to_owned());
    runtime.block_on(async {
        let started = desk.start_authorization(&Actor::system(), id, new, redirect).await.expect("it begins");
        let back = provider.agree(started.authorization_url.as_deref().expect("a page"));
        let value = |name: &str| {
            let found = back.query_pairs().find(|(key, _)| key == name);
            found.map(|(_, value)| value.into_owned()).expect("it came back")
        };
        desk.complete_authorization(&value("state"), Ok(value("code"))).await.expect("it is completed");
    });
}
