//! The API's description of itself, for people and for programs that write or test clients: an OpenAPI 3.1 document.
//!
//! It is written by hand in `openapi.json`, beside this file. The tests here hold it to the addresses and limits that
//! there are; that answers are as it says, `cargo xtask schema` sees.

use super::Response;
use crate::transport::assets::Asset;

const DESCRIPTION: Asset = Asset {
    path: "/api/openapi.json",
    content_type: "application/json",
    body: include_bytes!("openapi.json"),
};

pub(super) fn description() -> Response {
    Response::asset(&DESCRIPTION)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::super::{JSON_BYTES_MAX, OPEN, RESOURCES, capture, readers};
    use super::*;
    use crate::chat::{HISTORY_DEFAULT, HISTORY_MAX};
    use crate::ids::NAME_BYTES_MAX;
    use crate::transport::media;

    /// What is described though it is no resource of the API.
    const BESIDE_THE_API: [&str; 3] = ["GET /health", "GET /metrics", "GET /ready"];

    fn document() -> Value {
        serde_json::from_slice(DESCRIPTION.body).unwrap()
    }

    /// Each operation by its method and address, as `GET /files/{}`.
    fn operations(document: &Value) -> Vec<(String, &Value)> {
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let name = format!("{} {}", method.to_uppercase(), without_names(path));
                operations.push((name, operation));
            }
        }
        operations
    }

    /// `/files/{id}` is `/files/{}`.
    fn without_names(path: &str) -> String {
        let segments = path.split('/').map(|segment| match segment {
            name if name.starts_with('{') && name.ends_with('}') => "{}",
            word => word,
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// Calls `f` with every object in the document.
    fn visit<'d>(value: &'d Value, f: &mut impl FnMut(&'d serde_json::Map<String, Value>)) {
        if let Value::Object(object) = value {
            f(object);
            object.values().for_each(|value| visit(value, f));
        } else if let Value::Array(values) = value {
            values.iter().for_each(|value| visit(value, f));
        }
    }

    #[test]
    fn what_is_described_is_what_there_is() {
        let document = document();
        let described: BTreeSet<String> = operations(&document)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let methods = |resource: &super::super::Resource| {
            let path = resource.path;
            let names = resource.methods.iter();
            names
                .map(move |(name, _)| format!("{name} {path}"))
                .collect::<Vec<_>>()
        };
        let mut there: BTreeSet<String> = RESOURCES.iter().flat_map(methods).collect();
        there.extend(BESIDE_THE_API.map(str::to_owned));
        assert_eq!(described, there);
    }

    #[test]
    fn an_operation_names_what_its_path_has_and_has_a_name_and_a_sentence() {
        let document = document();
        let mut ids = BTreeSet::new();
        for (name, operation) in operations(&document) {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{name}: another operation is called {id}");
            assert!(operation["summary"].is_string(), "{name}");
            let parameters = operation["parameters"].as_array();
            let in_path = parameters.into_iter().flatten().filter(|parameter| {
                let pointer = parameter["$ref"].as_str().unwrap().trim_start_matches('#');
                document.pointer(pointer).unwrap()["in"] == "path"
            });
            assert_eq!(in_path.count(), name.matches("{}").count(), "{name}");
            let statuses = operation["responses"].as_object().unwrap();
            for status in ["400", "408", "413", "414", "429", "431", "503"] {
                assert!(
                    statuses.contains_key(status),
                    "{name}: anything may be answered {status}"
                );
            }
            let is_open = operation["security"] == json!([]);
            assert_ne!(statuses.contains_key("401"), is_open, "{name}");
            if let Some((_, path)) = name.split_once(' ')
                && !BESIDE_THE_API.contains(&name.as_str())
            {
                assert_eq!(is_open, OPEN.contains(&path), "{name}");
            }
            if name.starts_with("POST") && operation["requestBody"].is_object() {
                for status in ["403", "411", "417"] {
                    assert!(
                        statuses.contains_key(status),
                        "{name}: a body may be answered {status}"
                    );
                }
            }
        }
    }

    #[test]
    fn references_lead_somewhere_and_every_component_is_referred_to() {
        let document = document();
        let mut referred = BTreeSet::new();
        visit(&document, &mut |object| {
            if let Some(Value::String(reference)) = object.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(
                    document.pointer(pointer).is_some(),
                    "{reference} is not there"
                );
                referred.insert(pointer.to_owned());
            }
        });
        // Security schemes are referred to by their names.
        for security in document["security"].as_array().unwrap() {
            let names = security.as_object().unwrap().keys();
            referred.extend(names.map(|name| format!("/components/securitySchemes/{name}")));
        }
        for (kind, components) in document["components"].as_object().unwrap() {
            for name in components.as_object().unwrap().keys() {
                let pointer = format!("/components/{kind}/{name}");
                assert!(referred.contains(&pointer), "nothing refers to {pointer}");
            }
        }
    }

    #[test]
    fn limits_and_lists_are_those_of_the_code() {
        let document = document();
        let component = |pointer: &str| {
            let value = document.pointer(&format!("/components/{pointer}"));
            value.unwrap_or_else(|| panic!("{pointer} is not there"))
        };
        for (pointer, expected) in [
            ("schemas/RoomName/maxLength", json!(NAME_BYTES_MAX)),
            ("schemas/RoomOrBroadcast/maxLength", json!(NAME_BYTES_MAX)),
            ("schemas/UserName/maxLength", json!(NAME_BYTES_MAX)),
            (
                "schemas/LogName/maxLength",
                json!(NAME_BYTES_MAX + "@".len()),
            ),
            ("parameters/Limit/schema/maximum", json!(HISTORY_MAX)),
            ("parameters/Limit/schema/default", json!(HISTORY_DEFAULT)),
            (
                "schemas/History/properties/messages/maxItems",
                json!(HISTORY_MAX),
            ),
            (
                "parameters/Timeout/schema/maximum",
                json!(readers::POLL_SECONDS_MAX),
            ),
            (
                "parameters/CaptureSeconds/schema/maximum",
                json!(capture::SECONDS_MAX),
            ),
            (
                "parameters/CaptureSeconds/schema/default",
                json!(capture::SECONDS_DEFAULT),
            ),
            (
                "parameters/Timeout/schema/default",
                json!(readers::POLL_SECONDS_DEFAULT),
            ),
            (
                "parameters/Rooms/schema/maxItems",
                json!(readers::ROOMS_MAX),
            ),
            (
                "parameters/FileName/schema/maxLength",
                json!(super::super::files::NAME_BYTES_MAX),
            ),
            (
                "schemas/FileType/enum",
                json!(media::types().collect::<Vec<_>>()),
            ),
        ] {
            assert_eq!(*component(pointer), expected, "{pointer}");
        }
        let body = component("requestBodies/Publish/description")
            .as_str()
            .unwrap();
        assert!(
            body.contains("66,560 bytes") && JSON_BYTES_MAX == 66_560,
            "{body}"
        );
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }
}
