//! JSON bodies, strictly: the right media type, at most 1 MiB, no unknown member, no U+0000, and
//! every fault told by a JSON pointer.

use crate::json::{self, Strict};
use crate::payload::collect;
use crate::problem::{Fault, Problem};
use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::{FromRequest, HttpRequest};
use futures_util::future::LocalBoxFuture;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

/// Bytes of a JSON body at the most.
pub const JSON_BYTES: usize = 1024 * 1024;

/// Bytes are reckoned over; whoever sends more than anybody would type has them refused before.
pub fn bounded(pointer: &str, text: &str, max: usize) -> Result<(), Problem> {
    if text.chars().count() > max {
        let told = format!("has at most {max} characters");
        return Err(Problem::invalid_member(pointer, "too_long", told));
    }
    Ok(())
}

/// A JSON body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let req = req.clone();
        let payload = payload.take();
        Box::pin(async move {
            require_json(&req)?;
            let bytes = collect(req.headers(), payload, JSON_BYTES).await?;
            parse(&bytes).map(Self)
        })
    }
}

/// Reads JSON that may be left out.
pub fn parse_optional<T: DeserializeOwned + Default>(req: &HttpRequest, bytes: &[u8]) -> Result<T, Problem> {
    // Programs that have nothing to say often say null.
    if bytes.is_empty() || bytes.trim_ascii() == b"null" {
        return Ok(T::default());
    }
    require_json(req)?;
    parse(bytes)
}

/// The media type of the body, lower case and without parameters.
pub fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default().trim();
    if essence.is_empty() { None } else { Some(essence.to_ascii_lowercase()) }
}

/// Fails where a body does not say that it is JSON.
pub fn require_json(req: &HttpRequest) -> Result<(), Problem> {
    let patches = req.method() == Method::PATCH;
    match media_type(req.headers()).as_deref() {
        Some("application/json") => Ok(()),
        Some("application/merge-patch+json") if patches => Ok(()),
        _ if patches => Err(Problem::unsupported_media_type(
            "Content-Type must be application/merge-patch+json or application/json",
        )),
        _ => Err(Problem::unsupported_media_type("Content-Type must be application/json")),
    }
}

/// Reads JSON into a type.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let malformed = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail);
    if bytes.is_empty() {
        return Err(malformed("the body is empty; it must be a JSON object".to_owned()));
    }
    let value =
        json::read(bytes).map_err(|error| malformed(format!("the body can't be read as JSON: {error}")))?;
    // serde takes a list for a struct, member by member, and an empty one for one that needs no member.
    if !value.is_object() {
        return Err(Problem::invalid_member("", "wrong_type", "the body must be a JSON object"));
    }
    let mut faults = Vec::new();
    find_nul(&value, String::new(), &mut faults);
    if !faults.is_empty() {
        return Err(Problem::invalid(faults));
    }
    parse_value(value, "").map_err(|fault| Problem::invalid(vec![fault]))
}

/// Reads a JSON value into a type; a fault is told under `root`.
pub fn parse_value<T: DeserializeOwned>(value: Value, root: &str) -> Result<T, Fault> {
    serde_path_to_error::deserialize(Strict(value)).map_err(|error| {
        let pointer = format!("{root}{}", pointer(error.path()));
        fault(pointer, error.into_inner().to_string())
    })
}

/// Begins the words of a fault that knows its place better than serde, which reads objects of several
/// kinds at once and forgets the way. No JSON text of ours can hold it.
const PLACED: char = '\u{0}';

/// A fault within the member `name`, as an error of serde that [`parse_value`] understands.
pub fn placed<E: serde::de::Error>(name: &str, fault: &Fault) -> E {
    E::custom(format!(
        "{PLACED}{name}{PLACED}{}{PLACED}{}{PLACED}{}",
        fault.pointer, fault.code, fault.detail
    ))
}

/// What [`placed`] made; `pointer` leads to the member or to the object that it is in.
fn unplaced(pointer: &str, words: &str) -> Option<Fault> {
    let mut parts = words.strip_prefix(PLACED)?.splitn(4, PLACED);
    let (name, within, code, detail) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let member = format!("/{}", escape(name));
    let object = pointer.strip_suffix(&member).unwrap_or(pointer);
    let code = CODES.into_iter().find(|known| *known == code)?;
    Some(Fault { pointer: format!("{object}{member}{within}"), code, detail: detail.to_owned() })
}

/// The words of the faults that are found in reading.
const CODES: [&str; 6] =
    ["required", "unknown_field", "unknown_value", "wrong_type", "invalid", "out_of_range"];

/// A fault in the words of serde, which names its kind at the beginning of its sentence alone.
fn fault(pointer: String, detail: String) -> Fault {
    if let Some(fault) = unplaced(&pointer, &detail) {
        return fault;
    }
    let named = |kind: &str| -> Option<&str> {
        detail.strip_prefix(kind)?.strip_prefix(" `")?.split_once('`').map(|(name, _)| name)
    };
    if let Some(name) = named("missing field") {
        let pointer = format!("{pointer}/{}", escape(name));
        return Fault { pointer, code: "required", detail: "must be given".to_owned() };
    }
    if let Some(name) = named("unknown field") {
        // Objects of several kinds are read at once, and then tell of themselves, not of the member.
        let member = format!("/{}", escape(name));
        let pointer = if pointer.ends_with(&member) { pointer } else { pointer + &member };
        return Fault { pointer, code: "unknown_field", detail };
    }
    let code = if detail.starts_with("unknown variant") {
        "unknown_value"
    } else if detail.starts_with("invalid type") {
        "wrong_type"
    } else {
        "invalid"
    };
    Fault { pointer, code, detail: in_words(detail) }
}

/// serde names the type that it reads into; whoever sent the body knows JSON, not Rust.
fn in_words(detail: String) -> String {
    let Some((said, expected)) = detail.rsplit_once(", expected ") else { return detail };
    let expected = match expected {
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative",
        "f32" | "f64" => "a number",
        _ => return detail,
    };
    format!("{said}, expected {expected}")
}

/// A path as a JSON pointer (RFC 6901).
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                pointer.push('/');
                pointer.push_str(&index.to_string());
            }
            Segment::Map { key } => {
                pointer.push('/');
                pointer.push_str(&escape(key));
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Text with U+0000 can't be kept by every database, so none takes it.
fn find_nul(value: &Value, pointer: String, faults: &mut Vec<Fault>) {
    let mut note = |pointer: String| {
        faults.push(Fault { pointer, code: "nul_character", detail: "must not hold U+0000".to_owned() });
    };
    match value {
        Value::String(text) if text.contains('\0') => note(pointer),
        Value::Array(members) => {
            for (index, member) in members.iter().enumerate() {
                find_nul(member, format!("{pointer}/{index}"), faults);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                if name.contains('\0') {
                    faults.push(Fault {
                        pointer: pointer.clone(),
                        code: "nul_character",
                        detail: "a member's name must not hold U+0000".to_owned(),
                    });
                }
                find_nul(member, format!("{pointer}/{}", escape(name)), faults);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its shape is asked for")]
    struct Sample {
        customer: Person,
        #[serde(default)]
        tags: Vec<String>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Person {
        email: String,
    }

    fn told(json: &str) -> Value {
        let problem = parse::<Sample>(json.as_bytes()).unwrap_err();
        serde_json::to_value(problem.document("r")).unwrap()
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        for json in [
            "",
            "{",
            "[1,",
            "{\"customer\": nope}",
            "{\"customer\":{\"email\":\"a\0\"}}",
            "{\"tags\":[],\"tags\":[]}",
        ] {
            assert_eq!(told(json)["code"], "malformed_json", "{json}");
        }
        let trailing = told(r#"{"customer":{"email":"a"}} x"#);
        assert_eq!(trailing["code"], "malformed_json");
    }

    #[test]
    fn types_are_told_in_words_of_json() {
        let told = |value: Value| parse_value::<Vec<u32>>(value, "").expect_err("it is wrong").detail;
        let text = told(serde_json::json!(["x"]));
        assert_eq!(text, "invalid type: string \"x\", expected a whole number that is not negative");
        let told = |value: Value| parse_value::<Vec<i64>>(value, "").expect_err("it is wrong").detail;
        assert_eq!(
            told(serde_json::json!([1.5])),
            "invalid type: floating point `1.5`, expected a whole number"
        );
    }

    #[test]
    fn a_fault_is_told_by_its_pointer() {
        for (json, pointer, code) in [
            (r#"{"customer":{"email":"a","nmae":"b"}}"#, "/customer/nmae", "unknown_field"),
            (r#"{"customer":{"email":"a"},"a/b~c":1}"#, "/a~1b~0c", "unknown_field"),
            (r#"{"customer":{}}"#, "/customer/email", "required"),
            (r"{}", "/customer", "required"),
            (r#"{"customer":{"email":7}}"#, "/customer/email", "wrong_type"),
            (r#"{"customer":{"email":"a"},"tags":["x",7]}"#, "/tags/1", "wrong_type"),
            (r#"{"customer":{"email":"a"},"tags":["x","a\u0000"]}"#, "/tags/1", "nul_character"),
            (r#"{"customer":{"email":"a"},"tags":null}"#, "/tags", "wrong_type"),
            (r"[]", "", "wrong_type"),
            (r#"{"customer":["a"]}"#, "/customer", "wrong_type"),
            (r#"{"customer":null}"#, "/customer", "wrong_type"),
            (r"7", "", "wrong_type"),
        ] {
            let told = told(json);
            assert_eq!(told["code"], "validation_failed", "{json}: {told}");
            assert_eq!(told["status"], 422);
            assert_eq!(told["errors"][0]["pointer"], pointer, "{json}: {told}");
            assert_eq!(told["errors"][0]["code"], code, "{json}: {told}");
        }
    }

    #[test]
    fn a_backslash_is_no_nul() {
        let sample = parse::<Sample>(br#"{"customer":{"email":"\\u0000"}}"#).unwrap();
        assert_eq!(sample.customer.email, "\\u0000");
    }
}
