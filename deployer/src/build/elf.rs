//! Whether Lambda's runtime can load a program, read from the program itself. On Lambda a program
//! that cannot be loaded fails only when it is first invoked, in a log that nobody looks at yet.

use std::fmt;

use object::elf::{self, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader, SectionTable, Sym};
use object::{Endianness, SymbolIndex};

use super::Architecture;

/// The glibc of `provided.al2023`, that is of Amazon Linux 2023.
/// <https://docs.aws.amazon.com/linux/al2023/ug/core-glibc.html>
pub(crate) const GLIBC: Version = Version(2, 34);

/// The versions of its symbols that glibc names otherwise than by its own version.
const PREFIX: &str = "GLIBC_";
/// For glibc's own libraries among themselves: any version has it.
const PRIVATE: &str = "GLIBC_PRIVATE";

/// A version of glibc. The third number, as in 2.2.5, ended long before any that matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version(u32, u32);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0, self.1)
    }
}

/// Why Lambda could not run a program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PreflightError {
    /// It is no program for Linux, or a broken one.
    #[error("`bootstrap` is no program for Linux on {wanted}: {reason}")]
    NotElf {
        /// What it was to be for.
        wanted: Architecture,
        /// What is wrong with it.
        reason: String,
    },
    /// It is for another processor.
    #[error("`bootstrap` is for {found}, and the functions run on `{wanted}`")]
    Architecture {
        /// What it is for.
        found: String,
        /// What it was to be for.
        wanted: Architecture,
    },
    /// It names a loader that the runtime does not have.
    #[error("`bootstrap` wants to be loaded by `{0}`, which Lambda's runtime does not have")]
    Loader(String),
    /// It needs a later glibc.
    #[error(
        "`bootstrap` needs `{version}`{}, and Lambda's runtime `provided.al2023` has glibc {GLIBC}",
        .symbol.as_ref().map(|it| format!(" (for `{it}`)")).unwrap_or_default()
    )]
    Glibc {
        /// The latest version among those of the symbols that it needs.
        version: String,
        /// A symbol that it needs in that version, where one is named.
        symbol: Option<String>,
    },
}

impl PreflightError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> &'static str {
        match self {
            Self::Architecture { .. } => {
                "give `--arch` the processor that the program is for, or build it for the other \
                 one: `cargo install cargo-zigbuild` and `pip install ziglang`, then run this again"
            }
            Self::NotElf { .. } => {
                "give `--bootstrap` a program for Linux, or leave it out: it is built here then"
            }
            Self::Loader(_) | Self::Glibc { .. } => {
                "build against the runtime's glibc: `cargo install cargo-zigbuild` and `pip install \
                 ziglang`, then run this again"
            }
        }
    }
}

/// Looks whether `provided.al2023` on `architecture` can load a program.
///
/// # Errors
/// [`PreflightError`], if it cannot.
pub(crate) fn preflight(elf: &[u8], architecture: Architecture) -> Result<(), PreflightError> {
    let broken = |reason: String| PreflightError::NotElf {
        wanted: architecture,
        reason,
    };
    let header = FileHeader64::<Endianness>::parse(elf).map_err(|it| broken(it.to_string()))?;
    let endian = header.endian().map_err(|it| broken(it.to_string()))?;
    let machine = header.e_machine(endian);
    if machine != machine_of(architecture) {
        return Err(PreflightError::Architecture {
            found: name_of(machine),
            wanted: architecture,
        });
    }
    let unreadable = |error: object::Error| broken(error.to_string());
    if let Some(loader) = loader(header, endian, elf).map_err(unreadable)?
        && loader != loader_of(architecture)
    {
        return Err(PreflightError::Loader(loader));
    }
    let sections = header.sections(endian, elf).map_err(unreadable)?;
    match too_late(&sections, endian, elf).map_err(unreadable)? {
        None => Ok(()),
        Some(version) => Err(PreflightError::Glibc {
            symbol: symbol_of(&sections, endian, elf, &version).map_err(unreadable)?,
            version,
        }),
    }
}

fn machine_of(architecture: Architecture) -> elf::Machine {
    match architecture {
        Architecture::X86_64 => elf::EM_X86_64,
        Architecture::Arm64 => elf::EM_AARCH64,
    }
}

fn name_of(machine: elf::Machine) -> String {
    match machine {
        elf::EM_X86_64 => "`x86_64`".to_owned(),
        elf::EM_AARCH64 => "`arm64`".to_owned(),
        other => format!("another processor (ELF machine {})", other.0),
    }
}

/// glibc's, of which the runtime has no other.
fn loader_of(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::X86_64 => "/lib64/ld-linux-x86-64.so.2",
        Architecture::Arm64 => "/lib/ld-linux-aarch64.so.1",
    }
}

/// The loader that a program names. One that is linked statically names none.
fn loader(
    header: &FileHeader64<Endianness>,
    endian: Endianness,
    elf: &[u8],
) -> object::Result<Option<String>> {
    for segment in header.program_headers(endian, elf)? {
        if let Some(path) = segment.interpreter(endian, elf)? {
            return Ok(Some(String::from_utf8_lossy(path).into_owned()));
        }
    }
    Ok(None)
}

/// The latest version of glibc's symbols that a program needs, if the runtime does not have it.
fn too_late(
    sections: &SectionTable<'_, FileHeader64<Endianness>>,
    endian: Endianness,
    elf: &[u8],
) -> object::Result<Option<String>> {
    let Some((mut libraries, link)) = sections.gnu_verneed(endian, elf)? else {
        return Ok(None);
    };
    let strings = sections.strings(endian, elf, link)?;
    let mut latest: Option<(Need, String)> = None;
    while let Some((_, mut versions)) = libraries.next()? {
        while let Some(version) = versions.next()? {
            let name = String::from_utf8_lossy(version.name(endian, strings)?).into_owned();
            if let Some(need) = need(&name)
                && latest.as_ref().is_none_or(|(other, _)| need > *other)
            {
                latest = Some((need, name));
            }
        }
    }
    Ok(latest
        .filter(|(need, _)| *need > Need::Version(GLIBC))
        .map(|(_, name)| name))
}

/// What one symbol version asks of glibc, in order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// This version, or a later one.
    Version(Version),
    /// A feature of the loader with a name of its own, such as `GLIBC_ABI_DT_RELR` of glibc 2.36.
    /// There was none up to 2.34.
    Feature,
}

/// What `name` asks of glibc; `None` for versions of other libraries.
fn need(name: &str) -> Option<Need> {
    if name == PRIVATE {
        return None;
    }
    let mut numbers = name.strip_prefix(PREFIX)?.split('.').map(str::parse);
    Some(match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Need::Version(Version(major, minor)),
        _ => Need::Feature,
    })
}

/// A symbol that a program needs in `version`, to help people find where that comes from.
fn symbol_of(
    sections: &SectionTable<'_, FileHeader64<Endianness>>,
    endian: Endianness,
    elf: &[u8],
    version: &str,
) -> object::Result<Option<String>> {
    let Some(versions) = sections.versions(endian, elf)? else {
        return Ok(None);
    };
    let symbols = sections.symbols(endian, elf, elf::SHT_DYNSYM)?;
    for (position, symbol) in symbols.iter().enumerate() {
        let index = versions.version_index(endian, SymbolIndex(position));
        if let Some(found) = versions.version(index.into())?
            && found.name() == version.as_bytes()
        {
            let name = symbol.name(endian, symbols.strings())?;
            return Ok(Some(String::from_utf8_lossy(name).into_owned()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = format!("chatctl-elf-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn write(&self, file: &str, content: &str) -> PathBuf {
            let path = self.0.join(file);
            std::fs::write(&path, content).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn link(arguments: &[&str], files: &[&Path], output: &Path) -> Vec<u8> {
        let status = Command::new("cc")
            .args(arguments)
            .args(files)
            .arg("-o")
            .arg(output)
            .status();
        assert!(
            status.expect("the linker that Rust uses").success(),
            "{arguments:?}"
        );
        std::fs::read(output).unwrap()
    }

    /// A program that needs the symbol `wanted` of a C library, in `version`.
    fn program_needing(version: &str) -> Vec<u8> {
        let folder = Folder::new(version);
        let library = folder.write("library.c", "void wanted(void) {}");
        let map = folder.write("map", &format!("{version} {{ global: wanted; }};"));
        let program = folder.write(
            "program.c",
            "void wanted(void); void _start(void) { wanted(); }",
        );
        let script = format!("-Wl,--version-script={}", map.display());
        let shared = folder.0.join("libc.so.6");
        link(
            &["-shared", "-nostdlib", "-Wl,-soname,libc.so.6", &script],
            &[&library],
            &shared,
        );
        link(
            &["-nostdlib"],
            &[&program, &shared],
            &folder.0.join("program"),
        )
    }

    fn static_program() -> Vec<u8> {
        let folder = Folder::new("static");
        let program = folder.write("program.c", "void _start(void) {}");
        link(
            &["-static", "-nostdlib"],
            &[&program],
            &folder.0.join("program"),
        )
    }

    const HERE: Architecture = if cfg!(target_arch = "aarch64") {
        Architecture::Arm64
    } else {
        Architecture::X86_64
    };

    const OTHER: Architecture = if cfg!(target_arch = "aarch64") {
        Architecture::X86_64
    } else {
        Architecture::Arm64
    };

    #[test]
    fn a_program_for_a_later_glibc_is_refused_with_the_symbol_and_the_remedy() {
        let refused = preflight(&program_needing("GLIBC_2.38"), HERE).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "`bootstrap` needs `GLIBC_2.38` (for `wanted`), and Lambda's runtime `provided.al2023` \
             has glibc 2.34"
        );
        assert!(refused.hint().contains("cargo install cargo-zigbuild"));
        assert!(refused.hint().contains("pip install ziglang"));
    }

    #[test]
    fn the_runtimes_own_glibc_is_enough_and_so_is_an_older_one() {
        for version in ["GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_PRIVATE", "OTHER_9.9"] {
            assert_eq!(
                preflight(&program_needing(version), HERE),
                Ok(()),
                "{version}"
            );
        }
    }

    #[test]
    fn versions_are_compared_as_numbers_and_features_are_later_than_all() {
        for version in [
            "GLIBC_2.35",
            "GLIBC_2.100",
            "GLIBC_3.0",
            "GLIBC_ABI_DT_RELR",
        ] {
            let refused = preflight(&program_needing(version), HERE);
            assert!(
                matches!(&refused, Err(PreflightError::Glibc { version: found, .. }) if found == version),
                "{refused:?}"
            );
        }
        assert_eq!(need("GLIBC_2.4"), Some(Need::Version(Version(2, 4))));
        assert!(need("GLIBC_2.4") < need("GLIBC_2.34"));
    }

    #[test]
    fn a_static_program_passes() {
        assert_eq!(preflight(&static_program(), HERE), Ok(()));
    }

    #[test]
    fn a_program_for_the_other_architecture_is_refused() {
        let refused = preflight(&static_program(), OTHER).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("`bootstrap` is for `{HERE}`, and the functions run on `{OTHER}`")
        );
        assert!(refused.hint().contains("--arch"));
    }

    #[test]
    fn a_program_with_another_loader_is_refused() {
        let folder = Folder::new("loader");
        let library = folder.write("library.c", "void wanted(void) {}");
        let program = folder.write(
            "program.c",
            "void wanted(void); void _start(void) { wanted(); }",
        );
        let shared = folder.0.join("libc.so");
        link(&["-shared", "-nostdlib"], &[&library], &shared);
        let loader = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1";
        let elf = link(
            &["-nostdlib", loader],
            &[&program, &shared],
            &folder.0.join("program"),
        );
        assert_eq!(
            preflight(&elf, HERE),
            Err(PreflightError::Loader(
                "/lib/ld-musl-x86_64.so.1".to_owned()
            ))
        );
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for bytes in [&b""[..], b"#!/bin/sh\n", &static_program()[..60]] {
            let refused = preflight(bytes, HERE);
            assert!(
                matches!(refused, Err(PreflightError::NotElf { .. })),
                "{refused:?}"
            );
        }
    }
}
