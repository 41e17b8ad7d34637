//! What a mailbox's set-up must be like. Every fault is named at once.

use super::{MailboxChange, NewMailbox};
use crate::Error;
use crate::error::Faults;
use crate::mailbox::{
    AUTO, AfterIngest, AuthMethod, Delivery, Import, Mailbox, Security, Source, folder_name,
};

/// Bounds of the time between two polls, in seconds.
const POLL_SECONDS: std::ops::RangeInclusive<i32> = 5..=86_400;

/// Bounds of the time in which an answer can be taken back, in seconds.
const UNDO_SECONDS: std::ops::RangeInclusive<i32> = 0..=600;

/// Checks a mailbox to be made.
pub(super) fn new_mailbox(new: &NewMailbox) -> Result<(), Error> {
    let mut faults = Faults::default();
    faults.line("/name", &new.name, 200);
    address(&mut faults, &new.address);
    addresses(&mut faults, "/aliases", &new.aliases);
    addresses(&mut faults, "/relay_addresses", &new.relay_addresses);
    servers(&mut faults, &new.trusted_authserv_ids);
    interval(&mut faults, new.poll_interval_seconds);
    undo(&mut faults, new.undo_seconds);
    if let Some(group) = &new.group {
        faults.line("/group", group, 100);
        if group.starts_with("mailbox ") {
            faults.add("/group", "reserved", "must not begin with \"mailbox \"");
        }
    }
    source(&mut faults, &new.source, new.source_password.is_some());
    delivery(&mut faults, &new.delivery, new.delivery_password.is_some());
    faults.check()
}

/// Checks a change. A password that is kept already need not be given again.
pub(super) fn change(before: &Mailbox, change: &MailboxChange) -> Result<(), Error> {
    let mut faults = Faults::default();
    if let Some(name) = &change.name {
        faults.line("/name", name, 200);
    }
    if let Some(new) = &change.address {
        address(&mut faults, new);
    }
    if let Some(new) = &change.aliases {
        addresses(&mut faults, "/aliases", new);
    }
    if let Some(new) = &change.relay_addresses {
        addresses(&mut faults, "/relay_addresses", new);
    }
    if let Some(new) = &change.trusted_authserv_ids {
        servers(&mut faults, new);
    }
    if let Some(new) = change.poll_interval_seconds {
        interval(&mut faults, new);
    }
    if let Some(new) = change.undo_seconds {
        undo(&mut faults, new);
    }
    if let Some(new) = &change.source {
        // A password is bound to the server it was given for: another server must not get it.
        let same = same_source_server(&before.source, new);
        source(&mut faults, new, change.source_password.is_some() || same);
    }
    if let Some(new) = &change.delivery {
        let same = same_delivery_server(&before.delivery, new);
        delivery(&mut faults, new, change.delivery_password.is_some() || same);
    }
    faults.check()
}

/// Whether two sources are one account, whose mails keep their numbers.
pub(super) fn is_same_place(before: &Source, after: &Source) -> bool {
    match (before, after) {
        (Source::Maildir { path: a }, Source::Maildir { path: b }) => a == b,
        (Source::Push {}, Source::Push {}) => true,
        _ => same_source_server(before, after),
    }
}

/// What is done on the server to mail that came in, where there is a server.
pub(super) fn after_ingest(source: &Source) -> Option<&AfterIngest> {
    match source {
        Source::Imap { after_ingest, .. } => Some(after_ingest),
        _ => None,
    }
}

fn same_source_server(before: &Source, after: &Source) -> bool {
    match (before, after) {
        (Source::Imap { host: a, username: b, .. }, Source::Imap { host: c, username: d, .. }) => {
            a == c && b == d
        }
        _ => false,
    }
}

fn same_delivery_server(before: &Delivery, after: &Delivery) -> bool {
    match (before, after) {
        (Delivery::Smtp { host: a, username: b, .. }, Delivery::Smtp { host: c, username: d, .. }) => {
            a == c && b == d
        }
        _ => false,
    }
}

fn address(faults: &mut Faults, address: &str) {
    faults.email("/address", address);
}

fn addresses(faults: &mut Faults, pointer: &str, addresses: &[String]) {
    if addresses.len() > 200 {
        faults.add(pointer, "too_many", "has at most 200 members");
    }
    for (index, address) in addresses.iter().take(200).enumerate() {
        faults.email(&format!("{pointer}/{index}"), address);
    }
}

fn servers(faults: &mut Faults, servers: &[String]) {
    if servers.len() > 20 {
        faults.add("/trusted_authserv_ids", "too_many", "has at most 20 members");
    }
    for (index, server) in servers.iter().take(20).enumerate() {
        faults.line(&format!("/trusted_authserv_ids/{index}"), server, 255);
    }
}

fn interval(faults: &mut Faults, seconds: i32) {
    if !POLL_SECONDS.contains(&seconds) {
        faults.add("/poll_interval_seconds", "out_of_range", "must be 5 to 86400");
    }
}

fn undo(faults: &mut Faults, seconds: i32) {
    if !UNDO_SECONDS.contains(&seconds) {
        faults.add("/undo_seconds", "out_of_range", "must be 0 to 600");
    }
}

fn source(faults: &mut Faults, source: &Source, has_password: bool) {
    match source {
        Source::Imap {
            host: name,
            port,
            security,
            username,
            auth,
            folders,
            after_ingest,
            import,
            sent_folder,
            junk_folder,
            ca_file,
        } => {
            host(faults, "/source", name, *port, *security);
            faults.line("/source/username", username, 255);
            if !has_password && *auth == AuthMethod::Password {
                faults.add("/source/password", "required", "the IMAP login needs a password");
            }
            if folders.is_empty() || folders.len() > 50 {
                faults.add("/source/folders", "out_of_range", "must name 1 to 50 folders");
            }
            for (index, folder) in folders.iter().take(50).enumerate() {
                faults.line(&format!("/source/folders/{index}"), folder, 255);
                if is_among(&folders[..index], folder) {
                    let pointer = format!("/source/folders/{index}");
                    faults.add(pointer, "is_watched", "must not name a folder twice");
                }
            }
            let special = [("sent_folder", sent_folder), ("junk_folder", junk_folder)];
            for (member, folder) in special.iter().filter_map(|(name, folder)| Some((name, folder.as_ref()?)))
            {
                let pointer = format!("/source/{member}");
                faults.line(&pointer, folder, 255);
                let twice = folder != AUTO
                    && special.iter().filter(|(_, other)| names(other.as_deref(), folder)).count() > 1;
                if is_among(folders, folder) || twice {
                    faults.add(pointer, "is_watched", "must not be a folder that is read as another");
                }
            }
            match after_ingest {
                AfterIngest::Move { folder } => {
                    faults.line("/source/after_ingest/folder", folder, 255);
                    let is_special = special.iter().any(|(_, special)| names(special.as_deref(), folder));
                    if is_among(folders, folder) || is_special {
                        faults.add(
                            "/source/after_ingest/folder",
                            "is_watched",
                            "must not be a folder that is read",
                        );
                    }
                }
                AfterIngest::Delete { after_days } if *after_days > 3_650 => {
                    faults.add("/source/after_ingest/after_days", "out_of_range", "must be 0 to 3650");
                }
                _ => {}
            }
            if let Import::Since { date } = import
                && date.parse::<jiff::civil::Date>().is_err()
            {
                faults.add("/source/import/date", "invalid_date", "must be a day such as 2026-01-31");
            }
            if let Some(path) = ca_file {
                file(faults, "/source/ca_file", path);
            }
        }
        Source::Maildir { path } => file(faults, "/source/path", path),
        Source::Push {} => {}
    }
}

/// Whether a setting names a folder.
fn names(setting: Option<&str>, folder: &str) -> bool {
    setting.is_some_and(|setting| folder_name(setting) == folder_name(folder))
}

fn is_among(folders: &[String], folder: &str) -> bool {
    folders.iter().any(|other| names(Some(other), folder))
}

fn delivery(faults: &mut Faults, delivery: &Delivery, has_password: bool) {
    if let Delivery::Smtp { host: name, port, security, username, auth, ca_file } = delivery {
        host(faults, "/delivery", name, *port, *security);
        if let Some(username) = username {
            faults.line("/delivery/username", username, 255);
            if !has_password && *auth == AuthMethod::Password {
                faults.add("/delivery/password", "required", "a login needs a password");
            }
        } else if *auth == AuthMethod::Oauth2 {
            faults.add("/delivery/username", "required", "a login by token needs a username");
        }
        if let Some(path) = ca_file {
            file(faults, "/delivery/ca_file", path);
        }
    }
}

fn host(faults: &mut Faults, pointer: &str, host: &str, port: u16, security: Security) {
    let member = format!("{pointer}/host");
    faults.line(&member, host, 255);
    if !host.trim().is_empty() && !is_host(host) {
        faults.add(member, "invalid_host", "must be a name such as imap.example.org, or an address");
    }
    if port == 0 {
        faults.add(format!("{pointer}/port"), "out_of_range", "must be 1 to 65535");
    }
    if security == Security::None && !is_loopback(host) {
        faults.add(
            format!("{pointer}/security"),
            "not_secure",
            "\"none\" is for this very machine (127.0.0.1, ::1, localhost) alone; use tls or starttls",
        );
    }
}

/// A name of letters, digits, hyphens and dots (RFC 1123 section 2.1; underscores are met with inside
/// of networks), or an IP address.
fn is_host(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    host.parse::<std::net::IpAddr>().is_ok()
        || host.strip_suffix('.').unwrap_or(host).split('.').all(is_label)
}

/// By its literal text: a name that merely resolves to loopback today may not tomorrow.
fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn file(faults: &mut Faults, pointer: &str, path: &str) {
    faults.line(pointer, path, 4_096);
    if !path.starts_with('/') {
        faults.add(pointer, "not_absolute", "must be a full path, from the root");
    }
}
