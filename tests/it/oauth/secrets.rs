//! Secrets of an authorization are in no answer, no event and no clear text of the database.

use super::*;
use crate::weaknesses::everything_in;
use diesel::connection::SimpleConnection;
use postroom_core::actor::Actor;
use postroom_core::operations::doctor;
use postroom_core::store::conn;
use support::oauth::CANARY;

fn dump(desk: &TestDesk) -> String {
    everything_in(&desk.config().database_url().expect("it has one"))
}

/// What PostgreSQL shows of bytes is hex.
fn holds(text: &str, secret: &str) -> bool {
    text.contains(secret) || text.contains(&postroom_core::keys::hex(secret.as_bytes()))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_shown_or_kept_in_clear() {
    let world = World::begin().await;
    let mut told = Vec::new();
    let started = world.start("device_code").await.expect(202);
    told.push(started.text());
    let started = world.start("authorization_code").await.expect(202);
    let page = started.json()["authorization_url"].as_str().expect("a page").to_owned();
    told.push(started.text());
    // The database has a flow whose verifier and client secret are sealed.
    assert!(dump(&world.desk).contains(CLIENT_ID), "what is looked through holds what it must");
    assert!(!holds(&dump(&world.desk), CANARY));
    let back = world.provider.agree(&page);
    assert!(back.as_str().contains(CANARY));
    told.push(world.come_back(&back).await.expect(200).text());
    world.synced().await;
    assert!(!holds(&dump(&world.desk), CANARY));

    // A provider and a mail server that repeat everything.
    world.imap.refuse(true);
    let fault = json!({"error": "invalid_client", "error_description": "no: {form}"});
    world.provider.end_access();
    world.provider.fail_next(401, &fault.to_string());
    world.synced().await;
    for path in [
        world.path(),
        format!("/api/v1/mailboxes/{}", world.mailbox),
        format!("/api/v1/mailboxes/{}/status", world.mailbox),
        "/api/v1/mailboxes".to_owned(),
        "/api/v1/events?after=0&limit=100".to_owned(),
    ] {
        told.push(world.desk.http.get(&path).await.expect(200).text());
    }
    let tested =
        world.desk.http.post(&format!("/api/v1/mailboxes/{}/test", world.mailbox), &Value::Null).await;
    told.push(tested.expect(200).text());
    assert!(told.iter().any(|text| text.contains("invalid_client")), "the fault is told");
    for text in &told {
        assert!(!text.contains(CANARY), "{text}");
    }
    assert!(!holds(&dump(&world.desk), CANARY));
    world.desk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_opens_tokens() {
    let world = World::authorized().await;
    let found = || {
        let all =
            world.desk.desk().read_here(&Actor::system(), doctor::examine).expect("the database is whole");
        let found = all.into_iter().find(|found| found.what == "mailboxes whose authorization does not open");
        found.expect("it is looked for")
    };
    assert_eq!(found().count, 0);
    // Sealed for another place, as a copied row would be.
    let url = world.desk.config().database_url().expect("it has one");
    let mut conn = conn::open(&url).expect("it is there");
    conn.batch_execute("UPDATE mailbox_authorizations SET access_token = refresh_token")
        .expect("well-formed");
    assert_eq!((found().count, found().examples), (1, vec!["Support".to_owned()]));
    world.desk.stop().await;
}
