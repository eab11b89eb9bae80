//! The folder `cloudformation/`, as it was when the program was built.

use include_dir::{Dir, include_dir};

use super::fragment::{Fragment, FragmentError};

/// Subfolders are not part of the stack.
static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../cloudformation");

const ARTIFACTS: &str = "bootstrap/bootstrap.yaml";

const ACCESS_LOGS: &str = "bootstrap/access-logs.yaml";

/// The fragments of the stack, ordered by their files' names.
///
/// # Errors
/// [`FragmentError::Encoding`], if one of them is not text.
pub(crate) fn fragments() -> Result<Vec<Fragment<'static>>, FragmentError> {
    let mut fragments = FOLDER
        .files()
        .filter(|file| file.path().extension().is_some_and(|it| it == "yaml"))
        .map(|file| {
            let name = file.path().to_str();
            match (name, file.contents_utf8()) {
                (Some(file), Some(text)) => Ok(Fragment { file, text }),
                _ => Err(FragmentError::Encoding {
                    file: file.path().display().to_string(),
                }),
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    fragments.sort_by_key(|fragment| fragment.file);
    Ok(fragments)
}

/// The template of the stack that holds the packages: complete as it is written.
///
/// # Errors
/// [`FragmentError::Encoding`], if it is not there as text.
pub(crate) fn artifacts() -> Result<&'static str, FragmentError> {
    whole(ARTIFACTS)
}

/// The template of the role that API Gateway writes access logs as: complete as it is written.
///
/// # Errors
/// [`FragmentError::Encoding`], if it is not there as text.
pub(crate) fn access_logs() -> Result<&'static str, FragmentError> {
    whole(ACCESS_LOGS)
}

fn whole(file: &str) -> Result<&'static str, FragmentError> {
    let text = FOLDER.get_file(file).and_then(|file| file.contents_utf8());
    text.ok_or_else(|| FragmentError::Encoding {
        file: file.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// `include_dir` cannot tell cargo of a new file, so an old build could lack it.
    #[test]
    fn the_program_holds_the_fragments_that_the_folder_holds() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../cloudformation");
        let on_disk: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| Path::new(name).extension() == Some("yaml".as_ref()))
            .collect();
        let embedded: BTreeSet<String> = fragments()
            .unwrap()
            .iter()
            .map(|it| it.file.to_owned())
            .collect();
        assert_eq!(
            embedded, on_disk,
            "touch deployer/src/template/embedded.rs and build again"
        );
    }
}
