//! A real Dovecot for the tests: IMAP with STARTTLS on one port, with TLS from the first byte on
//! another, users in files, mail in Maildirs.

use crate::leash::{self, Leash, Owner, is_root};
use crate::maildir::{self, Stored};
use crate::ports;
use crate::tls::Certificate;
use crate::workdir::WorkDir;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// The password of every user.
pub const PASSWORD: &str = "correct-horse 9%&\"\\";

/// How a server differs from the usual one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// What it shows on both ports.
    pub certificate: Certificate,
    /// Offer no STARTTLS and no TLS at all.
    pub no_tls: bool,
}

/// A running Dovecot and the mail it serves. Both go away on drop.
#[derive(Debug)]
pub struct Dovecot {
    leash: Leash,
    /// Port of IMAP that starts in the clear and offers STARTTLS.
    pub imap: u16,
    /// Port of IMAP inside TLS.
    pub imaps: u16,
    options: Options,
    owner: Option<Owner>,
    dir: WorkDir,
}

impl Dovecot {
    /// Starts a server with the user `support`.
    ///
    /// # Panics
    /// If Dovecot is not installed or doesn't start.
    pub fn start() -> Self {
        Self::start_with(Options::default())
    }

    /// Starts a server that differs.
    ///
    /// # Panics
    /// If Dovecot is not installed or doesn't start.
    pub fn start_with(options: Options) -> Self {
        // Dovecot's master may be root; who reads mail may not.
        let owner = is_root().then(|| Owner::named("nobody").expect("every Linux has the user nobody"));
        let dir = WorkDir::new("imap");
        dir.folder("mail", owner);
        dir.folder("users", None);
        let (imap, imaps, leash) = launch(&dir, options, None);
        let dovecot = Self { leash, imap, imaps, options, owner, dir };
        dovecot.add_user("support");
        dovecot
    }

    /// Adds a user with an empty INBOX and the password [`PASSWORD`].
    ///
    /// # Panics
    /// If there is such a user.
    pub fn add_user(&self, user: &str) {
        let users = self.dir.join("users");
        assert!(!users.join(user).exists(), "{user} is there already");
        let Owner { uid, gid } = self.owner.unwrap_or_else(Owner::me);
        let home = self.dir.folder(Path::new("mail").join(user), self.owner);
        maildir::make(&home.join("Maildir"), self.owner);
        let line = format!("{user}:{{PLAIN}}{PASSWORD}:{uid}:{gid}::{}::\n", home.display());
        // A file of each user's own: Dovecot looks once a second at the most whether a file changed, and
        // refuses whoever came into it meanwhile.
        self.dir.write(Path::new("users").join(user), line);
    }

    /// Makes a folder; `/` in the name separates levels.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn make_folder(&self, user: &str, folder: &str) {
        maildir::make(&self.maildir(user, folder), self.owner);
    }

    /// Puts a mail into a folder as a delivery agent does: by a rename, in one step, making the
    /// folder where it is missing.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn deliver(&self, user: &str, folder: &str, raw: impl AsRef<[u8]>) {
        let path = self.maildir(user, folder);
        maildir::make(&path, self.owner);
        maildir::deliver(&path, raw.as_ref(), self.owner);
    }

    /// The mails of a folder in the order in which they were delivered, with their flags.
    ///
    /// # Panics
    /// If there is no such user or folder.
    pub fn stored(&self, user: &str, folder: &str) -> Vec<Stored> {
        maildir::stored(&self.maildir(user, folder))
    }

    /// The folder's Maildir, for tests that do something rare to it.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn maildir(&self, user: &str, folder: &str) -> PathBuf {
        let root = self.dir.join("mail").join(user).join("Maildir");
        assert!(root.is_dir(), "no user {user}: add_user makes one");
        if folder == "INBOX" { root } else { root.join(format!(".{}", folder.replace('/', "."))) }
    }

    /// Makes the folder get a new UIDVALIDITY and its mails new numbers, as after a server was
    /// restored from a backup or moved. Sessions that have the folder open are ended.
    ///
    /// # Panics
    /// If there is no such user or folder.
    pub fn lose_uidvalidity(&self, user: &str, folder: &str) {
        self.kill_sessions();
        for entry in fs::read_dir(self.maildir(user, folder)).expect("the folder is there").flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name == "dovecot-uidlist" || name.starts_with("dovecot.index") {
                fs::remove_file(entry.path()).expect("the folder is our own");
            }
        }
    }

    /// Kills every process that serves a logged-in client: their connections break in mid-word.
    /// Answers how many there were. Those who come back are served.
    pub fn kill_sessions(&self) -> usize {
        let all = leash::descendants(self.leash.pid());
        let sessions: Vec<u32> =
            all.into_iter().filter(|(_, name)| name == "imap").map(|(pid, _)| pid).collect();
        leash::signal("KILL", &sessions);
        sessions.len()
    }

    /// How many clients are logged in.
    pub fn sessions(&self) -> usize {
        leash::descendants(self.leash.pid()).iter().filter(|(_, name)| name == "imap").count()
    }

    /// Ends the server and all its sessions at once, as a crash would. The ports are closed then;
    /// [`start_again`](Self::start_again) brings it back on the same ones.
    pub fn kill(&mut self) {
        self.leash.kill();
    }

    /// Starts a killed server again, on the ports and with the mail it had.
    ///
    /// # Panics
    /// If it doesn't start.
    pub fn start_again(&mut self) {
        self.leash = launch(&self.dir, self.options, Some((self.imap, self.imaps))).2;
    }

    /// Waits until the server's log has a line with these words: `Login: user=<support>`, say.
    ///
    /// # Panics
    /// If it has none within a minute.
    pub fn wait_for_log(&self, words: &str) {
        self.leash.wait_for_line(words).unwrap_or_else(|log| panic!("{log}"));
    }

    /// How many lines of the log (its last 400) have these words.
    pub fn logged(&self, words: &str) -> usize {
        self.leash.log().iter().filter(|line| line.contains(words)).count()
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // An orderly stop takes a second, and nobody needs this server's mail any more.
        self.kill();
    }
}

/// Starts the server on the given ports, or on free ones.
fn launch(dir: &WorkDir, options: Options, ports: Option<(u16, u16)>) -> (u16, u16, Leash) {
    let program = program();
    let mut said = String::new();
    for _ in 0..3 {
        let (imap, imaps) = ports.unwrap_or_else(|| (ports::free(), ports::free()));
        let file = dir.write("dovecot.conf", configuration(dir.path(), options, imap, imaps));
        let command = [&*program.to_string_lossy(), "-F", "-c", &file.to_string_lossy()];
        let leash = Leash::start("Dovecot", &command, "TERM", None);
        // It listens before it says so.
        match leash.wait_for_line("starting up for imap") {
            Ok(()) => return (imap, imaps, leash),
            Err(log) => said = log,
        }
    }
    panic!("{said}");
}

fn configuration(dir: &Path, options: Options, imap: u16, imaps: u16) -> String {
    let (root, certificate) = (dir.display(), options.certificate);
    let (ssl, imaps) = if options.no_tls { ("no", 0) } else { ("yes", imaps) };
    // As root Dovecot drops to the users of its Debian package; anybody else stays who he is,
    // and may not lock processes into folders.
    let users = if is_root() {
        String::new()
    } else {
        let (user, group) = Owner::me().names().expect("whoever runs this stands in /etc/passwd");
        let services = ["anvil", "imap-login", "stats", "auth", "config", "log", "dict", "director"];
        let unlocked: Vec<String> =
            services.map(|name| format!("service {name} {{\n  chroot =\n}}\n")).into();
        format!(
            "default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n{}",
            unlocked.concat()
        )
    };
    format!(
        "base_dir = {root}/run
state_dir = {root}/state
log_path = /dev/stderr
protocols = imap
listen = 127.0.0.1
ssl = {ssl}
ssl_cert = <{certificate_file}
ssl_key = <{key_file}
ssl_min_protocol = TLSv1.2
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
mail_location = maildir:~/Maildir
mailbox_list_index = no
mail_max_userip_connections = 200
first_valid_uid = 1
last_valid_uid = 0
first_valid_gid = 1
{users}passdb {{
  driver = passwd-file
  args = scheme=PLAIN {root}/users/%u
}}
userdb {{
  driver = passwd-file
  args = {root}/users/%u
}}
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  process_min_avail = 1
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = {imaps}
    ssl = yes
  }}
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
",
        certificate_file = certificate.file().display(),
        key_file = certificate.key_file().display(),
    )
}

fn program() -> PathBuf {
    let searched = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&searched).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders
        .map(|folder| folder.join("dovecot"))
        .find(|file| file.is_file())
        .expect("Dovecot is not installed; tests/run installs what the tests need")
}

#[cfg(test)]
#[path = "dovecot_tests.rs"]
mod tests;
