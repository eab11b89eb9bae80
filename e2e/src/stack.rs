//! The local stack in this process: the same template and the same `bootstrap` that `chatctl dev`
//! runs, where a test can look into the table and let things go wrong.

use std::collections::BTreeMap;

use local::{Code, Options, Stack};
use serde_json::{Value, json};

use crate::chatctl;

/// The values that `chatctl dev` gives the template's parameters.
#[must_use]
pub fn parameters() -> BTreeMap<String, String> {
    ["CodeBucket", "CodeKey"]
        .map(|name| (name.to_owned(), "local".to_owned()))
        .into()
}

/// Starts the stack, with options changed by `change`.
///
/// # Panics
/// When it does not start.
pub async fn start(change: impl FnOnce(&mut Options<'_>)) -> Stack {
    let template = chatctl::synthesized().await;
    let mut options = Options::new(&template, Code::new(chatctl::bootstrap()));
    options.parameters = parameters();
    "chat-dev".clone_into(&mut options.stack_name);
    change(&mut options);
    Stack::start(options).await.expect("the stack starts")
}

/// All items of the chat's table.
///
/// # Panics
/// When the table cannot be read.
#[must_use]
pub fn items(stack: &Stack) -> Vec<Value> {
    let mut items = Vec::new();
    let mut start = Value::Null;
    loop {
        let mut scan = json!({"TableName": stack.template().tables[0].name});
        if !start.is_null() {
            scan["ExclusiveStartKey"] = start;
        }
        let scan = serde_json::from_value(scan).expect("a request");
        let page = stack
            .database()
            .tables()
            .scan(scan)
            .expect("the table is there");
        let page = serde_json::to_value(page).expect("a response");
        items.extend(page["Items"].as_array().cloned().unwrap_or_default());
        start = page["LastEvaluatedKey"].clone();
        if start.is_null() {
            return items;
        }
    }
}

/// The sort keys of all items whose partition key starts with `prefix`.
#[must_use]
pub fn sort_keys(stack: &Stack, prefix: &str) -> Vec<String> {
    let items = items(stack);
    let keys = items.iter().filter_map(|item| {
        item["pk"]["S"]
            .as_str()?
            .starts_with(prefix)
            .then_some(item["sk"]["S"].as_str()?.to_owned())
    });
    keys.collect()
}
