//! The settings of `destroy`.

use super::{SettingsError, account, role_arn};
use crate::cli::DestroyArgs;
use crate::cloud::Terms;
use crate::cloud::aws::Account;
use crate::template::StageName;

/// The settings of `destroy`.
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line, and any of them goes with any other"
)]
pub(crate) struct DestroySettings {
    /// Which chat.
    pub(crate) stage: StageName,
    /// Where it is.
    pub(crate) account: Account,
    /// How CloudFormation is to work.
    pub(crate) terms: Terms,
    /// Whether to ask first.
    pub(crate) asks: bool,
    /// Whether the table of a protected chat stays, and all else goes.
    pub(crate) keep_table: bool,
    /// Whether the bucket of packages stays, come what may.
    pub(crate) keep_artifacts: bool,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

impl DestroySettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &DestroyArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            stage: args.cloud.stage.stage.parse()?,
            account: account(&args.cloud),
            // Never in express mode: what is then called gone may still be going, and the receipt says
            // what is gone.
            terms: Terms {
                is_express: false,
                role_arn: role_arn(args.role.role_arn.as_deref())?,
            },
            asks: !args.yes,
            keep_table: args.keep_table,
            keep_artifacts: args.keep_artifacts,
            json: args.cloud.json,
        })
    }
}
