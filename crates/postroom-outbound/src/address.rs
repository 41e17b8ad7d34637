//! Addresses as they go on the wire.

use lettre::Address;
use postroom_core::text::{address_fault, wire_domain};

/// An address that can be written to, its domain as A-labels (RFC 5891) where it is not ASCII, and without the
/// root's dot, which RFC 5321 has no place for.
///
/// The local part stays as written: only the server behind the domain may change it. The fault
/// is a sentence fit for people.
pub(crate) fn on_the_wire(address: &str) -> Result<String, &'static str> {
    if let Some(fault) = address_fault(address) {
        return Err(fault);
    }
    let (local, domain) = address.rsplit_once('@').ok_or("an address looks like name@example.org")?;
    if domain.is_ascii() {
        return Ok(format!("{local}@{}", domain.trim_end_matches('.')));
    }
    let ascii = wire_domain(domain).ok_or("the part after the @ is not a domain name")?;
    Ok(format!("{local}@{ascii}"))
}

/// For lettre's commands. Its own check refuses addresses that exist (`a..b@docomo.ne.jp`), so
/// this one goes round it; only what [`on_the_wire`] has passed may come here.
pub(crate) fn for_command(checked: &str) -> Option<Address> {
    checked.rsplit_once('@').map(|(local, domain)| Address::new_dangerous(local, domain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_become_ascii_and_local_parts_stay() {
        assert_eq!(on_the_wire("Ada@Example.ORG").as_deref(), Ok("Ada@Example.ORG"));
        assert_eq!(on_the_wire("ädä@bücher.example").as_deref(), Ok("ädä@xn--bcher-kva.example"));
        assert_eq!(on_the_wire("ada@x.example.").as_deref(), Ok("ada@x.example"));
        assert_eq!(on_the_wire("ada@x.example。").as_deref(), Ok("ada@x.example"));
        assert_eq!(on_the_wire("a@mail_1.Example.org").as_deref(), Ok("a@mail_1.Example.org"));
        for odd in ["a..b@docomo.ne.jp", ".a@b.de", "\"a b\"@x.example", "\"a@<b>\\\"\"@x.example"] {
            assert_eq!(on_the_wire(odd).as_deref(), Ok(odd));
            assert_eq!(for_command(odd).map(|address| address.to_string()).as_deref(), Some(odd));
        }
    }

    #[test]
    fn what_could_end_a_command_is_refused() {
        for bad in ["a>b@example.org", "a@example.org>", "a@example.org\r\nDATA", "a\r\n@example.org", ""] {
            assert!(on_the_wire(bad).is_err(), "{bad:?}");
        }
    }
}
