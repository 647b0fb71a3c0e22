//! The products of the shop. Their prices are in the pricing service.

pub(crate) struct Product {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) line: &'static str,
    pub(crate) about: &'static str,
    /// Ids of recommended products.
    pub(crate) goes_with: [&'static str; 3],
}

/// All products, in the order of the home page.
pub(crate) const PRODUCTS: [Product; 6] = [
    Product {
        id: "kettle",
        name: "Whistling kettle",
        line: "Enamel, 1.8 litres",
        about: "Boils in four minutes on any hob and tells the whole house about it.",
        goes_with: ["teapot", "mug", "clock"],
    },
    Product {
        id: "mug",
        name: "Stoneware mug",
        line: "Thrown by hand, 350 ml",
        about: "Heavy at the bottom, thin at the lip. No two are quite the same blue.",
        goes_with: ["kettle", "teapot", "plant"],
    },
    Product {
        id: "teapot",
        name: "Round teapot",
        line: "With a strainer, 1.2 litres",
        about: "Pours without a drip, holds three mugs, and keeps them warm for half an hour.",
        goes_with: ["mug", "kettle", "lamp"],
    },
    Product {
        id: "lamp",
        name: "Reading lamp",
        line: "Brass, warm light",
        about: "Bends where you need it and stays there. The bulb is included and replaceable.",
        goes_with: ["clock", "plant", "mug"],
    },
    Product {
        id: "clock",
        name: "Wall clock",
        line: "Silent movement, 30 cm",
        about: "Large hands, no ticking, one battery a year.",
        goes_with: ["lamp", "plant", "kettle"],
    },
    Product {
        id: "plant",
        name: "Potted rubber plant",
        line: "About 60 cm tall",
        about: "Asks for little: some light, a glass of water a week, and a dusting now and then.",
        goes_with: ["lamp", "mug", "clock"],
    },
];

/// Returns the product with this id.
pub(crate) fn find(id: &str) -> Option<&'static Product> {
    PRODUCTS.iter().find(|product| product.id == id)
}
