//! Files that somebody else names, or leaves where they are found: no more of them is read than makes
//! sense, and what is no file is not waited for.

use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// What may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A file, or a link to one.
    File,
    /// Whatever can be: the user has named it, and it may be what another program writes.
    Anything,
}

/// Reads something of so many bytes at most.
///
/// # Errors
/// The operating system's, or one that says that it is no file, or too large.
pub(crate) fn read(path: &Path, what: What, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    options.read(true);
    if what == What::File {
        // Or opening a pipe would wait for whoever writes to it.
        options.custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    }
    let file = options.open(path)?;
    let metadata = file.metadata()?;
    if what == What::File && !metadata.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no file"));
    }
    let mut bytes = Vec::new();
    if metadata.len() <= bytes_max {
        // What it says of its size need not be so.
        file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    }
    let is_too_large =
        metadata.len() > bytes_max || u64::try_from(bytes.len()).is_ok_and(|read| read > bytes_max);
    if is_too_large {
        let message = format!("it has more than {bytes_max} bytes");
        return Err(io::Error::new(ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_or_too_large_is_told_and_not_waited_for() {
        let folder = std::env::temp_dir().join(format!("chatctl-input-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (file, pipe, link) = (
            folder.join("file"),
            folder.join("pipe"),
            folder.join("link"),
        );
        std::fs::write(&file, "12345").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let sparse = std::fs::File::create(folder.join("sparse")).unwrap();
        sparse.set_len(1 << 40).unwrap();

        assert_eq!(read(&file, What::File, 5).unwrap(), b"12345");
        assert_eq!(read(&link, What::File, 5).unwrap(), b"12345");
        let kind = |path: &Path, what| read(path, what, 4).unwrap_err().kind();
        assert_eq!(kind(&file, What::File), ErrorKind::FileTooLarge);
        assert_eq!(
            kind(&folder.join("sparse"), What::File),
            ErrorKind::FileTooLarge
        );
        assert_eq!(kind(&pipe, What::File), ErrorKind::InvalidInput);
        assert_eq!(kind(&folder, What::File), ErrorKind::InvalidInput);
        assert_eq!(
            kind(Path::new("/dev/zero"), What::File),
            ErrorKind::InvalidInput
        );
        assert_eq!(
            kind(Path::new("/dev/zero"), What::Anything),
            ErrorKind::FileTooLarge
        );
        let writer = std::thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "abc").unwrap()
        });
        assert_eq!(read(&pipe, What::Anything, 4).unwrap(), b"abc");
        writer.join().unwrap();
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
