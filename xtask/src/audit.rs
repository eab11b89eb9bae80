//! What scanners find in the templates and in the dependencies, against what is accepted and why.
//!
//! # Layout
//!
//! - `variants.rs`: the templates as AWS would see them, one for each way to deploy.
//! - `resolve.rs`: a template and its parameters to such a variant. Pure.
//! - `exceptions.rs`: what is found against what is accepted. Pure.
//! - `scanners.rs`: checkov and cfn-guard, and what they say.
//! - `dependencies.rs`: cargo-deny.

mod dependencies;
mod exceptions;
mod resolve;
mod scanners;
mod variants;

use std::path::Path;

use crate::cargo::chatctl;
use crate::tools::{self, Scanners};
use crate::{Outcome, step};

/// All of it, by itself.
pub(crate) fn all() -> Outcome {
    let (scanners, target) = step("tools", tools::for_audit)?;
    dependencies(&scanners)?;
    let chatctl = step("chatctl", chatctl)?;
    templates(&scanners, &target, &chatctl)
}

/// Licences, sources and banned crates, and what is known against the dependencies.
pub(crate) fn dependencies(tools: &Scanners) -> Outcome {
    let cargo_deny = || tools.cargo_deny.command("cargo-deny");
    step("dependencies", || dependencies::check(cargo_deny()))?;
    step("advisories", || {
        dependencies::advisories(cargo_deny(), cargo_deny())
    })
}

/// What the scanners say of each way to deploy.
pub(crate) fn templates(tools: &Scanners, target: &Path, chatctl: &Path) -> Outcome {
    let templates = step("templates as AWS would see them", || {
        variants::write(target, chatctl)
    })?;
    step("template security: checkov", || {
        scanners::checkov(tools.checkov.command("checkov"), &templates)
    })?;
    step("template security: cfn-guard", || {
        let guard = &tools.cfn_guard;
        scanners::guard(&guard.program, &guard.rules, &templates)
    })
}
