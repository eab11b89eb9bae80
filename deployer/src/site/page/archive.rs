//! A page as a zip file, to be kept and had again. The same page gives the same bytes.

use std::fmt::Write as _;
use std::io::{self, Cursor, Read, Write as _};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

use super::{CONFIG_KEY, Page};

/// What a kept page may come to: no page is near it, and what claims to be more is no page.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

impl Page {
    /// The SHA-256, in lower-case hexadecimal, of all files with their keys, in whatever order they were
    /// read. The configuration is the deploy's, not the page's.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        for (key, body) in self.own() {
            for part in [key.as_bytes(), body] {
                hasher.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
                hasher.update(part);
            }
        }
        hasher
            .finalize()
            .iter()
            .fold(String::new(), |mut text, byte| {
                // Writing to a string does not fail.
                let _ = write!(text, "{byte:02x}");
                text
            })
    }

    /// All files.
    ///
    /// # Errors
    /// When they are too large for a zip file.
    pub(crate) fn to_zip(&self) -> io::Result<Bytes> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default());
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (key, body) in self.own() {
            writer.start_file(key, options)?;
            writer.write_all(body)?;
        }
        Ok(writer.finish()?.into_inner().into())
    }

    /// The page that was kept so.
    ///
    /// # Errors
    /// When it is no such zip file.
    pub(crate) fn from_zip(zip: &[u8]) -> io::Result<Self> {
        let mut archive = ZipArchive::new(Cursor::new(zip))?;
        let mut files = Vec::new();
        let mut left = BYTES_MAX;
        for index in 0..archive.len() {
            let mut file = archive.by_index(index)?;
            let key = file.name()?.into_owned();
            let mut body = Vec::new();
            file.by_ref().take(left + 1).read_to_end(&mut body)?;
            let length = u64::try_from(body.len()).unwrap_or(u64::MAX);
            left = left.checked_sub(length).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, "more than any page is")
            })?;
            files.push((key, body.into()));
        }
        Ok(Self(files))
    }

    /// The files in one order.
    fn own(&self) -> Vec<(&str, &[u8])> {
        let files = self.0.iter().filter(|(key, _)| key != CONFIG_KEY);
        let mut files: Vec<_> = files.map(|(key, body)| (key.as_str(), &body[..])).collect();
        files.sort_unstable();
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(files: &[(&str, &'static str)]) -> Page {
        let file = |(key, body): &(&str, &'static str)| ((*key).to_owned(), Bytes::from(*body));
        Page(files.iter().map(file).collect())
    }

    #[test]
    fn a_page_is_had_again_as_it_was_and_known_by_its_digest() {
        let one = page(&[("index.html", "<p>ä"), ("a/b.js", ""), ("c.js", "1")]);
        let zip = one.to_zip().unwrap();
        let again = Page::from_zip(&zip).unwrap();
        assert_eq!(again.own(), one.own());
        assert_eq!(again.digest(), one.digest());

        let turned = page(&[("c.js", "1"), ("index.html", "<p>ä"), ("a/b.js", "")]);
        assert_eq!(turned.digest(), one.digest());
        assert_eq!(turned.to_zip().unwrap(), zip);
        let configured = one.clone().with_config("wss://elsewhere".to_owned());
        assert_eq!(
            configured.digest(),
            one.digest(),
            "where it is does not matter"
        );

        for other in [
            page(&[("index.html", "<p>ä"), ("a/b.js", ""), ("c.js", "2")]),
            page(&[("index.html", "<p>ä"), ("a/b.jsc.js", "1")]),
            page(&[("index.html", "<p>ä"), ("a/b.js", "c"), (".js", "1")]),
        ] {
            assert_ne!(other.digest(), one.digest(), "{other:?}");
        }
    }

    #[test]
    fn what_is_no_zip_file_is_no_page() {
        let zip = page(&[("index.html", "hi")]).to_zip().unwrap();
        for bytes in [&b""[..], b"PK", &zip[..zip.len() - 3]] {
            assert!(Page::from_zip(bytes).is_err());
        }
    }
}
