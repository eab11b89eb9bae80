//! What is published beside the files of `wwwroot`.

use serde_json::json;

/// The key of the page's configuration.
pub(crate) const CONFIG_KEY: &str = "config.json";

/// The page's configuration: where the socket is.
pub(crate) fn config(websocket_url: &str) -> String {
    json!({ "server": websocket_url }).to_string()
}
