//! Has the crate rebuilt when a file of the embedded extension is added, which the compiler would not notice.

fn main() {
    println!("cargo:rerun-if-changed=extension");
}
