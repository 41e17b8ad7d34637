//! The real Dovecot does what the tests will rely on, asked by a client of a few lines.

use super::*;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::process::Command;

/// Logs in on the plain port, says each command and answers all that came back.
fn talk(dovecot: &Dovecot, user: &str, commands: &[&str]) -> String {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, dovecot.imap)).unwrap();
    let password = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    let login = format!("LOGIN {user} \"{password}\"");
    for (number, command) in [login.as_str()].into_iter().chain(commands.iter().copied()).enumerate() {
        writeln!(socket, "t{number} {command}\r").unwrap();
    }
    write!(socket, "end LOGOUT\r\n").unwrap();
    let mut said = Vec::new();
    socket.read_to_end(&mut said).unwrap();
    String::from_utf8_lossy(&said).into_owned()
}

fn uidvalidity(dovecot: &Dovecot) -> u64 {
    let said = talk(dovecot, "support", &["STATUS INBOX (UIDVALIDITY)"]);
    let (_, after) = said.split_once("UIDVALIDITY ").unwrap_or_else(|| panic!("{said}"));
    after.split(')').next().unwrap().parse().unwrap()
}

#[test]
fn serves_what_was_delivered_in_its_order() {
    let dovecot = Dovecot::start();
    dovecot.deliver("support", "INBOX", "Subject: one\r\n\r\n1\r\n");
    dovecot.deliver("support", "INBOX", "Subject: two\r\n\r\n2\r\n");
    dovecot.deliver("support", "Archive/2026", "Subject: old\r\n\r\n3\r\n");
    let said = talk(&dovecot, "support", &["LIST \"\" *", "SELECT INBOX", "UID FETCH 1:* (BODY.PEEK[])"]);
    assert!(said.contains("Archive/2026"), "{said}");
    let (one, two) = (said.find("Subject: one").unwrap(), said.find("Subject: two").unwrap());
    assert!(one < two);
    assert_eq!(said.matches("Subject: old").count(), 0);
}

#[test]
fn flags_and_deletions_of_clients_are_seen() {
    let dovecot = Dovecot::start();
    for subject in ["one", "two"] {
        dovecot.deliver("support", "INBOX", format!("Subject: {subject}\r\n\r\n.\r\n"));
    }
    assert!(dovecot.stored("support", "INBOX").iter().all(|mail| mail.is_new && mail.flags.is_empty()));
    talk(&dovecot, "support", &["SELECT INBOX", "UID STORE 1 +FLAGS (\\Seen)"]);
    let flags: Vec<String> = dovecot.stored("support", "INBOX").into_iter().map(|mail| mail.flags).collect();
    assert_eq!(flags, ["S", ""]);
    talk(&dovecot, "support", &["SELECT INBOX", "UID STORE 2 +FLAGS (\\Deleted)", "EXPUNGE"]);
    assert_eq!(dovecot.stored("support", "INBOX").len(), 1);
}

#[test]
fn a_wrong_password_and_an_unknown_user_are_refused() {
    let dovecot = Dovecot::start();
    assert!(talk(&dovecot, "nobody-here", &[]).contains("t0 NO [AUTHENTICATIONFAILED]"));
    assert!(talk(&dovecot, "support", &[]).contains("t0 OK"));
}

#[test]
fn uidvalidity_can_be_lost() {
    let dovecot = Dovecot::start();
    dovecot.deliver("support", "INBOX", "Subject: one\r\n\r\n1\r\n");
    let first = uidvalidity(&dovecot);
    assert_eq!(uidvalidity(&dovecot), first);
    dovecot.lose_uidvalidity("support", "INBOX");
    let second = uidvalidity(&dovecot);
    assert_ne!(second, first);
    dovecot.lose_uidvalidity("support", "INBOX");
    assert_ne!(uidvalidity(&dovecot), second);
}

#[test]
fn sessions_are_killed_and_the_server_goes_on() {
    let dovecot = Dovecot::start();
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, dovecot.imap)).unwrap();
    let password = PASSWORD.replace('\\', "\\\\").replace('"', "\\\"");
    write!(socket, "a LOGIN support \"{password}\"\r\n").unwrap();
    let mut lines = BufReader::new(socket).lines();
    assert!(lines.by_ref().any(|line| line.unwrap().starts_with("a OK")));
    assert_eq!(dovecot.kill_sessions(), 1);
    // An end or a broken connection, but no goodbye.
    assert!(!lines.map_while(Result::ok).any(|line| line.contains("BYE")));
    assert!(talk(&dovecot, "support", &[]).contains("t0 OK"));
}

#[test]
fn a_killed_server_is_gone_until_it_is_started_again() {
    let mut dovecot = Dovecot::start();
    dovecot.deliver("support", "INBOX", "Subject: kept\r\n\r\n1\r\n");
    dovecot.kill();
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, dovecot.imap)).is_err());
    dovecot.start_again();
    let said = talk(&dovecot, "support", &["SELECT INBOX"]);
    assert!(said.contains("1 EXISTS"), "{said}");
}

/// What openssl's client says of the server's certificate.
fn handshake(dovecot: &Dovecot, starttls: bool) -> String {
    let (ca, port) = (crate::tls::ca_file(), if starttls { dovecot.imap } else { dovecot.imaps });
    let mut command = Command::new("openssl");
    command.args(["s_client", "-verify_return_error", "-verify_hostname", "localhost", "-CAfile"]);
    command.arg(ca).args(["-connect", &format!("127.0.0.1:{port}")]);
    if starttls {
        command.args(["-starttls", "imap"]);
    }
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn both_ports_show_the_certificate_asked_for() {
    let good = Dovecot::start();
    for starttls in [true, false] {
        let said = handshake(&good, starttls);
        assert!(said.contains("Verification: OK"), "{said}");
    }
    for (certificate, fault) in [
        (Certificate::Expired, "certificate has expired"),
        (Certificate::WrongName, "hostname mismatch"),
        (Certificate::Untrusted, "unable to get local issuer"),
    ] {
        let bad = Dovecot::start_with(Options { certificate, ..Options::default() });
        let said = handshake(&bad, false);
        assert!(said.to_lowercase().contains(fault), "{said}");
    }
}

#[test]
fn a_server_may_have_no_tls() {
    let without = Dovecot::start_with(Options { no_tls: true, ..Options::default() });
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, without.imaps)).is_err());
    let said = talk(&without, "support", &["CAPABILITY"]);
    assert!(said.contains("t0 OK") && !said.contains("STARTTLS"), "{said}");
}
