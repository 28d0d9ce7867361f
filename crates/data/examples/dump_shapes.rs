//! Writes the shapes data set as an `.npz` file for training in other tools:
//! `train_images` and `test_images` (`u8`, NHWC), `train_labels` and `test_labels` (`i64`).

use paring_data::npy::NpzWriter;
use paring_data::{Split, shapes};
use paring_tensor::Tensor;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: dump_shapes OUT.npz")?;
    let mut writer = NpzWriter::new(path.as_ref(), true);
    for (name, split) in [("train", Split::Train), ("test", Split::Test)] {
        let count = shapes::len(split);
        let mut pixels = Vec::with_capacity(count * shapes::SIDE * shapes::SIDE);
        let mut labels = Vec::with_capacity(count);
        for index in 0..count {
            let picture = shapes::draw(split, index);
            pixels.extend_from_slice(&picture.pixels);
            labels.push(picture.label as i64);
        }
        let images = Tensor::from_vec([count, shapes::SIDE, shapes::SIDE, 1], pixels)?;
        writer.add(&format!("{name}_images"), &images)?;
        writer.add(&format!("{name}_labels"), &Tensor::from_vec([count], labels)?)?;
    }
    writer.finish()?;
    Ok(())
}
