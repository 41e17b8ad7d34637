//! What an authorization must be asked for with. Every fault is named at once.

use super::NewAuthorization;
use crate::Error;
use crate::authorization::{Client, GrantType, Provider};
use crate::error::Faults;

const GOOGLE: &[&str] = &["https://mail.google.com/"];
const MICROSOFT: &[&str] = &[
    "https://outlook.office.com/IMAP.AccessAsUser.All",
    "https://outlook.office.com/SMTP.Send",
    "offline_access",
];
const MICROSOFT_APP: &[&str] = &["https://outlook.office365.com/.default"];

/// Checks it, and fills in what was left out.
pub fn check(new: &NewAuthorization) -> Result<Client, Error> {
    let mut faults = Faults::default();
    faults.line("/client_id", &new.client_id, 255);
    if let Some(secret) = &new.client_secret {
        faults.line("/client_secret", secret, 4_096);
    } else if new.grant == GrantType::ClientCredentials {
        faults.add("/client_secret", "required", "client_credentials needs a client secret");
    }
    tenant(&mut faults, new);
    if new.provider == Provider::Google && new.grant != GrantType::AuthorizationCode {
        // Google's device flow has a short list of scopes, and mail is not on it; accounts without
        // a person ask by a signed assertion instead.
        faults.add("/grant", "not_offered", "Google grants access to mail by authorization_code alone");
    }
    let scopes = match (&new.scopes, new.provider, new.grant) {
        (Some(scopes), _, _) => scopes.clone(),
        (None, Provider::Google, _) => owned(GOOGLE),
        (None, Provider::Microsoft, GrantType::ClientCredentials) => owned(MICROSOFT_APP),
        (None, Provider::Microsoft, _) => owned(MICROSOFT),
        (None, Provider::Custom, _) => Vec::new(),
    };
    if scopes.len() > 20 {
        faults.add("/scopes", "too_many", "has at most 20 members");
    }
    for (index, scope) in scopes.iter().take(20).enumerate() {
        let is_scope = |c: char| matches!(c, '\x21' | '\x23'..='\x5b' | '\x5d'..='\x7e');
        if scope.is_empty() || scope.len() > 255 || !scope.chars().all(is_scope) {
            // RFC 6749 section 3.3
            faults.add(
                format!("/scopes/{index}"),
                "invalid_scope",
                "has 1 to 255 printable ASCII characters, no space, quote or backslash",
            );
        }
    }
    faults.check()?;
    Ok(Client {
        provider: new.provider,
        grant: new.grant,
        client_id: new.client_id.trim().to_owned(),
        client_secret: new.client_secret.clone(),
        tenant: new.tenant.clone(),
        scopes,
    })
}

fn tenant(faults: &mut Faults, new: &NewAuthorization) {
    match &new.tenant {
        Some(_) if new.provider != Provider::Microsoft => {
            faults.add("/tenant", "not_offered", "only Microsoft has tenants");
        }
        // It becomes a part of the token server's address.
        Some(tenant)
            if tenant.is_empty()
                || tenant.len() > 255
                || tenant.starts_with('.')
                || !tenant.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-')) =>
        {
            faults.add("/tenant", "invalid_tenant", "is the organisation's id or one of its domains");
        }
        None if new.provider == Provider::Microsoft && new.grant == GrantType::ClientCredentials => {
            faults.add("/tenant", "required", "client_credentials needs the organisation's id or domain");
        }
        _ => {}
    }
}

fn owned(scopes: &[&str]) -> Vec<String> {
    scopes.iter().map(|scope| (*scope).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(provider: Provider, grant: GrantType) -> NewAuthorization {
        NewAuthorization {
            provider,
            grant,
            client_id: "id".to_owned(),
            client_secret: Some("secret".to_owned()),
            tenant: None,
            scopes: None,
        }
    }

    fn faults(new: &NewAuthorization) -> Vec<String> {
        match check(new) {
            Err(Error::Invalid(faults)) => faults.into_iter().map(|fault| fault.pointer).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_left_out_is_what_mail_takes() {
        let scopes = |provider, grant, tenant: Option<&str>| {
            let tenant = tenant.map(str::to_owned);
            check(&NewAuthorization { tenant, ..new(provider, grant) }).unwrap().scopes
        };
        let (code, app) = (GrantType::AuthorizationCode, GrantType::ClientCredentials);
        assert_eq!(scopes(Provider::Google, code, None), ["https://mail.google.com/"]);
        assert_eq!(scopes(Provider::Microsoft, code, None).len(), 3);
        let domain = Some("example.onmicrosoft.com");
        assert_eq!(scopes(Provider::Microsoft, app, domain), ["https://outlook.office365.com/.default"]);
        assert!(scopes(Provider::Custom, code, None).is_empty());
    }

    #[test]
    fn what_a_provider_does_not_offer_is_refused() {
        for grant in [GrantType::DeviceCode, GrantType::ClientCredentials] {
            assert_eq!(faults(&new(Provider::Google, grant)), ["/grant"]);
        }
        assert_eq!(faults(&new(Provider::Microsoft, GrantType::ClientCredentials)), ["/tenant"]);
        let open =
            NewAuthorization { client_secret: None, ..new(Provider::Custom, GrantType::ClientCredentials) };
        assert_eq!(faults(&open), ["/client_secret"]);
    }

    #[test]
    fn nothing_given_can_lead_elsewhere() {
        let at = |tenant: &str| NewAuthorization {
            tenant: Some(tenant.to_owned()),
            ..new(Provider::Microsoft, GrantType::DeviceCode)
        };
        for tenant in ["", "../x", "a/b", "a?b", "a#b", "a@b", "..", "ä", &"a".repeat(256)] {
            assert_eq!(faults(&at(tenant)), ["/tenant"], "{tenant}");
        }
        assert!(check(&at(&"a".repeat(255))).is_ok());
        let asks = |scopes: Vec<String>| NewAuthorization {
            scopes: Some(scopes),
            ..new(Provider::Custom, GrantType::DeviceCode)
        };
        for scope in ["", "a b", "a\"b", "a\\b", "a\nb", &"a".repeat(256)] {
            assert_eq!(faults(&asks(vec![scope.to_owned()])), ["/scopes/0"], "{scope}");
        }
        assert!(check(&asks(vec!["a".to_owned(); 20])).is_ok());
        assert_eq!(faults(&asks(vec!["a".to_owned(); 21])), ["/scopes"]);
    }
}
