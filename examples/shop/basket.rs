//! The shopping cart, which is stored in a cookie. The shop stores nothing about its visitors.

use std::fmt;

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

use crate::catalog;

/// Name of the cookie.
const NAME: &str = "cart";
/// Maximum quantity of a product.
const MOST: u32 = 9;

/// Product ids with their quantities. Its text form, such as `kettle.1~mug.2`, is also used to ask for a quote.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Basket(Vec<(&'static str, u32)>);

impl Basket {
    /// Parses the text form. Unknown products and invalid quantities are left out.
    pub(crate) fn parse(text: &str) -> Self {
        let mut basket = Self::default();
        for item in text.split('~') {
            if let Some((id, quantity)) = item.split_once('.') {
                basket.add(id, quantity.parse().unwrap_or(0));
            }
        }
        basket
    }

    /// Returns the basket in the cookies of a request.
    pub(crate) fn from_headers(headers: &HeaderMap) -> Self {
        headers
            .get_all(COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|line| line.split(';'))
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(name, _)| *name == NAME)
            .map_or_else(Self::default, |(_, text)| Self::parse(text))
    }

    /// Adds a product. Returns false if it is not for sale in that quantity.
    pub(crate) fn add(&mut self, id: &str, quantity: u32) -> bool {
        let Some(product) = catalog::find(id).filter(|_| (1..=MOST).contains(&quantity)) else {
            return false;
        };
        match self.0.iter_mut().find(|(id, _)| *id == product.id) {
            Some((_, present)) => *present = (*present + quantity).min(MOST),
            None => self.0.push((product.id, quantity)),
        }
        true
    }

    /// Returns the products with their quantities.
    pub(crate) fn items(&self) -> &[(&'static str, u32)] {
        &self.0
    }

    /// Returns the value of `Set-Cookie`, which removes the cookie if the basket is empty.
    pub(crate) fn cookie(&self) -> String {
        let age = if self.0.is_empty() { 0 } else { 24 * 60 * 60 };
        format!("{NAME}={self}; Path=/; Max-Age={age}; HttpOnly; SameSite=Lax")
    }
}

impl fmt::Display for Basket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (id, quantity)) in self.0.iter().enumerate() {
            let between = if index == 0 { "" } else { "~" };
            write!(f, "{between}{id}.{quantity}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn adds_up_to_the_limit() {
        let mut basket = Basket::parse("kettle.1~mug.2");
        assert!(basket.add("mug", 3));
        assert_eq!(basket.to_string(), "kettle.1~mug.5");
        assert!(basket.add("mug", 9));
        assert_eq!(basket.to_string(), "kettle.1~mug.9");
        assert!(!basket.add("mug", 0));
        assert!(!basket.add("piano", 1));
    }

    #[test]
    fn leaves_out_what_it_does_not_know() {
        for text in ["", "~", "piano.1", "mug.-1", "mug.99999999999", "mug"] {
            assert_eq!(Basket::parse(text), Basket::default(), "{text}");
        }
    }

    #[test]
    fn finds_its_cookie_among_others() {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_static("a=b; cart=mug.2; c=d"));
        assert_eq!(Basket::from_headers(&headers), Basket::parse("mug.2"));
    }
}
