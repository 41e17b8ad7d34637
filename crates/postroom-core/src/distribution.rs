//! How a team's conversations find their owners by themselves.

use crate::id::{AgentId, TeamId};
use crate::store::schema::distributions;
use crate::time::Timestamp;
use crate::word::words;
use diesel::prelude::*;

words! {
    /// Who of a team gets the next conversation.
    pub enum DistributionMethod {
        /// Nobody: they take it themselves.
        Manual = "manual",
        /// Whoever got none for the longest time.
        RoundRobin = "round_robin",
        /// Whoever has the fewest open ones; of several, who got none for the longest time.
        LeastLoaded = "least_loaded",
    }

    /// Why a member of a team gets nothing just now.
    pub enum Passed {
        /// They have stopped.
        Disabled = "disabled",
        /// They are away.
        Away = "away",
        /// They are absent.
        Absent = "absent",
        /// It is not their time.
        OutOfHours = "out_of_hours",
        /// They have as many open conversations as they may.
        Full = "full",
    }
}

/// How a team's conversations are given out.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = distributions, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Distribution {
    /// Whose.
    pub team_id: TeamId,
    /// To whom.
    pub method: DistributionMethod,
    /// Open conversations that a member has at the most, unless their own limit says otherwise; `None`: any number.
    pub open_limit: Option<i32>,
    /// Counts changes; 0: nobody has changed it.
    pub version: i64,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Distribution {
    /// How it is before anybody has changed it.
    pub fn unchanged(team_id: TeamId) -> Self {
        Self {
            team_id,
            method: DistributionMethod::Manual,
            open_limit: None,
            version: 0,
            updated_at: Timestamp(0),
        }
    }

    /// What an ETag says of it, without quotes.
    pub fn etag(&self) -> String {
        format!("ds{}-{}", self.team_id, self.version)
    }
}

/// How a member of a team stands in its distribution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DistributionMember {
    /// Who.
    pub agent_id: AgentId,
    /// Open conversations of theirs, in all of the desk.
    pub open: i64,
    /// How many they have at the most.
    pub open_limit: Option<i32>,
    /// When they last got one by themselves, as a member of this team.
    pub last_given_at: Option<Timestamp>,
    /// Why they get none just now.
    pub passed: Option<Passed>,
}

impl DistributionMethod {
    /// Who gets the next one, of those who may.
    pub fn next<'m>(
        self,
        members: impl Iterator<Item = &'m DistributionMember>,
    ) -> Option<&'m DistributionMember> {
        let of_turn = |member: &DistributionMember| {
            (member.last_given_at.unwrap_or(Timestamp(i64::MIN)), member.agent_id)
        };
        match self {
            Self::Manual => None,
            Self::RoundRobin => members.min_by_key(|member| of_turn(member)),
            Self::LeastLoaded => members.min_by_key(|member| (member.open, of_turn(member))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(agent: i64, open: i64, given: Option<i64>) -> DistributionMember {
        DistributionMember {
            agent_id: AgentId(agent),
            open,
            open_limit: None,
            last_given_at: given.map(Timestamp),
            passed: None,
        }
    }

    #[test]
    fn who_got_none_for_the_longest_time_is_next() {
        let members = [member(1, 0, Some(9)), member(2, 9, Some(3)), member(3, 5, Some(4))];
        let next = |method: DistributionMethod| method.next(members.iter()).map(|member| member.agent_id.0);
        assert_eq!(next(DistributionMethod::RoundRobin), Some(2));
        assert_eq!(next(DistributionMethod::LeastLoaded), Some(1));
        assert_eq!(next(DistributionMethod::Manual), None);
        // Whoever never got one comes first, and of those the one with the lowest number.
        let fresh = [member(1, 2, Some(9)), member(3, 2, None), member(2, 2, None)];
        for method in [DistributionMethod::RoundRobin, DistributionMethod::LeastLoaded] {
            assert_eq!(method.next(fresh.iter()).map(|member| member.agent_id.0), Some(2));
        }
    }
}
