//! The functions' programs inside this one, where it was made to be handed out.

use super::Architecture;

// `X86_64`, `ARM64` and `HOST`, by `build.rs`.
include!(concat!(env!("OUT_DIR"), "/carried.rs"));

/// Whether there are any.
pub(crate) fn is_carrying() -> bool {
    X86_64.is_some() || ARM64.is_some()
}

/// The one for Lambda on a processor.
pub(super) fn program(architecture: Architecture) -> Option<&'static [u8]> {
    match architecture {
        Architecture::X86_64 => X86_64,
        Architecture::Arm64 => ARM64,
    }
}

/// The one that runs on this machine: Lambda's own, where the machine is like Lambda's.
pub(crate) fn program_here() -> Option<&'static [u8]> {
    HOST.or(match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => X86_64,
        ("linux", "aarch64") => ARM64,
        _ => None,
    })
}

/// The version, and what is inside.
pub(crate) fn long_version() -> String {
    let carried = [Architecture::X86_64, Architecture::Arm64]
        .into_iter()
        .filter_map(|it| {
            let bytes = program(it)?.len();
            Some(format!("{it} ({} KB)", bytes / 1000))
        });
    let carried: Vec<_> = carried.collect();
    let version = env!("CARGO_PKG_VERSION");
    if carried.is_empty() {
        format!("{version}\ncarries no functions: it builds them from their sources")
    } else {
        format!(
            "{version}\ncarries the functions for {}",
            carried.join(" and ")
        )
    }
}
