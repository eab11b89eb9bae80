//! Trees that mean no good, or came to be by mistake.

use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;

/// A folder with a page, beside a secret that is none of it. It goes with the test.
struct Tree(PathBuf);

impl Tree {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("chatctl-folder-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let tree = Self(folder);
        fs::create_dir_all(tree.root()).unwrap();
        tree.write("index.html", "<p>hi");
        fs::write(tree.0.join("secret"), "secret").unwrap();
        tree
    }

    fn root(&self) -> PathBuf {
        self.0.join("wwwroot")
    }

    fn folder(&self) -> Folder {
        Folder::new(self.root())
    }

    fn write(&self, name: impl AsRef<OsStr>, content: &str) {
        let path = self.root().join(name.as_ref());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn link(&self, name: &str, target: impl AsRef<Path>) {
        symlink(target, self.root().join(name)).unwrap();
    }

    fn keys(&self) -> Vec<String> {
        let entries = self.folder().entries().unwrap();
        entries.into_iter().map(|it| it.key).collect()
    }

    fn refusal(&self) -> String {
        self.folder().entries().unwrap_err().to_string()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn what_is_listed_can_be_had_and_nothing_else() {
    let tree = Tree::new();
    for name in [
        "a/b/c.js",
        "-dash.js",
        "--flag=x",
        "trailing. ",
        "a..%2fb",
        "100% ü 日本.txt",
        "Case.js",
        "case.js",
        "caf\u{e9}.txt",
        "cafe\u{301}.txt",
        "config.json",
        "~tilde",
        "a?b#c&d",
    ] {
        tree.write(name, name);
    }
    for hidden in [
        ".env",
        ".git/config",
        ".DS_Store",
        "a/.secret",
        ".well-known/x",
    ] {
        tree.write(hidden, "secret");
    }
    tree.link("link.js", "a/b/c.js");
    fs::hard_link(tree.root().join("Case.js"), tree.root().join("hard.js")).unwrap();
    let folder = tree.folder();
    let entries = folder.entries().unwrap();
    assert_eq!(entries.len(), 16, "{entries:#?}");
    for entry in &entries {
        let body = folder.read(entry).unwrap();
        assert_eq!(folder.get(&entry.key), Some(body), "{}", entry.key);
    }
    assert_eq!(folder.get("link.js").unwrap(), "a/b/c.js");
    assert_eq!(folder.get("hard.js").unwrap(), "Case.js");
    for key in [
        "",
        "/",
        ".",
        "..",
        "a",
        "a/",
        "a/b",
        "a/b/c.js/",
        "a//b/c.js",
        "a/./b/c.js",
        "a/../index.html",
        "../secret",
        "/etc/passwd",
        ".env",
        ".git/config",
        "a/.secret",
        ".well-known/x",
        "index.html\0",
        "index.html/",
        "a\\b\\c.js",
        "INDEX.HTML",
    ] {
        assert_eq!(folder.get(key), None, "{key:?}");
    }
    assert_eq!(folder.get(&"x/".repeat(3000)), None);
}

#[test]
fn links_lead_to_a_file_of_the_folder_or_are_refused() {
    type Target = fn(&Tree) -> PathBuf;
    let cases: [(Target, &str); 8] = [
        (|tree| tree.0.join("secret"), "leads out of the folder"),
        (|_| "../secret".into(), "leads out of the folder"),
        (|_| "/etc/passwd".into(), "leads out of the folder"),
        (|_| "/dev/zero".into(), "leads out of the folder"),
        (|_| "nowhere".into(), "leads nowhere"),
        (|_| "link".into(), "leads nowhere"),
        (|_| ".".into(), "leads to a folder"),
        (|_| ".env".into(), "leads to a hidden file"),
    ];
    for (target, reason) in cases {
        let tree = Tree::new();
        tree.write(".env", "secret");
        tree.link("link", target(&tree));
        let refusal = tree.refusal();
        assert!(
            refusal.contains("/wwwroot/link` is a link that "),
            "{refusal}"
        );
        assert!(refusal.ends_with(reason), "{refusal}, not {reason}");
        assert_eq!(tree.folder().get("link"), None, "{reason}");
    }
}

#[test]
fn nothing_is_had_by_way_of_a_linked_folder() {
    let tree = Tree::new();
    tree.write("real/a.js", "1");
    tree.link("alias", "real");
    tree.link("outside", "..");
    let folder = tree.folder();
    assert!(folder.get("real/a.js").is_some());
    assert_eq!(folder.get("alias/a.js"), None);
    tree.link("real/link.js", "a.js");
    assert!(folder.get("real/link.js").is_some());
    assert_eq!(folder.get("alias/link.js"), None);
    assert_eq!(folder.get("outside/secret"), None);
    // The folder itself may be one.
    let alias = tree.0.join("page");
    symlink(tree.root().join("real"), &alias).unwrap();
    assert!(Folder::new(&alias).get("a.js").is_some());
    assert_eq!(Folder::new(&alias).entries().unwrap().len(), 2);
}

#[test]
fn what_is_no_file_is_refused_without_being_opened() {
    for (kind, words) in [
        (FileType::Fifo, "is a named pipe, and no file"),
        (FileType::Socket, "is a socket, and no file"),
    ] {
        let tree = Tree::new();
        let path = tree.root().join("odd");
        if kind == FileType::Socket {
            drop(UnixListener::bind(&path).unwrap());
        } else {
            mknodat(CWD, &path, kind, Mode::RUSR | Mode::WUSR, 0).unwrap();
        }
        let refusal = tree.refusal();
        assert!(refusal.ends_with(words), "{refusal}");
        assert_eq!(tree.folder().get("odd"), None);
    }
}

#[test]
fn a_file_that_becomes_something_else_is_not_waited_for() {
    let tree = Tree::new();
    tree.write("a.js", "1");
    let folder = tree.folder();
    let entries = folder.entries().unwrap();
    let path = tree.root().join("a.js");
    fs::remove_file(&path).unwrap();
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let refusal = folder.read(&entries[0]).unwrap_err();
    assert!(matches!(refusal, FolderError::NotAFile { .. }), "{refusal}");
    fs::remove_file(&path).unwrap();
    symlink("/etc/passwd", &path).unwrap();
    let refusal = folder.read(&entries[0]).unwrap_err();
    assert!(
        matches!(refusal, FolderError::Unreadable { .. }),
        "{refusal}"
    );
    fs::remove_file(&path).unwrap();
    let refusal = folder.read(&entries[0]).unwrap_err();
    assert!(
        matches!(refusal, FolderError::Unreadable { .. }),
        "{refusal}"
    );
    // One that grows or shrinks is read as it is.
    tree.write("a.js", "12345");
    assert_eq!(folder.read(&entries[0]).unwrap(), "12345");
}

#[test]
fn names_that_cannot_be_told_or_asked_for_are_refused() {
    for (name, shown, reason) in [
        (&b"a\nb"[..], "a\\nb", "has control characters"),
        (
            b"a\x1b]0;evil\x07",
            "a\\u{1b}]0;evil\\u{7}",
            "has control characters",
        ),
        (b"a\xc2\x9bb", "a\\u{9b}b", "has control characters"),
        (b"a\xff", "a\u{fffd}", "is not UTF-8"),
        (b"a\\b", "a\\b", "has a backslash"),
        (b"a\xef\xbf\xbf", "a\\u{ffff}", "has control characters"),
    ] {
        let tree = Tree::new();
        tree.write(OsStr::from_bytes(name), "x");
        let refusal = tree.refusal();
        let expected = format!("/wwwroot/{shown}` has a name that {reason}");
        assert!(refusal.ends_with(&expected), "{refusal}");
    }
}

#[test]
fn a_path_that_no_key_can_be_is_refused_and_a_deep_one_is_not() {
    let tree = Tree::new();
    let deep = "d/".repeat(500) + "a.js";
    tree.write(&deep, "1");
    assert_eq!(tree.keys(), [deep.as_str(), "index.html"]);
    tree.write("d/".repeat(520) + "a.js", "1");
    let refusal = tree.refusal();
    assert!(refusal.contains("longer than 1,024 bytes"), "{refusal}");
}

#[test]
fn more_than_fits_is_refused_before_any_of_it_is_read() {
    let tree = Tree::new();
    let sparse = fs::File::create(tree.root().join("film.mp4")).unwrap();
    sparse.set_len(6 << 30).unwrap();
    let refusal = tree.refusal();
    assert!(
        refusal.ends_with("has more than 256 MiB, `film.mp4` alone 6144 MiB"),
        "{refusal}"
    );
    assert_eq!(tree.folder().get("film.mp4"), None);
}

#[test]
fn ten_thousand_files_are_listed() {
    let tree = Tree::new();
    for number in 0..10_000 {
        tree.write(format!("f{:02}/{number}.txt", number % 100), "x");
    }
    assert_eq!(tree.keys().len(), 10_001);
}

#[test]
fn a_folder_that_is_none_is_told() {
    let tree = Tree::new();
    for path in [tree.root().join("index.html"), tree.root().join("nowhere")] {
        let refusal = Folder::new(&path).entries().unwrap_err();
        assert!(
            matches!(refusal, FolderError::Unreadable { .. }),
            "{refusal}"
        );
        assert_eq!(Folder::new(&path).get("index.html"), None);
    }
}
