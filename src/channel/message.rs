//! The messages of PROTOCOL.md as types. `extension/protocol.d.ts` is generated from them.

pub(crate) mod setting;
pub(crate) mod to_extension;
pub(crate) mod to_host;

use serde::{Deserialize, Serialize};

/// Version of the protocol that this host speaks.
const VERSION: u64 = 1;

/// Why a message could not be used. Later versions may add codes, never change them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// The frame's bytes are not UTF-8.
    NotUtf8,
    /// The frame is not a JSON object.
    NotJson,
    /// `v` is missing or not a version that this host speaks.
    UnknownVersion,
    /// `type` is missing or not a message of this protocol.
    UnknownType,
    /// A field is missing, of the wrong type or out of range.
    Invalid,
    /// The host can't do what the message asks for; the error's message says why.
    Refused,
}

/// A message with the version that every frame carries.
#[derive(Serialize)]
struct Versioned<'a, M> {
    v: u64,
    #[serde(flatten)]
    message: &'a M,
}

/// Writes a message as the body of a frame.
fn encode(message: &impl Serialize) -> Vec<u8> {
    // Serializing these types can't fail: their maps have string keys, and no implementation returns an error.
    serde_json::to_vec(&Versioned { v: VERSION, message }).unwrap_or_default()
}

#[cfg(test)]
mod tests;
