//! Request bodies, read as leniently as the real server reads them: what follows the first value is ignored, so are
//! unknown fields; names match in any case; null means absent; an integer must be written as one (1.0 is not).

use serde_json::{Deserializer, Map, Value};

use super::api_error::ApiError;

/// The first JSON value of a body.
pub(super) fn first_value(body: &[u8]) -> Result<Value, ApiError> {
    match Deserializer::from_slice(body).into_iter().next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(ApiError::bad_body(error)),
        None => Err(ApiError::bad_body("EOF")),
    }
}

/// The fields of an object; null has none.
pub(super) struct Object<'a>(Option<&'a Map<String, Value>>);

impl<'a> Object<'a> {
    pub(super) fn of(value: &'a Value) -> Result<Self, ApiError> {
        match value {
            Value::Null => Ok(Self(None)),
            Value::Object(fields) => Ok(Self(Some(fields))),
            other => Err(ApiError::bad_body(format_args!(
                "found {}, an object is needed",
                kind(other)
            ))),
        }
    }

    pub(super) fn string(&self, name: &str) -> Result<Option<String>, ApiError> {
        self.typed(name, "a string", |value| value.as_str().map(str::to_owned))
    }

    pub(super) fn boolean(&self, name: &str) -> Result<Option<bool>, ApiError> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        self.typed(name, "an integer of 64 bits", Value::as_i64)
    }

    pub(super) fn float(&self, name: &str) -> Result<Option<f32>, ApiError> {
        self.typed(name, "a number", |value| {
            let number = value.as_f64()? as f32;
            number.is_finite().then_some(number)
        })
    }

    /// A field that is an object itself; null where it is absent.
    pub(super) fn object(&self, name: &str) -> Result<&'a Value, ApiError> {
        static ABSENT: Value = Value::Null;
        match self.field(name) {
            None => Ok(&ABSENT),
            Some(value) if value.is_object() => Ok(value),
            Some(other) => Err(mismatch(name, other, "an object")),
        }
    }

    fn typed<T>(
        &self,
        name: &str,
        needed: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(value) = self.field(name) else {
            return Ok(None);
        };
        read(value)
            .map(Some)
            .ok_or_else(|| mismatch(name, value, needed))
    }

    fn field(&self, name: &str) -> Option<&'a Value> {
        let fields = self.0?;
        let any_case = || {
            fields
                .iter()
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value)
        };
        fields
            .get(name)
            .or_else(any_case)
            .filter(|value| !value.is_null())
    }
}

fn mismatch(name: &str, found: &Value, needed: &str) -> ApiError {
    ApiError::bad_body(format_args!(
        "`{name}` is {}, {needed} is needed",
        kind(found)
    ))
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
