//! Schedules: when somebody is there, and the calendar that closes days.

mod shape;

use crate::answer::{self, Answer};
use crate::body::{self, Body};
use crate::etag::{IfMatch, IfNoneMatch};
use crate::extract::{Caller, Id};
use crate::idempotency::{IdempotencyKey, Keyed};
use crate::links::Links;
use crate::paging::{PageInfo, PageQuery, Paging, by_id, page_of};
use crate::payload;
use crate::problem::{Fault, Problem, ProblemDocument};
use crate::query::Query;
use crate::state::Api;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post, put};
use postroom_core::actor::Actor;
use postroom_core::cx::Cx;
use postroom_core::id::ScheduleId;
use postroom_core::operations::schedules::{self, NewSchedule, ScheduleChange};
use postroom_core::schedule::calendar::BYTES;
use postroom_core::time::Timestamp;
use serde::Deserialize;
use shape::{CalendarView, NewScheduleBody, OpeningView, PublicScheduleView, SchedulePatch, ScheduleView};
use utoipa_actix_web::service_config::ServiceConfig;

/// The routes of this file.
pub fn routes(config: &mut ServiceConfig<'_>) {
    config
        .service(list_schedules)
        .service(create_schedule)
        .service(get_schedule)
        .service(update_schedule)
        .service(delete_schedule)
        .service(get_calendar)
        .service(set_calendar)
        .service(remove_calendar)
        .service(get_opening)
        .service(get_public_schedule);
}

page_of!(
    /// A page of schedules.
    SchedulePage of ScheduleView
);

/// List schedules
///
/// Oldest first. Needs `conversations:read`.
#[utoipa::path(tag = "schedules", params(PageQuery),
    responses((status = OK, body = SchedulePage, description = "A page of schedules.")))]
#[get("/schedules")]
async fn list_schedules(api: Data<Api>, caller: Caller, paging: Paging) -> Answer {
    let found = api.desk.read(&caller, schedules::list).await?;
    let page = paging.cut(found, |schedule| by_id(schedule.id.0));
    let page = page.map(|schedule| ScheduleView::of(&api.links, schedule));
    Ok(paging.answer(&api, page, |data, page: PageInfo| SchedulePage { data, page }))
}

/// Make a schedule
///
/// Without hours nobody is ever there. Needs `admin:write`.
#[utoipa::path(tag = "schedules", params(IdempotencyKey),
    request_body(content = NewScheduleBody, description = "The schedule.", example = json!({
        "name": "Office", "time_zone": "Europe/Berlin",
        "hours": [{"weekday": "monday", "from": "09:00", "to": "12:30"},
                  {"weekday": "monday", "from": "13:30", "to": "17:00"}],
        "holidays": [{"date": "2026-12-24", "name": "Christmas Eve", "hours": [{"from": "09:00", "to": "12:00"}]},
                     {"date": "2026-12-25", "until": "2026-12-26", "name": "Christmas"}]
    })),
    responses(
        (status = CREATED, body = ScheduleView, description = "The schedule."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is one of this name; `existing_id` says which.")))]
#[post("/schedules")]
async fn create_schedule(api: Data<Api>, caller: Caller, body: Keyed<NewScheduleBody>) -> Answer {
    let Keyed { once, body } = body;
    let new = NewSchedule {
        name: body.name,
        time_zone: body.time_zone,
        hours: body.hours,
        holidays: body.holidays,
        is_public: body.is_public,
    };
    let create = move |cx: &mut Cx<'_>, links: &Links| {
        let schedule = schedules::create(cx, new.clone())?;
        let (path, etag) = (format!("/api/v1/schedules/{}", schedule.id), schedule.etag());
        Ok(answer::made(links, &ScheduleView::of(links, schedule), &path, &etag))
    };
    Ok(once.write(&api, &caller, create).await?)
}

/// Read a schedule
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "schedules", params(Id<ScheduleId>, IfNoneMatch),
    responses((status = OK, body = ScheduleView, description = "The schedule.")))]
#[get("/schedules/{id}")]
async fn get_schedule(api: Data<Api>, caller: Caller, id: Id<ScheduleId>, held: IfNoneMatch) -> Answer {
    let schedule = api.desk.read(&caller, move |cx| schedules::find(cx, id.0)).await?;
    let etag = schedule.etag();
    Ok(answer::one(&ScheduleView::of(&api.links, schedule), &etag, &held))
}

/// Change a schedule
///
/// `hours` and `holidays` are written over as a whole. Needs `admin:write`.
#[utoipa::path(tag = "schedules", params(Id<ScheduleId>, IfMatch),
    request_body(content = SchedulePatch, description = "What is to change.", example = json!({"is_public": true})),
    responses(
        (status = OK, body = ScheduleView, description = "The schedule as it is now."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`already_exists`: there is another of this name.")))]
#[patch("/schedules/{id}")]
async fn update_schedule(
    api: Data<Api>,
    caller: Caller,
    id: Id<ScheduleId>,
    seen: IfMatch,
    body: Body<SchedulePatch>,
) -> Answer {
    let body = body.0;
    let change = ScheduleChange {
        name: body.name,
        time_zone: body.time_zone,
        hours: body.hours,
        holidays: body.holidays,
        is_public: body.is_public,
    };
    let schedule = api
        .desk
        .write(&caller, move |cx| schedules::update(cx, id.0, seen.expected(), change.clone()))
        .await?;
    let etag = schedule.etag();
    Ok(answer::changed(&ScheduleView::of(&api.links, schedule), &etag))
}

/// Delete a schedule
///
/// One that a mailbox's automatic answers go by stays. Needs `admin:write`.
#[utoipa::path(tag = "schedules", params(Id<ScheduleId>, IfMatch),
    responses(
        (status = NO_CONTENT, description = "It is gone."),
        (status = CONFLICT, body = ProblemDocument, content_type = "application/problem+json",
         description = "`state_conflict`: a mailbox's automatic answers go by it.")))]
#[delete("/schedules/{id}")]
async fn delete_schedule(api: Data<Api>, caller: Caller, id: Id<ScheduleId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| schedules::delete(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}

/// Read what a schedule's calendar closes
///
/// Needs `conversations:read`.
#[utoipa::path(tag = "schedules", params(Id<ScheduleId>, IfNoneMatch),
    responses((status = OK, body = CalendarView, description = "What the calendar closes.")))]
#[get("/schedules/{id}/calendar")]
async fn get_calendar(api: Data<Api>, caller: Caller, id: Id<ScheduleId>, held: IfNoneMatch) -> Answer {
    let schedule = api.desk.read(&caller, move |cx| schedules::find(cx, id.0)).await?;
    let timetable = schedules::timetable(&schedule)?;
    Ok(answer::one(&CalendarView::of(&schedule, &timetable), &schedule.etag(), &held))
}

/// Put a schedule's calendar
///
/// Takes the place of the calendar there is. Every event of it is closed, whole days on the schedule's
/// own clock, whether it says busy or free, and again as often as its `RRULE` says (daily at the most);
/// those of the year before and the next two years count, and the daemon reads on by itself. At most
/// 256 KiB, 100 events that repeat and 2,000 closed times. Needs `admin:write`.
#[utoipa::path(tag = "schedules", params(Id<ScheduleId>, IfMatch),
    request_body(content = String, content_type = "text/calendar", description = "The calendar (iCalendar, RFC 5545) in UTF-8.",
        example = json!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//EN\r\nBEGIN:VEVENT\r\nUID:1@example.org\r\nDTSTART;VALUE=DATE:20261225\r\nRRULE:FREQ=YEARLY\r\nSUMMARY:Christmas\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")),
    responses(
        (status = OK, body = CalendarView, description = "What it closes."),
        (status = UNPROCESSABLE_ENTITY, body = ProblemDocument, content_type = "application/problem+json",
         description = "`validation_failed`: it can't be understood; the one of `errors` (`invalid_calendar`) names the line or the event.")))]
#[put("/schedules/{id}/calendar")]
async fn set_calendar(
    api: Data<Api>,
    caller: Caller,
    id: Id<ScheduleId>,
    seen: IfMatch,
    req: HttpRequest,
    body: web::Payload,
) -> Answer {
    let id = id.0;
    // Who may not change it has nothing read for them.
    api.desk.read(&caller, move |cx| schedules::require_change(cx, id)).await?;
    if body::media_type(req.headers()).as_deref() != Some("text/calendar") {
        return Err(Problem::unsupported_media_type("Content-Type must be text/calendar"));
    }
    let bytes = payload::collect(req.headers(), body.into_inner(), BYTES).await?;
    let text = String::from_utf8(bytes).map_err(|_| invalid("the calendar must be UTF-8"))?;
    if text.contains('\0') {
        return Err(invalid("the calendar must not hold U+0000"));
    }
    let (text, calendar) = api.desk.read_calendar(text).await?;
    let schedule = api
        .desk
        .write(&caller, move |cx| schedules::set_calendar(cx, id, seen.expected(), &text, calendar.clone()))
        .await?;
    let timetable = schedules::timetable(&schedule)?;
    Ok(answer::changed(&CalendarView::of(&schedule, &timetable), &schedule.etag()))
}

fn invalid(detail: &str) -> Problem {
    Problem::invalid(vec![Fault {
        pointer: String::new(),
        code: "invalid_calendar",
        detail: detail.to_owned(),
    }])
}

/// Take a schedule's calendar away
///
/// Needs `admin:write`.
#[utoipa::path(tag = "schedules", params(Id<ScheduleId>, IfMatch),
    responses((status = NO_CONTENT, description = "It is gone.")))]
#[delete("/schedules/{id}/calendar")]
async fn remove_calendar(api: Data<Api>, caller: Caller, id: Id<ScheduleId>, seen: IfMatch) -> Answer {
    api.desk.write(&caller, move |cx| schedules::remove_calendar(cx, id.0, seen.expected())).await?;
    Ok(answer::gone())
}

/// When it is to be told.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct OpeningQuery {
    /// The moment (RFC 3339); left out: now.
    at: Option<Timestamp>,
}

/// Tell whether somebody is there
///
/// And when that changes next, looked for over 400 days. Needs `conversations:read`.
#[utoipa::path(tag = "schedules", params(Id<ScheduleId>, OpeningQuery),
    responses((status = OK, body = OpeningView, description = "How things are at that moment.")))]
#[get("/schedules/{id}/opening")]
async fn get_opening(
    api: Data<Api>,
    caller: Caller,
    id: Id<ScheduleId>,
    query: Query<OpeningQuery>,
) -> Answer {
    let (at, opening) = api.desk.read(&caller, move |cx| schedules::opening(cx, id.0, query.0.at)).await?;
    Ok(HttpResponse::Ok().json(OpeningView::of(at, opening)))
}

/// Show a schedule that is public
///
/// For the page of whoever has its key: hours, the holidays of the year ahead, and whether somebody is
/// there now. Public.
#[utoipa::path(tag = "schedules", security(()),
    params(("key" = String, Path, description = "The schedule's key (`public_key`).")),
    responses((status = OK, body = PublicScheduleView, description = "The schedule."),
        (status = NOT_FOUND, body = ProblemDocument, content_type = "application/problem+json",
         description = "`not_found`: no schedule has this key.")))]
#[get("/public/schedules/{key}")]
async fn get_public_schedule(api: Data<Api>, key: web::Path<String>) -> Answer {
    let key = key.into_inner();
    let now = api.desk.now();
    let found = api.desk.read(&Actor::system(), move |cx| schedules::find_public(cx, &key)).await?;
    Ok(HttpResponse::Ok().json(PublicScheduleView::of(found, now)))
}
