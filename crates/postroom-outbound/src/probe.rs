//! Tries a mailbox's way out without sending anything.

use crate::course::Alone;
use crate::session::{Session, Timeouts, Trouble};
use postroom_core::mailbox::{Credential, Delivery, Security};
use postroom_core::ports::Probe;
use std::time::Duration;

/// Connects, encrypts and logs in as for a mail, then leaves.
pub async fn probe(delivery: &Delivery, credential: Option<&Credential>, timeouts: &Timeouts) -> Probe {
    let Delivery::Smtp { security, username, .. } = delivery else {
        return Probe { ok: true, detail: "nothing leaves: mail is captured".to_owned() };
    };
    // servers often know a mailbox by its address
    let own_name = username.as_deref().and_then(|user| crate::address::on_the_wire(user).ok());
    let own_name = own_name.as_deref().and_then(|user| user.rsplit_once('@')).map(|(_, domain)| domain);
    match Session::open(delivery, credential, own_name, timeouts, &Alone).await {
        Ok(session) => {
            let place = &session.place;
            let how = match security {
                Security::Tls => "with TLS",
                Security::StartTls => "with STARTTLS",
                Security::None => "without encryption",
            };
            let who = username
                .as_deref()
                .map_or("no login asked for".to_owned(), |user| format!("logged in as {user}"));
            let detail = crate::session::reason_of(&format!("{place} answers {how}, {who}"));
            session.quit().await;
            Probe { ok: true, detail }
        }
        Err(Trouble::Later { reason, .. } | Trouble::Login { reason }) => Probe { ok: false, detail: reason },
    }
}

/// [`probe`] for a thread that may block, with the patience of somebody who waits for it.
/// Must not be called on a thread that runs async code.
pub fn probe_delivery(delivery: &Delivery, credential: Option<&Credential>) -> Probe {
    let patience = Timeouts {
        connect: Duration::from_secs(10),
        command: Duration::from_secs(20),
        ..Timeouts::default()
    };
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(probe(delivery, credential, &patience)),
        Err(error) => Probe { ok: false, detail: format!("the SMTP server could not be tried: {error}") },
    }
}

#[cfg(test)]
mod tests;
