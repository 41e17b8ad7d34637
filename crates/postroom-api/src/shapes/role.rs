//! Which role an agent has, as callers say it.

use crate::problem::Problem;
use postroom_core::access::Role;
use postroom_core::id::RoleId;
use postroom_core::role::RoleChoice;

/// Reads `role` and `role_id`, of which one will do: both name a role that comes with the desk, `role_id` alone
/// one of its own. `None`: neither was given.
pub fn choice(role: Option<Role>, id: Option<RoleId>) -> Result<Option<RoleChoice>, Problem> {
    let named = match (role, id) {
        (Some(Role::Custom), None) => {
            let detail = "say which one: role_id";
            return Err(Problem::invalid_member("/role_id", "required", detail));
        }
        (Some(role), None) => return Ok(Some(RoleChoice::BuiltIn(role))),
        (role, Some(id)) => (role, Role::of_id(id).map_or(RoleChoice::Custom(id), RoleChoice::BuiltIn)),
        (None, None) => return Ok(None),
    };
    match named {
        (Some(word), choice) if word != choice.word() => {
            let detail = "role and role_id name different roles; one of them will do";
            Err(Problem::invalid_member("/role", "contradiction", detail))
        }
        (_, choice) => Ok(Some(choice)),
    }
}
