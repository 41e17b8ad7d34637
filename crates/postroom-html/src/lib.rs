//! HTML read in one pass: its tags, its text, and what it would cost to build a tree of it. For those
//! who read mail as for those who write it: both meet HTML that strangers to the desk have made.

// What strangers send must not end a thread: nothing here may reach outside of what is there.
#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::string_slice))]

pub mod allowed;
pub mod cost;
pub mod cut;
pub mod text;
pub mod tokens;
