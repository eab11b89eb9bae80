//! A folder of files as the objects of a site. The local site and a deploy both read it by this, so that
//! what one shows the other publishes, and what one refuses the other refuses.
//!
//! Whatever is in the folder is to be public. So nothing gets in that may have come there by mistake:
//! hidden files are no part of it, and a link leads to a file of the folder itself or is refused.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use rustix::fs::OFlags;

/// Bytes of all files together: they are held in memory, sent one by one, and kept for a way back.
pub const SITE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of a key at most (AWS's User Guide of S3, “Naming Amazon S3 objects”).
const KEY_BYTES_MAX: usize = 1024;

/// Why a folder cannot be a site. Paths are told with what cannot be shown escaped.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something in it, or itself, cannot be read.
    #[error("`{path}` cannot be read")]
    Unreadable {
        /// The file or folder.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Something in it has no content that ends.
    #[error("`{path}` is {kind}, and no file")]
    NotAFile {
        /// The file.
        path: String,
        /// What it is.
        kind: &'static str,
    },
    /// A link that is not followed.
    #[error("`{path}` is a link that {reason}")]
    Link {
        /// The link.
        path: String,
        /// Where it leads.
        reason: &'static str,
    },
    /// A name that no address can have, or that is not the same everywhere.
    #[error("`{path}` has a name that {reason}")]
    Name {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More than fits.
    #[error("`{path}` has more than {} MiB, `{largest}` alone {} MiB", SITE_BYTES_MAX >> 20, .bytes >> 20)]
    TooLarge {
        /// The folder.
        path: String,
        /// Its largest file, of those that were looked at.
        largest: String,
        /// How large that is.
        bytes: u64,
    },
}

impl FolderError {
    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "nothing is called so: name what is there"
            }
            Self::Unreadable { .. } => "let it be read by who runs this, or take it out",
            Self::NotAFile { .. } => {
                "take it out: the folder has what is published and nothing else"
            }
            Self::Link { .. } => {
                "put the file itself there (`cp -rL` copies what links lead to), or take the link out"
            }
            Self::Name { .. } => "give it another name",
            Self::TooLarge { .. } => {
                "put large files elsewhere, and take out what is not of the page"
            }
        }
    }
}

/// A folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// A file of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its key: its path within the folder, with `/` between the parts.
    pub key: String,
    path: PathBuf,
    bytes: u64,
}

impl Folder {
    /// A folder, whether it is there or not. It may itself be a link.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// All files, by their keys, without opening any.
    ///
    /// # Errors
    /// [`FolderError`], for the first that cannot be part of a site.
    pub fn entries(&self) -> Result<Vec<Entry>, FolderError> {
        let mut walk = Walk {
            root: self.root()?,
            entries: Vec::new(),
            bytes: 0,
        };
        let root = walk.root.clone();
        walk.folder(&root, "")?;
        walk.entries.sort_by(|one, other| one.key.cmp(&other.key));
        Ok(walk.entries)
    }

    /// A file's content, as it is now.
    ///
    /// # Errors
    /// [`FolderError`], if it cannot be read any more, or is something else by now.
    pub fn read(&self, entry: &Entry) -> Result<Bytes, FolderError> {
        read(&entry.path)
    }

    /// The content of the file of a key, if [`Folder::entries`] would have it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Bytes> {
        let is_hidden = |part: &str| part.is_empty() || part.starts_with('.');
        if key.split('/').any(is_hidden) || fault_of(key).is_some() {
            return None;
        }
        let root = self.root().ok()?;
        let path = root.join(key);
        let parent = path.parent()?;
        // A folder by another name: a link, or where letters' case does not count.
        if parent.canonicalize().ok()? != parent {
            return None;
        }
        let real = if fs::symlink_metadata(&path).ok()?.is_symlink() {
            target(&root, &path).ok()?
        } else {
            path.canonicalize().ok().filter(|real| *real == path)?
        };
        read(&real).ok()
    }

    fn root(&self) -> Result<PathBuf, FolderError> {
        self.0.canonicalize().map_err(unreadable(&self.0))
    }
}

/// Being on the way through a folder.
struct Walk {
    root: PathBuf,
    entries: Vec<Entry>,
    bytes: u64,
}

impl Walk {
    fn folder(&mut self, folder: &Path, prefix: &str) -> Result<(), FolderError> {
        for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
            let entry = entry.map_err(unreadable(folder))?;
            let (path, name) = (entry.path(), entry.file_name());
            if name.as_bytes().starts_with(b".") {
                continue;
            }
            let Some(name) = name.to_str() else {
                let reason = "is not UTF-8";
                return Err(FolderError::Name {
                    path: shown(&path),
                    reason,
                });
            };
            let key = format!("{prefix}{name}");
            if let Some(reason) = fault_of(&key) {
                return Err(FolderError::Name {
                    path: shown(&path),
                    reason,
                });
            }
            let kind = entry.file_type().map_err(unreadable(&path))?;
            if kind.is_dir() {
                self.folder(&path, &format!("{key}/"))?;
            } else if kind.is_symlink() {
                let real = target(&self.root, &path)?;
                self.file(key, real)?;
            } else if kind.is_file() {
                self.file(key, path)?;
            } else {
                return Err(no_file(&path, kind));
            }
        }
        Ok(())
    }

    fn file(&mut self, key: String, path: PathBuf) -> Result<(), FolderError> {
        let bytes = fs::symlink_metadata(&path)
            .map_err(unreadable(&path))?
            .len();
        self.bytes = self.bytes.saturating_add(bytes);
        self.entries.push(Entry { key, path, bytes });
        if self.bytes <= SITE_BYTES_MAX {
            return Ok(());
        }
        let largest = self.entries.iter().max_by_key(|it| it.bytes);
        let (largest, bytes) = largest.map_or((String::new(), 0), |it| (it.key.clone(), it.bytes));
        Err(FolderError::TooLarge {
            path: shown(&self.root),
            largest,
            bytes,
        })
    }
}

/// The file of a folder that a link in it leads to.
fn target(root: &Path, link: &Path) -> Result<PathBuf, FolderError> {
    let refused = |reason| FolderError::Link {
        path: shown(link),
        reason,
    };
    let Ok(real) = link.canonicalize() else {
        return Err(refused("leads nowhere"));
    };
    let Ok(within) = real.strip_prefix(root) else {
        return Err(refused("leads out of the folder"));
    };
    let is_hidden = |part: &std::ffi::OsStr| part.as_bytes().starts_with(b".");
    if within.iter().any(is_hidden) {
        return Err(refused("leads to a hidden file"));
    }
    let kind = fs::symlink_metadata(&real).map_err(unreadable(&real))?;
    if kind.is_file() {
        Ok(real)
    } else if kind.is_dir() {
        Err(refused("leads to a folder"))
    } else {
        Err(refused("leads to no file"))
    }
}

/// Reads a file that is no link. Opened so that nothing is waited for, whatever it has become since it
/// was looked at.
fn read(path: &Path) -> Result<Bytes, FolderError> {
    let flags = (OFlags::NONBLOCK | OFlags::NOFOLLOW).bits();
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.cast_signed())
        .open(path);
    let file = opened.map_err(unreadable(path))?;
    let metadata = file.metadata().map_err(unreadable(path))?;
    if !metadata.is_file() {
        return Err(no_file(path, metadata.file_type()));
    }
    if metadata.len() > SITE_BYTES_MAX {
        return Err(too_large(path, metadata.len()));
    }
    let mut body = Vec::new();
    // It may have grown meanwhile.
    let mut limited = file.take(SITE_BYTES_MAX + 1);
    limited.read_to_end(&mut body).map_err(unreadable(path))?;
    match u64::try_from(body.len()) {
        Ok(bytes) if bytes <= SITE_BYTES_MAX => Ok(body.into()),
        _ => Err(too_large(path, SITE_BYTES_MAX + 1)),
    }
}

/// A single file that is.
fn too_large(path: &Path, bytes: u64) -> FolderError {
    let largest = shown(path);
    FolderError::TooLarge {
        path: largest.clone(),
        largest,
        bytes,
    }
}

fn no_file(path: &Path, kind: fs::FileType) -> FolderError {
    let kind = if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    FolderError::NotAFile {
        path: shown(path),
        kind,
    }
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> FolderError + use<> {
    let path = shown(path);
    move |source| FolderError::Unreadable {
        path: path.clone(),
        source,
    }
}

/// What is wrong with a key, if anything is.
fn fault_of(key: &str) -> Option<&'static str> {
    if key.len() > KEY_BYTES_MAX {
        Some("is longer than 1,024 bytes with its folders")
    } else if key.contains(is_control) {
        // S3 lists objects in XML, which cannot say it.
        Some("has control characters")
    } else if key.contains('\\') {
        // Browsers make a `/` of it.
        Some("has a backslash")
    } else {
        None
    }
}

fn is_control(character: char) -> bool {
    character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}')
}

/// A path for people.
fn shown(path: &Path) -> String {
    let text = path.to_string_lossy();
    let escape = |character: char| {
        if is_control(character) {
            character.escape_default().to_string()
        } else {
            character.to_string()
        }
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests;
