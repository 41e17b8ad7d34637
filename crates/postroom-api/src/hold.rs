//! A body that comes in pieces and that nobody reads to its end. actix goes on reading what is left of such a body
//! when whoever was to read it is gone, for as long as it comes: an answer that is no wait for a stalled or endless body,
//! a 401 say, would leave its connection open for ever. So the body is lent to whoever reads it and kept
//! until the answer is out: what is unread then closes the connection, as it does where the length was said.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::header;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// Keeps a body that comes in pieces until its answer is out.
pub async fn hold(
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !req.headers().contains_key(header::TRANSFER_ENCODING) {
        return Ok(next.call(req).await?.map_into_left_body());
    }
    let kept = Rc::new(RefCell::new(req.take_payload()));
    let lent = Box::pin(Lent(Rc::clone(&kept)));
    req.set_payload(Payload::Stream { payload: lent });
    let response = next.call(req).await?;
    Ok(response.map_body(|_, body| Holding { body: body.boxed(), _kept: kept }).map_into_right_body())
}

/// A body as whoever reads it has it.
struct Lent(Rc<RefCell<Payload>>);

impl Stream for Lent {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(cx)
    }
}

/// An answer that keeps the body of its request.
struct Holding {
    body: BoxBody,
    _kept: Rc<RefCell<Payload>>,
}

impl MessageBody for Holding {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}
