//! The shop's pages and static files, which are part of the binary.

/// `/`
pub(crate) const HOME: &str = include_str!("www/home.html");
/// `/products/{id}`
pub(crate) const PRODUCT: &str = include_str!("www/product.html");
/// `/cart`
pub(crate) const CART: &str = include_str!("www/cart.html");
/// `/checkout`
pub(crate) const CHECKOUT: &str = include_str!("www/checkout.html");

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Returns the media type and text of a file below `/static/`.
pub(crate) fn find(path: &str) -> Option<(&'static str, &'static str)> {
    Some(match path {
        "shop.css" => (CSS, include_str!("www/shop.css")),
        "shop.js" => (JS, include_str!("www/shop.js")),
        "images/logo.svg" => (SVG, include_str!("www/images/logo.svg")),
        "images/kettle.svg" => (SVG, include_str!("www/images/kettle.svg")),
        "images/mug.svg" => (SVG, include_str!("www/images/mug.svg")),
        "images/teapot.svg" => (SVG, include_str!("www/images/teapot.svg")),
        "images/lamp.svg" => (SVG, include_str!("www/images/lamp.svg")),
        "images/clock.svg" => (SVG, include_str!("www/images/clock.svg")),
        "images/plant.svg" => (SVG, include_str!("www/images/plant.svg")),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::PRODUCTS;

    #[test]
    fn every_product_has_a_picture() {
        for product in &PRODUCTS {
            let path = format!("images/{}.svg", product.id);
            assert!(find(&path).is_some(), "{path}");
        }
    }
}
