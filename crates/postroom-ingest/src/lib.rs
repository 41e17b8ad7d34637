//! Mail in: bytes on one side, postroom's own types on the other

// What strangers send must not end a thread: nothing here may reach outside of what is there.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

mod addresses;
mod automatic;
mod body;
mod bounce;
mod charset;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod corpus_table;
mod decode;
mod dkim;
mod domains;
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
mod html_links;
mod html_sets;
#[cfg(test)]
mod html_tests;
pub mod imap;
pub mod inspect;
pub mod limits;
#[cfg(test)]
mod machines;
pub mod maildir;
pub mod mbox;
pub mod measure;
mod mime;
mod parameters;
mod parse;
pub mod probe;
mod quote;
mod quote_html;
#[cfg(test)]
mod quote_tests;
mod quote_words;
pub mod reader;
#[cfg(test)]
mod replies;
mod sender_auth;
pub mod sender_check;
pub mod shield;
mod signature;
mod sns;
pub mod source;
pub mod transport;

use postroom_html::{cost as html_cost, cut, text as html_text, tokens as html_tokens};
