//! The tree of all routes. The document is collected from the same calls that register the
//! handlers, so that the two can't differ.

use utoipa_actix_web::scope;
use utoipa_actix_web::service_config::ServiceConfig;

mod agents;
mod attachments;
mod audit;
mod authorizations;
mod auto_replies;
mod availabilities;
mod categories;
mod conversations;
mod custom_fields;
mod customers;
mod distributions;
mod docs;
mod event_stream;
mod events;
mod exports;
mod followers;
mod health;
mod included;
mod jobs;
mod ledger;
mod mailbox_outgoing;
mod mailbox_routing;
mod mailboxes;
mod me;
mod messages;
mod notification_settings;
mod notifications;
mod presences;
mod read_marks;
mod reconcile;
mod reparse;
mod roles;
mod round_trips;
mod schedules;
mod sessions;
mod sign_in;
mod simulate;
mod tags;
mod teams;
mod tokens;
mod totp;
mod transfers;
mod unsent;
mod views;
mod watchdogs;
mod webhook_deliveries;
mod webhooks;

pub use event_stream::{STREAMS, STREAMS_EACH};

/// Registers every route there is.
pub fn all(config: &mut ServiceConfig<'_>) {
    config.service(scope("/api/v1").configure(version_1)).configure(docs::routes);
}

fn version_1(config: &mut ServiceConfig<'_>) {
    config
        .configure(conversations::routes)
        .configure(messages::routes)
        .configure(unsent::routes)
        .configure(presences::routes)
        .configure(followers::routes)
        .configure(notifications::routes)
        .configure(notification_settings::routes)
        .configure(transfers::routes)
        .configure(reparse::routes)
        .configure(simulate::routes)
        .configure(attachments::routes)
        .configure(customers::routes)
        .configure(mailboxes::routes)
        .configure(round_trips::routes)
        .configure(mailbox_outgoing::routes)
        .configure(mailbox_routing::routes)
        .configure(auto_replies::routes)
        .configure(authorizations::routes)
        .configure(ledger::routes)
        .configure(read_marks::routes)
        .configure(reconcile::routes)
        .configure(agents::routes)
        .configure(roles::routes)
        .configure(availabilities::routes)
        .configure(teams::routes)
        .configure(distributions::routes)
        .configure(schedules::routes)
        .configure(categories::routes)
        .configure(tags::routes)
        .configure(custom_fields::routes)
        .configure(views::routes)
        .configure(watchdogs::routes)
        .configure(tokens::routes)
        .configure(me::routes)
        .configure(sign_in::routes)
        .configure(sessions::routes)
        .configure(totp::routes)
        .configure(audit::routes)
        .configure(webhooks::routes)
        .configure(webhook_deliveries::routes)
        .configure(jobs::routes)
        .configure(events::routes)
        .configure(event_stream::routes)
        .configure(exports::routes)
        .configure(health::routes);
}
