//! Where a webhook's connection goes, whatever its name leads to.

use super::*;
use postroom_core::id::{WebhookDeliveryId, WebhookId};
use postroom_core::webhook_delivery::{WebhookDelivery, WebhookDeliveryState};
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn claimed(url: &str) -> Claimed {
    let delivery = WebhookDelivery {
        number: 1,
        id: WebhookDeliveryId::fresh(),
        webhook_id: WebhookId(1),
        seq: None,
        event_type: "webhook.ping".to_owned(),
        conversation_id: None,
        payload: "{}".to_owned(),
        state: WebhookDeliveryState::Sending,
        attempts: 0,
        tries: 0,
        passed: 0,
        next_at: Timestamp(0),
        claimed_until: None,
        last_attempt_at: None,
        version: 1,
        created_at: Timestamp(0),
        finished_at: None,
    };
    Claimed {
        delivery,
        url: url.to_owned(),
        sent_at: Timestamp(0),
        signature: "v1,x".to_owned(),
        was_failing: false,
    }
}

fn config(networks: &[&str]) -> Webhooks {
    Webhooks {
        allow_http: true,
        ports: Vec::new(),
        allow_networks: networks.iter().map(|net| net.parse().unwrap()).collect(),
        ..Webhooks::default()
    }
}

/// Answers each look-up with the next of these, the last for ever, and counts.
fn leading(to: Vec<Vec<IpAddr>>) -> (Lookup, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let lookup: Lookup = Arc::new(move |_| {
        let at = counted.fetch_add(1, Ordering::SeqCst).min(to.len() - 1);
        let addresses = to[at].clone();
        Box::pin(async move { Ok(addresses) })
    });
    (lookup, asked)
}

/// A receiver on loopback that says 204 to everybody. Returns its port and how many came.
async fn receiver() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut request = [0_u8; 4096];
            if stream.read(&mut request).await.is_ok() {
                stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await.unwrap();
            }
        }
    });
    (port, came)
}

#[tokio::test]
async fn a_name_that_comes_to_lead_inside_is_refused_when_it_does() {
    crate::daemon::install_crypto();
    let (port, came) = receiver().await;
    let here = IpAddr::from([127, 0, 0, 1]);
    // Allowed are 127.0.0.1 and no other; the second look-up leads to another loopback address.
    let inside = IpAddr::from([127, 0, 0, 2]);
    let (lookup, asked) = leading(vec![vec![here], vec![inside], vec![here, inside]]);
    let receivers = Receivers::looking_up(&config(&["127.0.0.1/32"]), lookup).unwrap();
    let claimed = claimed(&format!("http://rebinding.example:{port}/"));
    let first = receivers.send(&claimed, Timestamp(0)).await;
    assert_eq!((first.status, asked.load(Ordering::SeqCst)), (Some(204), 1), "{first:?}");
    for time in 2..4 {
        let refused = receivers.send(&claimed, Timestamp(0)).await;
        let why = refused.error.expect("it is refused");
        assert!(why.contains("127.0.0.2 is not a public address"), "{why}");
        assert_eq!(asked.load(Ordering::SeqCst), time, "one look-up for each connection");
    }
    assert_eq!(came.load(Ordering::SeqCst), 1, "nobody was connected to after that");
}

#[tokio::test]
async fn by_default_nothing_on_this_machine_is_reached() {
    crate::daemon::install_crypto();
    let (port, came) = receiver().await;
    let (lookup, _) = leading(vec![vec![IpAddr::from([127, 0, 0, 1])]]);
    let receivers = Receivers::looking_up(&config(&[]), lookup).unwrap();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "localhost", "hook.example"] {
        let outcome = receivers.send(&claimed(&format!("http://{host}:{port}/")), Timestamp(0)).await;
        assert!(
            outcome.error.is_some_and(|why| why.contains("not a public") || why.contains("of this machine"))
        );
    }
    let usual = Receivers::new(&Webhooks::default()).unwrap();
    let outcome = usual.send(&claimed(&format!("http://127.0.0.1:{port}/")), Timestamp(0)).await;
    assert_eq!(outcome.error.as_deref().map(|why| why.contains("https")), Some(true), "{outcome:?}");
    assert_eq!(came.load(Ordering::SeqCst), 0);
}

#[test]
fn a_pause_is_seconds_or_a_date() {
    let now = Timestamp::parse("2026-11-22T08:00:00Z").unwrap();
    let seconds = |text| pause(text, now).map(|pause| pause.as_secs());
    assert_eq!(seconds("120"), Some(120));
    assert_eq!(seconds("Sun, 22 Nov 2026 08:01:00 GMT"), Some(60));
    assert_eq!(seconds("Sun, 22 Nov 2026 07:00:00 GMT"), Some(0));
    assert!(seconds("99999999999999999999999").is_some_and(|long| long > 3_600));
    for other in ["", "-1", "soon", "1.5"] {
        assert_eq!(seconds(other), None, "{other:?}");
    }
}
