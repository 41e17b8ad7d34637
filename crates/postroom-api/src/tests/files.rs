//! Uploads, ranges, and files on their way to a browser.

use super::TestApi;
use actix_web::http::header;
use serde_json::json;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n0123456789";

#[actix_web::test]
async fn a_file_is_uploaded_attached_and_read_in_parts() {
    let api = TestApi::start().await;
    let mailbox = api.mailbox("Support").await;
    let id = api.conversation(mailbox, "Late").await;
    let upload = api
        .request("POST", "/api/v1/attachments?filename=../Sch%C3%A4den.png")
        .insert_header((header::CONTENT_TYPE, "image/png"))
        .set_payload(PNG);
    let file = api.send(upload).await.ok(201);
    assert_eq!((&file["filename"], &file["size"]), (&json!("Schäden.png"), &json!(PNG.len())));
    assert_eq!(file["message_id"], json!(null));
    let note = json!({"kind": "note", "attachment_ids": [file["id"]]});
    let note = api.post(&format!("/api/v1/conversations/{id}/messages"), note).await.ok(201);
    assert_eq!(note["attachments"][0]["id"], file["id"]);

    let url = file["content_url"].as_str().unwrap();
    let whole = api.get(url).await;
    assert_eq!(whole.header("content-type"), Some("image/png"));
    assert_eq!(
        whole.header("content-disposition"),
        Some("attachment; filename=\"Sch_den.png\"; filename*=UTF-8''Sch%C3%A4den.png")
    );
    assert_eq!(whole.header("content-security-policy"), Some("sandbox; default-src 'none'"));
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(&whole.body[..], PNG);

    let range = |range: &str| api.request("GET", url).insert_header((header::RANGE, range.to_owned()));
    let part = api.send(range("bytes=8-10")).await;
    assert_eq!(part.status, 206);
    assert_eq!(part.header("content-range"), Some("bytes 8-10/18"));
    assert_eq!(&part.body[..], b"012");
    assert_eq!(&api.send(range("bytes=-2")).await.body[..], b"89");
    assert_eq!(api.send(range("bytes=0-1,4-5")).await.status, 200);
    let none = api.send(range("bytes=18-")).await;
    none.problem(416, "bad_range");
    assert_eq!(none.header("content-range"), Some("bytes */18"));
    let other = range("bytes=8-10").insert_header((header::IF_RANGE, "\"another\""));
    assert_eq!(api.send(other).await.status, 200);

    // It is taken now: nobody attaches it a second time.
    let again = json!({"kind": "note", "attachment_ids": [file["id"]]});
    let told = api.post(&format!("/api/v1/conversations/{id}/messages"), again).await;
    assert_eq!(told.problem(422, "validation_failed")["errors"][0]["pointer"], "/attachment_ids/0");
}

#[actix_web::test]
async fn what_only_says_that_it_is_an_image_has_no_type() {
    let api = TestApi::start().await;
    for kind in ["image/png", "text/html", "image/svg+xml"] {
        let upload = api
            .request("POST", "/api/v1/attachments?filename=x.html")
            .insert_header((header::CONTENT_TYPE, kind))
            .set_payload("<script>alert(1)</script>");
        let file = api.send(upload).await.ok(201);
        assert_eq!(file["content_type"], kind);
        let served = api.get(file["content_url"].as_str().unwrap()).await;
        assert_eq!(served.header("content-type"), Some("application/octet-stream"));
    }
}

#[actix_web::test]
async fn an_upload_has_a_name_and_an_end() {
    let api = TestApi::start().await;
    let upload = |path: &str, size: usize| api.request("POST", path).set_payload(vec![b'x'; size]);
    api.send(upload("/api/v1/attachments?filename=a", 2_001)).await.problem(413, "too_large");
    let told = api.send(upload("/api/v1/attachments", 1)).await.problem(400, "bad_parameter");
    assert!(told["detail"].as_str().unwrap().contains("filename"), "{told}");
    api.send(upload("/api/v1/attachments?filename=", 1)).await.problem(400, "bad_parameter");
    api.send(upload("/api/v1/attachments?filename=a%00b", 1)).await.problem(400, "bad_parameter");
    let packed =
        upload("/api/v1/attachments?filename=a", 1).insert_header((header::CONTENT_ENCODING, "gzip"));
    api.send(packed).await.problem(415, "unsupported_media_type");
    assert_eq!(api.send(upload("/api/v1/attachments?filename=a", 2_000)).await.status, 201);
}
