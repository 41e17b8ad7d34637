//! The outside, as small as it can be: mail is headers, an empty line and text.

use postroom_core::authorization::{Ask, Client, DeviceCode, Page, Tokens};
use postroom_core::mail::{Address, Mail, SignatureClaim};
use postroom_core::mailbox::{Credential, Delivery, Source};
use postroom_core::object_name::ObjectName;
use postroom_core::outgoing::{Composed, Outgoing, Rendered, Written};
use postroom_core::ports::{
    Authorize, AuthorizeError, CheckSender, ComposeError, ComposeMail, EnoughRoom, Inspect, InspectSource,
    KeepBlob, KeepError, KeptObject, PortError, Ports, Probe, ProbeMailbox, ReadContext, ReadMail, SafeHtml,
    SeenFile, ShowHtml,
};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

pub fn ports() -> Ports {
    Ports {
        reader: Arc::new(Reader),
        senders: Arc::new(Senders),
        composer: Arc::new(Composer),
        keeper: Arc::new(Keeper::default()),
        prober: Arc::new(Prober),
        authorizer: Arc::new(Prober),
        inspector: Arc::new(Prober),
        room: Arc::new(EnoughRoom),
    }
}

struct Senders;

impl CheckSender for Senders {
    fn check(&self, mails: &[Vec<&SignatureClaim>]) -> Vec<bool> {
        vec![false; mails.len()]
    }
}

struct Reader;

impl ReadMail for Reader {
    fn read(&self, raw: &[u8], _: &ReadContext) -> Mail {
        let text = String::from_utf8_lossy(raw);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let header = |name: &str| {
            let line = head.lines().find(|line| line.starts_with(&format!("{name}: ")));
            line.map(|line| line[name.len() + 2..].to_owned())
        };
        Mail {
            message_id: header("Message-ID").into_iter().collect(),
            from: header("From").into_iter().map(|email| Address { name: None, email }).collect(),
            to: header("To").into_iter().map(|email| Address { name: None, email }).collect(),
            subject: header("Subject").unwrap_or_default(),
            text: body.to_owned(),
            has_html: head.contains("X-Html: yes"),
            fingerprint: [raw.len() as u8; 32],
            problem: None,
            ..Mail::unreadable("")
        }
    }

    fn html(&self, _: &[u8], how: &ShowHtml) -> SafeHtml {
        let remote_images = usize::from(!how.remote_images);
        SafeHtml { html: "<p>its own</p>".to_owned(), remote_images, ..SafeHtml::default() }
    }

    fn text_as_html(&self, text: &str) -> SafeHtml {
        SafeHtml { html: format!("<p>{}</p>", text.replace('<', "&lt;")), ..SafeHtml::default() }
    }

    fn part(&self, _: &[u8], _: i32) -> Option<Vec<u8>> {
        None
    }
}

struct Composer;

impl ComposeMail for Composer {
    fn compose(&self, mail: &Outgoing) -> Result<Composed, ComposeError> {
        let to: Vec<String> = mail.to.iter().map(|address| address.email.clone()).collect();
        let raw = format!(
            "From: {}\r\nTo: {}\r\nSubject: {}\r\nMessage-ID: {}\r\n\r\n{}",
            mail.from.email,
            to.join(", "),
            mail.subject,
            mail.message_id,
            mail.body.text
        );
        Ok(Composed {
            raw: raw.into_bytes(),
            envelope_from: mail.from.email.clone(),
            envelope_to: to,
            files: (0..mail.files.len()).map(Some).collect(),
            written: mail.body.text.clone(),
            text: mail.body.text.clone(),
            html: mail.body.text.clone(),
        })
    }

    fn render(&self, text: &Written) -> Result<Rendered, &'static str> {
        Ok(Rendered { text: text.text.clone(), html: text.text.clone() })
    }
}

#[derive(Default)]
struct Keeper(Mutex<HashMap<ObjectName, Vec<u8>>>);

impl KeepBlob for Keeper {
    fn put(&self, name: &ObjectName, bytes: Vec<u8>) -> Result<(), KeepError> {
        self.0.lock().unwrap().insert(name.clone(), bytes);
        Ok(())
    }

    fn get(&self, name: &ObjectName) -> Result<Option<Vec<u8>>, PortError> {
        Ok(self.0.lock().unwrap().get(name).cloned())
    }

    fn list(&self, _: &str) -> Result<Vec<KeptObject>, PortError> {
        Ok(Vec::new())
    }

    fn delete(&self, name: &ObjectName, _: Option<u64>) -> Result<(), PortError> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }
}

struct Prober;

impl Authorize for Prober {
    fn page(&self, _: &Client, page: &Page<'_>) -> Result<String, AuthorizeError> {
        Ok(format!("https://provider.example/?state={}", page.state))
    }

    fn device(&self, _: &Client) -> Result<DeviceCode, AuthorizeError> {
        Err(AuthorizeError::Unavailable("provider.example can't be reached".to_owned()))
    }

    fn token(&self, _: &Client, _: &Ask<'_>) -> Result<Tokens, AuthorizeError> {
        Err(AuthorizeError::Refused { code: "invalid_grant".to_owned(), said: String::new() })
    }
}

impl ProbeMailbox for Prober {
    fn source(&self, _: &Source, _: Option<&Credential>) -> Probe {
        Probe { ok: true, detail: "mail is pushed".to_owned() }
    }

    fn delivery(&self, _: &Delivery, _: Option<&Credential>) -> Probe {
        Probe { ok: false, detail: "the server refused the password".to_owned() }
    }
}

impl InspectSource for Prober {
    fn open(&self, _: &Source, _: &Credential) -> Result<Box<dyn Inspect>, PortError> {
        Err(PortError::new("there is no server"))
    }

    fn files(&self, _: &str) -> Result<Vec<SeenFile>, PortError> {
        Ok(Vec::new())
    }
}
