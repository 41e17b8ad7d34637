//! `X-On-Behalf-Of`: a program that acts for others says for whom, request by request.

use crate::problem::Problem;
use crate::routing::Operation;
use crate::state::Api;
use actix_web::http::header::{HeaderMap, HeaderName};
use postroom_core::Error;
use postroom_core::actor::{Actor, Behalf};
use postroom_core::id::AgentId;
use postroom_core::text::address_fault;

/// The header as the document names it.
pub const HEADER: &str = "X-On-Behalf-Of";
/// The header.
pub const ON_BEHALF_OF: HeaderName = HeaderName::from_static("x-on-behalf-of");
/// What the document says of it.
pub const MEANING: &str = "In whose name: `agent:42`, with what both the token and the agent may do, or \
    `customer:ada@example.org`, who files messages (`inbound`) and nothing else. Needs `impersonate`; events name the \
    token beside the agent (`on_behalf_through`).";
/// How it is written; [`read`] looks closer at the address.
pub const PATTERN: &str = "^(agent:[1-9][0-9]{0,18}|customer:[ -~]+@[!-~]+)$";
/// What may be done in a customer's name.
const OF_CUSTOMERS: [&str; 2] = ["create_conversation", "create_message"];

/// The caller, or whom they act for in this request.
pub async fn named(
    api: &Api,
    operation: &Operation,
    caller: Actor,
    headers: &HeaderMap,
) -> Result<Actor, Problem> {
    let Some(behalf) = read(headers)? else { return Ok(caller) };
    let named = api.desk.on_behalf(&caller, behalf).await?;
    if named.customer().is_some() && !OF_CUSTOMERS.contains(&operation.id.as_str()) {
        return Err(
            Error::Forbidden("in a customer's name messages are filed, and nothing else is done").into()
        );
    }
    Ok(named)
}

fn read(headers: &HeaderMap) -> Result<Option<Behalf>, Problem> {
    let mut values = headers.get_all(&ON_BEHALF_OF);
    let Some(value) = values.next() else { return Ok(None) };
    let told =
        || Problem::bad_parameter(format!("{HEADER}: must be agent:42 or customer:ada@example.org, once"));
    let value = value.to_str().map_err(|_| told())?;
    if values.next().is_some() {
        return Err(told());
    }
    let behalf = match value.split_once(':') {
        Some(("agent", number)) => {
            let canonical = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
            number.parse().ok().filter(|_| canonical).map(|number| Behalf::Agent(AgentId(number)))
        }
        Some(("customer", address)) => {
            address_fault(address).is_none().then(|| Behalf::Customer(address.to_owned()))
        }
        _ => None,
    };
    behalf.map(Some).ok_or_else(told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::HeaderValue;

    #[test]
    fn somebody_is_named_once_and_plainly() {
        let told = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ON_BEHALF_OF, HeaderValue::from_static(value));
            }
            read(&headers).map_err(|problem| problem.code())
        };
        assert_eq!(told(&[]), Ok(None));
        assert_eq!(told(&["agent:42"]), Ok(Some(Behalf::Agent(AgentId(42)))));
        let ada = Behalf::Customer("ada@example.org".to_owned());
        assert_eq!(told(&["customer:ada@example.org"]), Ok(Some(ada)));
        for wrong in
            ["", "42", "agent:", "agent:0", "agent:+1", "agent:01", "agent: 1", "customer:", "customer:ada"]
        {
            assert_eq!(told(&[wrong]), Err("bad_parameter"), "{wrong:?}");
        }
        assert_eq!(told(&["agent:1", "agent:1"]), Err("bad_parameter"));
    }
}
