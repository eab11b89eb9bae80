//! What the local stack tells about itself while it runs. It prints nothing: whoever starts it
//! decides what to show.

use std::sync::Arc;

use crate::faults::Fault;
use crate::lambda::Report;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A function's process wrote a line to its standard output or error.
    Log {
        /// The function's logical id.
        function: String,
        /// The line, without its end.
        line: String,
    },
    /// Lambda would log this about a function: a timeout, a crash.
    Platform {
        /// The function's logical id.
        function: String,
        /// The line.
        line: String,
    },
    /// An invocation has ended; told only where [`FunctionOptions::reports`] asks for it.
    ///
    /// [`FunctionOptions::reports`]: crate::FunctionOptions::reports
    Report {
        /// The function's logical id.
        function: String,
        /// What Lambda would bill and log.
        report: Report,
    },
    /// A fault that was asked for has struck.
    Fault(Fault),
}

/// Who is told. Called from many tasks, so it must not block.
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(Event) + Send + Sync>);

impl Observer {
    /// Tells `listen`.
    pub fn new(listen: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listen))
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.0)(event);
    }
}

impl Default for Observer {
    /// Tells nobody.
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Observer")
    }
}
