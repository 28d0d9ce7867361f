use paring_ir::{Graph, Patch, ValueId};
use paring_pass::{PassContext, PassError};
use paring_tensor::ConstData;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Makes equal constants one and equal nodes over the same operands one. Returns whether it did.
pub(crate) fn merge(graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<bool, PassError> {
    let mut changed = false;
    let mut seen: HashMap<u64, Vec<ValueId>> = HashMap::new();
    let constants: Vec<ValueId> =
        graph.values().filter(|v| v.constant().is_some()).map(|v| v.id).collect();
    for v in constants {
        let Some(data) = graph.constant(v) else { continue };
        let earlier = seen.entry(fingerprint(data)).or_default();
        let twin = earlier.iter().copied().find(|e| {
            graph.ty(*e) == graph.ty(v) && graph.constant(*e).is_some_and(|other| other == data)
        });
        match twin {
            Some(twin) if !graph.is_visible(v) => {
                let mut patch = Patch::new(graph, "merge-constants");
                patch.replace(v, twin);
                if !cx.apply(graph, patch)? {
                    return Ok(false);
                }
                changed = true;
            }
            _ => earlier.push(v),
        }
    }
    let mut nodes: HashMap<String, Vec<ValueId>> = HashMap::new();
    for id in graph.topological() {
        let Some(node) = graph.get_node(id) else { continue };
        if !cx.selects(node) {
            continue;
        }
        let types: Vec<String> = node.outputs().iter().map(|v| graph.ty(*v).to_string()).collect();
        let key = format!("{} {:?} {:?} {types:?}", node.op.name(), node.op.attrs(), node.inputs());
        let outputs = node.outputs().to_vec();
        match nodes.get(&key) {
            Some(twin) => {
                let mut patch = Patch::new(graph, "merge-nodes");
                for (v, twin) in outputs.iter().zip(twin) {
                    patch.replace(*v, *twin);
                }
                if !cx.apply(graph, patch)? {
                    return Ok(false);
                }
                changed = true;
            }
            None => {
                nodes.insert(key, outputs);
            }
        }
    }
    Ok(changed)
}

fn fingerprint(data: &ConstData) -> u64 {
    let mut hasher = DefaultHasher::new();
    data.dtype().hash(&mut hasher);
    data.shape().hash(&mut hasher);
    match data {
        ConstData::Dense(t) => t.bytes().hash(&mut hasher),
        ConstData::Palette(p) => p.codes().hash(&mut hasher),
        ConstData::Sparse(s) => s.mask().hash(&mut hasher),
    }
    hasher.finish()
}
