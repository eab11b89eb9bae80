//! The pieces that a template is put together from: those inside the program, or those of a folder that
//! somebody else has read.

use std::sync::Arc;

use super::embedded;
use super::fragment::{Fragment, FragmentError};

/// Pieces of a template.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fragments(Option<Arc<[(String, String)]>>);

impl Fragments {
    /// Those of a folder, by their files' names and ordered by them.
    pub(crate) fn read(files: Vec<(String, String)>) -> Self {
        Self(Some(files.into()))
    }

    /// # Errors
    /// [`FragmentError::Encoding`], if one of those inside the program is not text.
    pub(super) fn all(&self) -> Result<Vec<Fragment<'_>>, FragmentError> {
        let Some(files) = &self.0 else {
            return embedded::fragments();
        };
        Ok(files
            .iter()
            .map(|(file, text)| Fragment { file, text })
            .collect())
    }
}
