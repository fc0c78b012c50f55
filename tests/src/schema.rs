//! A small validator of JSON Schema: as much as the documents of a node use, and a panic for anything else, so that
//! nothing is passed over in silence.

use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use regex_lite::Regex;
use serde_json::{Map, Value};

/// A document with schemas in it.
#[derive(Debug)]
pub struct Schemas {
    document: Value,
    patterns: HashMap<String, Regex>,
}

impl Schemas {
    /// All the schemas of a document; its patterns must be regular expressions.
    pub fn new(document: Value) -> Self {
        let mut patterns = HashMap::new();
        let mut values = vec![&document];
        while let Some(value) = values.pop() {
            match value {
                Value::Object(object) => {
                    if let Some(Value::String(pattern)) = object.get("pattern") {
                        patterns.insert(pattern.clone(), Regex::new(pattern).unwrap());
                    }
                    values.extend(object.values());
                }
                Value::Array(array) => values.extend(array),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        Self { document, patterns }
    }

    /// The document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// Whether the schema at `pointer` accepts `value`.
    ///
    /// # Errors
    /// The keyword that does not, and where.
    pub fn check(&self, pointer: &str, value: &Value) -> Result<(), String> {
        let schema = self.document.pointer(pointer).unwrap_or_else(|| panic!("no schema at {pointer}"));
        self.validate(schema, value)
    }

    fn validate(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let schema = schema.as_object().unwrap();
        for (keyword, wanted) in schema {
            if !self.keyword(keyword, wanted, schema, value) {
                return Err(format!("{keyword} {} refuses {}", short(wanted), short(value)));
            }
            if let ("properties", Some(members), Some(object)) = (&**keyword, wanted.as_object(), value.as_object()) {
                for (name, inner) in members {
                    if let Some(value) = object.get(name) {
                        self.validate(inner, value).map_err(|why| format!("{name}: {why}"))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn is_valid(&self, schema: &Value, value: &Value) -> bool {
        self.validate(schema, value).is_ok()
    }

    fn keyword(&self, keyword: &str, wanted: &Value, schema: &Map<String, Value>, value: &Value) -> bool {
        let array = value.as_array();
        let text = value.as_str();
        let limit = || wanted.as_u64().unwrap();
        let all = || wanted.as_array().unwrap().iter();
        match keyword {
            // Its members are looked at by the caller, the others are words or looked at with another keyword.
            "properties" | "description" | "title" | "$schema" | "x-max-bytes" | "then" | "minContains"
            | "maxContains" => true,
            "$ref" => self.check(wanted.as_str().unwrap().strip_prefix('#').unwrap(), value).is_ok(),
            "type" => match wanted.as_array() {
                Some(names) => names.iter().any(|name| is_type(name.as_str().unwrap(), value)),
                None => is_type(wanted.as_str().unwrap(), value),
            },
            "enum" => wanted.as_array().unwrap().contains(value),
            "const" => wanted == value,
            "required" => {
                value.as_object().is_none_or(|object| all().all(|name| object.contains_key(name.as_str().unwrap())))
            }
            "maxProperties" => value.as_object().is_none_or(|object| object.len() as u64 <= limit()),
            "maxLength" => text.is_none_or(|text| text.chars().count() as u64 <= limit()),
            "pattern" => text.is_none_or(|text| self.patterns[wanted.as_str().unwrap()].is_match(text)),
            "format" => text.is_none_or(|text| is_format(wanted.as_str().unwrap(), text)),
            "minimum" => value.as_f64().is_none_or(|number| number >= wanted.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= wanted.as_f64().unwrap()),
            "maxItems" => array.is_none_or(|array| array.len() as u64 <= limit()),
            "uniqueItems" => {
                array.is_none_or(|array| array.iter().enumerate().all(|(index, item)| !array[..index].contains(item)))
            }
            "items" => array.is_none_or(|array| array.iter().all(|item| self.is_valid(wanted, item))),
            "contains" => array.is_none_or(|array| {
                let count = array.iter().filter(|item| self.is_valid(wanted, item)).count() as u64;
                count >= schema["minContains"].as_u64().unwrap() && count <= schema["maxContains"].as_u64().unwrap()
            }),
            "not" => !self.is_valid(wanted, value),
            "if" => !self.is_valid(wanted, value) || self.is_valid(&schema["then"], value),
            "allOf" => all().all(|schema| self.is_valid(schema, value)),
            "anyOf" => all().any(|schema| self.is_valid(schema, value)),
            "oneOf" => all().filter(|schema| self.is_valid(schema, value)).count() == 1,
            other => panic!("the validator does not know {other}"),
        }
    }
}

fn short(value: &Value) -> String {
    value.to_string().chars().take(160).collect()
}

fn is_type(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        // A number without a fraction is a whole one, however it is written.
        "integer" => value.is_u64() || value.is_i64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("the validator does not know the type {other}"),
    }
}

fn is_format(name: &str, text: &str) -> bool {
    match name {
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        // As the node writes it: UTC, whole seconds.
        "date-time" => {
            text.bytes().map(|byte| if byte.is_ascii_digit() { b'0' } else { byte }).eq(*b"0000-00-00T00:00:00Z")
        }
        other => panic!("the validator does not know the format {other}"),
    }
}
