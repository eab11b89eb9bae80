//! Where the functions, the template and the page come from: one decision for all commands.

use std::path::{Path, PathBuf};

use super::{BuildError, Sources, carried};

/// Where things come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// A program that was built elsewhere.
    given: Option<PathBuf>,
    /// The sources; without them it is what this program has inside.
    sources: Option<Sources>,
}

/// Where the functions' program comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Code {
    /// It was built elsewhere, and lies there.
    Given(PathBuf),
    /// It is built from these.
    Sources(Sources),
    /// It is inside this program.
    Carried,
}

impl Origin {
    /// What the user names counts most. Then it is the checkout around `folder`, then what this program
    /// carries, and for one that carries nothing the checkout that it was built from.
    ///
    /// # Errors
    /// The folder that was named, if it is no checkout.
    pub(crate) fn choose(
        given: Option<&Path>,
        named: Option<&Path>,
        folder: &Path,
    ) -> Result<Self, PathBuf> {
        let sources = match named {
            Some(named) => Some(Sources::at(named).ok_or(named)?),
            None => Sources::find(folder, carried::is_carrying()),
        };
        Ok(Self {
            given: given.map(Path::to_owned),
            sources,
        })
    }

    /// The sources, where there are any.
    pub(crate) fn sources(&self) -> Option<&Sources> {
        self.sources.as_ref()
    }

    /// Where the functions' program comes from.
    ///
    /// # Errors
    /// [`BuildError::NoSources`], if it can be had nowhere.
    pub(crate) fn code(&self) -> Result<Code, BuildError> {
        match (&self.given, &self.sources) {
            (Some(path), _) => Ok(Code::Given(path.clone())),
            (None, Some(sources)) => Ok(Code::Sources(sources.clone())),
            (None, None) if carried::is_carrying() => Ok(Code::Carried),
            (None, None) => Err(BuildError::NoSources),
        }
    }

    /// Whether the functions are built, which takes its time.
    pub(crate) fn is_built(&self) -> bool {
        self.given.is_none() && self.sources.is_some()
    }

    /// Where all of it comes from, in a line for people.
    pub(crate) fn told(&self) -> String {
        let rest = match &self.sources {
            Some(sources) => format!("`{}`", sources.checkout().display()),
            None => "this program itself".to_owned(),
        };
        match &self.given {
            Some(path) => format!("functions from `{}`, template from {rest}", path.display()),
            // They can be had nowhere, which is told when they are wanted.
            None if self.code().is_err() => format!("template from {rest}"),
            None => format!("functions and template from {rest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(given: Option<PathBuf>, sources: Option<Sources>) -> Origin {
        Origin { given, sources }
    }

    #[test]
    fn a_program_that_is_given_counts_before_sources_and_both_are_told() {
        let here = std::env::current_dir().unwrap();
        let sources = Sources::find(&here, false).unwrap();
        let given = PathBuf::from("/elsewhere/bootstrap");
        let origin = of(Some(given.clone()), Some(sources.clone()));
        assert_eq!(origin.code().unwrap(), Code::Given(given));
        assert!(!origin.is_built());
        let told = origin.told();
        assert!(told.contains("/elsewhere/bootstrap"), "{told}");
        let checkout = sources.checkout().display().to_string();
        assert!(told.contains(&checkout), "{told}");

        let origin = of(None, Some(sources.clone()));
        assert_eq!(origin.code().unwrap(), Code::Sources(sources));
        assert!(origin.is_built());
    }

    #[test]
    fn without_any_sources_a_program_that_carries_nothing_says_what_to_do() {
        let nothing = of(None, None);
        let (code, told) = (nothing.code(), nothing.told());
        if carried::is_carrying() {
            assert_eq!(code.unwrap(), Code::Carried);
            assert_eq!(told, "functions and template from this program itself");
        } else {
            assert_eq!(told, "template from this program itself");
            let refused = code.unwrap_err();
            assert!(refused.hint().contains("--source"), "{}", refused.hint());
        }
    }

    #[test]
    fn a_folder_that_was_named_and_is_no_checkout_is_refused_whatever_is_around() {
        let here = std::env::current_dir().unwrap();
        let named = here.join("src");
        let refused = Origin::choose(None, Some(&named), &here).unwrap_err();
        assert_eq!(refused, named);
    }
}
