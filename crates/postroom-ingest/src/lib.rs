//! Mail in: bytes on one side, postroom's own types on the other
