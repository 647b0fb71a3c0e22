//! Rebuilds the crate when a file of the embedded extension is added, which Cargo would not notice.

fn main() {
    println!("cargo:rerun-if-changed=extension");
}
