//! Pictures made small enough for what servers take at once.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, ImageReader, Limits};

/// The largest picture taken as it is, in bytes.
pub const BOUND: usize = 160 * 1024;
/// The largest picture that is made smaller, in bytes.
pub const SOURCE_BOUND: usize = 8 * 1024 * 1024;

/// The longest side of a picture that was made smaller, in pixels.
const SIDE: u32 = 192;
/// The longest side of a picture that is looked into, in pixels.
const SOURCE_SIDE: u32 = 4096;
/// How much memory reading one may take, in bytes.
const MEMORY: u64 = 96 * 1024 * 1024;
const QUALITY: u8 = 85;

/// A picture that others can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Small {
    /// Its media type.
    pub mime: &'static str,
    /// Its bytes: at most [`BOUND`].
    pub bytes: Vec<u8>,
}

/// A small version of a PNG, JPEG, GIF or WebP; none of anything else. Takes its time: not for a task that others wait for.
pub fn shrink(bytes: &[u8]) -> Option<Small> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(SOURCE_SIDE);
    limits.max_image_height = Some(SOURCE_SIDE);
    limits.max_alloc = Some(MEMORY);
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().ok()?;
    reader.limits(limits);
    let small = reader.decode().ok()?.thumbnail(SIDE, SIDE);
    let written = if small.color().has_alpha() {
        let mut bytes = Vec::new();
        small.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).ok()?;
        Small {
            mime: "image/png",
            bytes,
        }
    } else {
        let mut bytes = Vec::new();
        let opaque = DynamicImage::ImageRgb8(small.to_rgb8());
        opaque
            .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))
            .ok()?;
        Small {
            mime: "image/jpeg",
            bytes,
        }
    };
    Some(written).filter(|small| small.bytes.len() <= BOUND)
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    /// A picture that does not compress: its pixels are all different.
    fn noise(side: u32) -> DynamicImage {
        let pixel = |x: u32, y: u32| {
            let [a, b, c, _] = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).to_le_bytes();
            Rgb([a, b, c])
        };
        DynamicImage::ImageRgb8(RgbImage::from_fn(side, side, pixel))
    }

    fn png(image: &DynamicImage) -> Vec<u8> {
        let mut bytes = Vec::new();
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        bytes
    }

    #[test]
    fn a_large_picture_becomes_a_small_one() {
        let large = png(&noise(600));
        assert!(large.len() > BOUND);
        let small = shrink(&large).unwrap();
        assert_eq!(small.mime, "image/jpeg");
        let read = image::load_from_memory(&small.bytes).unwrap();
        assert_eq!((read.width(), read.height()), (SIDE, SIDE));
        let glass = DynamicImage::ImageRgba8(RgbaImage::from_pixel(400, 200, Rgba([9, 9, 9, 0])));
        let small = shrink(&png(&glass)).unwrap();
        assert_eq!(small.mime, "image/png");
        let read = image::load_from_memory(&small.bytes).unwrap();
        assert_eq!((read.width(), read.height()), (SIDE, SIDE / 2));
    }

    #[test]
    fn a_picture_that_says_to_be_endless_is_left_alone() {
        let mut vast = png(&noise(2));
        // The width and height in the header of a PNG, and the checksum that goes with them.
        vast[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(shrink(&vast), None);
        assert_eq!(shrink(b"<svg/>"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(mut bytes in prop::collection::vec(any::<u8>(), 0..300), header in 0usize..3) {
            let headers: [&[u8]; 3] = [b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"];
            bytes.splice(0..0, headers[header].iter().copied());
            drop(shrink(&bytes));
        }
    }
}
