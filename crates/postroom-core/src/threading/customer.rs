//! Who a mail is from, where a list or a form stands between (R8).

use super::Policy;
use crate::mail::{Address, Mail, SenderAuth};
use crate::text::{address_fault, domain_of, fold_address};
use std::collections::HashSet;

/// Whose conversation a mail begins: its sender, unless that only passes on what others write.
///
/// A sender passes on if it is one of the relays of the mailbox, one of our own addresses (a
/// form on the web site), or a list that puts its own address into From, as lists must since
/// DMARC: From is of the list's own domain, or X-Original-From is there. Then it is Reply-To,
/// else X-Original-From, never an address of ours or of the list. A mail whose sender's domain
/// disowns it has no list that could be believed. `None` where From can't be read; the caller
/// puts something in its place.
#[expect(clippy::implicit_hasher, reason = "the sets of addresses are std's everywhere")]
pub fn customer_address(mail: &Mail, policy: &Policy, own_addresses: &HashSet<String>) -> Option<Address> {
    let from = mail.sender().filter(|address| address_fault(address.email.trim()).is_none())?;
    let folded = fold_address(&from.email);
    let is_relay = policy.relay_addresses.contains(&folded) || own_addresses.contains(&folded);
    let is_list = mail.sender_auth != SenderAuth::Fail && is_rewritten_by_list(mail, &folded);
    if !is_relay && !is_list {
        return Some(from.clone());
    }
    let is_somebody = |address: &&Address| {
        let email = fold_address(&address.email);
        let is_list_itself = mail.list_id.as_deref().is_some_and(|list| is_address_of_list(&email, list));
        address_fault(address.email.trim()).is_none()
            && email != folded
            && !is_list_itself
            && !own_addresses.contains(&email)
            && !policy.relay_addresses.contains(&email)
    };
    let author = mail.reply_to.iter().chain(&mail.original_from).find(is_somebody);
    Some(author.unwrap_or(from).clone())
}

/// Whether a list put its own address into From.
fn is_rewritten_by_list(mail: &Mail, from: &str) -> bool {
    if mail.original_from.is_some() {
        return true;
    }
    let Some(list) = mail.list_id.as_deref() else { return false };
    let domain = domain_of(from);
    let list_domain = list.split_once('.').map_or("", |(_, domain)| domain);
    !domain.is_empty() && (list_domain.eq_ignore_ascii_case(domain) || is_address_of_list(from, list))
}

/// `users@lists.example.org` is the list `users.lists.example.org` (RFC 2919 section 3).
fn is_address_of_list(folded: &str, list: &str) -> bool {
    folded.rsplit_once('@').is_some_and(|(local, domain)| {
        list.len() == folded.len()
            && list.get(..local.len()).is_some_and(|name| name.eq_ignore_ascii_case(local))
            && list.get(local.len() + 1..).is_some_and(|rest| rest.eq_ignore_ascii_case(domain))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Strangers;
    use std::time::Duration;

    fn address(email: &str) -> Address {
        Address { name: None, email: email.to_owned() }
    }

    fn policy() -> Policy {
        Policy {
            strangers: Strangers::Link,
            same_domain_joins: true,
            reopen_within: Duration::ZERO,
            relay_addresses: HashSet::from(["form@shop.example".to_owned()]),
        }
    }

    fn customer(mail: &Mail) -> Option<String> {
        let own = HashSet::from(["support@desk.example".to_owned()]);
        customer_address(mail, &policy(), &own).map(|address| address.email)
    }

    fn mail(from: &str, reply_to: &[&str]) -> Mail {
        let mut mail = Mail::unreadable("");
        mail.from = vec![address(from)];
        mail.reply_to = reply_to.iter().map(|email| address(email)).collect();
        mail
    }

    #[test]
    fn a_reply_to_alone_changes_nobody() {
        assert_eq!(customer(&mail("Ada@x.example", &["eve@y.example"])).as_deref(), Some("Ada@x.example"));
    }

    #[test]
    fn a_relay_is_not_the_customer() {
        let form = mail("Form@shop.example", &["support@desk.example", "ada@x.example"]);
        assert_eq!(customer(&form).as_deref(), Some("ada@x.example"));
        let own = mail("support@desk.example", &["ada@x.example"]);
        assert_eq!(customer(&own).as_deref(), Some("ada@x.example"));
        let bare = mail("form@shop.example", &[]);
        assert_eq!(customer(&bare).as_deref(), Some("form@shop.example"));
    }

    #[test]
    fn a_list_is_not_the_customer() {
        let mut list = mail("users@lists.example", &["users@lists.example", "ada@x.example"]);
        list.list_id = Some("users.lists.example".into());
        assert_eq!(customer(&list).as_deref(), Some("ada@x.example"));
        list.from = vec![address("bounces@Lists.example")];
        assert_eq!(customer(&list).as_deref(), Some("ada@x.example"));
        list.from = vec![address("bob@x.example")];
        assert_eq!(customer(&list).as_deref(), Some("bob@x.example"));
        list.original_from = Some(address("cyd@x.example"));
        list.reply_to.clear();
        assert_eq!(customer(&list).as_deref(), Some("cyd@x.example"));
        list.sender_auth = SenderAuth::Fail;
        assert_eq!(customer(&list).as_deref(), Some("bob@x.example"));
    }

    #[test]
    fn nobody_is_nobody() {
        assert_eq!(customer(&Mail::unreadable("")), None);
        assert_eq!(customer(&mail("not an address", &["ada@x.example"])), None);
    }
}
