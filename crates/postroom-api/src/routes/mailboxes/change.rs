//! A change of a mailbox as a JSON merge patch: `source` and `delivery` are merged member by
//! member into what is there.

use super::shape::{DeliveryBody, SourceBody, ThreadingShape};
use crate::body::parse_value;
use crate::patch::{Patch, given};
use postroom_core::Error;
use postroom_core::cx::Cx;
use postroom_core::error::FieldError;
use postroom_core::id::MailboxId;
use postroom_core::mailbox::{AfterIngest, AuthMethod, Import, OnUncertain, Security, SentCopy};
use postroom_core::operations::mailboxes::{self, MailboxChange};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// What is to change of a mailbox; what is left out stays.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MailboxPatch {
    /// What people call it.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, min_length = 1, max_length = 200)]
    name: Option<String>,
    /// The address customers write to.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    address: Option<String>,
    /// All other addresses that arrive here.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    aliases: Option<Vec<String>>,
    /// Seconds between two polls.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, minimum = 5, maximum = 86_400)]
    poll_interval_seconds: Option<i32>,
    /// Where mail comes from.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    source: Option<SourcePatch>,
    /// How answers leave.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    delivery: Option<DeliveryPatch>,
    /// How mail finds its conversation.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    threading: Option<ThreadingShape>,
    /// All servers whose Authentication-Results count.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    trusted_authserv_ids: Option<Vec<String>>,
    /// All senders that only pass on mail of others.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    relay_addresses: Option<Vec<String>>,
    /// Who puts a copy of what leaves into the Sent folder.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    sent_copy: Option<SentCopy>,
    /// What becomes of an answer of which nobody knows whether it arrived.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    on_uncertain: Option<OnUncertain>,
    /// Seconds in which an answer can be taken back before it leaves.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false, minimum = 0, maximum = 600)]
    undo_seconds: Option<i32>,
    /// At rest or not.
    #[serde(default, deserialize_with = "given")]
    #[schema(nullable = false)]
    paused: Option<bool>,
}

/// What kind of source.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum SourceType {
    /// An IMAP server.
    Imap,
    /// A folder.
    Maildir,
    /// Mail is pushed.
    Push,
}

/// What kind of delivery.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum DeliveryType {
    /// An SMTP server.
    Smtp,
    /// Nothing leaves.
    Sink,
}

/// What is to change of a source. With another `type`, everything is given anew.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct SourcePatch {
    /// What kind.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    r#type: Option<SourceType>,
    /// Name or address.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    host: Option<String>,
    /// Its port.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 65_535)]
    port: Option<u16>,
    /// How the connection is secured.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    security: Option<Security>,
    /// The login name.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    username: Option<String>,
    /// What opens the login.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    auth: Option<AuthMethod>,
    /// The password.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, write_only)]
    password: Option<String>,
    /// All folders that are read.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    folders: Option<Vec<String>>,
    /// What happens to a mail on the server once it is safely here.
    #[serde(
        default,
        deserialize_with = "super::after_ingest::given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(nullable = false)]
    after_ingest: Option<AfterIngest>,
    /// What of the mail that is there already comes in.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    import: Option<Import>,
    /// The folder with what agents sent with other programs, or `auto`; `null` is none.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    sent_folder: Patch<String>,
    /// The folder with what the server took for junk, or `auto`; `null` is none.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    junk_folder: Patch<String>,
    /// PEM file of a certificate authority of one's own; `null` takes it away.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    ca_file: Patch<String>,
    /// The folder that holds `new` and `cur`.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    path: Option<String>,
}

/// What is to change of a delivery. With another `type`, everything is given anew.
#[derive(Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeliveryPatch {
    /// What kind.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    r#type: Option<DeliveryType>,
    /// Name or address.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    host: Option<String>,
    /// Its port.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, maximum = 65_535)]
    port: Option<u16>,
    /// How the connection is secured.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    security: Option<Security>,
    /// The login name; `null` is no login.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    username: Patch<String>,
    /// What opens the login.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    auth: Option<AuthMethod>,
    /// The password.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, write_only)]
    password: Option<String>,
    /// PEM file of a certificate authority of one's own; `null` takes it away.
    #[serde(default, skip_serializing_if = "Patch::is_absent")]
    #[schema(value_type = Option<String>)]
    ca_file: Patch<String>,
}

// A password must not get into a log through a body that is printed.
impl std::fmt::Debug for SourcePatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SourcePatch")
    }
}

impl std::fmt::Debug for DeliveryPatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeliveryPatch")
    }
}

impl MailboxPatch {
    /// As the core takes it, merged into what is there.
    pub fn change(&self, cx: &mut Cx<'_>, id: MailboxId) -> Result<MailboxChange, Error> {
        let mut change = MailboxChange {
            name: self.name.clone(),
            address: self.address.clone(),
            aliases: self.aliases.clone(),
            poll_interval_seconds: self.poll_interval_seconds,
            strangers: self.threading.map(|threading| threading.strangers),
            trusted_authserv_ids: self.trusted_authserv_ids.clone(),
            relay_addresses: self.relay_addresses.clone(),
            sent_copy: self.sent_copy,
            on_uncertain: self.on_uncertain,
            undo_seconds: self.undo_seconds,
            paused: self.paused,
            ..MailboxChange::default()
        };
        if self.source.is_none() && self.delivery.is_none() {
            return Ok(change);
        }
        let before = mailboxes::find(cx, id)?;
        if let Some(patch) = &self.source {
            let merged: SourceBody = merge(&SourceBody::from(before.source), patch, "/source")?;
            let (source, password) = merged.split();
            (change.source, change.source_password) = (Some(source), password);
        }
        if let Some(patch) = &self.delivery {
            let merged: DeliveryBody = merge(&DeliveryBody::from(before.delivery), patch, "/delivery")?;
            let (delivery, password) = merged.split();
            (change.delivery, change.delivery_password) = (Some(delivery), password);
        }
        Ok(change)
    }
}

/// RFC 7396 on the members of one object, but for `type`: what belongs to one type means nothing
/// to another.
fn merge<T: Serialize + DeserializeOwned>(
    before: &T,
    patch: &impl Serialize,
    root: &'static str,
) -> Result<T, Error> {
    let mut merged = members(before);
    let patch = members(patch);
    if patch.get("type").is_some_and(|new| merged.get("type") != Some(new)) {
        merged.clear();
    }
    for (name, value) in patch {
        if value.is_null() {
            merged.remove(&name);
        } else {
            merged.insert(name, value);
        }
    }
    parse_value(Value::Object(merged), root).map_err(|fault| {
        Error::Invalid(vec![FieldError { pointer: fault.pointer, code: fault.code, detail: fault.detail }])
    })
}

fn members(shape: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(shape) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn imap() -> SourceBody {
        serde_json::from_value(json!({
            "type": "imap", "host": "mail.example.org", "port": 993, "security": "tls", "username": "a",
            "ca_file": "/etc/ca.pem"
        }))
        .unwrap()
    }

    fn merged(patch: Value) -> Result<Value, (String, &'static str)> {
        let patch: SourcePatch = serde_json::from_value(patch).unwrap();
        match merge(&imap(), &patch, "/source") {
            Ok(merged) => Ok(serde_json::to_value(&merged).unwrap()),
            Err(Error::Invalid(faults)) => Err((faults[0].pointer.clone(), faults[0].code)),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn members_left_out_stay() {
        let after = merged(json!({"password": "new", "port": 143})).unwrap();
        assert_eq!(after["password"], "new");
        assert_eq!(after["port"], 143);
        assert_eq!(after["host"], "mail.example.org");
        assert_eq!(after["ca_file"], "/etc/ca.pem");
        assert_eq!(merged(json!({})).unwrap().get("password"), None);
    }

    #[test]
    fn null_takes_away_what_may_be_missing() {
        assert_eq!(merged(json!({"ca_file": null})).unwrap().get("ca_file"), None);
        assert!(serde_json::from_value::<SourcePatch>(json!({"host": null})).is_err());
    }

    #[test]
    fn another_type_begins_anew() {
        assert_eq!(merged(json!({"type": "maildir", "path": "/m"})).unwrap()["path"], "/m");
        assert_eq!(merged(json!({"type": "maildir"})), Err(("/source/path".to_owned(), "required")));
        assert_eq!(
            merged(json!({"type": "push", "host": "x"})),
            Err(("/source/host".to_owned(), "unknown_field"))
        );
    }
}
