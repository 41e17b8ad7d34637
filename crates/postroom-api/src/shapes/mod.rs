//! Shapes that several routes share. They are the API's own: the core's types may change
//! without the contract changing.

pub mod binary;
pub mod capabilities;
pub mod count;
pub mod custom_field;
pub mod event;
pub mod grant;
pub mod job;
pub mod message;
pub mod message_page;
pub mod new_author;
pub mod new_message;
pub mod reparse;
pub mod role;
pub mod simulation;
pub mod transfer;
