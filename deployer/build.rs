//! Puts the functions' programs into `chatctl`, where it is made to be handed out (the feature `carry`).

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

/// What can be carried: the constant's name, and the variable that has the program's path.
const PROGRAMS: [(&str, &str); 3] = [
    ("X86_64", "CHATCTL_EMBED_X86_64"),
    ("ARM64", "CHATCTL_EMBED_ARM64"),
    ("HOST", "CHATCTL_EMBED_HOST"),
];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    // Changes with the folder, which `CARGO_MANIFEST_DIR` does as well; cargo compares this one alone.
    println!("cargo::rerun-if-env-changed=THIS_CHECKOUT");
    let is_to_carry = env::var_os("CARGO_FEATURE_CARRY").is_some();
    let mut constants = String::new();
    let mut carries = false;
    for (name, variable) in PROGRAMS {
        println!("cargo::rerun-if-env-changed={variable}");
        let path = env::var_os(variable).filter(|it| is_to_carry && !it.is_empty());
        let program = match path {
            Some(path) => {
                carries = true;
                // An `include_bytes!` is relative to the file that it is in.
                let path = fs::canonicalize(path)?;
                format!("Some(include_bytes!({:?}))", path.to_string_lossy())
            }
            None => "None".to_owned(),
        };
        // Writing to a string does not fail.
        let _ = writeln!(constants, "const {name}: Option<&[u8]> = {program};");
    }
    // What is handed out knows nothing of the folder that it was made in.
    let package = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let built_from = if carries { "" } else { &package };
    println!("cargo::rustc-env=CHATCTL_BUILT_FROM={built_from}");
    let folder = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(folder.join("carried.rs"), constants)
}
