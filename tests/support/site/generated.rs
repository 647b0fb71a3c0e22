//! Generates scripts, styles, images and data of a given size, the same ones each time.

use std::fmt::Write;

/// Returns a script of functions, and a function `work` that calls all of them, so that the browser parses and compiles everything.
pub(super) fn script(name: &str, kib: usize) -> String {
    let mut text = String::new();
    let mut count = 0;
    while text.len() < kib * 1024 {
        let _ = writeln!(
            text,
            "function {name}{count}(items, options) {{
  if (options.currency !== 'EUR') throw new Error(`{name} {count} knows no ${{options.currency}}`);
  const total = items.reduce((sum, item, index) => sum + item.price * (index + {count}), 0);
  const labels = items.map((item) => `${{item.label}} of {name}`.toUpperCase()).filter((label) => label.length > {count} % 7);
  return {{ id: '{name}-{count}', total: Math.round(total * 100) / 100, labels, options: {{ ...options, step: {count} }} }};
}}"
        );
        count += 1;
    }
    text.push_str(
        "function work() {\n  const items = [{ label: 'pen', price: 1.2 }, { label: 'ink', price: 3.4 }];\n  return [",
    );
    for i in 0..count {
        let _ = write!(text, "{name}{i}, ");
    }
    text.push_str("].map((step) => step(items, { currency: 'EUR' }));\n}\n");
    text
}

/// Returns a stylesheet of rules, most of which match nothing.
pub(super) fn style(name: &str, kib: usize) -> String {
    let mut text = String::new();
    let mut count = 0;
    while text.len() < kib * 1024 {
        let _ = writeln!(
            text,
            ".{name}-{count} > p:nth-child({}) {{ margin: {}px; color: hsl({} 40% 50%); border-radius: {}px; }}",
            count % 9 + 1,
            count % 16,
            count * 7 % 360,
            count % 5
        );
        count += 1;
    }
    text
}

/// Returns a bitmap of 48 by 48 pixels, some 7 KB.
pub(super) fn image(seed: u32) -> Vec<u8> {
    const SIDE: u32 = 48;
    const HEADER: u32 = 54;
    let pixels = SIDE * SIDE * 3;
    let mut bytes = b"BM".to_vec();
    // Size of the file, reserved, start of the pixels, size of the second header, width, height.
    for field in [HEADER + pixels, 0, HEADER, 40, SIDE, SIDE] {
        bytes.extend(field.to_le_bytes());
    }
    // One plane of 24 bits per pixel.
    bytes.extend([1, 0, 24, 0]);
    // No compression, size of the pixels, and four fields that may be 0.
    for field in [0, pixels, 0, 0, 0, 0] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend((0..pixels).map(|i| (i * (31 + seed) / 7).to_le_bytes()[0]));
    bytes
}

/// Returns a list of products as JSON, some 3 KB.
pub(super) fn data(name: &str) -> String {
    let items: Vec<_> = (0..40)
        .map(|i| serde_json::json!({ "id": format!("{name}-{i}"), "label": format!("Product {i}"), "price": i * 7 % 50, "stock": i % 3 }))
        .collect();
    serde_json::Value::from(items).to_string()
}

#[cfg(test)]
mod tests {
    use super::{data, image, script, style};

    #[test]
    fn files_have_about_the_wanted_size() {
        assert!((10 * 1024..12 * 1024).contains(&style("a", 10).len()));
        assert!((10 * 1024..12 * 1024).contains(&script("a", 10).len()));
        assert_eq!(image(1).len(), 54 + 48 * 48 * 3);
        assert!((2000..4000).contains(&data("a").len()));
    }

    #[test]
    fn files_are_the_same_each_time() {
        assert_eq!(script("a", 10), script("a", 10));
        assert_ne!(image(1), image(2));
    }
}
