//! Customers, agents, teams, tags, categories and tokens.

use super::TestApi;
use actix_web::http::header;
use actix_web::test::TestRequest;
use serde_json::json;

#[actix_web::test]
async fn customers_have_any_number_of_addresses() {
    let api = TestApi::start().await;
    let body = json!({"name": "Ada", "addresses": [{"email": "ada@example.org", "confirmed": true}, {"email": "a@b.example"}],
                      "phones": ["+44 20 7946 0000"]});
    let told = api.post("/api/v1/customers", body).await;
    let location = told.header("location").unwrap().to_owned();
    let ada = told.ok(201);
    assert_eq!(ada["addresses"][0]["confirmed"], true);
    assert_eq!(
        ada["addresses"][1],
        json!({"email": "a@b.example", "confirmed": false, "confirmed_at": null, "undeliverable_at": null,
               "complained_at": null})
    );
    let nobody = api.post("/api/v1/customers", json!({})).await.ok(201);
    assert_eq!((&nobody["name"], &nobody["addresses"]), (&json!(null), &json!([])));
    let found = |query: &'static str| api.get(query);
    assert_eq!(found("/api/v1/customers?email=ADA@example.org").await.ok(200)["data"], json!([ada]));
    assert_eq!(found("/api/v1/customers?q=b.exam").await.ok(200)["data"], json!([ada]));
    assert_eq!(found("/api/v1/customers?email=nobody@example.org").await.ok(200)["data"], json!([]));

    let clash = api.post("/api/v1/customers", json!({"addresses": [{"email": "A@b.example"}]})).await;
    assert_eq!(clash.problem(409, "already_exists")["existing_id"], ada["id"]);
    let changed = api.patch(&location, json!({"name": null, "phones": []})).await.ok(200);
    assert_eq!((&changed["name"], &changed["phones"]), (&json!(null), &json!([])));
    assert_eq!(changed["addresses"], ada["addresses"]);
    let told = api.patch(&location, json!({"addresses": null})).await.problem(422, "validation_failed");
    assert_eq!(told["errors"][0]["pointer"], "/addresses");
}

#[actix_web::test]
async fn agents_and_teams_hold_grants() {
    let api = TestApi::start().await;
    let mailbox = api.mailbox("Support").await;
    let category = api.post("/api/v1/categories", json!({"name": "Payroll"})).await.ok(201)["id"].clone();
    let grants =
        json!([{"mailbox_id": mailbox, "category_id": category, "assigned_only": true, "level": "reply"}]);
    let amy = api
        .post("/api/v1/agents", json!({"name": "Amy", "email": "amy@desk.example", "grants": grants}))
        .await
        .ok(201);
    assert_eq!((&amy["role"], &amy["grants"]), (&json!("agent"), &grants));
    let path = format!("/api/v1/agents/{}", amy["id"]);
    let stopped = api.patch(&path, json!({"disabled": true})).await.ok(200);
    assert_eq!((&stopped["disabled"], &stopped["name"]), (&json!(true), &json!("Amy")));
    let told = api.post(
        "/api/v1/agents",
        json!({"name": "B", "email": "b@c.example", "grants": [{"mailbox_id": 77, "level": "read"}]}),
    );
    let told = told.await.problem(422, "validation_failed");
    assert_eq!(told["errors"][0]["pointer"], "/grants/0/mailbox_id");

    let team = json!({"name": "Second level", "member_ids": [amy["id"]], "grants": [{"mailbox_id": mailbox, "level": "read"}]});
    let team = api.post("/api/v1/teams", team).await.ok(201);
    let path = format!("/api/v1/teams/{}", team["id"]);
    assert_eq!(api.get(&path).await.ok(200), team);
    assert_eq!(api.patch(&path, json!({"member_ids": []})).await.ok(200)["member_ids"], json!([]));
    assert_eq!(api.delete(&path).await.status, 204);
    assert_eq!(api.get("/api/v1/teams").await.ok(200)["data"], json!([]));
    assert_eq!(api.get("/api/v1/categories").await.ok(200)["data"][0]["name"], "Payroll");
}

#[actix_web::test]
async fn short_lists_are_paged_like_long_ones() {
    let api = TestApi::start().await;
    for name in ["c", "a", "b"] {
        api.post("/api/v1/tags", json!({"name": name})).await.ok(201);
    }
    let first = api.get("/api/v1/tags?limit=2&count=true").await.ok(200);
    let names = |page: &serde_json::Value| {
        page["data"].as_array().unwrap().iter().map(|tag| tag["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["c", "a"]);
    assert_eq!(first["page"]["total"], 3);
    let cursor = first["page"]["next_cursor"].as_str().unwrap();
    let second = api.get(&format!("/api/v1/tags?limit=2&cursor={cursor}")).await.ok(200);
    assert_eq!(names(&second), ["b"]);
    assert_eq!(second["page"]["has_more"], false);

    let tag = &second["data"][0];
    let path = format!("/api/v1/tags/{}", tag["id"]);
    assert_eq!(api.patch(&path, json!({"name": "bee"})).await.ok(200)["name"], "bee");
    api.patch(&path, json!({"name": "C"})).await.problem(409, "already_exists");
    assert_eq!(api.delete(&path).await.status, 204);
    api.delete(&path).await.problem(404, "not_found");
}

#[actix_web::test]
async fn a_token_shows_its_secret_once() {
    let api = TestApi::start().await;
    let body =
        json!({"name": "export", "scopes": ["conversations:read"], "expires_at": "2027-01-01T00:00:00Z"});
    let made = api.post("/api/v1/tokens", body).await.ok(201);
    let secret = made["token"].as_str().unwrap();
    assert!(secret.starts_with("pr_pat_") && secret.len() == 56);
    let me = || {
        TestRequest::get()
            .uri("/api/v1/me")
            .insert_header((header::AUTHORIZATION, format!("Bearer {secret}")))
    };
    assert_eq!(api.send(me()).await.ok(200)["token_id"], made["id"]);
    let list = api.get("/api/v1/tokens").await;
    assert!(!String::from_utf8_lossy(&list.body).contains(secret));
    let list = list.ok(200);
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    let first = api.get("/api/v1/tokens?limit=1").await.ok(200);
    let cursor = first["page"]["next_cursor"].as_str().unwrap();
    let second = api.get(&format!("/api/v1/tokens?limit=1&cursor={cursor}")).await.ok(200);
    assert_eq!(json!([first["data"][0], second["data"][0]]), list["data"]);

    let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(api.delete(&path).await.status, 204);
    api.send(me()).await.problem(401, "unauthorized");
    let told = api.post("/api/v1/tokens", json!({"name": "x", "scopes": ["everything"]})).await;
    assert_eq!(told.problem(422, "validation_failed")["errors"][0]["pointer"], "/scopes/0");
}
