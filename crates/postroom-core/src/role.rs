//! Roles: what agents may do, apart from where. Those that come with the desk stand here and never change;
//! a desk may have more of its own.

use crate::access::{Role, Scope};
use crate::id::RoleId;
use crate::store::schema::roles;
use crate::store::types::Json;
use crate::time::Timestamp;
use diesel::prelude::*;

/// What an agent may do. A token of theirs never does more, whatever scopes it was given.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable)]
#[diesel(table_name = roles)]
pub struct CustomRole {
    /// The number: above those of the roles that come with the desk.
    pub id: RoleId,
    /// Its name; unique, whatever its case.
    pub name: String,
    /// What it allows.
    pub scopes: Json<Vec<Scope>>,
    /// Whether it opens all mailboxes; otherwise grants do.
    pub sees_all: bool,
    /// Counts changes.
    pub version: i64,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl CustomRole {
    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("r{}-{}", self.id, self.version)
    }

    /// What it allows.
    pub fn rights(&self) -> Rights {
        Rights { scopes: self.scopes.to_vec(), sees_all: self.sees_all }
    }
}

/// What a role allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// What may be done.
    pub scopes: Vec<Scope>,
    /// In all mailboxes, or where grants say so.
    pub sees_all: bool,
}

/// Which role an agent has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoleChoice {
    /// One that comes with the desk.
    BuiltIn(Role),
    /// One of the desk's own.
    Custom(RoleId),
}

impl RoleChoice {
    /// The word for it.
    pub fn word(self) -> Role {
        match self {
            Self::BuiltIn(role) => role,
            Self::Custom(_) => Role::Custom,
        }
    }

    /// The number, where it is one of the desk's own.
    pub fn custom_id(self) -> Option<RoleId> {
        match self {
            Self::BuiltIn(_) => None,
            Self::Custom(id) => Some(id),
        }
    }
}

impl Role {
    /// Those that come with the desk, in the order of their numbers.
    pub const BUILT_IN: &'static [Self] =
        &[Self::Owner, Self::Admin, Self::Supervisor, Self::Agent, Self::LightAgent];

    /// The number of one that comes with the desk; `None` for what is the desk's own.
    pub fn id(self) -> Option<RoleId> {
        let place = Self::BUILT_IN.iter().position(|role| *role == self)?;
        i64::try_from(place).ok().map(|place| RoleId(place + 1))
    }

    /// The role with this number, if it comes with the desk.
    pub fn of_id(id: RoleId) -> Option<Self> {
        Self::BUILT_IN.iter().copied().find(|role| role.id() == Some(id))
    }

    /// What one that comes with the desk allows; `None` for what is the desk's own. A scope that is new is the
    /// owners' and administrators' alone until it is named here.
    pub fn rights(self) -> Option<Rights> {
        let (scopes, sees_all) = match self {
            Self::Owner => (Scope::ALL.to_vec(), true),
            Self::Admin => {
                (Scope::ALL.iter().copied().filter(|scope| *scope != Scope::Impersonate).collect(), true)
            }
            Self::Supervisor => {
                let more = [Scope::AdminRead, Scope::TagsManage];
                (AGENT.iter().chain(&more).copied().collect(), true)
            }
            Self::Agent => (AGENT.to_vec(), false),
            Self::LightAgent => (LIGHT.to_vec(), false),
            Self::Custom => return None,
        };
        Some(Rights { scopes, sees_all })
    }
}

/// What an agent may do where grants open something.
const AGENT: &[Scope] = &[
    Scope::ConversationsRead,
    Scope::ConversationsWrite,
    Scope::NotesWrite,
    Scope::ConversationsCreate,
    Scope::MessagesSend,
    Scope::CustomersRead,
    Scope::CustomersWrite,
    Scope::EventsRead,
];

/// What a light agent may do.
const LIGHT: &[Scope] =
    &[Scope::ConversationsRead, Scope::NotesWrite, Scope::CustomersRead, Scope::EventsRead];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{holds, narrowed};

    #[test]
    fn roles_that_come_with_the_desk_have_numbers_of_their_own() {
        for role in Role::ALL {
            assert_eq!(role.id().and_then(Role::of_id), role.id().map(|_| *role), "{role}");
            assert_eq!(role.id().is_some(), role.rights().is_some(), "{role}");
        }
        assert_eq!(Role::Owner.id(), Some(RoleId(1)));
        assert_eq!(Role::LightAgent.id(), Some(RoleId(5)));
        assert_eq!(Role::of_id(RoleId(6)), None);
    }

    #[test]
    fn each_role_may_do_what_the_next_may() {
        let rights = |role: Role| role.rights().unwrap().scopes;
        for pair in Role::BUILT_IN.windows(2) {
            for scope in rights(pair[1]) {
                assert!(holds(&rights(pair[0]), scope), "{} lacks {scope} of {}", pair[0], pair[1]);
            }
            assert!(rights(pair[0]).iter().any(|scope| !holds(&rights(pair[1]), *scope)), "{pair:?}");
        }
    }

    #[test]
    fn of_a_scope_that_is_too_much_what_is_not_remains() {
        let light = Role::LightAgent.rights().unwrap().scopes;
        assert_eq!(
            narrowed(&[Scope::ConversationsWrite, Scope::MessagesSend, Scope::AdminWrite], &light),
            [Scope::ConversationsRead, Scope::NotesWrite]
        );
        assert_eq!(narrowed(&[Scope::CustomersRead], &light), [Scope::CustomersRead]);
        assert_eq!(narrowed(&[Scope::Impersonate], &Role::Admin.rights().unwrap().scopes), []);
        assert_eq!(
            narrowed(Scope::ALL, Scope::ALL),
            Scope::ALL
                .iter()
                .copied()
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .collect::<Vec<_>>()
        );
    }
}
