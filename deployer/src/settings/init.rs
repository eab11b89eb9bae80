//! The settings of `init`.

use std::path::PathBuf;

use super::SettingsError;
use crate::cli::InitArgs;
use crate::template::StageName;

/// The settings of `init`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InitSettings {
    /// Where the app is begun.
    pub(crate) folder: PathBuf,
    /// What it is called, if it has a name.
    pub(crate) name: Option<StageName>,
}

impl InitSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &InitArgs) -> Result<Self, SettingsError> {
        let refused = |name: &String| SettingsError::Name(name.clone());
        let name = args.name.as_ref();
        let name = name.map(|name| name.parse().map_err(|_| refused(name)));
        Ok(Self {
            folder: args.folder.clone(),
            name: name.transpose()?,
        })
    }
}
