//! The postroom daemon: one shared-inbox help desk, its workers and its commands
