//! Other names that a server gives a mail of ours and tells with its 250: who answers the mail names it
//! by those.

use crate::cx::Cx;
use crate::mailbox::Delivery;
use crate::message::Outbound;
use crate::store::threads::KnownId;
use crate::threading::IdKind;
use crate::{Error, store};

/// Notes the name that the server gave a mail, where it says one: the customer's answer refers to it.
pub(super) fn learn(cx: &mut Cx<'_>, outbound: &Outbound, response: &str) -> Result<(), Error> {
    let Some(message_id) = outbound.message_id else { return Ok(()) };
    let mailbox = store::mailboxes::find(cx.conn, outbound.mailbox_id)?.ok_or(Error::NotFound("mailbox"))?;
    let Delivery::Smtp { host, .. } = &mailbox.delivery else { return Ok(()) };
    let Some(rfc_id) = given_name(host, response) else { return Ok(()) };
    let message = store::messages::find(cx.conn, message_id)?.ok_or(Error::NotFound("message"))?;
    let alias = KnownId {
        share_group: mailbox.group,
        rfc_id,
        conversation_id: message.conversation_id,
        message_id: Some(message_id),
        kind: IdKind::Alias,
        created_at: cx.now,
    };
    Ok(store::threads::insert_ids(cx.conn, &[alias])?)
}

/// The Message-ID that a server puts in place of ours, without brackets. Amazon SES answers
/// `250 Ok 0102018f…-000000` and sends `<0102018f…-000000@eu-west-1.amazonses.com>`; in us-east-1 the
/// domain is `email.amazonses.com`.
fn given_name(host: &str, response: &str) -> Option<String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let region = host.strip_suffix(".amazonaws.com")?.rsplit('.').next()?;
    let mut words = response.strip_prefix("250")?.split_ascii_whitespace();
    let id = words.find(|word| !word.eq_ignore_ascii_case("ok"))?;
    let is_id = (20..=100).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && id.contains('-');
    let domain = if region == "us-east-1" { "email" } else { region };
    is_id.then(|| format!("{id}@{domain}.amazonses.com"))
}

#[cfg(test)]
mod tests {
    use super::given_name;

    const ID: &str = "0102018f5c3e-11aa22bb-33cc-44dd-55ee-66ff77008899-000000";

    #[test]
    fn amazon_says_what_it_calls_a_mail() {
        for (host, domain) in [
            ("email-smtp.eu-west-1.amazonaws.com", "eu-west-1"),
            ("Email-SMTP.US-EAST-1.amazonaws.com.", "email"),
            ("email-smtp-fips.us-west-2.amazonaws.com", "us-west-2"),
        ] {
            let name = given_name(host, &format!("250 Ok {ID}"));
            assert_eq!(name.as_deref(), Some(format!("{ID}@{domain}.amazonses.com").as_str()));
        }
    }

    #[test]
    fn what_is_no_id_of_amazons_is_none() {
        let amazon = "email-smtp.eu-west-1.amazonaws.com";
        for (host, response) in [
            ("smtp.example.org", format!("250 Ok {ID}")),
            ("amazonaws.com.example.org", format!("250 Ok {ID}")),
            (amazon, "250 Ok".to_owned()),
            (amazon, "250 2.0.0 Ok: queued as 4F2".to_owned()),
            (amazon, format!("250 Ok <{ID}>")),
            (amazon, format!("250 Ok {}-", "a".repeat(100))),
            (amazon, format!("350 Ok {ID}")),
        ] {
            assert_eq!(given_name(host, &response), None, "{host} {response}");
        }
    }
}
