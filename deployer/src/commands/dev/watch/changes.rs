//! Which of a checkout's files have changed, and what that means.

use std::ops::BitOr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::event::ModifyKind;
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// Editors write a file in several steps, and several files at once.
const QUIET: Duration = Duration::from_millis(150);

/// What is watched, and whether with all that is below it. Of the checkout's own folder, where cargo's
/// files are, nothing else counts.
const WATCHED: [(&str, RecursiveMode); 4] = [
    ("", RecursiveMode::NonRecursive),
    ("handlers", RecursiveMode::Recursive),
    ("wwwroot", RecursiveMode::Recursive),
    ("cloudformation", RecursiveMode::Recursive),
];

/// Parts of a checkout.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Touched(u8);

impl Touched {
    pub(super) const CODE: Self = Self(1);
    pub(super) const PAGE: Self = Self(2);
    pub(super) const TEMPLATE: Self = Self(4);
    const NOTHING: Self = Self(0);
    const ALL: Self = Self(7);

    pub(super) fn contains(self, part: Self) -> bool {
        self.0 & part.0 != 0
    }

    /// The part that a file belongs to.
    fn of(checkout: &Path, path: &Path) -> Self {
        let Ok(path) = path.strip_prefix(checkout) else {
            return Self::NOTHING;
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // What editors put beside a file.
        if name.starts_with('.') || name.starts_with('#') || name.ends_with('~') {
            return Self::NOTHING;
        }
        let below = |folder| path.starts_with(folder) && path != Path::new(folder);
        if below("handlers") || path == Path::new("Cargo.toml") || path == Path::new("Cargo.lock") {
            Self::CODE
        } else if below("wwwroot") {
            Self::PAGE
        } else if below("cloudformation") {
            Self::TEMPLATE
        } else {
            Self::NOTHING
        }
    }
}

impl BitOr for Touched {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What the operating system tells of a checkout.
pub(super) struct Changes {
    checkout: PathBuf,
    events: UnboundedReceiver<Event>,
    /// What has come and nobody was told of yet.
    pending: Touched,
    _watcher: RecommendedWatcher,
}

impl Changes {
    pub(super) fn of(checkout: &Path) -> Result<Self, notify::Error> {
        let (tell, events) = unbounded_channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // Nobody listens any more at the end; and what it cannot tell, nobody can do anything about.
            let _ = event.map(|it| tell.send(it));
        })?;
        for (folder, mode) in WATCHED {
            watcher.watch(&checkout.join(folder), mode)?;
        }
        Ok(Self {
            checkout: checkout.to_owned(),
            events,
            pending: Touched::NOTHING,
            _watcher: watcher,
        })
    }

    /// Waits until something has changed, and then until no more does. Nothing is lost when this is
    /// cancelled.
    pub(super) async fn next(&mut self) -> Touched {
        loop {
            let limit = if self.pending == Touched::NOTHING {
                Duration::MAX
            } else {
                QUIET
            };
            match timeout(limit, self.events.recv()).await {
                Ok(Some(event)) => self.pending = self.pending | touched(&self.checkout, &event),
                // The watcher lives as long as this.
                Ok(None) => std::future::pending().await,
                Err(_) => return std::mem::take(&mut self.pending),
            }
        }
    }
}

fn touched(checkout: &Path, event: &Event) -> Touched {
    if event.need_rescan() {
        // More has happened than there was room for.
        return Touched::ALL;
    }
    let is_change = match event.kind {
        EventKind::Access(_) | EventKind::Modify(ModifyKind::Metadata(_)) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    };
    let paths = event.paths.iter().filter(|_| is_change);
    let parts = paths.map(|it| Touched::of(checkout, it));
    parts.fold(Touched::NOTHING, BitOr::bitor)
}

#[cfg(test)]
mod tests {
    use notify::event::{AccessKind, CreateKind, Flag, MetadataKind};

    use super::*;

    #[test]
    fn a_file_belongs_to_a_part_or_to_none() {
        for (path, expected) in [
            ("handlers/src/chat/name.rs", Touched::CODE),
            ("handlers/Cargo.toml", Touched::CODE),
            ("Cargo.lock", Touched::CODE),
            ("Cargo.toml", Touched::CODE),
            ("wwwroot/style.css", Touched::PAGE),
            ("cloudformation/table.yaml", Touched::TEMPLATE),
            ("README.md", Touched::NOTHING),
            ("target", Touched::NOTHING),
            ("handlers", Touched::NOTHING),
            ("handlers/src/.main.rs.swp", Touched::NOTHING),
            ("handlers/src/main.rs~", Touched::NOTHING),
        ] {
            let (checkout, path) = (Path::new("/c"), Path::new("/c").join(path));
            assert_eq!(Touched::of(checkout, &path), expected, "{}", path.display());
        }
        let elsewhere = Touched::of(Path::new("/c"), Path::new("/d/handlers/a.rs"));
        assert_eq!(elsewhere, Touched::NOTHING);
    }

    #[test]
    fn reading_is_no_change_and_what_is_not_known_is_all() {
        let event = |kind| Event::new(kind).add_path("/c/wwwroot/main.js".into());
        let touched = |event| touched(Path::new("/c"), &event);
        assert_eq!(
            touched(event(EventKind::Create(CreateKind::File))),
            Touched::PAGE
        );
        for kind in [
            EventKind::Access(AccessKind::Read),
            EventKind::Modify(ModifyKind::Metadata(MetadataKind::AccessTime)),
        ] {
            assert_eq!(touched(event(kind)), Touched::NOTHING);
        }
        let rescan = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(touched(rescan), Touched::ALL);
    }

    #[tokio::test]
    async fn what_changes_at_once_is_told_at_once_and_nothing_is_lost_to_who_looks_away() {
        let checkout = std::env::temp_dir().canonicalize().unwrap();
        let checkout = checkout.join(format!("chatctl-changes-{}", std::process::id()));
        for (folder, _) in WATCHED {
            std::fs::create_dir_all(checkout.join(folder)).unwrap();
        }
        let mut changes = Changes::of(&checkout).unwrap();
        std::fs::write(checkout.join("wwwroot/a.js"), "1").unwrap();
        std::fs::write(checkout.join("handlers/a.rs"), "1").unwrap();
        // Away before it is quiet, unless the machine is so busy that it has been quiet for long.
        let told = timeout(QUIET / 3, changes.next()).await;
        let mut told = told.unwrap_or_default();
        let limit = Duration::from_mins(1);
        // Told at once, or one after the other where the machine was too busy for that.
        while told != Touched::CODE | Touched::PAGE {
            told = told | timeout(limit, changes.next()).await.expect("it is told");
        }
        while timeout(QUIET * 3, changes.next()).await.is_ok() {}
        std::fs::read(checkout.join("wwwroot/a.js")).unwrap();
        assert!(timeout(QUIET * 3, changes.next()).await.is_err());
        std::fs::remove_dir_all(&checkout).unwrap();
    }
}
