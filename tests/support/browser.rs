//! A real browser, headless, and what is served to it on loopback: pages by path, and a listener
//! that hears of every connection to any other host.

use crate::workdir::WorkDir;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use flate2::{Compression, Crc};
use std::collections::HashMap;
use std::env;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Chromium, where it is installed.
pub fn chromium() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let folders: Vec<PathBuf> = env::split_paths(&path).collect();
    let programs = ["chromium", "chromium-browser", "google-chrome"];
    programs.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|p| p.is_file())
}

/// A web server that ends when it is dropped. It answers with the page of a path, and remembers
/// the first bytes of every connection.
pub struct Pages {
    /// Where it listens.
    pub address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    serving: Option<JoinHandle<()>>,
}

impl Pages {
    /// With HTML pages by path.
    pub fn start(pages: HashMap<String, String>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (heard, ends) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (noted, stop) = (Arc::clone(&heard), Arc::clone(&ends));
        let pages = Arc::new(pages);
        let serving = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (noted, pages) = (Arc::clone(&noted), Arc::clone(&pages));
                std::thread::spawn(move || serve(stream, &noted, &pages));
            }
        });
        Self { address, heard, ends, serving: Some(serving) }
    }

    /// How each connection began.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut stream: TcpStream, noted: &Mutex<Vec<String>>, pages: &HashMap<String, String>) {
    let mut bytes = [0; 4096];
    // A browser that opens a connection in advance and says nothing holds up nobody.
    let length = match stream.set_read_timeout(Some(Duration::from_secs(30))) {
        Ok(()) => stream.read(&mut bytes).unwrap_or(0),
        Err(_) => 0,
    };
    let said = String::from_utf8_lossy(&bytes[..length]).into_owned();
    let path = said.split(' ').nth(1).unwrap_or_default().to_owned();
    noted.lock().unwrap_or_else(PoisonError::into_inner).push(said);
    let (status, page) = pages.get(&path).map_or(("404 Not Found", ""), |page| ("200 OK", page.as_str()));
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // Who hangs up early wanted no answer.
    let _sent = stream.write_all(answer.as_bytes());
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let (Ok(_), Some(serving)) = (TcpStream::connect(self.address), self.serving.take()) {
            serving.join().expect("the web server did not panic");
        }
    }
}

/// Runs the browser on `http://frame.example/`, which `page` serves; every other host under
/// `.example` is `others`. Returns what it prints.
pub fn run(chromium: &Path, page: &Pages, others: &Pages, dir: &WorkDir, arguments: &[&str]) -> String {
    visit(chromium, "frame.example", page, others, dir, arguments)
}

/// [`run`] on another host under `.example`.
pub fn visit(
    chromium: &Path,
    host: &str,
    page: &Pages,
    others: &Pages,
    dir: &WorkDir,
    arguments: &[&str],
) -> String {
    let profile = dir.join("profile");
    let output = Command::new(chromium)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--hide-scrollbars", "--no-proxy-server"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--host-resolver-rules=MAP {host} {}, MAP *.example {}", page.address, others.address))
        .args(arguments)
        .arg(format!("http://{host}/"))
        .output()
        .expect("the browser starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A PNG of one colour.
pub fn png(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    let row: Vec<u8> = std::iter::once(0).chain((0..width).flat_map(|_| colour)).collect();
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&row.repeat(height as usize)).expect("memory takes it");
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 2, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let data = packed.finish().expect("memory takes it");
    for (kind, data) in [(b"IHDR", header), (b"IDAT", data), (b"IEND", Vec::new())] {
        let mut crc = Crc::new();
        crc.update(kind);
        crc.update(&data);
        file.extend((data.len() as u32).to_be_bytes());
        file.extend(kind);
        file.extend(data);
        file.extend(crc.sum().to_be_bytes());
    }
    file
}

/// How many pixels of a PNG (8 bits, RGB or RGBA, not interlaced) have a colour.
pub fn pixels(png: &[u8], colour: [u8; 3]) -> usize {
    let (mut at, mut packed, mut width, mut size) = (8, Vec::new(), 0, 3);
    while at + 12 <= png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().expect("four bytes")) as usize;
        let data = &png[at + 8..at + 8 + length];
        match &png[at + 4..at + 8] {
            b"IHDR" => {
                width = u32::from_be_bytes(data[..4].try_into().expect("four bytes")) as usize;
                size = if data[9] == 6 { 4 } else { 3 };
                assert!(data[8] == 8 && matches!(data[9], 2 | 6) && data[12] == 0, "{data:?}");
            }
            b"IDAT" => packed.extend_from_slice(data),
            _ => {}
        }
        at += 12 + length;
    }
    let mut raw = Vec::new();
    ZlibDecoder::new(packed.as_slice()).read_to_end(&mut raw).expect("a whole picture");
    let mut above = vec![0_u8; width * size];
    let mut count = 0;
    for line in raw.chunks(1 + width * size) {
        let mut row = line[1..].to_vec();
        for x in 0..row.len() {
            let left = if x >= size { row[x - size] } else { 0 };
            let corner = if x >= size { above[x - size] } else { 0 };
            row[x] = row[x].wrapping_add(predicted(line[0], left, above[x], corner));
        }
        count += row.chunks(size).filter(|pixel| pixel[..3] == colour).count();
        above = row;
    }
    count
}

/// What a filter adds to a byte (PNG section 9.2).
fn predicted(filter: u8, left: u8, up: u8, corner: u8) -> u8 {
    let (a, b, c) = (i32::from(left), i32::from(up), i32::from(corner));
    match filter {
        1 => left,
        2 => up,
        3 => i32::midpoint(a, b) as u8,
        4 => {
            let near = |value: i32| (a + b - c - value).abs();
            if near(a) <= near(b) && near(a) <= near(c) {
                left
            } else if near(b) <= near(c) {
                up
            } else {
                corner
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{pixels, png};

    #[test]
    fn a_picture_is_read_as_it_was_written() {
        let picture = png(30, 20, [255, 0, 128]);
        assert_eq!(pixels(&picture, [255, 0, 128]), 600);
        assert_eq!(pixels(&picture, [255, 0, 129]), 0);
    }
}
