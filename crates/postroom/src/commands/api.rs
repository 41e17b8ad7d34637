//! `postroom api METHOD PATH`: one request to a desk that runs somewhere, for scripts. Neither a
//! configuration nor a database is needed for it.

mod call;
mod show;

use crate::config::variable;
use anyhow::{Context, anyhow, bail};
use call::{Ask, Caller, Lost};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use show::{As, Shown};
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

/// There was no answer.
const NO_ANSWER: u8 = 3;
/// Asked and answered: the request was refused.
const REFUSED: u8 = 4;
/// Asked and answered: the desk could not.
const FAILED: u8 = 5;
/// The command line makes no sense.
const USAGE: u8 = 2;

/// Where a desk listens that was not told otherwise.
const HERE: &str = "http://127.0.0.1:8080";

const MORE_HELP: &str = "\
The token comes from --token-file, from POSTROOM_TOKEN, or from the file that POSTROOM_TOKEN_FILE names; there is \
no flag for the token itself, which everybody on this machine could read. Without any, nobody asks.

A POST is sent with an Idempotency-Key, so that it is done once however often it is sent. A request that was \
not done (503, 429), or got no answer and may be sent again, is sent again; after three tries more it is given up.

Exit codes: 0 done; 1 something failed here (a file, a full disk); 2 the command line makes no sense; 3 there was \
no answer; 4 the desk refused (4xx); 5 the desk failed (5xx). What was refused is said in a line on standard \
error; with `-o json` the problem document is on standard output.

Examples:
  postroom api GET /conversations -q status=open --all -o ids
  postroom api POST /conversations -d @new.json
  echo '{\"status\": \"closed\"}' | postroom api PATCH /conversations/12 -d @-
  postroom api POST /attachments -q filename=a.pdf -H 'Content-Type: application/octet-stream' -d @a.pdf
  postroom api GET /events/stream";

#[derive(Debug, clap::Args)]
#[command(after_help = MORE_HELP)]
pub(super) struct Arguments {
    /// GET, POST, PUT, PATCH, DELETE or HEAD.
    #[arg(value_parser = method)]
    method: Method,
    /// What is asked for: `/conversations` is short for `/api/v1/conversations`.
    path: String,
    /// Where the desk is; else POSTROOM_URL, else http://127.0.0.1:8080.
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// A file with the token; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A parameter of the query; again for each.
    #[arg(short, long = "query", value_name = "KEY=VALUE", value_parser = pair)]
    query: Vec<(String, String)>,
    /// The body: text, @FILE, or @- for standard input. JSON, unless a header says otherwise.
    #[arg(short, long, value_name = "BODY", allow_hyphen_values = true)]
    data: Option<String>,
    /// A header, `Name: value`; again for each.
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Reads a list to its end, page by page.
    #[arg(long)]
    all: bool,
    /// How to answer: the JSON as it is, the ids of what is in it a line each, or a table.
    #[arg(long, short, value_enum, default_value = "json")]
    output: As,
    /// What stands in the table, or in place of the ids: members, with dots between their levels.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,
    /// Says the status and the headers of the answer on standard error.
    #[arg(short, long)]
    include: bool,
    /// How often a request is sent again.
    #[arg(long, value_name = "TIMES", default_value_t = 3)]
    retries: u32,
}

/// Why there is no good answer.
enum Ended {
    /// The command line makes no sense.
    Usage(anyhow::Error),
    /// Something here failed.
    Here(anyhow::Error),
    /// There was no answer.
    Lost(anyhow::Error),
    /// An answer that is no success; it was shown.
    Answered(u8),
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    let (code, error) = match ask(arguments) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Ended::Answered(code)) => return ExitCode::from(code),
        Err(Ended::Usage(error)) => (USAGE, error),
        Err(Ended::Here(error)) => (1, error),
        Err(Ended::Lost(error)) => (NO_ANSWER, error),
    };
    eprintln!("postroom: {}", super::chain(&error));
    ExitCode::from(code)
}

fn ask(arguments: &Arguments) -> Result<(), Ended> {
    let mut url = address(arguments).map_err(Ended::Usage)?;
    let mut stdin = Some(std::io::stdin());
    if arguments.all && arguments.method != Method::GET {
        return Err(Ended::Usage(anyhow!("--all reads lists; it goes with GET")));
    }
    let body = body(arguments, &mut stdin).map_err(Ended::Here)?;
    let headers = headers(arguments, body.is_some(), &mut stdin).map_err(Ended::Here)?;
    let caller = Caller::new(arguments.retries).map_err(Ended::Here)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Ended::Here(error.into()))?;
    let mut shown = Shown::new(arguments.output, arguments.all, &arguments.columns);
    runtime.block_on(async {
        loop {
            let ask = Ask { method: &arguments.method, url: &url, headers: &headers, body: body.as_deref() };
            let mut answer = caller.ask(&ask).await.map_err(|Lost(error)| Ended::Lost(error))?;
            if arguments.include {
                show::head(&answer);
            }
            let status = answer.status();
            if status.is_client_error() || status.is_server_error() {
                let bytes = call::whole(&mut answer).await.unwrap_or_default();
                shown.problem(status, &bytes).map_err(Ended::Here)?;
                return Err(Ended::Answered(if status.is_client_error() { REFUSED } else { FAILED }));
            }
            if !show::is_json(&answer) {
                return shown.pass_on(&mut answer).await;
            }
            let bytes = call::whole(&mut answer).await.map_err(|Lost(error)| Ended::Lost(error))?;
            let next = shown.page(&bytes).map_err(Ended::Here)?;
            match next.filter(|_| arguments.all) {
                None => return shown.end().map_err(Ended::Here),
                Some((name, value)) => set(&mut url, name, &value),
            }
        }
    })
}

/// What is asked, where the desk is.
fn address(arguments: &Arguments) -> anyhow::Result<Url> {
    let base = arguments.url.clone().or_else(|| variable("POSTROOM_URL")).unwrap_or_else(|| HERE.to_owned());
    let path = arguments.path.as_str();
    if !path.starts_with('/') || path.starts_with("//") {
        bail!("the path begins with a slash, as /conversations does; where the desk is, --url says");
    }
    let is_whole = ["/api/", "/docs", "/openapi", "/metrics"].iter().any(|root| path.starts_with(root));
    let root = if is_whole { "" } else { "/api/v1" };
    let whole = format!("{}{root}{path}", base.trim_end_matches('/'));
    let mut url = Url::parse(&whole).with_context(|| format!("{whole} is no address"))?;
    if !matches!(url.scheme(), "http" | "https") {
        bail!("{base} begins with neither http:// nor https://");
    }
    if !arguments.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&arguments.query);
    }
    Ok(url)
}

/// Puts a parameter in the place of what it was.
fn set(url: &mut Url, name: &str, value: &str) {
    let others: Vec<(String, String)> =
        url.query_pairs().filter(|(known, _)| known != name).map(|(k, v)| (k.into(), v.into())).collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
}

type Stdin = Option<std::io::Stdin>;

/// All of standard input, which can be read once.
fn standard_input(stdin: &mut Stdin) -> anyhow::Result<Vec<u8>> {
    let mut stdin = stdin.take().context("standard input can't be two things")?;
    let mut bytes = Vec::new();
    stdin.read_to_end(&mut bytes).context("standard input can't be read")?;
    Ok(bytes)
}

fn body(arguments: &Arguments, stdin: &mut Stdin) -> anyhow::Result<Option<Vec<u8>>> {
    let Some(data) = &arguments.data else { return Ok(None) };
    match data.strip_prefix('@') {
        None => Ok(Some(data.clone().into_bytes())),
        Some("-") => standard_input(stdin).map(Some),
        Some(file) => fs::read(file).with_context(|| format!("{file} can't be read")).map(Some),
    }
}

fn headers(arguments: &Arguments, has_body: bool, stdin: &mut Stdin) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(token) = token(arguments, stdin)? {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| anyhow!("the token holds something that no token holds"))?;
        value.set_sensitive(true);
        headers.insert(reqwest::header::AUTHORIZATION, value);
    }
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if has_body {
        let patch = arguments.method == Method::PATCH;
        let kind = if patch { "application/merge-patch+json" } else { "application/json" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if arguments.method == Method::POST {
        let key = format!("{:032x}", rand::random::<u128>());
        headers.insert(call::KEY, HeaderValue::try_from(key)?);
    }
    for (name, value) in &arguments.headers {
        headers.insert(name, value.clone());
    }
    Ok(headers)
}

fn token(arguments: &Arguments, stdin: &mut Stdin) -> anyhow::Result<Option<String>> {
    let read = |file: &PathBuf| {
        fs::read(file).with_context(|| format!("the token's file {} can't be read", file.display()))
    };
    let bytes = match &arguments.token_file {
        Some(file) if file.as_os_str() == "-" => standard_input(stdin)?,
        Some(file) => read(file)?,
        None => match (variable("POSTROOM_TOKEN"), variable("POSTROOM_TOKEN_FILE")) {
            (Some(token), _) => token.into_bytes(),
            (None, Some(file)) => read(&file.into())?,
            (None, None) => return Ok(None),
        },
    };
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("the token is no text"))?;
    let token = text.trim();
    Ok((!token.is_empty()).then(|| token.to_owned()))
}

fn method(text: &str) -> Result<Method, String> {
    match text.to_uppercase().as_str() {
        "GET" => Ok(Method::GET),
        "HEAD" => Ok(Method::HEAD),
        "POST" => Ok(Method::POST),
        "PUT" => Ok(Method::PUT),
        "PATCH" => Ok(Method::PATCH),
        "DELETE" => Ok(Method::DELETE),
        _ => Err("there are GET, HEAD, POST, PUT, PATCH and DELETE".to_owned()),
    }
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("write Name: value")?;
    let name: HeaderName = name.trim().parse().map_err(|_| "a header has no such name")?;
    let value = HeaderValue::from_str(value.trim()).map_err(|_| "a header has no such value")?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_takes_the_place_of_the_one_before() {
        let mut url = Url::parse("http://desk/api/v1/tags?limit=5&cursor=a%2Bb").unwrap();
        set(&mut url, "cursor", "c&d");
        assert_eq!(url.as_str(), "http://desk/api/v1/tags?limit=5&cursor=c%26d");
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        assert!(method("get").is_ok());
        assert!(method("BREW").is_err());
        assert_eq!(pair("q=is:open a=b"), Ok(("q".to_owned(), "is:open a=b".to_owned())));
        assert!(pair("q").is_err());
        assert!(header("X-Request-Id: 7").is_ok());
        for wrong in ["X-Request-Id", ": 7", "a b: 7", "X: a\nb"] {
            assert!(header(wrong).is_err(), "{wrong:?}");
        }
    }
}
