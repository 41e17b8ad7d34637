//! Who wrote an imported message, as callers say it.

use crate::problem::Problem;
use postroom_core::id::AgentId;
use postroom_core::operations::messages::ImportedAuthor;
use serde::Deserialize;
use utoipa::ToSchema;

/// Who wrote an imported message: an agent of this desk by `agent_id`, or somebody by `name`, `email` or both. Of what
/// came in that is a customer, made where nobody has the address; of a reply or a note the agent with that address,
/// or somebody who is none of this desk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewMessageAuthor)]
pub struct NewAuthorBody {
    /// Which agent.
    #[serde(default)]
    pub agent_id: Option<AgentId>,
    /// The name.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 200)]
    pub name: Option<String>,
    /// The address.
    #[serde(default)]
    pub email: Option<String>,
}

impl NewAuthorBody {
    /// As the core takes it. `at` is where it stands in the body.
    pub fn read(self, at: &str) -> Result<ImportedAuthor, Problem> {
        match (self.agent_id, self.name, self.email) {
            (Some(id), None, None) => Ok(ImportedAuthor::Agent(id)),
            (None, name, email) if name.is_some() || email.is_some() => {
                Ok(ImportedAuthor::Person { name, email })
            }
            (None, _, _) => {
                let told = "say who it is: agent_id, or name, email or both";
                Err(Problem::invalid_member(at.to_owned(), "required", told))
            }
            (Some(_), _, _) => {
                let told = "say who it is in one way: agent_id, or name and email";
                Err(Problem::invalid_member(at.to_owned(), "ambiguous", told))
            }
        }
    }
}
