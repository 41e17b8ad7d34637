//! Mail in: bytes on one side, postroom's own types on the other

mod automatic;
mod body;
mod bounce;
mod charset;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod corpus_table;
mod decode;
mod encoded_words;
pub mod error;
mod fields;
mod files;
mod fingerprint;
mod flowed;
mod headers;
#[cfg(test)]
mod hostile;
mod html;
mod html_cost;
#[cfg(test)]
mod html_tests;
mod html_text;
mod html_tokens;
pub mod imap;
pub mod limits;
pub mod maildir;
mod mime;
mod parse;
pub mod probe;
mod quote;
mod quote_words;
pub mod reader;
mod sender_auth;
pub mod shield;
pub mod source;
pub mod transport;
