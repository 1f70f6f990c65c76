//! Generates the code and the descriptor set of nightshift.v1 from its .proto files.
//!
//! ```text
//! cargo run -p nightshift-proto --example generate           # writes proto/src/gen
//! cargo run -p nightshift-proto --example generate -- DIR    # writes DIR, for a comparison
//! ```
//!
//! The compiler is protox, in Rust: no protoc is needed, and the same sources give the same bytes
//! everywhere. What is generated is committed, so that a build needs none of this.

use std::error::Error;
use std::path::{Path, PathBuf};

const FILES: [&str; 3] =
    ["nightshift/v1/leases.proto", "nightshift/v1/pods.proto", "nightshift/v1/runs.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = std::env::args_os().nth(1).map_or_else(|| root.join("src/gen"), PathBuf::from);
    std::fs::create_dir_all(&out)?;

    let mut compiler = protox::Compiler::new([root])?;
    compiler.include_imports(true).include_source_info(true).open_files(FILES)?;
    let with_comments = compiler.file_descriptor_set();
    // Reflection has no use for comments, and they are most of the bytes.
    compiler.include_source_info(false);
    std::fs::write(
        out.join("nightshift.v1.descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;

    tonic_prost_build::configure()
        // Channels and servers belong to the shells; this crate needs no network.
        .build_transport(false)
        // Ordered maps encode alike everywhere.
        .btree_map(".")
        .codec_path("crate::codec::BoundedCodec")
        .out_dir(&out)
        .compile_fds(with_comments)?;
    Ok(())
}
