//! Descriptions of the oldest form: a message `layer` in each of `layers`, with every parameter in it and
//! padding as layers of its own. They become descriptions of the present form.

use crate::text::{Field, Tree};
use std::collections::HashMap;

/// The present kind and message of parameters of a kind of the oldest form.
fn kind(oldest: &str) -> (&str, &str) {
    match oldest {
        "conv" => ("Convolution", "convolution_param"),
        "pool" => ("Pooling", "pooling_param"),
        "innerproduct" => ("InnerProduct", "inner_product_param"),
        "relu" => ("ReLU", "relu_param"),
        "lrn" => ("LRN", "lrn_param"),
        "dropout" => ("Dropout", "dropout_param"),
        "softmax" => ("Softmax", "softmax_param"),
        "softmax_loss" => ("SoftmaxWithLoss", "softmax_param"),
        "concat" => ("Concat", "concat_param"),
        "sigmoid" => ("Sigmoid", "sigmoid_param"),
        "tanh" => ("TanH", "tanh_param"),
        "bnll" => ("BNLL", "bnll_param"),
        "power" => ("Power", "power_param"),
        "flatten" => ("Flatten", "flatten_param"),
        "split" => ("Split", "split_param"),
        "data" => ("Data", "data_param"),
        "images" => ("ImageData", "image_data_param"),
        "hdf5_data" => ("HDF5Data", "hdf5_data_param"),
        "window_data" => ("WindowData", "window_data_param"),
        "accuracy" => ("Accuracy", "accuracy_param"),
        "euclidean_loss" => ("EuclideanLoss", "loss_param"),
        "hinge_loss" => ("HingeLoss", "loss_param"),
        "infogain_loss" => ("InfogainLoss", "loss_param"),
        other => (other, "parameters"),
    }
}

/// The present name of a parameter.
fn parameter(oldest: &str) -> &str {
    match oldest {
        "kernelsize" => "kernel_size",
        "biasterm" => "bias_term",
        other => other,
    }
}

/// The description in the present form.
pub(crate) fn upgraded(net: Tree) -> Tree {
    let oldest = net.messages("layers").any(|l| l.message("layer").is_some());
    if !oldest {
        return net;
    }
    let mut fields = Vec::with_capacity(net.fields.len());
    // What a layer of padding made, what it read, and how much it added.
    let mut padded: HashMap<String, (String, String)> = HashMap::new();
    for (name, field) in net.fields {
        let (true, Field::Message(layer)) = (name == "layers", &field) else {
            fields.push((name, field));
            continue;
        };
        let Some(inner) = layer.message("layer") else {
            fields.push((name, field));
            continue;
        };
        let stated = inner.word("type").unwrap_or("");
        let bottom = layer.word("bottom").unwrap_or("");
        if stated == "padding" {
            let (top, pad) = (layer.word("top").unwrap_or(""), inner.word("pad").unwrap_or("0"));
            padded.insert(top.to_owned(), (bottom.to_owned(), pad.to_owned()));
            continue;
        }
        let (kind, message) = kind(stated);
        let mut parameters = Tree::default();
        for (key, value) in inner.fields.iter().filter(|(k, _)| k != "name" && k != "type") {
            parameters.fields.push((parameter(key).to_owned(), value.clone()));
        }
        let mut new = Tree::default();
        let mut word = |key: &str, word: &str| {
            new.fields.push((key.to_owned(), Field::Word(word.to_owned())));
        };
        word("name", inner.word("name").unwrap_or("layer"));
        word("type", kind);
        for bottom in layer.words("bottom") {
            match padded.get(bottom).filter(|_| matches!(stated, "conv" | "pool")) {
                Some((before, pad)) => {
                    word("bottom", before);
                    parameters.fields.push(("pad".to_owned(), Field::Word(pad.clone())));
                }
                None => word("bottom", bottom),
            }
        }
        layer.words("top").for_each(|t| word("top", t));
        new.fields.push((message.to_owned(), Field::Message(parameters)));
        fields.push(("layer".to_owned(), Field::Message(new)));
    }
    Tree { fields }
}
