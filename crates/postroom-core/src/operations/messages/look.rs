//! How a mailbox's mail looks, shown without a conversation: an answer to somebody made up.

use super::Preview;
use super::dress::{Author, Dress, EXAMPLE_CUSTOMER, EXAMPLE_SUBJECT};
use super::reply::sender;
use crate::Error;
use crate::cx::Cx;
use crate::error::Faults;
use crate::id::{ConversationId, MailboxId, MessageId};
use crate::mail::Address;
use crate::message::Recipients;
use crate::operations::mailboxes;
use crate::outgoing::{Outgoing, Written};
use crate::text::{TEXT_BYTES, domain_of, fold_address};
use crate::unsent::Writing;

/// Shows an answer of the caller's as it would leave a mailbox. Nothing is kept of it.
pub fn look(cx: &mut Cx<'_>, id: MailboxId, written: &Written) -> Result<Preview, Error> {
    let mailbox = mailboxes::find(cx, id)?;
    let mut faults = Faults::default();
    if written.text.len() > TEXT_BYTES {
        faults.add("/text", "too_long", format!("has at most {TEXT_BYTES} bytes"));
    }
    if written.text.contains('\0') {
        faults.add("/text", "nul_character", "must not hold U+0000");
    }
    faults.check()?;
    if let Err(fault) = cx.ports.composer.render(written) {
        return Err(Error::invalid("/text", "invalid_markup", fault));
    }

    let author = Author::caller(cx);
    let dress = Dress::example(cx, &mailbox, author)?;
    let from = Address { name: Some(dress.sender_name()), ..sender(&mailbox, &Writing::default()) };
    let to = Address { name: Some(EXAMPLE_CUSTOMER.to_owned()), email: "ada@example.com".to_owned() };
    let subject = format!("Re: {EXAMPLE_SUBJECT}");
    let folded = fold_address(&mailbox.address);
    let signer = cx.keys.signer();
    let message_id = signer.message_id(ConversationId(0), MessageId(0), [0; 10], domain_of(&folded));
    let mail = Outgoing::plain(
        from.clone(),
        vec![to.clone()],
        subject.clone(),
        "",
        message_id,
        cx.now,
        signer.instance_mark(),
    );
    let mail = dress.put_on(cx, written.clone(), false, mail)?;
    let composed = cx.ports.composer.compose(&mail)?;
    let recipients = Recipients { to: vec![to], ..Recipients::default() };
    Ok(Preview { from, recipients, subject, text: composed.text, html: composed.html })
}
