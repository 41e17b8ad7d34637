//! A real Postfix for the tests: it takes mail on a loopback port and delivers it into Maildirs, sends
//! bounces back, and lets nothing leave the machine. Its master must be root.

use crate::leash::{Leash, Owner, is_root};
use crate::ports;
use crate::workdir::WorkDir;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian keeps its programs.
const PROGRAMS: &str = "/usr/lib/postfix/sbin";

/// A running Postfix and the mail that it delivered. Both go away on drop.
#[derive(Debug)]
pub struct Postfix {
    leash: Leash,
    /// The port of SMTP, in the clear.
    pub port: u16,
    dir: WorkDir,
}

impl Postfix {
    /// Starts a server for `example.org` with these users there; `None` where this process is not root,
    /// which Postfix asks for.
    ///
    /// # Panics
    /// If Postfix is not installed or doesn't start.
    pub fn start(users: &[&str]) -> Option<Self> {
        if !is_root() {
            eprintln!("skipped: only root can start Postfix");
            return None;
        }
        let dir = WorkDir::new("postfix");
        let nobody = Owner::named("nobody").expect("every Linux has the user nobody");
        dir.folder("mail", Some(nobody));
        dir.folder("data", Some(Owner::named("postfix").expect("Postfix's package makes the user")));
        dir.folder("queue", None);
        dir.folder("conf", None);
        let mut said = String::new();
        for _ in 0..3 {
            let port = ports::free();
            dir.write("conf/main.cf", main_cf(dir.path(), users, nobody));
            dir.write("conf/master.cf", master_cf(port));
            let conf = dir.join("conf");
            let conf = conf.to_string_lossy();
            // Makes the folders of its queue.
            let checked = Command::new("/usr/sbin/postfix").args(["-c", &conf, "check"]).output();
            let checked = checked.expect("Postfix is installed; tests/run installs what the tests need");
            assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
            let master = format!("{PROGRAMS}/master");
            let leash = Leash::start("Postfix", &[&master, "-c", &conf, "-d"], "TERM", None);
            // It listens before it says so.
            match leash.wait_for_line("daemon started") {
                Ok(()) => return Some(Self { leash, port, dir }),
                Err(log) => said = log,
            }
        }
        panic!("{said}");
    }

    /// The Maildir of a user.
    pub fn maildir(&self, user: &str) -> PathBuf {
        self.dir.join("mail").join(user)
    }

    /// What it logged last.
    pub fn log(&self) -> Vec<String> {
        self.leash.log()
    }
}

fn main_cf(root: &Path, users: &[&str], nobody: Owner) -> String {
    let root = root.display();
    let boxes: Vec<String> = users.iter().map(|user| format!("{{{user}@example.org={user}/}}")).collect();
    format!(
        "compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
mail_owner = postfix
setgid_group = postdrop
command_directory = /usr/sbin
daemon_directory = {PROGRAMS}
meta_directory = /etc/postfix
myhostname = mx.example.org
mydestination =
inet_interfaces = loopback-only
inet_protocols = ipv4
maillog_file = /dev/stdout
virtual_mailbox_domains = example.org
virtual_mailbox_base = {root}/mail
virtual_mailbox_maps = inline:{{ {boxes} }}
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
recipient_delimiter = +
smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination
# Who does not exist is told by a bounce, as behind a relay.
smtpd_reject_unlisted_recipient = no
default_transport = error:5.4.4 no mail leaves the tests
",
        boxes = boxes.join(" "),
        uid = nobody.uid,
        gid = nobody.gid,
    )
}

fn master_cf(port: u16) -> String {
    format!(
        "127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"
    )
}
