//! Values of a template with `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::Join` and `Fn::If` worked out, as
//! CloudFormation does it. An intrinsic function, parameter or attribute that is not known here is
//! an error.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::TemplateError;

/// The account that local ARNs name.
pub const ACCOUNT_ID: &str = "000000000000";
/// The Region that local ARNs name, and that the functions' SDKs sign for.
pub const REGION: &str = "us-east-1";
const PARTITION: &str = "aws";
const URL_SUFFIX: &str = "amazonaws.com";
const NO_VALUE: &str = "AWS::NoValue";

/// What AWS would call the host of the API's stages.
pub(super) fn api_host(api_id: &str) -> String {
    format!("{api_id}.execute-api.{REGION}.{URL_SUFFIX}")
}

/// Works out the values of one template.
pub(super) struct Resolver<'a> {
    stack_name: &'a str,
    parameters: BTreeMap<&'a str, Value>,
    conditions: Option<&'a Map<String, Value>>,
    resources: &'a Map<String, Value>,
}

impl<'a> Resolver<'a> {
    /// # Errors
    /// A parameter without a value and without a default is found only where it is used.
    pub(super) fn new(
        document: &'a Value,
        resources: &'a Map<String, Value>,
        stack_name: &'a str,
        given: &'a BTreeMap<String, String>,
    ) -> Self {
        let mut parameters = BTreeMap::new();
        if let Some(declared) = document["Parameters"].as_object() {
            for (name, declaration) in declared {
                let value = given.get(name).map(|value| Value::from(value.as_str()));
                let value = value.or_else(|| declaration.get("Default").cloned());
                parameters.insert(name.as_str(), value.unwrap_or(Value::Null));
            }
        }
        Self {
            stack_name,
            parameters,
            conditions: document["Conditions"].as_object(),
            resources,
        }
    }

    /// Whether a resource or output is there: its `Condition`, if it has one, is true.
    pub(super) fn is_present(
        &self,
        name: &str,
        declaration: &Value,
    ) -> Result<bool, TemplateError> {
        match declaration.get("Condition") {
            Some(condition) => self.named_condition(name, condition),
            None => Ok(true),
        }
    }

    /// The value with all functions worked out; `None` where it is `AWS::NoValue`.
    pub(super) fn resolve(
        &self,
        place: &str,
        value: &Value,
    ) -> Result<Option<Value>, TemplateError> {
        match value {
            Value::Object(map) => match intrinsic(map) {
                Some((function, argument)) => self.call(place, function, argument),
                None => self.object(place, map).map(Some),
            },
            Value::Array(items) => {
                let items = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.resolve(&format!("{place}[{index}]"), item));
                Ok(Some(
                    items
                        .filter_map(Result::transpose)
                        .collect::<Result<_, _>>()?,
                ))
            }
            plain => Ok(Some(plain.clone())),
        }
    }

    /// A value that has to be a string, or a number or boolean that becomes one.
    pub(super) fn text(&self, place: &str, value: &Value) -> Result<String, TemplateError> {
        match self.resolve(place, value)? {
            Some(Value::String(text)) => Ok(text),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(Value::Bool(flag)) => Ok(flag.to_string()),
            _ => Err(TemplateError::unsupported(place, "it has to be a string")),
        }
    }

    /// What `Ref` gives for a resource: AWS's physical id.
    pub(super) fn physical_id(&self, resource: &str) -> String {
        let kind = self
            .resources
            .get(resource)
            .and_then(|it| it["Type"].as_str());
        match kind {
            Some("AWS::ApiGatewayV2::Api") => "local".to_owned(),
            Some("AWS::ApiGatewayV2::Stage") => self.stage_name(resource),
            // Bucket names are lower case.
            Some("AWS::S3::Bucket") => format!("{}-{resource}", self.stack_name).to_lowercase(),
            Some(kind) if kind.starts_with("AWS::ApiGatewayV2::") => resource.to_owned(),
            _ => format!("{}-{resource}", self.stack_name),
        }
    }

    /// An ARN ends in a stack's own digits; here, where nothing outlives the stack, they are always the same.
    fn stack_id(&self) -> String {
        let name = self.stack_name;
        format!(
            "arn:{PARTITION}:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{name}/\
             00000000-0000-0000-0000-000000000000"
        )
    }

    fn stage_name(&self, resource: &str) -> String {
        let name = &self.resources[resource]["Properties"]["StageName"];
        self.text(resource, name)
            .unwrap_or_else(|_| resource.to_owned())
    }

    fn object(&self, place: &str, map: &Map<String, Value>) -> Result<Value, TemplateError> {
        let mut object = Map::new();
        for (key, value) in map {
            if let Some(value) = self.resolve(&format!("{place}.{key}"), value)? {
                object.insert(key.clone(), value);
            }
        }
        Ok(Value::Object(object))
    }

    fn call(
        &self,
        place: &str,
        function: &str,
        argument: &Value,
    ) -> Result<Option<Value>, TemplateError> {
        let wrong =
            || TemplateError::unsupported(place, format!("`{function}` has a wrong argument"));
        match function {
            "Ref" => self.reference(place, argument.as_str().ok_or_else(wrong)?),
            "Fn::GetAtt" => {
                let (resource, attribute) = match argument {
                    Value::String(dotted) => dotted.split_once('.').ok_or_else(wrong)?,
                    Value::Array(parts) => match parts.as_slice() {
                        [Value::String(resource), Value::String(attribute)] => {
                            (resource.as_str(), attribute.as_str())
                        }
                        _ => return Err(wrong()),
                    },
                    _ => return Err(wrong()),
                };
                self.attribute(place, resource, attribute)
                    .map(|value| Some(value.into()))
            }
            "Fn::Sub" => match argument {
                Value::String(text) => self.substitute(place, text, &Map::new()),
                Value::Array(parts) => match parts.as_slice() {
                    [Value::String(text), Value::Object(variables)] => {
                        self.substitute(place, text, variables)
                    }
                    _ => Err(wrong()),
                },
                _ => Err(wrong()),
            }
            .map(|text| Some(text.into())),
            "Fn::Join" => match argument.as_array().map(Vec::as_slice) {
                Some([Value::String(separator), Value::Array(parts)]) => {
                    let parts = parts.iter().map(|part| self.text(place, part));
                    Ok(Some(
                        parts.collect::<Result<Vec<_>, _>>()?.join(separator).into(),
                    ))
                }
                _ => Err(wrong()),
            },
            "Fn::If" => match argument.as_array().map(Vec::as_slice) {
                Some([condition, when_true, when_false]) => {
                    let chosen = if self.named_condition(place, condition)? {
                        when_true
                    } else {
                        when_false
                    };
                    self.resolve(place, chosen)
                }
                _ => Err(wrong()),
            },
            other => Err(TemplateError::UnknownIntrinsic {
                place: place.to_owned(),
                function: other.to_owned(),
            }),
        }
    }

    fn reference(&self, place: &str, target: &str) -> Result<Option<Value>, TemplateError> {
        if target == NO_VALUE {
            return Ok(None);
        }
        let pseudo = match target {
            "AWS::AccountId" => Some(ACCOUNT_ID),
            "AWS::Partition" => Some(PARTITION),
            "AWS::Region" => Some(REGION),
            "AWS::StackId" => return Ok(Some(self.stack_id().into())),
            "AWS::StackName" => Some(self.stack_name),
            "AWS::URLSuffix" => Some(URL_SUFFIX),
            _ => None,
        };
        if let Some(value) = pseudo {
            return Ok(Some(value.into()));
        }
        match self.parameters.get(target) {
            Some(Value::Null) => Err(TemplateError::MissingParameter {
                parameter: target.to_owned(),
            }),
            Some(value) => Ok(Some(value.clone())),
            None if self.resources.contains_key(target) => {
                Ok(Some(self.physical_id(target).into()))
            }
            None => Err(dangling(place, target)),
        }
    }

    fn attribute(
        &self,
        place: &str,
        resource: &str,
        attribute: &str,
    ) -> Result<String, TemplateError> {
        let kind = self
            .resources
            .get(resource)
            .and_then(|it| it["Type"].as_str());
        let id = self.physical_id(resource);
        let arn = |service: &str, rest: String| format!("arn:{PARTITION}:{service}:{rest}");
        Ok(match (kind.unwrap_or_default(), attribute) {
            ("AWS::DynamoDB::Table", "Arn") => {
                arn("dynamodb", format!("{REGION}:{ACCOUNT_ID}:table/{id}"))
            }
            ("AWS::Lambda::Function", "Arn") => {
                arn("lambda", format!("{REGION}:{ACCOUNT_ID}:function:{id}"))
            }
            ("AWS::IAM::Role", "Arn") => arn("iam", format!(":{ACCOUNT_ID}:role/{id}")),
            ("AWS::Logs::LogGroup", "Arn") => {
                arn("logs", format!("{REGION}:{ACCOUNT_ID}:log-group:{id}:*"))
            }
            ("AWS::S3::Bucket", "Arn") => arn("s3", format!("::{id}")),
            ("AWS::S3::Bucket", "RegionalDomainName") => format!("{id}.s3.{REGION}.{URL_SUFFIX}"),
            ("AWS::CloudFront::Distribution", "DomainName") => {
                format!("{}.cloudfront.net", id.to_lowercase())
            }
            (
                "AWS::CloudFront::OriginAccessControl" | "AWS::CloudFront::ResponseHeadersPolicy",
                "Id",
            )
            | ("AWS::ApiGatewayV2::Api", "ApiId") => id,
            ("AWS::ApiGatewayV2::Api", "ApiEndpoint") => format!("wss://{}", api_host(&id)),
            _ => return Err(dangling(place, &format!("{resource}.{attribute}"))),
        })
    }

    /// `${Name}`, `${Name.Attribute}` and `${!literal}`.
    fn substitute(
        &self,
        place: &str,
        text: &str,
        variables: &Map<String, Value>,
    ) -> Result<String, TemplateError> {
        let mut result = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| TemplateError::unsupported(place, "a `${` is not closed"))?;
            result.push_str(before);
            if let Some(literal) = name.strip_prefix('!') {
                result.extend(["${", literal, "}"]);
            } else if let Some(value) = variables.get(name) {
                result.push_str(&self.text(place, value)?);
            } else if let Some((resource, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(place, resource, attribute)?);
            } else {
                let reference = serde_json::json!({ "Ref": name });
                result.push_str(&self.text(place, &reference)?);
            }
            rest = after;
        }
        result.push_str(rest);
        Ok(result)
    }

    fn named_condition(&self, place: &str, name: &Value) -> Result<bool, TemplateError> {
        let name = name.as_str().unwrap_or_default();
        let condition = self.conditions.and_then(|conditions| conditions.get(name));
        let condition = condition.ok_or_else(|| TemplateError::UnknownCondition {
            place: place.to_owned(),
            condition: name.to_owned(),
        })?;
        self.condition(name, condition)
    }

    fn condition(&self, place: &str, condition: &Value) -> Result<bool, TemplateError> {
        let wrong = || TemplateError::unsupported(place, "it has to be a condition function");
        let (function, argument) = condition
            .as_object()
            .and_then(intrinsic)
            .ok_or_else(wrong)?;
        if function == "Condition" {
            return self.named_condition(place, argument);
        }
        let arguments = argument.as_array().ok_or_else(wrong)?;
        match function {
            "Fn::Equals" => match arguments.as_slice() {
                [one, other] => Ok(self.text(place, one)? == self.text(place, other)?),
                _ => Err(wrong()),
            },
            "Fn::Not" => match arguments.as_slice() {
                [negated] => Ok(!self.condition(place, negated)?),
                _ => Err(wrong()),
            },
            "Fn::And" | "Fn::Or" => {
                let values = arguments
                    .iter()
                    .map(|argument| self.condition(place, argument));
                let values = values.collect::<Result<Vec<_>, _>>()?;
                Ok(if function == "Fn::And" {
                    values.iter().all(|value| *value)
                } else {
                    values.iter().any(|value| *value)
                })
            }
            other => Err(TemplateError::UnknownIntrinsic {
                place: place.to_owned(),
                function: other.to_owned(),
            }),
        }
    }
}

fn dangling(place: &str, target: &str) -> TemplateError {
    TemplateError::Dangling {
        place: place.to_owned(),
        target: target.to_owned(),
    }
}

/// The function and argument of a map that calls an intrinsic function.
pub(super) fn intrinsic(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (key, argument) = map.iter().next().filter(|_| map.len() == 1)?;
    let known = key == "Ref" || key == "Condition" || key.starts_with("Fn::");
    // `Condition` is also a property of policies, always with a map.
    (known && (key != "Condition" || argument.is_string())).then_some((key, argument))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(value: &Value) -> Result<Option<Value>, TemplateError> {
        let document = json!({
            "Parameters": {
                "Stage": {"Default": "dev"},
                "Given": {},
                "Missing": {},
            },
            "Conditions": {
                "IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]},
                "IsProd": {"Fn::Not": [{"Condition": "IsDev"}]},
                "Both": {"Fn::And": [{"Condition": "IsDev"}, {"Condition": "IsProd"}]},
                "Either": {"Fn::Or": [{"Condition": "IsDev"}, {"Condition": "IsProd"}]},
            },
            "Resources": {
                "Table": {"Type": "AWS::DynamoDB::Table"},
                "Api": {"Type": "AWS::ApiGatewayV2::Api"},
            },
        });
        let given = BTreeMap::from([("Given".to_owned(), "passed".to_owned())]);
        let resources = document["Resources"].as_object().expect("resources");
        Resolver::new(&document, resources, "stack", &given).resolve("Here", value)
    }

    #[test]
    fn every_known_function_gives_what_cloudformation_gives() {
        let cases = [
            (json!({"Ref": "Stage"}), json!("dev")),
            (json!({"Ref": "Given"}), json!("passed")),
            (json!({"Ref": "Table"}), json!("stack-Table")),
            (json!({"Ref": "AWS::Region"}), json!("us-east-1")),
            (
                json!({"Fn::GetAtt": ["Table", "Arn"]}),
                json!("arn:aws:dynamodb:us-east-1:000000000000:table/stack-Table"),
            ),
            (
                json!({"Fn::Sub": "wss://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}/${Stage}"}),
                json!("wss://local.execute-api.us-east-1.amazonaws.com/dev"),
            ),
            (json!({"Fn::Sub": "${!Literal} ${Table.Arn}"}), {
                json!("${Literal} arn:aws:dynamodb:us-east-1:000000000000:table/stack-Table")
            }),
            (
                json!({"Fn::Sub": ["${a}-${Stage}", {"a": {"Ref": "Given"}}]}),
                json!("passed-dev"),
            ),
            (
                json!({"Fn::Join": ["-", ["a", {"Ref": "Stage"}, 1]]}),
                json!("a-dev-1"),
            ),
            (json!({"Fn::If": ["IsDev", "yes", "no"]}), json!("yes")),
            (json!({"Fn::If": ["IsProd", "yes", "no"]}), json!("no")),
            (json!({"Fn::If": ["Both", "yes", "no"]}), json!("no")),
            (json!({"Fn::If": ["Either", "yes", "no"]}), json!("yes")),
            (
                json!([{"Ref": "AWS::NoValue"}, {"a": {"Ref": "AWS::NoValue"}}]),
                json!([{}]),
            ),
            (
                json!({"Condition": {"Bool": {"x": "false"}}}),
                json!({"Condition": {"Bool": {"x": "false"}}}),
            ),
        ];
        for (value, expected) in cases {
            assert_eq!(
                resolve(&value).expect("resolves"),
                Some(expected),
                "{value}"
            );
        }
    }

    #[test]
    fn what_is_not_known_is_named_with_its_place() {
        let cases = [
            (
                json!({"a": {"Fn::Select": [0, []]}}),
                "`Here.a` uses `Fn::Select`",
            ),
            (json!([{"Ref": "Nobody"}]), "`Here[0]` refers to `Nobody`"),
            (
                json!({"Fn::GetAtt": ["Table", "StreamArn"]}),
                "`Table.StreamArn`",
            ),
            (json!({"Fn::Sub": "${Nobody}"}), "`Nobody`"),
            (json!({"Fn::Sub": "${Table"}), "is not closed"),
            (json!({"Ref": "Missing"}), "`Missing` has neither"),
            (
                json!({"Fn::If": ["IsTest", 1, 2]}),
                "the condition `IsTest`",
            ),
            (json!({"Fn::Join": "x"}), "wrong argument"),
        ];
        for (value, part) in cases {
            let error = resolve(&value).expect_err("does not resolve").to_string();
            assert!(error.contains(part), "{value}: {error}");
        }
    }
}
