//! The JSON API over HTTP, and nothing else
