//! Where providers are asked, and what a person is sent to.

use super::*;
use postroom_core::authorization::GrantType;

fn client(provider: Provider) -> Client {
    Client {
        provider,
        grant: GrantType::AuthorizationCode,
        client_id: "desk & co".to_owned(),
        client_secret: Some("s3cret".to_owned()),
        tenant: (provider == Provider::Microsoft).then(|| "example.org".to_owned()),
        scopes: vec!["https://mail.google.com/".to_owned(), "offline_access".to_owned()],
    }
}

#[tokio::test]
async fn the_page_holds_the_challenge_and_no_secret() {
    crate::daemon::install_crypto();
    let servers = TokenServers::new(None).unwrap();
    // The example of RFC 7636 appendix B.
    let page = Page {
        state: "xyz",
        verifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        redirect_uri: "https://desk.example.org/api/v1/oauth/callback",
    };
    let url = servers.page(&client(Provider::Google), &page).unwrap();
    let expected = "https://accounts.google.com/o/oauth2/v2/auth?response_type=code&client_id=desk+%26+co\
        &redirect_uri=https%3A%2F%2Fdesk.example.org%2Fapi%2Fv1%2Foauth%2Fcallback\
        &scope=https%3A%2F%2Fmail.google.com%2F+offline_access&state=xyz\
        &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
        &access_type=offline&prompt=consent";
    assert_eq!(url, expected);
    let url = servers.page(&client(Provider::Microsoft), &page).unwrap();
    assert!(url.starts_with("https://login.microsoftonline.com/example.org/oauth2/v2.0/authorize?"), "{url}");
    assert!(!url.contains("s3cret") && !url.contains("dBjft"), "{url}");
}

#[tokio::test]
async fn a_provider_of_ones_own_stands_in_the_configuration() {
    crate::daemon::install_crypto();
    let servers = TokenServers::new(None).unwrap();
    let error = servers.endpoints(&client(Provider::Custom)).expect_err("nothing is set");
    assert!(error.to_string().contains("oauth.custom"), "{error}");
    let google = servers.endpoints(&client(Provider::Google)).unwrap();
    assert_eq!((google.token.as_str(), google.device), ("https://oauth2.googleapis.com/token", None));
}
