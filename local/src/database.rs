//! DynamoDB on one machine: dynoxide, embedded, behind an HTTP server that answers no page.
//!
//! # Layout
//!
//! - `database.rs`: the tables and their server's thread.
//! - `database/api.rs`: what SDKs call, over HTTP.
//! - `database/heads.rs`: requests whose heads never end.
//! - `database/throttle.rs`: what they are refused on purpose.

mod api;
mod heads;
#[cfg(test)]
mod tests;
mod throttle;

use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use dynoxide::Database as Dynoxide;
use dynoxide::errors::DynoxideError;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use self::api::Api;
use self::throttle::Throttle;
use crate::faults::Dice;
use crate::template::Table;

/// How often items past their time are removed. DynamoDB takes up to days; what depends on it sooner
/// is wrong there too.
const TTL_SWEEP: Duration = Duration::from_mins(10);

/// The database could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Its folder or file cannot be used.
    #[error("the data folder `{folder}` cannot be used: {reason}")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        reason: String,
    },
    /// A table of the template could not be made.
    #[error("the table `{table}` could not be made: {reason}")]
    Table {
        /// Its name.
        table: String,
        /// Why.
        reason: String,
    },
    /// A kept table has another key than the template's.
    #[error("the data folder holds a table `{table}` with another key schema")]
    KeySchema {
        /// Its name.
        table: String,
    },
    /// Its server could not be started.
    #[error("the database's server could not be started")]
    Serve(#[source] std::io::Error),
}

/// The tables of a stack, and the server that the functions' SDKs talk to.
pub struct Database {
    tables: Dynoxide,
    endpoint: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Database {
    /// Makes the folder and the file that are to keep the tables, unless they are there, and says at
    /// once if they cannot be used.
    ///
    /// # Errors
    /// [`DatabaseError::Folder`].
    pub fn prepare(folder: &Path) -> Result<(), DatabaseError> {
        open_file(folder).map(drop)
    }

    /// Opens the database, in memory or in a file of `folder`, makes the tables that are not there
    /// yet, and serves them on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// [`DatabaseError`] names the folder or the table.
    pub(crate) fn open(
        folder: Option<&Path>,
        tables: &[Table],
        dice: &Arc<Dice>,
    ) -> Result<Self, DatabaseError> {
        let database = match folder {
            None => {
                Dynoxide::memory().map_err(|error| folder_error(Path::new(":memory:"), error))?
            }
            Some(folder) => open_file(folder)?,
        };
        for table in tables {
            make_table(&database, table)?;
        }
        let throttle = dice.has_db_throttle().then(|| Throttle::new(tables, dice));
        Self::serve(database, throttle).map_err(DatabaseError::Serve)
    }

    /// `http://host:port`, for `AWS_ENDPOINT_URL_DYNAMODB`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The tables, to look into or to fill.
    #[must_use]
    pub fn tables(&self) -> &Dynoxide {
        &self.tables
    }

    /// On a thread and runtime of its own: its calls block, and one lock serializes them anyway.
    fn serve(tables: Dynoxide, throttle: Option<Throttle>) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        listener.set_nonblocking(true)?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tables.clone();
        let thread = std::thread::Builder::new()
            .name("dynamodb".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    let Ok(listener) = TcpListener::from_std(listener) else {
                        return;
                    };
                    let api = Api {
                        tables: served.clone(),
                        throttle,
                    };
                    // Not a graceful end: the functions keep connections open for as long as they live.
                    tokio::select! {
                        () = api.serve(listener) => {}
                        () = sweep(&served) => {}
                        _ = stopped => {}
                    }
                });
            })?;
        Ok(Self {
            tables,
            endpoint,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It fails only if the thread panicked, which its panic message has told.
            drop(thread.join());
        }
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Database")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

async fn sweep(database: &Dynoxide) {
    loop {
        tokio::time::sleep(TTL_SWEEP).await;
        // What could not be removed now is removed the next time; reads never rely on it.
        drop(database.sweep_ttl());
    }
}

fn folder_error(folder: &Path, reason: impl std::fmt::Display) -> DatabaseError {
    DatabaseError::Folder {
        folder: folder.display().to_string(),
        reason: reason.to_string(),
    }
}

fn open_file(folder: &Path) -> Result<Dynoxide, DatabaseError> {
    std::fs::create_dir_all(folder).map_err(|error| folder_error(folder, error))?;
    let file = folder.join("dynamodb.sqlite");
    let path = file
        .to_str()
        .ok_or_else(|| folder_error(folder, "its path is not UTF-8"))?;
    let database = Dynoxide::new(path).map_err(|error| folder_error(folder, error))?;
    // Despite its name this also sets `synchronous=NORMAL`, which still loses nothing that was
    // written when this process is killed.
    database
        .disable_bulk_loading()
        .map_err(|error| folder_error(folder, error))?;
    Ok(database)
}

fn make_table(database: &Dynoxide, table: &Table) -> Result<(), DatabaseError> {
    let failed = |reason: &dyn std::fmt::Display| DatabaseError::Table {
        table: table.name.clone(),
        reason: reason.to_string(),
    };
    let request = serde_json::from_value(table.request.clone()).map_err(|error| failed(&error))?;
    match database.create_table(request) {
        Ok(_) => {}
        Err(DynoxideError::ResourceInUseException(_)) => return check_kept(database, table),
        Err(error) => return Err(failed(&error)),
    }
    if let Some(attribute) = &table.ttl_attribute {
        let request = json!({
            "TableName": table.name,
            "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true},
        });
        let request = serde_json::from_value(request).map_err(|error| failed(&error))?;
        database
            .update_time_to_live(request)
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// A table from an earlier run has to have the template's key.
fn check_kept(database: &Dynoxide, table: &Table) -> Result<(), DatabaseError> {
    let failed = |reason: &dyn std::fmt::Display| DatabaseError::Table {
        table: table.name.clone(),
        reason: reason.to_string(),
    };
    let request = serde_json::from_value(json!({"TableName": table.name}));
    let request = request.map_err(|error| failed(&error))?;
    let kept = database
        .describe_table(request)
        .map_err(|error| failed(&error))?;
    let kept = serde_json::to_value(kept.table).map_err(|error| failed(&error))?;
    if kept["KeySchema"] == table.request["KeySchema"] {
        Ok(())
    } else {
        Err(DatabaseError::KeySchema {
            table: table.name.clone(),
        })
    }
}
