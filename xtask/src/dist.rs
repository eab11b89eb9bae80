//! What is handed out: one archive with `chatctl`, the functions inside it, and what belongs to a program.
//!
//! The same sources and tools give the same bytes, wherever they lie: no path, no time and no order of a
//! folder gets in.

mod again;
mod archive;
mod building;
mod licences;
mod paths;

use std::path::PathBuf;

pub(crate) use self::again::check;
use self::building::{Building, Processor};
use crate::cargo::target;
use crate::{Outcome, step, tell};

/// How the programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// To be handed out: optimised, without a trace of the folders they were built in.
    Whole,
    /// To be tried: `chatctl` as it is developed, from what has been compiled already.
    Quick,
}

/// Makes the archive, and tells where it is.
pub(crate) fn make(how: How) -> Outcome {
    let here = Processor::of(std::env::consts::OS, std::env::consts::ARCH)?;
    let folder = folder()?;
    let target = match how {
        // Of a folder of its own: with other flags nothing that was compiled for developing can be used.
        How::Whole => folder.join("build"),
        How::Quick => target()?,
    };
    let building = Building::new(how, here, target)?;
    let functions = building.functions(&folder.join(FUNCTIONS))?;
    let chatctl = step("chatctl", || building.chatctl(&functions))?;
    let archive = step("archive", || {
        let name = name(here);
        archive::fill(&folder.join(&name), &chatctl, here)?;
        let archive = folder.join(format!("{name}.tar.gz"));
        archive::pack(&folder, &name, &archive)?;
        archive::sign(&archive)?;
        Ok(archive)
    })?;
    tell(&format!("\n{}", archive.display()));
    Ok(())
}

/// Beside the archive: the functions as they are inside `chatctl`.
const FUNCTIONS: &str = "functions";

/// Where it is made.
fn folder() -> Outcome<PathBuf> {
    Ok(target()?.join("dist"))
}

/// The archive's folder, whose name is the archive's, too.
fn name(here: Processor) -> String {
    format!("chatctl-{}-{}", env!("CARGO_PKG_VERSION"), here.target())
}
