//! The shop service: pages, static files, and the JSON API for the scripts of the pages.

use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Form, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::assets;
use crate::basket::Basket;
use crate::catalog::{self, PRODUCTS, Product};
use crate::span::{self, Context, Tracer};
use crate::upstream::Upstream;

/// Time for recommendations, which are slow on purpose: it should be visible in a waterfall.
const PONDERING: Duration = Duration::from_millis(130);
const PAYMENT: Duration = Duration::from_millis(60);

type Answer = Result<Response, Failure>;

/// Returns the traced routes of the shop.
pub(crate) fn router(tracer: Tracer, pricing: Upstream) -> Router {
    Router::new()
        .route("/", get(async || Html(assets::HOME)))
        .route("/products/{id}", get(product_page))
        .route("/cart", get(async || Html(assets::CART)).post(add_to_cart))
        .route("/checkout", get(async || Html(assets::CHECKOUT)))
        .route("/static/{*path}", get(static_file))
        .route("/api/products", get(products))
        .route("/api/products/{id}", get(product))
        .route("/api/recommendations", get(recommendations))
        .route("/api/cart", get(cart))
        .route("/api/orders", post(order))
        .fallback(async || Failure::NotFound)
        .with_state(pricing)
        .layer(from_fn_with_state(tracer, span::trace))
}

enum Failure {
    NotFound,
    /// The basket is empty, or a product is not for sale.
    NotForSale,
    Upstream(std::io::Error),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "There is nothing here.\n").into_response(),
            Self::NotForSale => (StatusCode::UNPROCESSABLE_ENTITY, "That can't be bought.\n").into_response(),
            Self::Upstream(error) => (StatusCode::BAD_GATEWAY, format!("No prices: {error}\n")).into_response(),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Upstream(error)
    }
}

/// Returns the same page for every product. Its script asks the API for the product.
async fn product_page(Path(id): Path<String>) -> Answer {
    catalog::find(&id).ok_or(Failure::NotFound)?;
    Ok(Html(assets::PRODUCT).into_response())
}

async fn static_file(Path(path): Path<String>) -> Answer {
    let (kind, text) = assets::find(&path).ok_or(Failure::NotFound)?;
    let headers = [("content-type", kind), ("cache-control", "public, max-age=3600")];
    Ok((headers, text).into_response())
}

async fn products(State(pricing): State<Upstream>, Extension(context): Extension<Context>) -> Answer {
    let prices = pricing.get("/prices", &context).await?;
    Ok(fresh(PRODUCTS.iter().map(|product| card(product, &prices[product.id])).collect()))
}

async fn product(
    State(pricing): State<Upstream>,
    Extension(context): Extension<Context>,
    Path(id): Path<String>,
) -> Answer {
    let product = catalog::find(&id).ok_or(Failure::NotFound)?;
    let price = price(&pricing, product, &context).await?;
    let mut answer = card(product, &price);
    answer["about"] = json!(product.about);
    Ok(fresh(answer))
}

#[derive(Deserialize)]
struct RecommendationsQuery {
    product: String,
}

/// Slow, with a request for each price, as a trace should reveal.
async fn recommendations(
    State(pricing): State<Upstream>,
    Extension(context): Extension<Context>,
    Query(query): Query<RecommendationsQuery>,
) -> Answer {
    let product = catalog::find(&query.product).ok_or(Failure::NotFound)?;
    tokio::time::sleep(PONDERING).await;
    let mut cards = Vec::new();
    for other in product.goes_with.into_iter().filter_map(catalog::find) {
        let price = price(&pricing, other, &context).await?;
        cards.push(card(other, &price));
    }
    Ok(fresh(Value::Array(cards)))
}

async fn cart(State(pricing): State<Upstream>, Extension(context): Extension<Context>, headers: HeaderMap) -> Answer {
    let basket = Basket::from_headers(&headers);
    Ok(fresh(quote(&pricing, &basket, &context).await?))
}

#[derive(Deserialize)]
struct Addition {
    product: String,
    quantity: u32,
}

/// The target of the shop's only form, so that a flow has a POST and a redirect.
async fn add_to_cart(headers: HeaderMap, Form(addition): Form<Addition>) -> Answer {
    let mut basket = Basket::from_headers(&headers);
    if !basket.add(&addition.product, addition.quantity) {
        return Err(Failure::NotForSale);
    }
    let headers = [(SET_COOKIE, basket.cookie()), (LOCATION, "/cart".to_owned())];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

async fn order(State(pricing): State<Upstream>, Extension(context): Extension<Context>, headers: HeaderMap) -> Answer {
    let basket = Basket::from_headers(&headers);
    if basket.items().is_empty() {
        return Err(Failure::NotForSale);
    }
    let quote = quote(&pricing, &basket, &context).await?;
    tokio::time::sleep(PAYMENT).await;
    let number = rand::random::<u32>() % 900_000 + 100_000;
    let order = json!({ "number": number, "total": quote["total"] });
    Ok((StatusCode::CREATED, [(SET_COOKIE, Basket::default().cookie())], Json(order)).into_response())
}

async fn price(pricing: &Upstream, product: &Product, context: &Context) -> Result<Value, std::io::Error> {
    let answer = pricing.get(&format!("/prices/{}", product.id), context).await?;
    Ok(answer["cents"].clone())
}

/// Gets a quote and adds the names of the products.
async fn quote(pricing: &Upstream, basket: &Basket, context: &Context) -> Result<Value, std::io::Error> {
    let mut quote = pricing.get(&format!("/quote?items={basket}"), context).await?;
    for line in quote["lines"].as_array_mut().into_iter().flatten() {
        let product = line["id"].as_str().and_then(catalog::find);
        line["name"] = json!(product.map(|product| product.name));
    }
    Ok(quote)
}

fn card(product: &Product, cents: &Value) -> Value {
    json!({
        "id": product.id,
        "name": product.name,
        "line": product.line,
        "cents": cents,
    })
}

/// Returns JSON that no cache may store.
fn fresh(value: Value) -> Response {
    ([(CACHE_CONTROL, "no-store")], Json(value)).into_response()
}
