//! An OAuth 2 provider that does what Google and Microsoft document (RFC 6749, RFC 7636, RFC 8628):
//! a page, device codes, a token server, tokens that run out, are renewed and taken back. It listens
//! on loopback, and every secret it gives holds [`CANARY`].

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use url::Url;

/// Stands in every secret of this provider.
pub const CANARY: &str = "canary7c1e";
/// The one program that is registered.
pub const CLIENT_ID: &str = "postroom-of-the-tests";
/// Its secret.
pub const CLIENT_SECRET: &str = "canary7c1e-client-secret";

/// Access tokens that open logins now; mail servers of the tests share it.
pub type TokenBook = Arc<Mutex<HashSet<String>>>;

/// A form, as it was posted.
pub type Form = BTreeMap<String, String>;

/// A running provider; it closes its port on drop.
#[derive(Debug)]
pub struct OauthProvider {
    /// Where it listens.
    pub port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    book: TokenBook,
}

#[derive(Debug)]
struct State {
    closed: bool,
    rotates: bool,
    expires_in: u64,
    given: usize,
    /// Codes from the page, with their challenge and where they were sent to.
    codes: HashMap<String, (String, String)>,
    /// Device codes, and whether somebody has agreed.
    devices: HashMap<String, bool>,
    refresh_tokens: HashSet<String>,
    /// What is answered next, before anything else is looked at.
    faults: VecDeque<(u16, String)>,
    /// What is answered to everything while it stands.
    outage: Option<(u16, String)>,
    /// Questions are held back until told otherwise.
    held: bool,
    asked: Vec<Form>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            closed: false,
            rotates: true,
            expires_in: 3_600,
            given: 0,
            codes: HashMap::new(),
            devices: HashMap::new(),
            refresh_tokens: HashSet::new(),
            faults: VecDeque::new(),
            outage: None,
            held: false,
            asked: Vec::new(),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn book(&self) -> MutexGuard<'_, HashSet<String>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OauthProvider {
    /// Starts a provider.
    ///
    /// # Panics
    /// If there is no port for it.
    pub fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        let port = listener.local_addr().expect("a bound listener has an address").port();
        let shared = Arc::new(Shared::default());
        let serving = Arc::clone(&shared);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                if serving.state().closed {
                    return;
                }
                let shared = Arc::clone(&serving);
                // A client that goes away in mid-word is the client's affair.
                thread::spawn(move || drop(serve(&shared, socket)));
            }
        });
        Self { port, shared }
    }

    /// An address of this provider.
    ///
    /// # Panics
    /// Never: it is an address.
    pub fn url(&self, path: &str) -> Url {
        Url::parse(&format!("http://127.0.0.1:{}{path}", self.port)).expect("it is an address")
    }

    /// The tokens that open logins now.
    pub fn book(&self) -> TokenBook {
        Arc::clone(&self.shared.book)
    }

    /// Whether a refresh gives a new refresh token and spends the old one, as Microsoft does, or
    /// leaves it as it is, as Google does.
    pub fn rotate(&self, rotates: bool) {
        self.shared.state().rotates = rotates;
    }

    /// Seconds that tokens are said to be good for from now on.
    pub fn expire_in(&self, seconds: u64) {
        self.shared.state().expires_in = seconds;
    }

    /// Access tokens open nothing any more; refresh tokens still give new ones.
    pub fn end_access(&self) {
        self.shared.book().clear();
    }

    /// The account's owner takes everything back.
    pub fn revoke(&self) {
        self.end_access();
        self.shared.state().refresh_tokens.clear();
    }

    /// Answers the next question so, whatever it is; `{form}` becomes all that was posted.
    pub fn fail_next(&self, status: u16, body: &str) {
        self.shared.state().faults.push_back((status, body.to_owned()));
    }

    /// Answers everything so from now on, or no longer.
    pub fn break_down(&self, how: Option<(u16, &str)>) {
        self.shared.state().outage = how.map(|(status, body)| (status, body.to_owned()));
    }

    /// Holds answers back, or lets them go.
    pub fn hold(&self, held: bool) {
        self.shared.state().held = held;
        self.shared.changed.notify_all();
    }

    /// Every form that was posted so far.
    pub fn asked(&self) -> Vec<Form> {
        self.shared.state().asked.clone()
    }

    /// How often it was asked for a token by this grant.
    pub fn count(&self, grant: &str) -> usize {
        self.asked().iter().filter(|form| form.get("grant_type").is_some_and(|given| given == grant)).count()
    }

    /// A person opens the page and agrees. Returns where they are sent.
    ///
    /// # Panics
    /// If the page is not asked for as the RFCs say.
    pub fn agree(&self, page: &str) -> Url {
        let (page, query) = self.opened(page);
        assert_eq!(page.path(), "/authorize");
        assert_eq!(query["response_type"], "code");
        assert_eq!(query["code_challenge_method"], "S256");
        assert_eq!(query["code_challenge"].len(), 43);
        let code = self.new_secret("code");
        let kept = (query["code_challenge"].clone(), query["redirect_uri"].clone());
        self.shared.state().codes.insert(code.clone(), kept);
        // Google adds its own parameters; Microsoft does likewise.
        back(&query, &[("code", &code), ("scope", "https://mail.google.com/"), ("authuser", "0")])
    }

    /// A person opens the page and does not agree. Returns where they are sent.
    ///
    /// # Panics
    /// If the page is not asked for as the RFCs say.
    pub fn deny(&self, page: &str) -> Url {
        let (_, query) = self.opened(page);
        back(&query, &[("error", "access_denied"), ("error_description", "no, thank you")])
    }

    fn opened(&self, page: &str) -> (Url, Form) {
        let page = Url::parse(page).expect("the page has an address");
        assert_eq!(page.port(), Some(self.port));
        let query: Form = page.query_pairs().into_owned().collect();
        assert_eq!(query["client_id"], CLIENT_ID);
        (page, query)
    }

    /// A person enters every code that was given out, and agrees.
    pub fn enter_codes(&self) {
        self.shared.state().devices.values_mut().for_each(|agreed| *agreed = true);
    }

    fn new_secret(&self, kind: &str) -> String {
        new_secret(&mut self.shared.state(), kind)
    }
}

impl Drop for OauthProvider {
    fn drop(&mut self) {
        self.shared.state().closed = true;
        self.hold(false);
        // Wakes the listener, which then sees that it is to end.
        drop(TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)));
    }
}

fn back(query: &Form, with: &[(&str, &str)]) -> Url {
    let mut back = Url::parse(&query["redirect_uri"]).expect("people are sent back somewhere");
    back.query_pairs_mut().extend_pairs(with).append_pair("state", &query["state"]);
    back
}

fn new_secret(state: &mut State, kind: &str) -> String {
    state.given += 1;
    format!("{CANARY}.{kind}.{}", state.given)
}

fn serve(shared: &Shared, mut socket: TcpStream) -> io::Result<()> {
    let (path, form) = read(&mut socket)?;
    let (status, body) = answer(shared, &path, &form);
    let head = format!(
        "HTTP/1.1 {status} Because\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Location: http://127.0.0.1:1/elsewhere\r\nConnection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes())?;
    socket.write_all(body.as_bytes())?;
    socket.shutdown(Shutdown::Write)
}

/// The path and the form of a POST.
fn read(socket: &mut TcpStream) -> io::Result<(String, Form)> {
    let mut bytes = Vec::new();
    let mut some = [0; 4_096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                let form = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
                return Ok((path, form));
            }
        }
        match socket.read(&mut some)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&some[..count]),
        }
    }
}

fn answer(shared: &Shared, path: &str, form: &Form) -> (u16, String) {
    let mut state = shared.state();
    state.asked.push(form.clone());
    shared.changed.notify_all();
    while state.held {
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
    if let Some((status, body)) = state.faults.pop_front() {
        let said: Vec<&str> = form.values().map(String::as_str).collect();
        return (status, body.replace("{form}", &said.join(" ")));
    }
    if let Some(outage) = &state.outage {
        return outage.clone();
    }
    if form.get("client_id").map(String::as_str) != Some(CLIENT_ID)
        || form.get("client_secret").is_some_and(|secret| secret != CLIENT_SECRET)
    {
        return fault("invalid_client", "AADSTS7000215: Invalid client secret provided.");
    }
    match path {
        "/device" => {
            let code = new_secret(&mut state, "device");
            state.devices.insert(code.clone(), false);
            let given = json!({
                "device_code": code, "user_code": "BDWP-HQPK", "expires_in": 900, "interval": 5,
                "verification_uri": "https://provider.example/device",
            });
            (200, given.to_string())
        }
        "/token" => match granted(&mut state, form) {
            Ok(refreshes) => given(shared, &mut state, refreshes),
            Err(refused) => refused,
        },
        _ => (404, String::new()),
    }
}

/// Whether a question is answered with tokens; a refresh token is among them where it is true.
fn granted(state: &mut State, form: &Form) -> Result<bool, (u16, String)> {
    let value = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    let invalid = || fault("invalid_grant", "Token has been expired or revoked.");
    match value("grant_type") {
        "authorization_code" => {
            let (challenge, redirect) = state.codes.remove(value("code")).ok_or_else(invalid)?;
            let made = URL_SAFE_NO_PAD.encode(Sha256::digest(value("code_verifier")));
            if made != challenge || redirect != value("redirect_uri") {
                return Err(invalid());
            }
            Ok(true)
        }
        "urn:ietf:params:oauth:grant-type:device_code" => match state.devices.get(value("device_code")) {
            Some(false) => Err(fault("authorization_pending", "")),
            Some(true) => {
                state.devices.remove(value("device_code"));
                Ok(true)
            }
            None => Err(fault("expired_token", "")),
        },
        "refresh_token" => {
            if !state.refresh_tokens.contains(value("refresh_token")) {
                return Err(invalid());
            }
            if state.rotates {
                state.refresh_tokens.remove(value("refresh_token"));
            }
            Ok(state.rotates)
        }
        "client_credentials" if value("client_secret") == CLIENT_SECRET => Ok(false),
        "client_credentials" => Err(fault("invalid_client", "")),
        _ => Err(fault("unsupported_grant_type", "")),
    }
}

fn given(shared: &Shared, state: &mut State, refreshes: bool) -> (u16, String) {
    let access = new_secret(state, "access");
    shared.book().insert(access.clone());
    let mut given = json!({"access_token": access, "token_type": "Bearer", "expires_in": state.expires_in});
    if refreshes {
        let refresh = new_secret(state, "refresh");
        state.refresh_tokens.insert(refresh.clone());
        given["refresh_token"] = Value::String(refresh);
    }
    (200, given.to_string())
}

fn fault(error: &str, description: &str) -> (u16, String) {
    (400, json!({"error": error, "error_description": description}).to_string())
}
