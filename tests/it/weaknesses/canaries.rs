//! V-45: secrets of every kind, known to the test, given to a daemon that logs all it can, in requests that go well
//! and in such that do not; then looked for wherever something is kept, told or written.

use crate::program::Shell;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use diesel::prelude::*;
use diesel::sql_types::Text;
use postroom_core::keys::hex;
use postroom_core::store::conn::DatabaseUrl;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};
use support::http::{Answer, Http};
use support::ports;
use totp_rs::{Builder, Secret};

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    text: String,
}

/// Everything a database holds: the bytes of SQLite's files, the rows of PostgreSQL as text.
pub fn everything_in(database: &DatabaseUrl) -> String {
    match database {
        DatabaseUrl::Sqlite(path) => {
            let name = path.file_name().expect("a file").to_string_lossy().into_owned();
            let files = fs::read_dir(path.parent().expect("a folder")).expect("it is there").flatten();
            files
                .filter(|file| file.file_name().to_string_lossy().starts_with(&name))
                .map(|file| {
                    String::from_utf8_lossy(&fs::read(file.path()).expect("it can be read")).into_owned()
                })
                .collect()
        }
        DatabaseUrl::Postgres(url) => {
            let mut conn = PgConnection::establish(url).expect("the server answers");
            let mut rows = |query: &str| -> Vec<Row> {
                diesel::sql_query(query).load(&mut conn).expect("it can be read")
            };
            let tables = rows("SELECT tablename::text AS text FROM pg_tables WHERE schemaname = 'public'");
            let all = tables
                .iter()
                .flat_map(|table| rows(&format!("SELECT t::text AS text FROM {} t", table.text)));
            all.map(|row| row.text).collect()
        }
    }
}

/// What somebody must not find, by the name that a failure tells.
#[derive(Default)]
struct Secrets(Vec<(&'static str, String)>);

impl Secrets {
    fn add(&mut self, name: &'static str, secret: impl Into<String>) -> String {
        let secret = secret.into();
        assert!(secret.len() >= 10, "{name} is too short to be told from chance");
        self.0.push((name, secret.clone()));
        secret
    }

    /// A text of the test's own making.
    fn canary(&mut self, name: &'static str) -> String {
        let number = self.0.len();
        self.add(name, format!("canary {number} of the pier"))
    }

    /// Which of them stand in a text: as they are, or as bytes are commonly written.
    fn in_text(&self, text: &str) -> Vec<&'static str> {
        let is_in = |secret: &str| {
            let bytes = secret.as_bytes();
            // The last group of base64 depends on what follows.
            let groups = &bytes[..bytes.len() / 3 * 3];
            [
                secret.to_owned(),
                hex(bytes),
                STANDARD_NO_PAD.encode(groups),
                URL_SAFE_NO_PAD.encode(groups),
                secret.replace(' ', "+"),
                secret.replace(' ', "%20"),
            ]
            .iter()
            .any(|written| text.contains(written.as_str()))
        };
        self.0.iter().filter(|(_, secret)| is_in(secret)).map(|(name, _)| *name).collect()
    }

    #[track_caller]
    fn are_not_in(&self, place: &str, text: &str) {
        let found = self.in_text(text);
        assert!(found.is_empty(), "{place} tells {found:?}");
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// Every file under a folder; each, and each folder, is its owner's alone.
fn private_files(folder: &Path) -> Vec<PathBuf> {
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(folder), 0o700, "{}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("it can be listed") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            found.extend(private_files(&path));
        } else {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
            found.push(path);
        }
    }
    found
}

/// What is in a file of a backup; what PostgreSQL packs is unpacked.
fn content(path: &Path) -> String {
    let bytes = fs::read(path).expect("it can be read");
    if !bytes.starts_with(b"PGDMP") {
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    let unpacked =
        Command::new("pg_restore").args(["--file", "-"]).arg(path).output().expect("it is installed");
    assert!(unpacked.status.success(), "{}", String::from_utf8_lossy(&unpacked.stderr));
    String::from_utf8_lossy(&unpacked.stdout).into_owned()
}

/// A daemon in a process of its own, what it was given, and all that it told without being asked for a secret.
struct Told {
    http: Http,
    secrets: Secrets,
    answers: Vec<String>,
}

impl Told {
    fn keep(&mut self, answer: Answer) -> Answer {
        self.answers.push(format!("{} {:?} {}", answer.status, answer.headers, answer.text()));
        answer
    }

    async fn give(&mut self, method: &str, path: &str, body: &Value, status: u16) -> Value {
        let headers = [("Content-Type", "application/json")];
        let answer = self.http.send(method, path, &headers, body.to_string().as_bytes()).await.expect(status);
        self.keep(answer).text().parse().unwrap_or(Value::Null)
    }

    /// Mailboxes with passwords, tried, and one that logs in by token.
    async fn mailboxes(&mut self) {
        let (imap, smtp) = (self.secrets.canary("IMAP password"), self.secrets.canary("SMTP password"));
        let server = |kind: &str, password: &str| {
            json!({"type": kind, "host": "127.0.0.1", "port": ports::free(), "security": "none",
                "username": "support", "password": password})
        };
        let body = json!({"name": "Support", "address": "support@example.org",
            "source": server("imap", &imap), "delivery": server("smtp", &smtp)});
        self.give("POST", "/api/v1/mailboxes", &body, 201).await;
        self.give("POST", "/api/v1/mailboxes/1/test", &Value::Null, 200).await;
        let other = self.secrets.canary("IMAP password of a change");
        let change = json!({"source": server("imap", &other)});
        self.give("PATCH", "/api/v1/mailboxes/1", &change, 200).await;
        let refused =
            json!({"source": {"type": "imap", "host": "bad host", "username": "u", "password": other}});
        self.give("PATCH", "/api/v1/mailboxes/1", &refused, 422).await;
        let conversation = json!({"mailbox_id": 1, "subject": "Hello", "customer": {"email": "ada@example.net"},
            "message": {"kind": "reply", "text": "It can not leave."}});
        self.give("POST", "/api/v1/conversations", &conversation, 201).await;

        let by_token = json!({"name": "ByToken", "address": "token@example.org", "delivery": {"type": "sink"},
            "source": {"type": "imap", "host": "127.0.0.1", "port": ports::free(), "security": "none",
                "username": "token@example.org", "auth": "oauth2"}});
        self.give("POST", "/api/v1/mailboxes", &by_token, 201).await;
        let client = self.secrets.canary("OAuth client secret");
        let flow = json!({"provider": "google", "grant": "authorization_code", "client_id": "client",
            "client_secret": client});
        // Its state is in the address that is told once.
        let begun = self.http.post("/api/v1/mailboxes/2/oauth", &flow).await.expect(202).json();
        let page: url::Url = text_of(&begun["authorization_url"]).parse().expect("an address");
        let state = page.query_pairs().find(|(name, _)| name == "state").expect("it has one").1.into_owned();
        self.secrets.add("OAuth state", state);
    }

    /// An agent who signs in, with codes, and changes their password. Returns their session.
    async fn agent(&mut self, invitation: String) -> Http {
        let password = self.secrets.canary("password");
        let invitation = self.secrets.add("invitation", invitation);
        let nobody = Http::new(self.address());
        let accepted = json!({"token": invitation, "password": password});
        let session = nobody.post("/api/v1/invitations/accept", &accepted).await.expect(201).json();
        let session = self.secrets.add("session", text_of(&session["token"]));
        let amy = nobody.with_token(&session);
        let begun = amy.post("/api/v1/me/totp", &json!({"password": password})).await.expect(201).json();
        let secret = self.secrets.add("TOTP secret", text_of(&begun["secret"]));
        let bytes = Secret::try_from_base32(&secret).expect("base 32").as_bytes().to_vec();
        let program = Builder::new().with_secret(bytes).with_account_name("amy@example.org".to_owned());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let code = program.build().expect("a program").generate(now).to_string();
        let told = amy.post("/api/v1/me/totp/confirm", &json!({"code": code})).await.expect(200).json();
        for code in told["recovery_codes"].as_array().expect("a list") {
            self.secrets.add("recovery code", text_of(code));
        }
        let recovery = text_of(&told["recovery_codes"][0]);
        let known = json!({"email": "amy@example.org", "password": password, "code": recovery});
        let second = nobody.post("/api/v1/sign-in", &known).await.expect(201).json();
        self.secrets.add("second session", text_of(&second["token"]));
        amy
    }

    fn address(&self) -> std::net::SocketAddr {
        self.http.address()
    }

    /// What somebody does who has made a mistake, or means no good.
    async fn fail(&mut self) {
        let nobody = Http::new(self.address());
        let wrong = self.secrets.canary("wrong password");
        let swapped = self.secrets.canary("password where the address belongs");
        let json = [("Content-Type", "application/json")];
        let (mut paths, mut bodies) = (Vec::new(), Vec::new());
        for body in [
            json!({"email": "amy@example.org", "password": wrong}).to_string(),
            json!({"email": swapped, "password": "amy@example.org"}).to_string(),
            json!({"email": "amy@example.org", "passwort": wrong}).to_string(),
            json!({"email": "amy@example.org", "password": [wrong]}).to_string(),
            json!({"email": "amy@example.org", "password": wrong, "code": {"of": wrong}}).to_string(),
            format!("{{\"email\": \"amy@example.org\", \"password\": \"{wrong}"),
            format!("{{\"email\": \"amy@example.org\", \"password\": \"{wrong}\"}} {wrong}"),
            format!("email=amy@example.org&password={wrong}"),
        ] {
            bodies.push(("/api/v1/sign-in", body));
        }
        let opens = self.secrets.canary("token of a link");
        for path in ["/api/v1/invitations/accept", "/api/v1/password-resets/complete"] {
            bodies.push((path, json!({"token": opens, "password": wrong}).to_string()));
        }
        for (path, body) in bodies {
            let answer = nobody.send("POST", path, &json, body.as_bytes()).await;
            assert!((400..500).contains(&answer.status), "{path}: {}", answer.text());
            self.keep(answer);
        }
        let stray = self.secrets.add("token in an address", "pr_pat_0123456789canary0123456789");
        for name in ["token", "access_token", "password", "ticket", "signature", "state"] {
            for path in ["me", "events/stream", "messages/1/html", "oauth/callback", "nothing"] {
                paths.push(format!("/api/v1/{path}?{name}={stray}"));
            }
        }
        paths.push(format!("/api/v1/{stray}"));
        paths.push(format!("/{stray}@127.0.0.1/"));
        for path in paths {
            let answer = nobody.get(&path).await;
            assert!(answer.status >= 400, "{path}: {}", answer.text());
            self.keep(answer);
        }
        let basic = format!("Basic {}", STANDARD_NO_PAD.encode(format!("amy:{wrong}")));
        for value in [format!("Bearer {stray}"), format!("Bearer {stray} x"), format!("Token {stray}"), basic]
        {
            let headers =
                [("Authorization", &*value), ("Cookie", &*format!("token={stray}")), ("X-Api-Key", &*stray)];
            let answer = nobody.send("GET", "/api/v1/me", &headers, b"").await.expect(401);
            self.keep(answer);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_any_log_answer_backup_or_clear_text() {
    let mut shell = Shell::new();
    shell.set("POSTROOM__LOG__LEVEL", "trace");
    shell.set("POSTROOM__SERVER__PUBLIC_URL", "https://desk.example.org");
    shell.set("POSTROOM__SIGN_IN__MEMORY_KIB", "19456");
    shell.set("POSTROOM__SIGN_IN__PASSES", "2");
    let token = shell.run(&["token", "create", "--name", "admin"]).well().out.trim().to_owned();
    shell.run(&["agent", "create", "--name", "Amy", "--email", "amy@example.org", "--role", "admin"]).well();
    let invited = shell.run(&["agent", "invite", "1", "-o", "json"]).well().out;
    let invited: Value = serde_json::from_str(&invited).expect("JSON");
    let served = shell.serve();
    let http = Http::new(served.address).with_token(&token);
    let mut told = Told { http, secrets: Secrets::default(), answers: Vec::new() };
    told.secrets.add("token", token);
    told.mailboxes().await;
    let amy = told.agent(text_of(&invited["token"])).await;
    told.fail().await;

    // What is told once, and under its key again.
    for (name, path, body) in [
        ("made token", "/api/v1/tokens", json!({"name": "made", "scopes": ["conversations:read"]})),
        (
            "webhook's secret",
            "/api/v1/webhooks",
            json!({"name": "Hook", "url": "https://hooks.example.com/hook"}),
        ),
    ] {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", name)];
        let body = body.to_string();
        let made = told.http.send("POST", path, &headers, body.as_bytes()).await.expect(201);
        let again = told.http.send("POST", path, &headers, body.as_bytes()).await.expect(201);
        let (made, again) = (made.json(), again.json());
        assert_eq!(made, again);
        told.secrets.add(name, text_of(made.get("token").unwrap_or(&made["secret"])));
    }
    let ticket = amy.post("/api/v1/events/ticket", &json!({})).await.expect(200).json();
    let url = text_of(&ticket["url"]);
    told.secrets.add("ticket", url.split_once("ticket=").expect("it has one").1);
    drop(Http::new(served.address).events(&url, &[]).await);

    for path in [
        "mailboxes",
        "mailboxes/1",
        "mailboxes/1/status",
        "mailboxes/2",
        "mailboxes/2/oauth",
        "tokens",
        "webhooks",
        "webhooks/1",
        "agents",
        "agents/1",
        "me",
        "me/sessions",
        "me/totp",
        "events?limit=100",
        "audit-log?limit=100",
        "conversations",
        "conversations/1/messages",
        "conversations/1/activity",
        "jobs",
        "health/ready",
        "version",
        "export/messages",
        "export/activity",
        "metrics",
    ] {
        for http in [&told.http.clone(), &amy] {
            let answer = http.get(&format!("/api/v1/{path}")).await;
            told.keep(answer);
        }
    }
    let answers = told.answers.join("\n");
    for kind in ["sign_in.failed", "token.created", "has_password", "has_client_secret"] {
        assert!(answers.contains(kind), "{kind} is told");
    }
    assert!(told.answers.len() > 80, "{}", told.answers.len());
    told.secrets.are_not_in("an answer", &answers);

    let held = everything_in(&shell.database());
    assert!(held.contains("amy@example.org") && held.contains("Support"), "it holds what it must");
    told.secrets.are_not_in("the database", &held);
    let to = shell.dir.join("backups");
    let doctor = shell.run(&["doctor"]);
    told.secrets.are_not_in("the doctor", &format!("{doctor:?}"));
    let taken = shell.run(&["backup", "--to", to.to_str().expect("UTF-8")]).well();
    told.secrets.are_not_in("the command that backs up", &format!("{taken:?}"));
    let key = fs::read_to_string(shell.data().join("postroom.key")).expect("it is there");
    let mut copied = String::new();
    for file in private_files(&to) {
        copied.push_str(&content(&file));
    }
    assert!(copied.contains("amy@example.org"), "the backup holds what it must");
    assert!(!copied.contains(key.trim()), "the key is kept apart from what it opens");
    told.secrets.are_not_in("the backup", &copied);
    for file in private_files(&shell.data()) {
        told.secrets.are_not_in(&file.display().to_string(), &content(&file));
    }

    let (code, log) = served.end("TERM");
    assert_eq!(code, Some(0));
    let log = log.join("\n");
    assert!(log.contains("postroom::access") && log.contains("TRACE"), "it logs all it can");
    told.secrets.are_not_in("the log", &log);
    // What is looked for would be found.
    assert_eq!(told.secrets.in_text(&format!("x{}x", told.secrets.0[0].1)), [told.secrets.0[0].0]);
}
