//! `chatctl man`: manual pages, one a command.

use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;

use crate::cli::Cli;
use crate::error::Error;
use crate::output::Output;
use crate::settings::ManSettings;

/// Prints a page, or writes all of them to a folder.
///
/// # Errors
/// [`Error`], if they cannot be written.
pub(crate) fn run(settings: &ManSettings, output: &mut Output) -> Result<(), Error> {
    match settings {
        ManSettings::Print(name) => {
            let wanted = name
                .as_ref()
                .map_or("chatctl".to_owned(), |it| file_stem(it));
            let page = pages()?.into_iter().find(|(name, _)| *name == wanted);
            let (_, page) = page.unwrap_or_default();
            output.data(&page)?;
        }
        ManSettings::Write(folder) => {
            let pages = pages()?;
            for (name, page) in &pages {
                write(folder, &format!("{name}.1"), page)?;
            }
            output.note(&format!("{} pages in `{}`", pages.len(), folder.display()));
        }
    }
    Ok(())
}

fn write(folder: &Path, name: &str, page: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, page));
    written.map_err(|source| Error::Unwritable { path, source })
}

/// The name of each page and its text: the whole first.
fn pages() -> Result<Vec<(String, String)>, Error> {
    let mut cli = Cli::command().disable_help_subcommand(true);
    // What is global is known to each command only then.
    cli.build();
    let mut pages = vec![("chatctl".to_owned(), page(&cli, "chatctl")?)];
    for command in cli.get_subcommands() {
        let name = file_stem(command.get_name());
        pages.push((name.clone(), page(command, &name)?));
    }
    Ok(pages)
}

fn file_stem(command: &str) -> String {
    format!("chatctl-{command}")
}

fn page(command: &clap::Command, name: &str) -> Result<String, Error> {
    let examples = command.get_after_help().map(ToString::to_string);
    let man = Man::new(command.clone().display_name(name.to_owned()))
        .title(name.to_uppercase())
        .source(concat!("chatctl ", env!("CARGO_PKG_VERSION")))
        .manual("chatctl");
    let mut page = Vec::new();
    let render = |page: &mut Vec<u8>| {
        man.render_title(page)?;
        man.render_name_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_description_section(page)?;
        man.render_options_section(page)?;
        if command.has_subcommands() {
            man.render_subcommands_section(page)?;
        }
        Ok(())
    };
    render(&mut page).map_err(Error::Machine)?;
    let page = String::from_utf8_lossy(&page);
    Ok(format!(
        "{page}{}",
        examples.map_or(String::new(), |it| verbatim(&it))
    ))
}

/// A section of lines that stay as they are. The generator would run them together.
fn verbatim(text: &str) -> String {
    let (title, rest) = match text.split_once('\n') {
        Some((title, rest)) if title.ends_with(':') => (title.trim_end_matches(':'), rest),
        _ => ("Notes", text),
    };
    let lines = rest.lines().map(escaped).collect::<Vec<_>>().join("\n");
    format!(".SH {}\n.nf\n{lines}\n.fi\n", title.to_uppercase())
}

/// A line that a page's reader takes for text.
fn escaped(line: &str) -> String {
    let line = line
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    if line.starts_with('.') {
        format!("\\&{line}")
    } else {
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_a_page_with_its_options_and_examples() {
        let pages = pages().unwrap();
        assert_eq!(pages[0].0, "chatctl");
        assert_eq!(pages.len(), Cli::commands().len() + 1);
        let (_, deploy) = pages
            .iter()
            .find(|(name, _)| name == "chatctl-deploy")
            .unwrap();
        for part in [
            ".TH CHATCTL-DEPLOY 1",
            "\\-\\-hotswap",
            "CHATCTL_HOTSWAP",
            "\\-\\-no\\-color",
            ".SH EXAMPLES\n.nf\n  chatctl deploy ",
        ] {
            assert!(deploy.contains(part), "{part}\n{deploy}");
        }
        let (_, whole) = &pages[0];
        assert!(whole.contains("chatctl\\-deploy(1)"), "{whole}");
    }

    #[test]
    fn no_line_of_an_example_is_taken_for_a_request() {
        assert_eq!(
            verbatim("Examples:\n.x 'y' a\\b\n\n  --z"),
            ".SH EXAMPLES\n.nf\n\\&.x \\(aqy\\(aq a\\eb\n\n  \\-\\-z\n.fi\n"
        );
        assert!(verbatim("no title").starts_with(".SH NOTES\n.nf\nno title"));
    }
}
