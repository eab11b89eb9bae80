//! The folder that is handed out, and the archive of it.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Processor, licences};
use crate::{Outcome, checkout, output_of, run};

/// Puts what is handed out into a folder, which is made anew.
pub(super) fn fill(folder: &Path, chatctl: &Path, here: Processor) -> Outcome {
    let failed = |error: std::io::Error| format!("`{}`: {error}", folder.display());
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(failed)?;
    }
    let completions = folder.join("completions");
    std::fs::create_dir_all(&completions).map_err(failed)?;
    std::fs::copy(chatctl, folder.join("chatctl")).map_err(failed)?;
    for name in ["README.md", "LICENSE", "CHANGELOG.md"] {
        std::fs::copy(checkout().join(name), folder.join(name)).map_err(failed)?;
    }
    for (shell, file) in [
        ("bash", "chatctl.bash"),
        ("zsh", "_chatctl"),
        ("fish", "chatctl.fish"),
    ] {
        let script = output_of(without_variables(chatctl).args(["completions", shell]))?;
        std::fs::write(completions.join(file), script).map_err(failed)?;
    }
    run(without_variables(chatctl)
        .args(["man", "--out"])
        .arg(folder.join("man")))?;
    let licences = licences::collect(here.target())?;
    std::fs::write(folder.join("THIRD-PARTY.txt"), licences).map_err(failed)?;
    let library = licences::of_the_standard_library()?;
    std::fs::copy(library, folder.join(licences::STANDARD_LIBRARY)).map_err(failed)?;
    Ok(())
}

/// `chatctl` with nobody's settings.
fn without_variables(chatctl: &Path) -> Command {
    let mut command = Command::new(chatctl);
    for (variable, _) in std::env::vars_os() {
        if variable.to_string_lossy().starts_with("CHATCTL_") {
            command.env_remove(variable);
        }
    }
    command.env("CHATCTL_CONFIG", "");
    command
}

/// One folder as a compressed archive that tells neither who made it, nor when.
pub(super) fn pack(parent: &Path, name: &str, archive: &Path) -> Outcome {
    let failed = |error: std::io::Error| format!("`{}`: {error}", archive.display());
    let file = std::fs::File::create(archive).map_err(failed)?;
    let mut tar = Command::new("tar");
    tar.current_dir(parent)
        .args(["--create", "--format=ustar", "--sort=name", "--mtime=@0"])
        .args([
            "--owner=0",
            "--group=0",
            "--numeric-owner",
            "--mode=u+rwX,go+rX,go-w",
            name,
        ])
        .stdout(Stdio::piped());
    let mut tar = tar
        .spawn()
        .map_err(|error| format!("`tar` cannot be run: {error}"))?;
    let content = tar.stdout.take().ok_or("`tar` writes nothing")?;
    let mut gzip = Command::new("gzip");
    let packed = run(gzip
        .args(["--no-name", "--best"])
        .stdin(content)
        .stdout(file));
    let status = tar.wait().map_err(failed)?;
    packed?;
    if status.success() {
        Ok(())
    } else {
        Err(format!(
            "`tar` failed ({status}); its messages above say why"
        ))
    }
}

/// Writes the archive's SHA-256 beside it, as `sha256sum --check` reads it.
pub(super) fn sign(archive: &Path) -> Outcome {
    let name = archive.file_name().unwrap_or_default();
    let mut sum = Command::new("sha256sum");
    sum.arg(name)
        .current_dir(archive.parent().unwrap_or(archive));
    let sum = output_of(&mut sum)?;
    let file = archive.with_added_extension("sha256");
    std::fs::write(&file, sum).map_err(|error| format!("`{}`: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_give_the_same_archive_whenever_they_were_written_and_in_what_order() {
        let folder = std::env::temp_dir().join(format!("xtask-dist-{}", std::process::id()));
        let archive = |name: &str, files: &[&str], day: u64| {
            let parent = folder.join(name);
            std::fs::create_dir_all(parent.join("x")).unwrap();
            for file in files {
                let path = parent.join("x").join(file);
                std::fs::write(&path, file).unwrap();
                let time = std::time::UNIX_EPOCH + std::time::Duration::from_hours(24 * day);
                let file = std::fs::File::options().write(true).open(&path).unwrap();
                file.set_modified(time).unwrap();
            }
            let archive = parent.join("x.tar.gz");
            pack(&parent, "x", &archive).unwrap();
            sign(&archive).unwrap();
            let sum = std::fs::read_to_string(parent.join("x.tar.gz.sha256")).unwrap();
            (std::fs::read(archive).unwrap(), sum)
        };
        // So many that no folder has them in order by chance, whatever its order is.
        let names: Vec<String> = (10..50).map(|it| it.to_string()).collect();
        let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
        let one = archive("one", &names, 1);
        let mut list = Command::new("tar");
        let list = list
            .args(["--list", "--file"])
            .arg(folder.join("one/x.tar.gz"));
        let list = String::from_utf8(output_of(list).unwrap()).unwrap();
        names.reverse();
        let two = archive("two", &names, 2);
        let other = archive("other", &names[1..], 1);
        std::fs::remove_dir_all(&folder).unwrap();
        assert!(list.lines().is_sorted(), "{list}");
        assert_eq!(list.lines().count(), names.len() + 1, "{list}");
        assert_eq!(one, two);
        assert_ne!(one, other);
        assert!(one.1.ends_with("  x.tar.gz\n"), "{}", one.1);
    }
}
