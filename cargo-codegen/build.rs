//! Rebuilds the crate when a file of an embedded tree changes; `include_dir` cannot say so by itself.

fn main() {
    for tree in ["runtime", "scaffolds"] {
        println!("cargo::rerun-if-changed={tree}");
    }
}
