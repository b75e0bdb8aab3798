//! What is shipped: the zip of the function and the images, as far as they can be looked at without
//! a registry. A program of this machine stands in for theirs: what is tested is how they are packed.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::path::PathBuf;
use std::process::{Command, Output};

fn at(path: &str) -> PathBuf {
    assay_tests::workspace_root().join(path)
}

fn run(program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(at(program));
    command.args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// A program that every machine with these tests has.
fn program() -> String {
    std::env::current_exe().unwrap().display().to_string()
}

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("assay-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_program_that_needs_a_newer_glibc_than_its_machine_has_is_refused() {
    let good = run("infra/glibc", &[&program(), "9.99"]);
    assert!(good.status.success(), "{}", said(&good));
    // No program that starts a thread needs none newer.
    let old = run("infra/glibc", &[&program(), "2.1"]);
    assert_eq!(old.status.code(), Some(1), "{}", said(&old));
    assert!(said(&old).contains("cargo-zigbuild"), "{}", said(&old));
    let none = run(
        "infra/glibc",
        &[&at("Cargo.toml").display().to_string(), "9.99"],
    );
    assert!(said(&none).contains("no ELF program"), "{}", said(&none));
}

#[test]
fn the_zip_of_a_function_is_the_same_when_it_is_made_again_and_holds_one_program() {
    let folder = Folder::new("zip");
    let (one, two) = (folder.file("one.zip"), folder.file("two.zip"));
    let arch = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "x86_64"
    };
    let (other, program) = (if arch == "arm64" { "x86_64" } else { "arm64" }, program());
    for out in [&one, &two] {
        let made = run(
            "infra/lambda/build",
            &["--arch", arch, "--from", &program, "--out", out],
        );
        assert!(made.status.success(), "{}", said(&made));
    }
    let bytes = std::fs::read(&one).unwrap();
    assert!(
        bytes == std::fs::read(&two).unwrap(),
        "two zips of one program differ"
    );
    // The first entry of a zip: its name after a head of 30 bytes; the last, in the directory at its
    // end, has the rights in the upper half of its attributes.
    assert_eq!(&bytes[..4], b"PK\x03\x04");
    assert_eq!(&bytes[30..39], b"bootstrap");
    let entries: Vec<usize> = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, window)| *window == b"PK\x01\x02")
        .map(|(at, _)| at)
        .collect();
    let at = *entries.last().unwrap();
    let attributes = u32::from_le_bytes(bytes[at + 38..at + 42].try_into().unwrap());
    assert_eq!(attributes >> 16, 0o100_755);
    let refused = run(
        "infra/lambda/build",
        &["--arch", other, "--from", &program, "--out", &one],
    );
    assert!(
        said(&refused).contains(&format!("is not for {other}")),
        "{}",
        said(&refused)
    );
}

#[test]
fn an_image_is_refused_before_it_is_built_from_what_it_cannot_run() {
    let folder = Folder::new("images");
    let from = folder.0.display().to_string();
    std::fs::copy(at("Cargo.toml"), folder.file("assay-manager")).unwrap();
    let absent = run(
        "infra/images/build",
        &["--tool", "buildah", "--from", &from, "datanode"],
    );
    assert!(
        said(&absent).contains("assay-datanode is not there"),
        "{}",
        said(&absent)
    );
    let unknown = run(
        "infra/images/build",
        &["--tool", "buildah", "--from", &from, "king"],
    );
    assert!(
        said(&unknown).contains("there is no image king"),
        "{}",
        said(&unknown)
    );
    let help = run("infra/images/build", &["--help"]);
    assert!(
        help.status.success() && said(&help).contains("--rds-ca"),
        "{}",
        said(&help)
    );
}
