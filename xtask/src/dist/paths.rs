//! The folders of this machine, which are to leave no trace in what is built: each has a name of its own there.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, checkout, output_of};

/// Folders, and what they are called instead.
pub(super) struct Paths(Vec<(PathBuf, String)>);

impl Paths {
    /// Those that a build with this target folder reads sources from.
    pub(super) fn of(target: &Path) -> Outcome<Self> {
        let mut version = Command::new("rustc");
        let version = text(&output_of(version.arg("-vV"))?);
        let mut folders = vec![
            (checkout(), "/chatctl".to_owned()),
            (target.to_owned(), "/target".to_owned()),
        ];
        // Where the standard library's sources are installed, rustc names them there, and otherwise so.
        if let Some(commit) = version
            .lines()
            .find_map(|it| it.strip_prefix("commit-hash: "))
        {
            let sources = sysroot()?.join("lib/rustlib/src/rust");
            folders.push((sources, format!("/rustc/{commit}")));
        }
        folders.extend(cargo_home().map(|it| (it, "/cargo".to_owned())));
        Ok(Self::sorted(folders))
    }

    /// Compilers take the last one that fits: a folder stands after those that it is in. A link stands for
    /// where it leads as well.
    fn sorted(folders: Vec<(PathBuf, String)>) -> Self {
        let mut all = Vec::new();
        for (path, name) in folders {
            let led_to = path.canonicalize().ok().filter(|it| *it != path);
            all.extend(led_to.map(|it| (it, name.clone())));
            all.push((path, name));
        }
        all.sort_by_key(|(path, _)| path.components().count());
        Self(all)
    }

    /// For rustc, as `CARGO_ENCODED_RUSTFLAGS` takes it: a folder's name may have a space.
    pub(super) fn for_rust(&self) -> OsString {
        let flags = self.flags("--remap-path-prefix=");
        flags.join(OsStr::new("\u{1f}"))
    }

    /// For C's compilers, as `CFLAGS` takes it with `CC_SHELL_ESCAPED_FLAGS`.
    pub(super) fn for_c(&self) -> OsString {
        let flags = self.flags("-ffile-prefix-map=");
        let quoted = flags.iter().map(|it| quoted(it));
        quoted.collect::<Vec<_>>().join(OsStr::new(" "))
    }

    fn flags(&self, option: &str) -> Vec<OsString> {
        let flag = |(path, name): &(PathBuf, String)| {
            let mut flag = OsString::from(option);
            flag.push(path);
            flag.push("=");
            flag.push(name);
            flag
        };
        self.0.iter().map(flag).collect()
    }
}

/// cargo's own folder, with the packages' sources.
pub(super) fn cargo_home() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))
}

/// rustc's own folder.
pub(super) fn sysroot() -> Outcome<PathBuf> {
    let mut rustc = Command::new("rustc");
    let path = text(&output_of(rustc.args(["--print", "sysroot"]))?);
    Ok(PathBuf::from(path.trim()))
}

fn text(output: &[u8]) -> String {
    String::from_utf8_lossy(output).into_owned()
}

/// As a shell reads it.
fn quoted(flag: &OsStr) -> OsString {
    format!("'{}'", flag.to_string_lossy().replace('\'', r"'\''")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(folders: &[(&str, &str)]) -> Paths {
        let folders = folders.iter();
        Paths::sorted(
            folders
                .map(|(path, name)| (path.into(), (*name).into()))
                .collect(),
        )
    }

    #[test]
    fn a_folder_stands_after_those_that_it_is_in_for_the_last_that_fits_counts() {
        let paths = paths(&[
            ("/none/a/b/c", "/x"),
            ("/none/a", "/y"),
            ("/none/a/b", "/z"),
        ]);
        let flags = paths.for_rust().into_string().unwrap();
        let flags: Vec<_> = flags.split('\u{1f}').collect();
        let expected = ["/none/a=/y", "/none/a/b=/z", "/none/a/b/c=/x"];
        assert_eq!(
            flags,
            expected.map(|it| format!("--remap-path-prefix={it}"))
        );
    }

    #[test]
    fn a_folder_with_a_space_or_a_quote_is_one_flag_for_both_compilers() {
        let paths = paths(&[("/none/it's here", "/x")]);
        let expected = "--remap-path-prefix=/none/it's here=/x";
        assert_eq!(paths.for_rust(), expected);
        let flag = r"'-ffile-prefix-map=/none/it'\''s here=/x'";
        assert_eq!(paths.for_c(), flag);
    }

    #[test]
    fn a_link_stands_for_where_it_leads_as_well() {
        let folder = std::env::temp_dir().join(format!("xtask-paths-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("there")).unwrap();
        std::os::unix::fs::symlink("there", folder.join("link")).unwrap();
        let link = folder.join("link").to_string_lossy().into_owned();
        let flags = paths(&[(&link, "/x")]).for_rust();
        let led_to = folder.canonicalize().unwrap().join("there");
        std::fs::remove_dir_all(&folder).unwrap();
        let flags = flags.into_string().unwrap();
        assert!(flags.contains(&format!("={link}=/x")), "{flags}");
        assert!(
            flags.contains(&format!("={}=/x", led_to.display())),
            "{flags}"
        );
    }
}
