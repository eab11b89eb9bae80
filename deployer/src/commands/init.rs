//! `chatctl init`: an app of one's own, to be changed.

use crate::error::Error;
use crate::init::App;
use crate::output::Output;
use crate::settings::InitSettings;

/// Writes the app, and says what is where.
///
/// # Errors
/// [`Error`], if the folder is not empty or cannot be written. Then nothing is.
pub(crate) fn run(settings: &InitSettings, output: &mut Output) -> Result<(), Error> {
    let folder = settings.folder.display();
    App::new(settings.name.as_ref())?.write(&settings.folder)?;
    output.note(&format!("`{folder}` is an app of its own now:"));
    for (what, about) in [
        ("wwwroot/", "the page"),
        ("cloudformation/", "the stack"),
        ("handlers/", "the functions: `cargo test` tries their rules"),
        ("README.md", "what to do with them"),
    ] {
        output.note(&format!("  {what:<17} {about}"));
    }
    output.note("`chatctl dev` in that folder runs it, `chatctl deploy` puts it on AWS");
    Ok(())
}
