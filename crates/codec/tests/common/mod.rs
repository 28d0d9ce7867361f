//! Constants of model files, read with no more than these tests need.
#![allow(dead_code)]

pub const TFLITE_FLOAT32: u8 = 0;
pub const TFLITE_INT8: u8 = 9;

fn model(path: &str) -> Option<Vec<u8>> {
    let file = paring_shared::data()?.join("models").join(path);
    let bytes = std::fs::read(&file).ok();
    if bytes.is_none() {
        println!("skipped: {} is not there", file.display());
    }
    bytes
}

/// Element type number, shape and bytes of a constant.
pub type Constant = (u8, Vec<usize>, Vec<u8>);

/// Element type number, shape and bytes of every constant of the first subgraph.
pub fn tflite_constants(name: &str) -> Option<Vec<Constant>> {
    let bytes = model(&format!("tflite/{name}"))?;
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let field = |table: usize, slot: usize| -> Option<usize> {
        let offset = i32::from_le_bytes(bytes[table..table + 4].try_into().unwrap());
        let vtable = (table as i64 - i64::from(offset)) as usize;
        let u16_at = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let entry = 4 + 2 * slot;
        let place = if entry < u16_at(vtable) { u16_at(vtable + entry) } else { 0 };
        (place > 0).then_some(table + place)
    };
    let follow = |at: usize| at + u32_at(at);
    let items = |vector: usize| (0..u32_at(vector)).map(move |i| vector + 4 + 4 * i);
    let root = follow(0);
    let buffers: Vec<usize> = items(follow(field(root, 4)?)).map(follow).collect();
    let graph = items(follow(field(root, 2)?)).map(follow).next()?;
    let tensors = items(follow(field(graph, 0)?)).map(follow);
    let constants = tensors.filter_map(|tensor| {
        let shape = field(tensor, 0).map(follow);
        let shape = shape.map_or(vec![], |v| items(v).map(u32_at).collect());
        let dtype = field(tensor, 1).map_or(0, |at| bytes[at]);
        let buffer = *buffers.get(u32_at(field(tensor, 2)?))?;
        let data = follow(field(buffer, 0)?);
        let len = u32_at(data);
        (len > 0).then(|| (dtype, shape, bytes[data + 4..data + 4 + len].to_vec()))
    });
    Some(constants.collect())
}

/// Shape and bytes of every float initializer with raw data.
pub fn onnx_floats(name: &str) -> Option<Vec<(Vec<usize>, Vec<u8>)>> {
    let bytes = model(&format!("onnx/{name}"))?;
    let mut found = Vec::new();
    for (field, graph) in protobuf(&bytes) {
        if field != 7 {
            continue;
        }
        for (field, tensor) in protobuf(graph.bytes()) {
            if field != 5 {
                continue;
            }
            let (mut shape, mut data, mut dtype) = (vec![], vec![], 0);
            for (field, value) in protobuf(tensor.bytes()) {
                match (field, value) {
                    (1, Field::Number(n)) => shape.push(n as usize),
                    (1, Field::Bytes(mut packed)) => {
                        while !packed.is_empty() {
                            shape.push(varint(&mut packed) as usize);
                        }
                    }
                    (2, Field::Number(n)) => dtype = n,
                    (4 | 9, Field::Bytes(b)) => data = b.to_vec(),
                    _ => {}
                }
            }
            if dtype == 1 && !data.is_empty() {
                found.push((shape, data));
            }
        }
    }
    Some(found)
}

enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Number(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }
}

fn varint(rest: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = rest[0];
        *rest = &rest[1..];
        number |= u64::from(byte & 127) << shift;
        if byte < 128 {
            break;
        }
    }
    number
}

fn protobuf(mut rest: &[u8]) -> Vec<(u64, Field<'_>)> {
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let tag = varint(&mut rest);
        let mut take = |n: usize| {
            let (head, tail) = rest.split_at(n);
            rest = tail;
            head
        };
        let field = match tag & 7 {
            1 => Field::Bytes(take(8)),
            5 => Field::Bytes(take(4)),
            0 => Field::Number(varint(&mut rest)),
            _ => {
                let n = varint(&mut rest) as usize;
                let (head, tail) = rest.split_at(n);
                rest = tail;
                Field::Bytes(head)
            }
        };
        fields.push((tag >> 3, field));
    }
    fields
}
