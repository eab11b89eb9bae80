//! A folder that an app is written to: all of it, or nothing. It is written beside its place, and moved there once
//! it is whole. Nothing that is there is written over.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::InitError;

type File = (String, Cow<'static, [u8]>);

/// Writes files, by their paths from a folder that is empty or not there yet.
///
/// # Errors
/// [`InitError`]. Then all is as it was.
pub(super) fn write(files: &[File], folder: &Path) -> Result<(), InitError> {
    match fs::symlink_metadata(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let unwritable = |source| InitError::Unwritable {
                path: folder.to_owned(),
                source,
            };
            write_new(files, folder).map_err(unwritable)
        }
        Err(source) => Err(InitError::Unwritable {
            path: folder.to_owned(),
            source,
        }),
        Ok(_) if !folder.is_dir() => Err(InitError::NoFolder(folder.to_owned())),
        Ok(_) => fill(files, folder),
    }
}

/// Makes a folder, and those above it that are missing.
fn write_new(files: &[File], folder: &Path) -> io::Result<()> {
    let name = folder.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let _above = Above::make(parent)?;
    let beside = Unfinished::new(parent, &name.to_string_lossy())?;
    beside.write(files)?;
    // Whatever has come into being there meanwhile makes this fail, but for an empty folder.
    fs::rename(&beside.0, folder)
}

/// Fills a folder that is there: whoever stands in it goes on to do so, and its owner and rights are what they were.
fn fill(files: &[File], folder: &Path) -> Result<(), InitError> {
    let unwritable = |source| InitError::Unwritable {
        path: folder.to_owned(),
        source,
    };
    let found = entries(folder).map_err(unwritable)?;
    if !found.is_empty() {
        return Err(InitError::NotEmpty {
            folder: folder.to_owned(),
            found,
        });
    }
    let within = Unfinished::new(folder, "init").map_err(unwritable)?;
    within.write(files).map_err(unwritable)?;
    move_all(&within.0, folder).map_err(unwritable)
}

/// Moves all that is in a folder into another one, or nothing.
fn move_all(from: &Path, to: &Path) -> io::Result<()> {
    let mut moved = Vec::new();
    let all = entries(from)?.into_iter().try_for_each(|name| {
        let place = to.join(&name);
        if fs::symlink_metadata(&place).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(from.join(&name), &place)?;
        moved.push(place);
        Ok(())
    });
    if all.is_err() {
        for path in moved {
            // It is ours, and has just been made.
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
    all
}

/// The names in a folder, in order.
fn entries(folder: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.map(|it| Ok(it?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

/// A hidden folder that goes with this value, unless it was moved.
struct Unfinished(PathBuf);

impl Unfinished {
    fn new(parent: &Path, name: &str) -> io::Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = format!(".{name}-{:016x}", u64::from_ne_bytes(random));
        let folder = parent.join(name);
        fs::create_dir(&folder)?;
        Ok(Self(folder))
    }

    fn write(&self, files: &[File]) -> io::Result<()> {
        for (path, body) in files {
            let path = self.0.join(path);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, body)?;
        }
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Where it was moved, there is nothing.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The folders above that were missing. They go with this value, unless something is in them.
struct Above(Vec<PathBuf>);

impl Above {
    fn make(parent: &Path) -> io::Result<Self> {
        let missing = parent.ancestors().take_while(|it| !it.exists());
        let above = Self(missing.map(Path::to_owned).collect());
        fs::create_dir_all(parent)?;
        Ok(above)
    }
}

impl Drop for Above {
    fn drop(&mut self) {
        for folder in &self.0 {
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes with the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let name = format!("chatctl-init-{name}-{}", std::process::id());
            let folder = std::env::temp_dir().join(name);
            fs::create_dir(&folder).unwrap();
            Self(folder)
        }

        /// All that is in it, in order.
        fn all(&self) -> Vec<String> {
            fn collect(folder: &Path, path: &str, all: &mut Vec<String>) {
                for name in entries(folder).unwrap() {
                    let path = format!("{path}{name}");
                    let inner = folder.join(&name);
                    if inner.is_dir() && !inner.is_symlink() {
                        collect(&inner, &format!("{path}/"), all);
                        all.push(format!("{path}/"));
                    } else {
                        all.push(path);
                    }
                }
            }
            let mut all = Vec::new();
            collect(&self.0, "", &mut all);
            all
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn files(paths: &[&str]) -> Vec<File> {
        let file = |path: &&str| ((*path).to_owned(), Cow::Borrowed(&b"text"[..]));
        paths.iter().map(file).collect()
    }

    #[test]
    fn a_folder_is_made_with_those_above_it_and_an_empty_one_is_filled_where_it_is() {
        let root = Folder::new("made");
        write(&files(&["a", "b/c/d"]), &root.0.join("x/y/app")).unwrap();
        assert_eq!(
            root.all(),
            [
                "x/y/app/a",
                "x/y/app/b/c/d",
                "x/y/app/b/c/",
                "x/y/app/b/",
                "x/y/app/",
                "x/y/",
                "x/"
            ]
        );
        let text = fs::read(root.0.join("x/y/app/b/c/d")).unwrap();
        assert_eq!(text, b"text");

        let other = Folder::new("filled");
        let number =
            |folder: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(folder).unwrap());
        let before = number(&other.0);
        write(&files(&["a", ".b/c"]), &other.0).unwrap();
        assert_eq!(other.all(), [".b/c", ".b/", "a"]);
        assert_eq!(
            number(&other.0),
            before,
            "whoever stood in it stands nowhere"
        );
    }

    #[test]
    fn what_is_there_is_named_and_stays_as_it_was() {
        let root = Folder::new("there");
        fs::write(root.0.join(".hidden"), "mine").unwrap();
        let refused = write(&files(&["a", ".hidden"]), &root.0).unwrap_err();
        assert!(
            refused
                .to_string()
                .ends_with("is not empty: it has `.hidden`"),
            "{refused}"
        );
        assert_eq!(root.all(), [".hidden"]);

        let file = root.0.join(".hidden");
        let refused = write(&files(&["a"]), &file).unwrap_err();
        assert!(matches!(refused, InitError::NoFolder(_)), "{refused}");
        let nowhere = root.0.join("link");
        std::os::unix::fs::symlink("nowhere", &nowhere).unwrap();
        let refused = write(&files(&["a"]), &nowhere).unwrap_err();
        assert!(matches!(refused, InitError::NoFolder(_)), "{refused}");
        let below = write(&files(&["a"]), &file.join("app")).unwrap_err();
        assert!(matches!(below, InitError::Unwritable { .. }), "{below}");
        assert_eq!(root.all(), [".hidden", "link"]);
        assert_eq!(fs::read(file).unwrap(), b"mine");
    }

    /// A file cannot be a folder as well, whoever writes it.
    #[test]
    fn what_fails_half_way_leaves_nothing_not_even_the_folders_above() {
        let cannot = files(&["a", "b/c", "a/d"]);
        let root = Folder::new("failed");
        let refused = write(&cannot, &root.0.join("x/y/app")).unwrap_err();
        assert!(matches!(refused, InitError::Unwritable { .. }), "{refused}");
        assert_eq!(root.all(), [""; 0]);
        let refused = write(&cannot, &root.0).unwrap_err();
        assert!(matches!(refused, InitError::Unwritable { .. }), "{refused}");
        assert_eq!(root.all(), [""; 0]);
    }

    #[test]
    fn what_comes_into_being_meanwhile_is_not_written_over_and_what_was_moved_goes() {
        let (from, to) = (Folder::new("from"), Folder::new("to"));
        fs::create_dir(from.0.join("folder")).unwrap();
        for name in ["a", "folder/file", "z"] {
            fs::write(from.0.join(name), "new").unwrap();
        }
        fs::write(to.0.join("z"), "somebody's").unwrap();
        let refused = move_all(&from.0, &to.0).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(to.all(), ["z"]);
        assert_eq!(fs::read(to.0.join("z")).unwrap(), b"somebody's");
    }
}
