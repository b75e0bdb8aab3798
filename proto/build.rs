//! Compiles the contracts to Rust, without `protoc`.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=assay");
    let files = [
        "assay/v1/common.proto",
        "assay/v1/node.proto",
        "assay/v1/run.proto",
        "assay/v1/metric.proto",
        "assay/v1/cluster.proto",
        "assay/v1/notice.proto",
        "assay/v1/feedback.proto",
    ];
    let descriptors = protox::compile(files, ["."])?;
    let place = PathBuf::from(std::env::var("OUT_DIR")?).join("assay_v1.bin");
    std::fs::write(&place, prost_bytes(&descriptors))?;
    // Channels are opened by `link`, with their bounds; the generated `connect` has none.
    tonic_prost_build::configure()
        .build_transport(false)
        .compile_fds(descriptors)?;
    Ok(())
}

/// The descriptors as bytes, for server reflection.
fn prost_bytes(descriptors: &impl prost::Message) -> Vec<u8> {
    descriptors.encode_to_vec()
}
