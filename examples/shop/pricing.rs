//! The pricing service: prices of products and quotes for baskets, in euro cents.

use std::time::Duration;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::basket::Basket;
use crate::span::{self, Tracer};

const PRICES: [(&str, u32); 6] =
    [("kettle", 4900), ("mug", 1450), ("teapot", 3800), ("lamp", 6400), ("clock", 4200), ("plant", 2750)];
const SHIPPING: u32 = 490;
const FREE_SHIPPING_FROM: u32 = 6000;

/// Time to look up a price, about that of a query to a nearby database.
const LOOKUP: Duration = Duration::from_millis(4);
const CALCULATION: Duration = Duration::from_millis(20);

/// Returns the traced routes of the service.
pub(crate) fn router(tracer: Tracer) -> Router {
    Router::new()
        .route("/prices", get(all))
        .route("/prices/{id}", get(one))
        .route("/quote", get(quote))
        .layer(from_fn_with_state(tracer, span::trace))
}

async fn all() -> Json<Value> {
    tokio::time::sleep(LOOKUP).await;
    let prices: Map<String, Value> = PRICES.iter().map(|(id, cents)| ((*id).to_owned(), json!(cents))).collect();
    Json(Value::Object(prices))
}

async fn one(Path(id): Path<String>) -> Result<Json<Value>, StatusCode> {
    tokio::time::sleep(LOOKUP).await;
    let cents = price(&id).ok_or(StatusCode::NOT_FOUND)?;
    Ok(Json(json!({ "id": id, "cents": cents })))
}

#[derive(Deserialize)]
struct QuoteQuery {
    items: String,
}

async fn quote(Query(query): Query<QuoteQuery>) -> Json<Value> {
    tokio::time::sleep(CALCULATION).await;
    Json(calculate(&Basket::parse(&query.items)))
}

fn calculate(basket: &Basket) -> Value {
    let lines: Vec<(&str, u32, u32)> =
        basket.items().iter().filter_map(|&(id, quantity)| Some((id, quantity, price(id)?))).collect();
    let goods: u32 = lines.iter().map(|(_, quantity, cents)| quantity * cents).sum();
    let shipping = match goods {
        0 | FREE_SHIPPING_FROM.. => 0,
        _ => SHIPPING,
    };
    json!({
        "lines": lines
            .iter()
            .map(|(id, quantity, cents)| json!({
                "id": id,
                "quantity": quantity,
                "cents": cents,
                "sum": quantity * cents,
            }))
            .collect::<Value>(),
        "shipping": shipping,
        "total": goods + shipping,
    })
}

fn price(id: &str) -> Option<u32> {
    PRICES.iter().find(|(known, _)| *known == id).map(|(_, cents)| *cents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::PRODUCTS;

    #[test]
    fn every_product_has_a_price() {
        for product in &PRODUCTS {
            assert!(price(product.id).is_some(), "{}", product.id);
        }
    }

    #[test]
    fn shipping_is_free_for_large_and_empty_baskets() {
        for (items, shipping, total) in
            [("", 0, 0), ("mug.1", 490, 1940), ("kettle.1", 490, 5390), ("kettle.1~mug.1", 0, 6350)]
        {
            let quote = calculate(&Basket::parse(items));
            assert_eq!(quote["shipping"], shipping, "{items}");
            assert_eq!(quote["total"], total, "{items}");
        }
    }
}
