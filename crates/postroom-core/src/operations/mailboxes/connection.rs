//! What it takes to connect to a mailbox's servers, and the trial of it.

use super::{manageable, open_password, visible};
use crate::cx::Cx;
use crate::desk::Desk;
use crate::id::MailboxId;
use crate::mailbox::{Credential, End, Mailbox};
use crate::operations::authorizations::{Access, NoLogin};
use crate::ports::Probe;
use crate::{Error, store};

/// A mailbox and its opened passwords, for those who connect. It never leaves the daemon.
#[derive(Clone)]
pub struct Connection {
    /// The mailbox.
    pub mailbox: Mailbox,
    /// For where mail comes from.
    pub source_password: Option<String>,
    /// For where mail goes.
    pub delivery_password: Option<String>,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("mailbox", &self.mailbox.id).finish_non_exhaustive()
    }
}

impl Connection {
    /// The password of one of its two ends; `None` where none is kept.
    pub(in crate::operations) fn password(&self, end: End) -> Option<Credential> {
        let password = match end {
            End::Source => &self.source_password,
            End::Delivery => &self.delivery_password,
        };
        password.clone().map(Credential::Password)
    }
}

/// What it takes to connect to a mailbox's servers.
pub fn connection(cx: &mut Cx<'_>, id: MailboxId) -> Result<Connection, Error> {
    let mailbox = visible(cx, id)?;
    Ok(Connection {
        source_password: open_password(cx, id, End::Source)?,
        delivery_password: open_password(cx, id, End::Delivery)?,
        mailbox,
    })
}

impl Desk {
    /// Logs in to both ends of a mailbox and says in words what works and what does not:
    /// where mail comes from, then where it goes.
    pub async fn test_mailbox(
        &self,
        actor: &crate::actor::Actor,
        id: MailboxId,
    ) -> Result<(Probe, Probe), Error> {
        let found = self
            .read(actor, move |cx| {
                manageable(cx, id)?;
                connection(cx, id)
            })
            .await?;
        let (desk, prober) = (self.clone(), self.ports().prober.clone());
        let (source, delivery) =
            (self.access(&found, End::Source, None).await, self.access(&found, End::Delivery, None).await);
        let probed = tokio::task::spawn_blocking(move || {
            let no_login = |error: NoLogin| Probe { ok: false, detail: error.to_string() };
            let probe = |end, access: Result<Access, NoLogin>| match access {
                Err(error) => Ok(no_login(error)),
                Ok(Access { credential, on_trial }) => {
                    let probe = match end {
                        End::Source => prober.source(&found.mailbox.source, credential.as_ref()),
                        End::Delivery => prober.delivery(&found.mailbox.delivery, credential.as_ref()),
                    };
                    if on_trial && probe.ok {
                        // It is no longer left alone.
                        desk.login_accepted_here(id, end)?;
                    }
                    Ok::<_, Error>(probe)
                }
            };
            Ok((probe(End::Source, source)?, probe(End::Delivery, delivery)?))
        });
        probed
            .await
            .map_err(|_| Error::Store { doing: "trying a mailbox", source: store::StoreError::Died })?
    }
}
