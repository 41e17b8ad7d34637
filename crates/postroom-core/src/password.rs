//! Passwords: what is one, and how one is kept.
//!
//! A password is compared as NFKC, so that each keyboard's way of typing a character will do. It is long rather
//! than of many kinds of characters: rules of composition make people write `Password1!`.

use crate::Error;
use crate::error::Faults;
use crate::people::Agent;
use crate::store::StoreError;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization;

/// Characters that a password has at least.
pub const SHORTEST: usize = 12;
/// Characters that a password has at most.
pub const LONGEST: usize = 256;

/// What it costs to try one password (argon2id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// What OWASP asks for at least: 19 MiB, two passes, one lane.
    fn default() -> Self {
        Self { memory_kib: 19 * 1024, passes: 2 }
    }
}

/// The commonest passwords that are long enough, in lower case.
const COMMON: [&str; 40] = [
    "000000000000",
    "111111111111",
    "112233445566",
    "121212121212",
    "123123123123",
    "123456123456",
    "1234567890123",
    "123456789012",
    "1234567891011",
    "123456789101112",
    "1234567890qwe",
    "1q2w3e4r5t6y",
    "1q2w3e4r5t6y7u8i",
    "1qaz2wsx3edc",
    "1qaz2wsx3edc4rfv",
    "abcdefghijkl",
    "abcdefghijklmnop",
    "adminadminadmin",
    "administrator",
    "changemechangeme",
    "correct horse battery staple",
    "correcthorsebatterystaple",
    "helpdeskhelpdesk",
    "iloveyouiloveyou",
    "letmeinletmein",
    "manchesterunited",
    "passw0rd1234",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "postroompostroom",
    "q1w2e3r4t5y6",
    "qazwsxedcrfv",
    "qwerty123456",
    "qwertyqwerty",
    "qwertyuiop123",
    "qwertyuiopasdfgh",
    "qwertzuiopasdf",
    "supportsupport",
];

/// Notes what speaks against a new password of this agent's.
pub fn check(faults: &mut Faults, pointer: &str, password: &str, agent: &Agent) {
    let plain: String = password.nfkc().collect();
    let length = plain.chars().count();
    if length < SHORTEST {
        faults.add(pointer, "too_short", format!("has at least {SHORTEST} characters"));
    }
    if length > LONGEST {
        faults.add(pointer, "too_long", format!("has at most {LONGEST} characters"));
    }
    if plain.contains('\0') {
        faults.add(pointer, "nul_character", "must not hold U+0000");
    }
    let folded = crate::text::fold(plain.trim());
    let local = agent.email.split('@').next().unwrap_or_default();
    let own = [agent.email.as_str(), local, agent.name.as_str()];
    let is_own = own.iter().any(|own| folded == crate::text::fold(own));
    let first = folded.chars().next();
    let is_one_character = folded.chars().all(|character| Some(character) == first);
    if is_own || is_one_character || COMMON.contains(&folded.as_str()) {
        faults.add(pointer, "too_common", "is among the first that others would try; choose another");
    }
}

/// Tries and hashes passwords, a few at a time: each takes its memory and a processor for a while.
#[derive(Debug)]
pub struct Passwords {
    cost: Cost,
    /// How many at once.
    seats: Arc<Semaphore>,
    /// How many at once or waiting.
    queue: Arc<Semaphore>,
    runs: AtomicU64,
}

/// What came of trying a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tried {
    /// It is not the one.
    Wrong,
    /// It is; with the hash that should be kept from now on, where that is another.
    Right(Option<String>),
}

impl Passwords {
    /// Of this cost, so many at once.
    pub fn new(cost: Cost, at_once: usize) -> Self {
        let at_once = at_once.max(1);
        Self {
            cost,
            seats: Arc::new(Semaphore::new(at_once)),
            queue: Arc::new(Semaphore::new(at_once * 16)),
            runs: AtomicU64::new(0),
        }
    }

    /// How often the hash was reckoned since the start: that it is for whoever is not known shows here, and no
    /// clock has to be asked.
    pub fn runs(&self) -> u64 {
        self.runs.load(Ordering::Relaxed)
    }

    fn argon2(&self) -> Result<Argon2<'static>, Error> {
        let params = Params::new(self.cost.memory_kib, self.cost.passes, 1, None).map_err(|_| failed())?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }

    /// Waits for a turn; where too many wait, the caller may come again.
    pub(crate) async fn turn(&self) -> Result<Turn, Error> {
        let queued = self.queue.clone().try_acquire_owned().map_err(|_| Error::Busy)?;
        let seat = self.seats.clone().acquire_owned().await.map_err(|_| Error::Busy)?;
        Ok(Turn { _seat: seat, _queued: queued })
    }

    /// The hash to keep of a password, with a salt of its own. Blocks.
    pub(crate) fn hash(&self, password: &str) -> Result<String, Error> {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let plain: String = password.nfkc().collect();
        let mut salt = [0_u8; 16];
        rand::fill(&mut salt);
        let hash = self.argon2()?.hash_password_with_salt(plain.as_bytes(), &salt).map_err(|_| failed())?;
        Ok(hash.to_string())
    }

    /// Tries a password. Where there is none to try it against, as much is reckoned. Blocks.
    pub(crate) fn try_one(&self, password: &str, kept: Option<&str>) -> Result<Tried, Error> {
        let Some(kept) = kept else {
            self.hash(password)?;
            return Ok(Tried::Wrong);
        };
        self.runs.fetch_add(1, Ordering::Relaxed);
        let plain: String = password.nfkc().collect();
        let hash = PasswordHash::new(kept).map_err(|_| Error::Lost("the hash of a password".to_owned()))?;
        if self.argon2()?.verify_password(plain.as_bytes(), &hash).is_err() {
            return Ok(Tried::Wrong);
        }
        let wanted = (Some(self.cost.memory_kib), Some(self.cost.passes));
        let is_current = (hash.params.get_decimal("m"), hash.params.get_decimal("t")) == wanted;
        Ok(Tried::Right(if is_current { None } else { Some(self.hash(password)?) }))
    }
}

/// A turn at trying passwords, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _seat: tokio::sync::OwnedSemaphorePermit,
    _queued: tokio::sync::OwnedSemaphorePermit,
}

fn failed() -> Error {
    Error::Store { doing: "hashing a password", source: StoreError::Died }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Role;
    use crate::id::AgentId;
    use crate::time::Timestamp;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1 };

    fn told(password: &str) -> Vec<&'static str> {
        let agent = Agent {
            id: AgentId(1),
            name: "Amelia Earhart".to_owned(),
            email: "amelia.earhart@example.org".to_owned(),
            role: Role::Agent,
            custom_role_id: None,
            signature: None,
            bounce_notices: true,
            disabled_at: None,
            version: 1,
            created_at: Timestamp(0),
            updated_at: Timestamp(0),
        };
        let mut faults = Faults::default();
        check(&mut faults, "/password", password, &agent);
        match faults.check() {
            Err(Error::Invalid(faults)) => faults.into_iter().map(|fault| fault.code).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn a_password_is_long_and_not_the_first_one_would_try() {
        assert_eq!(told("a pier in fog"), [""; 0]);
        assert_eq!(told("elf1 zeichen"), [""; 0], "12");
        assert_eq!(told("elf zeichen"), ["too_short"], "11");
        assert_eq!(told(&"xy".repeat(128)), [""; 0], "256");
        assert_eq!(told(&format!("{}z", "xy".repeat(128))), ["too_long"], "257");
        for common in [
            "Password1234",
            "AMELIA.EARHART@example.org",
            "amelia.earhart",
            "amelia earhart",
            "zzzzzzzzzzzzz",
            "Correct Horse Battery Staple",
        ] {
            assert_eq!(told(common), ["too_common"], "{common}");
        }
        assert_eq!(told("a pier\0in fog"), ["nul_character"]);
    }

    #[test]
    fn the_commonest_are_long_enough_to_be_looked_for() {
        for common in COMMON {
            assert!(common.chars().count() >= SHORTEST, "{common}");
            assert_eq!(crate::text::fold(common), common);
        }
    }

    #[test]
    fn a_password_is_known_again_and_hashed_anew_where_the_cost_has_changed() {
        let passwords = Passwords::new(CHEAP, 1);
        let kept = passwords.hash("a pier in fog").expect("a hash");
        assert!(kept.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{kept}");
        assert_ne!(passwords.hash("a pier in fog").expect("a hash"), kept, "each has its own salt");
        assert_eq!(passwords.try_one("a pier in fog", Some(&kept)).ok(), Some(Tried::Right(None)));
        assert_eq!(passwords.try_one("a pier in fo", Some(&kept)).ok(), Some(Tried::Wrong));
        assert_eq!(passwords.try_one("a pier in fog", None).ok(), Some(Tried::Wrong));
        assert_eq!(passwords.runs(), 5);
        let dearer = Passwords::new(Cost { memory_kib: 128, ..CHEAP }, 1);
        let Ok(Tried::Right(Some(anew))) = dearer.try_one("a pier in fog", Some(&kept)) else {
            panic!("it is hashed anew")
        };
        assert_eq!(dearer.try_one("a pier in fog", Some(&anew)).ok(), Some(Tried::Right(None)));
        assert!(passwords.try_one("a pier in fog", Some("")).is_err());
    }

    #[test]
    fn each_way_of_typing_a_character_will_do() {
        let passwords = Passwords::new(CHEAP, 1);
        let kept = passwords.hash("schl\u{fc}ssel am haken").expect("a hash");
        assert_eq!(
            passwords.try_one("schlu\u{308}ssel am haken", Some(&kept)).ok(),
            Some(Tried::Right(None))
        );
    }
}
