//! The package that Lambda takes: a zip file of the `bootstrap`. The same program gives the same
//! bytes, so that what has not changed is neither sent nor deployed again.

use std::fmt::Write as _;
use std::io::{Cursor, Write as _};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The name that Lambda looks for.
const PROGRAM: &str = "bootstrap";
/// Lambda runs the program as another user than the one that unpacks it.
const MODE: u32 = 0o755;

/// A package.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Package {
    /// The zip file.
    pub(crate) zip: Vec<u8>,
    /// Its SHA-256 in lower-case hexadecimal.
    pub(crate) sha256: String,
    /// The same in base64, which Lambda calls `CodeSha256`.
    pub(crate) code_sha256: String,
}

impl Package {
    /// Packs a `bootstrap`.
    ///
    /// # Errors
    /// When it is too large for a zip file.
    pub(crate) fn new(bootstrap: &[u8]) -> std::io::Result<Self> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            // 1980-01-01, the earliest there is. The time of the build would be another each time.
            .last_modified_time(DateTime::default())
            .unix_permissions(MODE);
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(PROGRAM, options)?;
        writer.write_all(bootstrap)?;
        let zip = writer.finish()?.into_inner();
        let digest = Sha256::digest(&zip);
        Ok(Self {
            zip,
            sha256: hexadecimal(&digest),
            code_sha256: STANDARD.encode(digest),
        })
    }
}

/// Without the bytes, of which there are millions.
impl std::fmt::Debug for Package {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Package")
            .field("bytes", &self.zip.len())
            .field("sha256", &self.sha256)
            .finish_non_exhaustive()
    }
}

/// The SHA-256 of some bytes in lower-case hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Something like a program: repetitive in part, and longer than a deflate block.
    fn program() -> Vec<u8> {
        let mut state = 1_u32;
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        noise.take(100_000).chain(vec![0; 100_000]).collect()
    }

    #[test]
    fn the_same_program_gives_the_same_bytes_and_another_one_others() {
        let package = Package::new(&program()).unwrap();
        // A zip file's times count two seconds.
        std::thread::sleep(std::time::Duration::from_millis(2_100));
        assert_eq!(Package::new(&program()).unwrap(), package);
        assert!(package.zip.len() < 150_000, "it is compressed: {package:?}");
        let other = Package::new(&program()[1..]).unwrap();
        assert_ne!(other.sha256, package.sha256);
    }

    #[test]
    fn the_name_is_the_sha_256_of_the_zip_file() {
        assert_eq!(
            hexadecimal(&Sha256::digest(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        let package = Package::new(b"#!/bin/sh\n").unwrap();
        assert_eq!(package.sha256, hexadecimal(&Sha256::digest(&package.zip)));
        let digest = STANDARD.decode(&package.code_sha256).unwrap();
        assert_eq!(hexadecimal(&digest), package.sha256);
    }

    #[test]
    fn another_reader_finds_the_program_and_that_anyone_may_run_it() {
        let folder = format!("chatctl-package-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let package = Package::new(&program()).unwrap();
        std::fs::write(folder.join("package.zip"), &package.zip).unwrap();
        std::fs::write(folder.join("bootstrap"), program()).unwrap();
        let check = "\
import zipfile
with zipfile.ZipFile('package.zip') as package:
    assert package.testzip() is None
    [entry] = package.infolist()
    assert entry.filename == 'bootstrap', entry
    assert entry.create_system == 3, entry  # Unix: the mode counts
    assert entry.external_attr >> 16 == 0o100755, oct(entry.external_attr >> 16)
    assert entry.date_time == (1980, 1, 1, 0, 0, 0), entry
    with open('bootstrap', 'rb') as program:
        assert package.read(entry) == program.read()
";
        let status = Command::new("python3")
            .args(["-c", check])
            .current_dir(&folder)
            .status();
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(status.expect("Python 3").success());
    }
}
