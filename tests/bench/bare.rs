//! What no API of actix-web's can be faster than: a process with a handler that answers bytes it has.

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpResponse, HttpServer};
use std::net::{Ipv4Addr, SocketAddr};
use std::{env, fs};
use support::leash::Leash;
use support::ports;
use support::workdir::WorkDir;

/// Threads that answer: as many as the daemon has unless it is told otherwise.
const WORKERS: usize = 2;

/// A server that answers some bytes to whatever it is asked.
pub struct Bare {
    /// Where it listens.
    pub address: SocketAddr,
    _leash: Leash,
    _dir: WorkDir,
}

impl Bare {
    /// Starts it in a process of its own.
    pub fn start(body: &[u8]) -> Self {
        let dir = WorkDir::new("bare");
        let file = dir.join("body");
        fs::write(&file, body).expect("a file can be written");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, ports::free()));
        let program = env::current_exe().expect("a program knows where it is");
        let (listen, file) = (address.to_string(), file.to_string_lossy());
        let leash =
            Leash::start("bare", &[&*program.to_string_lossy(), "bare", &listen, &*file], "TERM", None);
        leash.wait_for_line("listens on").expect("the server starts");
        Self { address, _leash: leash, _dir: dir }
    }
}

/// Runs as that process where it is asked for; does it end, so does the program.
pub fn run_if_asked() -> bool {
    let arguments: Vec<String> = env::args().collect();
    let [_, word, listen, file] = &arguments[..] else { return false };
    if word != "bare" {
        return false;
    }
    let body = Data::new(Bytes::from(fs::read(file).expect("the file is there")));
    let answer = |body: Data<Bytes>| async move {
        HttpResponse::Ok().content_type("application/json").body(body.get_ref().clone())
    };
    let server = move || App::new().app_data(body.clone()).default_service(web::to(answer));
    let server = HttpServer::new(server).workers(WORKERS).bind(listen).expect("the port is free").run();
    eprintln!("listens on {listen}");
    actix_web::rt::System::new().block_on(server).expect("the server runs");
    true
}
