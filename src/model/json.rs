//! JSON objects, and errors that name the key which they concern.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// A value that must be a JSON object. Derived code alone would accept an array too, by the order of the fields.
#[derive(Default)]
pub(crate) struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Object<T>, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData)).map(Object)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object: {\"key\": value, …}")
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> std::result::Result<T, M::Error> {
        T::deserialize(MapAccessDeserializer::new(Named { map, key: String::new() }))
    }
}

/// The entries of an object. An error about a value names its key, which serde's own errors do not.
struct Named<M> {
    map: M,
    key: String,
}

impl<'de, M: MapAccess<'de>> MapAccess<'de> for Named<M> {
    type Error = M::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> std::result::Result<Option<K::Value>, M::Error> {
        let Some(key) = self.map.next_key::<String>()? else { return Ok(None) };
        self.key = key;
        seed.deserialize(self.key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> std::result::Result<V::Value, M::Error> {
        self.map.next_value_seed(seed).map_err(|error| of(&self.key, error))
    }
}

/// Reads a JSON text that must be an object.
pub(crate) fn object<'de, T: Deserialize<'de>>(json: &'de [u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).map(|Object(value)| value)
}

/// Returns the error with the key that it concerns. serde_json keeps the line and column that the text ends with.
pub(crate) fn of<E: de::Error>(key: &str, error: E) -> E {
    E::custom(format!("{key}: {error}"))
}
