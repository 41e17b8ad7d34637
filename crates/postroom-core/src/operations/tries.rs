//! How often somebody may try what they might guess, or ask for what costs others. It is counted in the store,
//! for all daemons together, and before it is known whether the account exists: nobody learns that by it.

use crate::audit::Origin;
use crate::cx::Cx;
use crate::keys::sha256_hex;
use crate::sign_in::{TRIES_EACH, TRIES_FROM, WINDOW, network};
use crate::text::fold_address;
use crate::{Error, store};

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// A password or a code.
    SignIn,
    /// A link for a forgotten password is asked for.
    Reset,
    /// A secret that came by mail.
    OneTime,
}

/// The name under which the tries of an account are counted. Of an address only its hash is kept: people type
/// passwords where the address belongs.
pub(super) fn account(what: What, email: &str) -> String {
    format!("{}:{}", word(what), sha256_hex(fold_address(email).as_bytes()))
}

fn from(what: What, origin: &Origin) -> String {
    format!("{}_from:{}", word(what), network(origin))
}

fn word(what: What) -> &'static str {
    match what {
        What::SignIn => "sign_in",
        What::Reset => "reset",
        What::OneTime => "one_time",
    }
}

/// A try that was counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Try {
    ids: Vec<i64>,
}

/// Counts a try before it is made, so that many at once are not one; or says when the next may be.
pub(super) fn reserve(
    cx: &mut Cx<'_>,
    what: What,
    email: Option<&str>,
    origin: &Origin,
) -> Result<Try, Error> {
    store::conn::lock_tries(cx.conn)?;
    let each = email.map(|email| (account(what, email), TRIES_EACH));
    let names: Vec<_> = each.into_iter().chain([(from(what, origin), TRIES_FROM)]).collect();
    let mut wait = None;
    for (who, most) in &names {
        let tries = store::sign_in::tries(cx.conn, who, cx.now.minus(WINDOW))?;
        let over = tries.len().checked_sub(usize::try_from(*most).unwrap_or(usize::MAX));
        if let Some(oldest) = over.and_then(|over| tries.get(over)) {
            let left = oldest.plus(WINDOW).since(cx.now);
            wait = wait.max(Some(left.as_secs() + u64::from(left.subsec_nanos() > 0)));
        }
    }
    if let Some(seconds) = wait {
        return Err(Error::Throttled { seconds: seconds.max(1) });
    }
    let mut ids = Vec::with_capacity(names.len());
    for (who, _) in &names {
        ids.push(store::sign_in::insert_try(cx.conn, who, cx.now)?);
    }
    Ok(Try { ids })
}

/// The try was none in vain.
pub(super) fn release(cx: &mut Cx<'_>, made: &Try) -> Result<(), Error> {
    Ok(store::sign_in::delete_tries(cx.conn, &made.ids)?)
}

/// Whoever this is has proven it: what went before is forgotten.
pub(super) fn forget(cx: &mut Cx<'_>, email: &str) -> Result<(), Error> {
    Ok(store::sign_in::delete_tries_of(cx.conn, &account(What::SignIn, email))?)
}
