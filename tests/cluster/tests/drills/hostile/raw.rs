//! Calls as bytes, and the contract as it describes itself: every call, every field.

use std::collections::BTreeMap;
use std::sync::Arc;

use assay_cluster_tests::raw::Raw;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// Calls `path` with one message of these bytes, and waits for the first word of the answer.
pub async fn call(channel: &Channel, path: &str, bytes: Vec<u8>) -> Result<(), Status> {
    let mut grpc = Grpc::new(channel.clone()).max_decoding_message_size(64 << 20);
    let ready = grpc.ready().await;
    ready.map_err(|error| Status::unavailable(told(&error)))?;
    let path = PathAndQuery::try_from(path.to_owned()).unwrap();
    let says = tokio_stream::iter([bytes]);
    let answer = grpc.streaming(Request::new(says), path, Raw).await?;
    answer.into_inner().message().await.map(|_| ())
}

/// An error with all its causes.
pub fn told(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

/// One call of the contract.
#[derive(Debug, Clone)]
pub struct Rpc {
    /// `/assay.v1.RunService/Submit`.
    pub path: String,
    fields: Vec<Field>,
}

/// One field of a message that is asked with, nested ones included.
#[derive(Debug, Clone)]
struct Field {
    /// `selection.keys`.
    name: String,
    /// Numbers of the fields around it, and its own.
    numbers: Vec<u32>,
    kind: Type,
}

/// Every call of every service of ours.
pub fn contract() -> Vec<Rpc> {
    let set = FileDescriptorSet::decode(assay_proto::DESCRIPTORS).unwrap();
    let mut messages: BTreeMap<String, Arc<DescriptorProto>> = BTreeMap::new();
    for file in &set.file {
        for message in &file.message_type {
            let name = format!(".{}.{}", file.package(), message.name());
            messages.insert(name, Arc::new(message.clone()));
        }
    }
    let mut found = Vec::new();
    for file in &set.file {
        for service in &file.service {
            for method in &service.method {
                let path = format!("/{}.{}/{}", file.package(), service.name(), method.name());
                let mut fields = Vec::new();
                walk(&messages, method.input_type(), "", &[], &mut fields);
                found.push(Rpc { path, fields });
            }
        }
    }
    found
}

fn walk(
    messages: &BTreeMap<String, Arc<DescriptorProto>>,
    message: &str,
    prefix: &str,
    numbers: &[u32],
    into: &mut Vec<Field>,
) {
    assert!(numbers.len() < 8, "no message of ours holds itself");
    for field in &messages[message].field {
        let name = format!("{prefix}{}", field.name());
        let mut numbers = numbers.to_vec();
        numbers.push(u32::try_from(field.number()).unwrap());
        if field.r#type() == Type::Message {
            walk(
                messages,
                field.type_name(),
                &format!("{name}."),
                &numbers,
                into,
            );
        }
        into.push(Field {
            name,
            numbers,
            kind: field.r#type(),
        });
        assert!(known(field), "{}", field.name());
    }
}

/// Whether the bytes below know how to spell it.
fn known(field: &FieldDescriptorProto) -> bool {
    let _: Label = field.label();
    matches!(
        field.r#type(),
        Type::Message
            | Type::String
            | Type::Bytes
            | Type::Uint32
            | Type::Uint64
            | Type::Bool
            | Type::Double
            | Type::Int32
            | Type::Int64
    )
}

impl Rpc {
    /// What can be wrong with one field, as bytes that are laid over a good message: the last word
    /// on a field counts.
    pub fn bad_fields(&self) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for field in &self.fields {
            let mut add = |what: &str, bytes: Vec<u8>| {
                found.push((
                    format!("{} {what}", field.name),
                    nested(&field.numbers, bytes),
                ));
            };
            let number = *field.numbers.last().unwrap();
            let text = |text: &[u8]| delimited(number, text);
            match field.kind {
                Type::String => {
                    add("of a megabyte", text(&vec![b'x'; 1 << 20]));
                    add("with a NUL", text(b"a\0b"));
                    add("with a line break", text(b"a\nb"));
                    add("with quotes", text(b"'; DROP TABLE run; --\"\\"));
                    add("that is no UTF-8", text(&[0xC3, 0x28]));
                    add("of another kind", varint(number, 7));
                }
                Type::Bytes => {
                    add("of a megabyte", text(&vec![0; 1 << 20]));
                    add("of one byte", text(&[7]));
                }
                Type::Uint32 | Type::Uint64 | Type::Int32 | Type::Int64 => {
                    add("as large as can be", varint(number, u64::MAX));
                    add("of another kind", text(b"seven"));
                }
                Type::Double => {
                    for odd in [f64::NAN, f64::INFINITY, -1.0, 1e308] {
                        let mut bytes = tag(number, 1);
                        bytes.extend(odd.to_le_bytes());
                        add(&format!("that is {odd}"), bytes);
                    }
                }
                Type::Bool => add("of another kind", text(b"yes")),
                Type::Message => {
                    add("that is cut", delimited(number, &[0x0A, 0xFF]));
                    // A hundred thousand empty ones.
                    let many: Vec<u8> = delimited(number, &[]).repeat(100_000);
                    add("many times", many);
                }
                _ => {}
            }
        }
        found
    }
}

fn nested(numbers: &[u32], bytes: Vec<u8>) -> Vec<u8> {
    let around = &numbers[..numbers.len() - 1];
    around
        .iter()
        .rev()
        .fold(bytes, |inner, number| delimited(*number, &inner))
}

fn tag(number: u32, wire: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(u64::from(number) << 3 | wire, &mut bytes);
    bytes
}

fn varint(number: u32, value: u64) -> Vec<u8> {
    let mut bytes = tag(number, 0);
    prost::encoding::encode_varint(value, &mut bytes);
    bytes
}

fn delimited(number: u32, inner: &[u8]) -> Vec<u8> {
    let mut bytes = tag(number, 2);
    prost::encoding::encode_varint(inner.len() as u64, &mut bytes);
    bytes.extend(inner);
    bytes
}
