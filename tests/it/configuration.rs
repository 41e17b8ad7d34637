//! The configuration: the file that documents it, the environment over it, every mistake in one
//! clear line, and the mailboxes that stand in it.

use crate::problems::problem;
use crate::program::Shell;
use postroom::{Config, Daemon};
use postroom_core::access::Scope;
use postroom_core::actor::Actor;
use postroom_core::operations::tokens::{self, NewToken};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use support::database;
use support::http::Http;
use support::workdir::WorkDir;

fn documented() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../config/postroom.toml")
}

/// The value of every setting that is one value, by its dotted name.
fn leaves(value: &Value, name: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                let name = if name.is_empty() { member.clone() } else { format!("{name}.{member}") };
                leaves(value, &name, found);
            }
        }
        value => found.push((name.to_owned(), value.clone())),
    }
}

/// The settings that stand in the file, and those that stand there as comments: `[(name, line)]`.
fn settings_in_file(text: &str, commented: bool) -> Vec<String> {
    let mut section = String::new();
    let mut names = Vec::new();
    for line in text.lines() {
        let (line, is_comment) = match line.strip_prefix("# ") {
            Some(rest) => (rest, true),
            None => (line, false),
        };
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.trim_matches(['[', ']']).clone_into(&mut section);
        } else if let Some((key, _)) = line.split_once(" = ")
            && key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_' || byte.is_ascii_digit())
            && is_comment == commented
        {
            names.push(format!("{section}.{key}"));
        }
    }
    names
}

#[test]
fn the_file_in_the_tree_says_what_is_so_anyway() {
    let text = fs::read_to_string(documented()).unwrap();
    let loaded = Config::load(Some(&documented())).unwrap();
    assert_eq!(loaded, Config::default());

    let mut defaults = Vec::new();
    leaves(&serde_json::to_value(Config::default()).unwrap(), "", &mut defaults);
    assert!(defaults.len() > 20, "{defaults:?}");
    let (set, commented) = (settings_in_file(&text, false), settings_in_file(&text, true));
    for (name, value) in &defaults {
        if value.is_null() {
            // What has no default stands there as an example; a table as its heading.
            let heading = format!("# [{name}]");
            assert!(commented.contains(name) || text.contains(&heading), "{name} is not in the file");
        } else {
            assert!(set.contains(name), "{name} is not in the file");
        }
    }
    for name in &set {
        assert!(defaults.iter().any(|(known, _)| known == name), "{name} is in the file alone");
    }
}

#[test]
fn the_examples_in_the_file_are_settings_that_there_are() {
    let dir = WorkDir::new("config");
    let text = fs::read_to_string(documented()).unwrap();
    // One of the two ways to name a database.
    let lines = text.lines().filter(|line| !line.starts_with("# url = "));
    let uncommented: Vec<&str> = lines
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.starts_with('[') => rest,
            Some(rest) => match rest.split_once(" = ") {
                Some((key, _)) if key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') => rest,
                _ => line,
            },
            None => line,
        })
        .collect();
    let file = dir.write("all.toml", uncommented.join("\n"));
    let config = Config::load(Some(&file)).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(config.server.tls.is_some() && config.storage.s3.is_some() && config.server.public_url.is_some());
    assert_eq!(config.mailboxes.len(), 1);
    assert_eq!(config.mailboxes[0].relay_addresses, ["form@example.org"]);
}

#[test]
fn what_is_no_origin_is_refused() {
    let shell = Shell::bare();
    for wrong in [
        "https://desk.example.org/",
        "https://desk.example.org/app",
        "https://desk.example.org:443",
        "https://Desk.example.org",
        "https://user@desk.example.org",
        "https://*.example.org",
        "https://desk.example.org;img-src",
        "https://a,https",
        "desk.example.org",
        "ftp://desk.example.org",
        "file://",
        "*",
        "null",
        "",
    ] {
        let toml = format!("[server]\ncors_origins = ['https://a.example', '{wrong}']\n");
        let file = shell.dir.write("wrong.toml", &toml);
        let told = shell.run(&["check", "--config", file.to_str().unwrap()]);
        assert_eq!(told.code, Some(1), "{wrong}: {told:?}");
        let line = told.refusal();
        assert!(line.contains(&format!("server.cors_origins: {wrong:?} is not an origin")), "{line}");
    }
}

#[test]
fn a_mistake_is_one_clear_line_and_nothing_is_begun() {
    let mut shell = Shell::bare();
    let data = shell.dir.join("never");
    shell.set("POSTROOM__STORAGE__DATA_DIR", &data);
    shell.dir.write("password", "x\n");
    let mailbox = |source: &str, delivery: &str| {
        format!(
            "[[mailboxes]]\nname='S'\naddress='s@example.org'\n[mailboxes.source]\n{source}\n[mailboxes.delivery]\n{delivery}\n"
        )
    };
    let imap = "type='imap'\nhost='127.0.0.1'\nport=1\nsecurity='tls'\nusername='u'";
    let provider =
        |page: &str, token: &str| format!("[oauth.custom]\nauthorization_url='{page}'\ntoken_url='{token}'");
    let cases: Vec<(String, &[&str])> = vec![
        ("[server]\nlisten_on = '127.0.0.1:1'".into(), &["listen_on"]),
        ("[serve]\nworkers = 2".into(), &["serve"]),
        ("loglevel = 'info'".into(), &["loglevel"]),
        ("[server\nworkers = 2".into(), &["wrong.toml", "line 1"]),
        ("[database]\nurl = 'postgres://u:canary@h/d".into(), &["wrong.toml", "line 2"]),
        ("[server]\nworkers = 'many'".into(), &["workers"]),
        ("[server]\nworkers = 0".into(), &["server.workers", "1 to 64"]),
        ("[server]\nworkers = 65".into(), &["server.workers", "1 to 64"]),
        ("[server]\nlisten = 'localhost'".into(), &["server.listen must be", "127.0.0.1:8080"]),
        ("[server]\nlisten = '0.0.0.0:8080'".into(), &["server.listen", "TLS", "behind_proxy"]),
        ("[server]\nlisten = '[::]:8080'".into(), &["server.listen", "TLS"]),
        ("[server]\npublic_url = 'ftp://example.org'".into(), &["public_url", "https://"]),
        ("[server]\npublic_url = 'example.org'".into(), &["server.public_url must be", "https://"]),
        (
            "[server]\ntrusted_proxies = ['10.0.0.0/99']".into(),
            &["server.trusted_proxies must be", "10.0.0.0/8"],
        ),
        (
            provider("http://login.example.org/authorize", "https://x.example/"),
            &["authorization_url", "https://"],
        ),
        (provider("https://x.example/", "https://user:canary@x.example/token"), &["oauth.custom.token_url"]),
        (provider("https://x.example/", "https://x.example/#token"), &["oauth.custom.token_url"]),
        ("[oauth.custom]\ntoken_url = 'https://x.example/'".into(), &["authorization_url"]),
        (mailbox(&format!("{imap}\nauth='oauth3'"), "type='sink'"), &["oauth3"]),
        ("[server.tls]\ncertificate_file = '/x'".into(), &["key_file"]),
        ("[log]\nformat = 'xml'".into(), &["log.format must be \"text\" or \"json\""]),
        ("[log]\nlevel = 'inof'".into(), &["log.level", "\"inof\"", "debug or trace"]),
        ("[storage]\nobjects = 'ftp'".into(), &["storage.objects must be \"folder\" or \"s3\""]),
        ("[notices]\nmailbox = 'Nobody'".into(), &["notices.mailbox", "no mailbox \"Nobody\""]),
        ("[storage]\nobjects = 's3'".into(), &["storage.s3"]),
        ("[storage]\ninline_kib = 0".into(), &["storage.inline_kib"]),
        ("[limits]\nmail_mib = 257".into(), &["limits.mail_mib", "1 to 256"]),
        ("[limits]\nevent_streams_per_token = 1001".into(), &["limits.event_streams_per_token", "1 to 1000"]),
        ("[limits]\nevent_streams_per_token = 0".into(), &["limits.event_streams_per_token", "1 to 1000"]),
        ("[limits]\nquery_seconds = 301".into(), &["limits.query_seconds", "1 to 300"]),
        ("[limits]\nquery_seconds = 0".into(), &["limits.query_seconds", "1 to 300"]),
        ("[limits]\ningest_tries = -1".into(), &["limits.ingest_tries", "1 to 100"]),
        ("[keep]\nevents_days = 0".into(), &["keep.events_days"]),
        ("[keep]\nevents_days = 'ninety'".into(), &["events_days"]),
        ("[database]\nurl = 'mysql://u:canary@h/d'".into(), &["postgres://", "sqlite:"]),
        ("[database]\nurl = 'postgres://u:canary@127.0.0.1:1/d'".into(), &["database"]),
        ("[database]\nurl = 'postgres://u:canary@[/d'".into(), &["database"]),
        ("[database]\nurl_file = '/nowhere/url'".into(), &["database.url", "/nowhere/"]),
        ("[database]\nurl = 'postgres://h/canary'\nurl_file = '/x'".into(), &["url_file", "one is enough"]),
        (mailbox(imap, "type='sink'"), &["password"]),
        (
            mailbox("type='imap'\nusername='u'\npassword='canary'", "type='sink'"),
            &["mailboxes[0].source.host"],
        ),
        (mailbox("type='push'", "type='smtp'"), &["mailboxes[0].delivery.host"]),
        (
            mailbox("type='maildir'\npath='/m'", "type='sink'")
                + &mailbox("type='maildir'\npath='/m/'", "type='sink'").replace("'S'", "'T'"),
            &["\"S\" and \"T\" both read the Maildir /m"],
        ),
        (mailbox(&format!("{imap}\npassword_file='/nowhere/p'"), "type='sink'"), &["\"S\"", "/nowhere/p"]),
        (mailbox(&format!("{imap}\npassword_env='NOT_SET'"), "type='sink'"), &["\"S\"", "NOT_SET"]),
        (
            mailbox(&format!("{imap}\npassword='canary'\npassword_file='/x'"), "type='sink'"),
            &["\"S\"", "more than one way"],
        ),
        (mailbox("type='pop3'", "type='sink'"), &["pop3"]),
        (mailbox("type='push'\nhost='x'", "type='sink'"), &["host"]),
        (mailbox("type='push'", "type='sink'\npassword='canary'"), &["password"]),
        (
            mailbox(
                &format!(
                    "{}\npassword='canary'",
                    imap.replace("'tls'", "'none'").replace("127.0.0.1", "mail.example.org")
                ),
                "type='sink'",
            ),
            &["none", "very machine"],
        ),
    ];
    for (toml, words) in cases {
        let file = shell.dir.write("wrong.toml", &toml);
        let told = shell.run(&["check", "--config", file.to_str().unwrap()]);
        assert_eq!(told.code, Some(1), "{toml}: {told:?}");
        let line = told.refusal();
        for word in words {
            assert!(line.contains(word), "{toml}\n→ {line}\n(without {word:?})");
        }
        assert!(!line.contains("canary"), "a secret in {line}");
        assert!(!data.exists(), "{toml}: the data folder was made");
    }
    let told = shell.run(&["check", "--config", "/nowhere/postroom.toml"]);
    assert!(told.refusal().contains("/nowhere/postroom.toml can't be read"), "{told:?}");
    let told = shell.run(&["check", "--config", shell.dir.path().to_str().unwrap()]);
    assert!(told.refusal().contains("can't be read"), "{told:?}");
}

#[test]
fn the_environment_goes_over_the_file() {
    let mut shell = Shell::new();
    let file = shell.dir.write("it.toml", "[server]\nlisten = '127.0.0.1:4711'\nworkers = 3\n");
    let check = |shell: &Shell| shell.run(&["check", "--config", file.to_str().unwrap()]);
    shell.unset("POSTROOM__SERVER__LISTEN");
    assert!(check(&shell).well().out.contains("listens on 127.0.0.1:4711"));
    shell.set("POSTROOM__SERVER__LISTEN", "127.0.0.1:4712");
    assert!(check(&shell).well().out.contains("listens on 127.0.0.1:4712"));
    shell.set("POSTROOM__SERVER__CORS_ORIGINS", "https://a.example,https://b.example");
    shell.set("POSTROOM__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,fd00::/8");
    check(&shell).well();
    shell.set("POSTROOM__SERVER__CORS_ORIGINS", "https://a.example,b.example");
    let told = check(&shell);
    assert!(told.refusal().contains("\"b.example\" is not an origin"), "{told:?}");
    shell.unset("POSTROOM__SERVER__CORS_ORIGINS");
    shell.set("POSTROOM__SERVER__LISTN", "127.0.0.1:1");
    let told = check(&shell);
    assert!(told.refusal().contains("listn"), "{told:?}");
    assert!(told.err.contains("the variable POSTROOM__SERVER__LISTN") && !told.err.contains("it.toml"));
    shell.unset("POSTROOM__SERVER__LISTN");
    shell.set("POSTROOM__SERVER__WORKERS", "65");
    let told = check(&shell);
    assert!(told.refusal().contains("server.workers is 65"), "{told:?}");
    assert!(told.err.contains("the variable POSTROOM__SERVER__WORKERS"), "{told:?}");
    shell.unset("POSTROOM__SERVER__WORKERS");
    for ports in ["443", "443,8443"] {
        shell.set("POSTROOM__WEBHOOKS__PORTS", ports);
        check(&shell).well();
    }
    for ports in ["65536", "443,x"] {
        shell.set("POSTROOM__WEBHOOKS__PORTS", ports);
        let told = check(&shell);
        assert!(told.refusal().contains("webhooks.ports must be ports such as"), "{told:?}");
    }
    shell.unset("POSTROOM__WEBHOOKS__PORTS");
    // Neither of both is wrong alone.
    shell.set("POSTROOM__DATABASE__URL_FILE", "/nowhere");
    let both = shell.dir.write("both.toml", "[database]\nurl = 'postgres://h/canary'\n");
    shell.unset("POSTROOM__DATABASE__URL");
    let told = shell.run(&["check", "--config", both.to_str().unwrap()]);
    assert!(told.refusal().contains("one is enough"), "{told:?}");
    assert!(!told.err.contains("canary"), "{told:?}");
}

#[test]
fn a_check_changes_nothing() {
    let shell = Shell::new();
    shell.run(&["check"]).well();
    assert!(!shell.data().exists());
    shell.run(&["migrate"]).well();
    assert!(shell.run(&["check"]).well().out.contains("up to date"));
}

/// A daemon with mailboxes in its configuration, and somebody who may do everything there.
struct Configured {
    daemon: Daemon,
    http: Http,
}

async fn start(config: &Config) -> Configured {
    let daemon = Daemon::start(config.clone()).await.unwrap_or_else(|error| panic!("{error:#}"));
    let new = NewToken {
        name: "test".to_owned(),
        agent_id: None,
        scopes: Scope::ALL.to_vec(),
        mailbox_ids: None,
        allowed_networks: None,
        expires_at: None,
    };
    let made = daemon.desk.write(&Actor::system(), move |cx| tokens::create(cx, &new)).await;
    let http = Http::new(daemon.address).with_token(&made.expect("a token can be made").1);
    Configured { daemon, http }
}

fn base(dir: &WorkDir) -> Config {
    let mut config = Config::default();
    config.storage.data_dir = dir.join("data");
    config.server.listen = "127.0.0.1:0".parse().expect("an address");
    if database::kind() == database::Kind::Postgres {
        config.database.url = Some(database::fresh(dir));
    }
    config
}

fn mailboxes(list: &Value) -> Vec<postroom::config::ConfiguredMailbox> {
    serde_json::from_value(list.clone()).expect("the shape of the configuration")
}

#[tokio::test]
async fn mailboxes_in_the_file_are_made_updated_and_let_go() {
    let dir = WorkDir::new("config");
    let password = dir.write("password", "geheim\n");
    let mut config = base(&dir);
    let imap = json!({"type": "imap", "host": "127.0.0.1", "port": 1, "security": "tls", "username": "u",
        "password_file": password});
    config.mailboxes = mailboxes(&json!([
        {"name": "Support", "address": "support@example.org", "source": {"type": "push"}, "delivery": {"type": "sink"}},
        {"name": "Sales", "address": "sales@example.org", "paused": true, "source": imap, "delivery": {"type": "sink"}},
    ]));

    let house = start(&config).await;
    let list = house.http.get("/api/v1/mailboxes").await.expect(200).json();
    assert_eq!(list["data"][0]["name"], "Support");
    assert_eq!(list["data"][0]["is_configured"], true);
    assert_eq!(list["data"][1]["source"]["has_password"], true);
    assert!(!list.to_string().contains("geheim"));
    let id = list["data"][0]["id"].as_i64().unwrap();
    let path = format!("/api/v1/mailboxes/{id}");
    let refused = house.http.patch(&path, &json!({"address": "other@example.org"})).await;
    let document = problem(&refused, 409, "state_conflict");
    assert!(document["detail"].as_str().unwrap().contains("configuration file"), "{document}");
    problem(&house.http.delete(&path).await, 409, "state_conflict");
    assert_eq!(house.http.get(&path).await.expect(200).json()["address"], "support@example.org");
    let sent = house
        .http
        .send(
            "POST",
            &format!("{path}/inbound"),
            &[("Content-Type", "message/rfc822")],
            &support::mail::mail().build(),
        )
        .await;
    sent.expect(201);
    house.daemon.stop().await;

    // The same name is the same mailbox; what stands in the file now is what it is.
    config.mailboxes = mailboxes(&json!([
        {"name": "Support", "address": "help@example.org", "aliases": ["support@example.org"],
         "poll_interval_seconds": 120, "source": {"type": "push"}, "delivery": {"type": "sink"}},
    ]));
    let house = start(&config).await;
    let now = house.http.get(&path).await.expect(200).json();
    assert_eq!(now["address"], "help@example.org");
    assert_eq!(now["aliases"], json!(["support@example.org"]));
    assert_eq!(now["poll_interval_seconds"], 120);
    assert_eq!(now["version"], 2);
    assert_eq!(house.http.get("/api/v1/conversations?count=true").await.json()["page"]["total"], 1);
    // Sales was taken out of the file: it stays, its password with it, and can be changed here.
    let sales = house.http.get("/api/v1/mailboxes").await.expect(200).json()["data"][1].clone();
    assert_eq!((&sales["name"], &sales["is_configured"]), (&json!("Sales"), &json!(false)));
    let changed =
        house.http.patch(&format!("/api/v1/mailboxes/{}", sales["id"]), &json!({"name": "Shop"})).await;
    assert_eq!(changed.expect(200).json()["source"]["has_password"], true);
    house.daemon.stop().await;

    // Nothing changed in the file: nothing changes, and nobody is told of anything.
    let house = start(&config).await;
    assert_eq!(house.http.get(&path).await.expect(200).json()["version"], 2);
    let feed = house.http.get("/api/v1/events?types=mailbox.updated&limit=100").await.expect(200).json();
    let told = feed["data"].as_array().unwrap().iter().filter(|event| event["mailbox_id"] == id).count();
    assert_eq!(told, 1);
    house.daemon.stop().await;
}

#[tokio::test]
async fn a_mailbox_that_has_another_name_in_the_file_is_the_same() {
    let dir = WorkDir::new("config");
    let mut config = base(&dir);
    let imap = |user: &str| json!({"type": "imap", "host": "127.0.0.1", "port": 1, "username": user, "password": "p"});
    let entry = |name: &str, address: &str, source: Value| json!({"name": name, "address": address, "source": source, "delivery": {"type": "sink"}});
    config.mailboxes = mailboxes(&json!([
        entry("Support", "support@example.org", imap("a")),
        entry("Sales", "sales@example.org", imap("b")),
    ]));
    let house = start(&config).await;
    let first = house.http.get("/api/v1/mailboxes").await.expect(200).json()["data"].clone();
    house.daemon.stop().await;

    // One has another name, and its address is written otherwise.
    config.mailboxes = mailboxes(&json!([
        entry("Customer support", "Support@example.org", imap("a")),
        entry("Sales", "sales@example.org", imap("b")),
    ]));
    let house = start(&config).await;
    let list = house.http.get("/api/v1/mailboxes").await.expect(200).json()["data"].clone();
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
    assert_eq!((&list[0]["id"], &list[0]["name"]), (&first[0]["id"], &json!("Customer support")));
    assert_eq!(list[0]["is_configured"], true);
    house.daemon.stop().await;

    // Two that change places in the file are in nobody's way.
    config.mailboxes = mailboxes(&json!([
        entry("Customer support", "support@example.org", imap("b")),
        entry("Sales", "sales@example.org", imap("a")),
    ]));
    let house = start(&config).await;
    house.daemon.stop().await;

    // Another address is another mailbox; it may not read what the one that was left reads.
    config.mailboxes = mailboxes(&json!([
        entry("Customer support", "support@example.org", imap("b")),
        entry("Shop", "shop@example.org", imap("a")),
    ]));
    let told = format!("{:#}", Daemon::start(config.clone()).await.expect_err("Sales reads it"));
    assert!(told.contains("\"Sales\" reads INBOX of a"), "{told}");
}

#[tokio::test]
async fn a_start_with_a_mailbox_that_can_t_be_is_refused_in_words() {
    let dir = WorkDir::new("config");
    let mut config = base(&dir);
    config.mailboxes = mailboxes(&json!([
        {"name": "Support", "address": "no address", "source": {"type": "maildir", "path": "relative"},
         "delivery": {"type": "smtp", "host": "mail.example.org", "port": 25, "security": "none"}},
    ]));
    let error = Daemon::start(config.clone()).await.expect_err("it is wrong in three ways");
    let told = format!("{error:#}");
    for word in ["address", "source/path", "delivery/security", "very machine"] {
        assert!(told.contains(word), "{told}");
    }
    config.mailboxes.clear();
    let house = start(&config).await;
    assert_eq!(house.http.get("/api/v1/mailboxes").await.expect(200).json()["data"], json!([]));
    house.daemon.stop().await;
}

#[test]
fn secrets_come_from_files_and_from_the_environment() {
    let mut shell = Shell::new();
    let secret = shell.dir.write("secret", "from-a-file\n");
    let toml = format!(
        "[[mailboxes]]\nname='A'\naddress='a@example.org'\npaused=true\n\
         [mailboxes.source]\ntype='imap'\nhost='127.0.0.1'\nport=1\nsecurity='tls'\nusername='a'\npassword_file='{}'\n\
         [mailboxes.delivery]\ntype='smtp'\nhost='127.0.0.1'\nport=1\nsecurity='tls'\nusername='a'\npassword_env='SMTP_SECRET'\n",
        secret.display()
    );
    let file = shell.dir.write("it.toml", toml);
    let file = file.to_str().unwrap();
    assert!(shell.run(&["check", "--config", file]).refusal().contains("SMTP_SECRET is not set"));
    shell.set("SMTP_SECRET", "from-the-environment");
    shell.run(&["check", "--config", file]).well();
    if database::kind() == database::Kind::Postgres {
        // The database's URL holds a password too.
        let url = shell.database();
        let postroom_core::store::conn::DatabaseUrl::Postgres(url) = url else { panic!("not this run") };
        let held = shell.dir.write("url", format!("{url}\n"));
        shell.unset("POSTROOM__DATABASE__URL");
        shell.set("POSTROOM__DATABASE__URL_FILE", held);
        assert!(shell.run(&["check", "--config", file]).well().out.contains("PostgreSQL"));
    }
}
