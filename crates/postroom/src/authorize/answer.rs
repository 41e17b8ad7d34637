//! What a token server answers, read.

use postroom_core::authorization::{DeviceCode, Tokens};
use postroom_core::ports::AuthorizeError;
use postroom_core::text::one_line;
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;

/// RFC 6749 section 5.1.
#[derive(Deserialize)]
struct TokenAnswer {
    access_token: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Value,
}

/// RFC 8628 section 3.2; Google writes `verification_url`.
#[derive(Deserialize)]
struct DeviceAnswer {
    device_code: String,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    #[serde(default)]
    expires_in: Value,
    #[serde(default)]
    interval: Value,
}

/// RFC 6749 section 5.2.
#[derive(Deserialize)]
struct Fault {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// An access token is ASCII without spaces (RFC 6750 section 2.1) and goes into a login.
const TOKEN_BYTES: usize = 32 * 1024;

/// The answer to a question for tokens.
pub(super) fn tokens(status: u16, body: &[u8], secrets: &[&str]) -> Result<Tokens, AuthorizeError> {
    let answer: TokenAnswer = read(status, body, secrets)?;
    let is_token = |token: &str| {
        (1..=TOKEN_BYTES).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let refresh_token = answer.refresh_token.filter(|token| !token.is_empty());
    if !is_token(&answer.access_token) || refresh_token.as_deref().is_some_and(|token| !is_token(token)) {
        return Err(AuthorizeError::Unavailable("the token server sent a token that is none".to_owned()));
    }
    Ok(Tokens {
        access_token: answer.access_token,
        refresh_token,
        expires_in: seconds(&answer.expires_in).map(Duration::from_secs),
    })
}

/// The answer to the beginning of a device flow.
pub(super) fn device(status: u16, body: &[u8], secrets: &[&str]) -> Result<DeviceCode, AuthorizeError> {
    let answer: DeviceAnswer = read(status, body, secrets)?;
    let is_page = |uri: &String| uri.starts_with("https://") || uri.starts_with("http://");
    if answer.device_code.is_empty() || answer.user_code.is_empty() || !is_page(&answer.verification_uri) {
        return Err(AuthorizeError::Unavailable("the token server sent a code that is none".to_owned()));
    }
    Ok(DeviceCode {
        device_code: answer.device_code,
        user_code: one_line(&answer.user_code, 100),
        verification_uri: one_line(&answer.verification_uri, 500),
        verification_uri_complete: answer
            .verification_uri_complete
            .filter(is_page)
            .map(|uri| one_line(&uri, 500)),
        expires_in: Duration::from_secs(seconds(&answer.expires_in).unwrap_or(900)),
        interval: Duration::from_secs(seconds(&answer.interval).unwrap_or(5)),
    })
}

/// A number of seconds; some servers write it as text.
fn seconds(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// What was asked for, or what the server has against it.
fn read<T: for<'a> Deserialize<'a>>(status: u16, body: &[u8], secrets: &[&str]) -> Result<T, AuthorizeError> {
    if status == 200 {
        let read = serde_json::from_slice(body);
        return read.map_err(|_| {
            AuthorizeError::Unavailable("the token server answered something that is no token".to_owned())
        });
    }
    let unavailable =
        || AuthorizeError::Unavailable(format!("the token server answered with status {status}"));
    // 5xx and 429 are about the server, whatever their body says.
    if !(400..500).contains(&status) || status == 429 {
        return Err(unavailable());
    }
    let Ok(fault) = serde_json::from_slice::<Fault>(body) else { return Err(unavailable()) };
    Err(match fault.error.as_str() {
        "authorization_pending" => AuthorizeError::Pending,
        "slow_down" => AuthorizeError::SlowDown,
        "temporarily_unavailable" | "server_error" => unavailable(),
        _ => AuthorizeError::Refused {
            code: one_line(&hidden(&fault.error, secrets), 100),
            said: one_line(&hidden(&fault.error_description.unwrap_or_default(), secrets), 300),
        },
    })
}

fn hidden(text: &str, secrets: &[&str]) -> String {
    let secrets = secrets.iter().filter(|secret| !secret.is_empty());
    secrets.fold(text.to_owned(), |text, secret| text.replace(secret, "…"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> AuthorizeError {
        tokens(status, body.as_bytes(), &["s3cret"]).expect_err("it is no token")
    }

    #[test]
    fn a_token_is_read_as_the_providers_write_it() {
        // Google's and Microsoft's documented answers.
        let google = br#"{"access_token":"ya29.a0","expires_in":3599,"scope":"https://mail.google.com/","token_type":"Bearer"}"#;
        let google = tokens(200, google, &[]).unwrap();
        assert_eq!((google.access_token.as_str(), google.refresh_token.as_deref()), ("ya29.a0", None));
        assert_eq!(google.expires_in, Some(Duration::from_secs(3599)));
        let microsoft = br#"{"token_type":"Bearer","expires_in":"3736","ext_expires_in":3736,"access_token":"eyJ0","refresh_token":"0.AAAA"}"#;
        let microsoft = tokens(200, microsoft, &[]).unwrap();
        assert_eq!(microsoft.refresh_token.as_deref(), Some("0.AAAA"));
        assert_eq!(microsoft.expires_in, Some(Duration::from_secs(3736)));
        assert_eq!(tokens(200, br#"{"access_token":"a"}"#, &[]).unwrap().expires_in, None);
    }

    #[test]
    fn what_is_no_token_never_gets_into_a_login() {
        let long = "a".repeat(TOKEN_BYTES + 1);
        for token in ["", "a\\u0001auth=Bearer x", "a b", "a\\r\\nb", "ä", &long] {
            let body = format!(r#"{{"access_token":"{token}"}}"#);
            assert!(matches!(refused(200, &body), AuthorizeError::Unavailable(_)), "{token}");
        }
        let body = format!(r#"{{"access_token":"{}"}}"#, &long[1..]);
        assert!(tokens(200, body.as_bytes(), &[]).is_ok());
        for body in ["", "null", "<html>", "[]", r#"{"token":"a"}"#] {
            assert!(matches!(refused(200, body), AuthorizeError::Unavailable(_)), "{body}");
        }
    }

    #[test]
    fn each_fault_has_its_meaning() {
        let fault = |error: &str| refused(400, &format!(r#"{{"error":"{error}"}}"#));
        assert!(matches!(fault("authorization_pending"), AuthorizeError::Pending));
        assert!(matches!(fault("slow_down"), AuthorizeError::SlowDown));
        assert!(matches!(fault("temporarily_unavailable"), AuthorizeError::Unavailable(_)));
        for code in ["invalid_grant", "invalid_client", "expired_token", "access_denied"] {
            assert!(matches!(fault(code), AuthorizeError::Refused { code: told, .. } if told == code));
        }
        for status in [301, 302, 404, 429, 500, 503] {
            assert!(matches!(refused(status, "<html>moved"), AuthorizeError::Unavailable(_)), "{status}");
        }
        assert!(matches!(refused(500, r#"{"error":"invalid_grant"}"#), AuthorizeError::Unavailable(_)));
    }

    #[test]
    fn what_a_server_repeats_is_not_told() {
        let body = r#"{"error":"invalid_grant","error_description":"Token\r\ns3cret is\u0000 bad"}"#;
        let told = refused(400, body).to_string();
        assert!(
            !told.contains("s3cret") && told.contains("is bad") || told.contains("is\u{fffd} bad"),
            "{told}"
        );
        assert!(!told.contains('\n') && told.len() < 400, "{told}");
    }

    #[test]
    fn a_device_code_is_read_as_the_providers_write_it() {
        let microsoft = br#"{"user_code":"ABC123","device_code":"GAQ","verification_uri":"https://microsoft.com/devicelogin","expires_in":900,"interval":5,"message":"To sign in"}"#;
        let code = device(200, microsoft, &[]).unwrap();
        assert_eq!(
            (code.user_code.as_str(), code.interval.as_secs(), code.expires_in.as_secs()),
            ("ABC123", 5, 900)
        );
        let google = br#"{"user_code":"A-B","device_code":"4/4","verification_url":"https://www.google.com/device","expires_in":1800}"#;
        let code = device(200, google, &[]).unwrap();
        assert_eq!(
            (code.verification_uri.as_str(), code.interval.as_secs()),
            ("https://www.google.com/device", 5)
        );
        let script = br#"{"user_code":"A","device_code":"4","verification_uri":"javascript:alert(1)"}"#;
        assert!(device(200, script, &[]).is_err());
    }
}
