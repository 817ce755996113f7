//! The 99 numbered colours of IRC.

use viaduct_model::document::Rgb;

/// The colour of each number from 0 to 98, as 0xRRGGBB.
const COLOURS: [u32; 99] = [
    0x00ff_ffff,
    0x0000_0000,
    0x0000_007f,
    0x0000_9300,
    0x00ff_0000,
    0x007f_0000,
    0x009c_009c,
    0x00fc_7f00,
    0x00ff_ff00,
    0x0000_fc00,
    0x0000_9393,
    0x0000_ffff,
    0x0000_00fc,
    0x00ff_00ff,
    0x007f_7f7f,
    0x00d2_d2d2,
    0x0047_0000,
    0x0047_2100,
    0x0047_4700,
    0x0032_4700,
    0x0000_4700,
    0x0000_472c,
    0x0000_4747,
    0x0000_2747,
    0x0000_0047,
    0x002e_0047,
    0x0047_0047,
    0x0047_002a,
    0x0074_0000,
    0x0074_3a00,
    0x0074_7400,
    0x0051_7400,
    0x0000_7400,
    0x0000_7449,
    0x0000_7474,
    0x0000_4074,
    0x0000_0074,
    0x004b_0074,
    0x0074_0074,
    0x0074_0045,
    0x00b5_0000,
    0x00b5_6300,
    0x00b5_b500,
    0x007d_b500,
    0x0000_b500,
    0x0000_b571,
    0x0000_b5b5,
    0x0000_63b5,
    0x0000_00b5,
    0x0075_00b5,
    0x00b5_00b5,
    0x00b5_006b,
    0x00ff_0000,
    0x00ff_8c00,
    0x00ff_ff00,
    0x00b2_ff00,
    0x0000_ff00,
    0x0000_ffa0,
    0x0000_ffff,
    0x0000_8cff,
    0x0000_00ff,
    0x00a5_00ff,
    0x00ff_00ff,
    0x00ff_0098,
    0x00ff_5959,
    0x00ff_b459,
    0x00ff_ff71,
    0x00cf_ff60,
    0x006f_ff6f,
    0x0065_ffc9,
    0x006d_ffff,
    0x0059_b4ff,
    0x0059_59ff,
    0x00c4_59ff,
    0x00ff_66ff,
    0x00ff_59bc,
    0x00ff_9c9c,
    0x00ff_d39c,
    0x00ff_ff9c,
    0x00e2_ff9c,
    0x009c_ff9c,
    0x009c_ffdb,
    0x009c_ffff,
    0x009c_d3ff,
    0x009c_9cff,
    0x00dc_9cff,
    0x00ff_9cff,
    0x00ff_94d3,
    0x0000_0000,
    0x0013_1313,
    0x0028_2828,
    0x0036_3636,
    0x004d_4d4d,
    0x0065_6565,
    0x0081_8181,
    0x009f_9f9f,
    0x00bc_bcbc,
    0x00e2_e2e2,
    0x00ff_ffff,
];

/// The number that stands for the reader's own default colour.
pub const DEFAULT: u8 = 99;

fn rgb(value: u32) -> Rgb {
    let [_, red, green, blue] = value.to_be_bytes();
    Rgb(red, green, blue)
}

/// The colour of a number; none for 99 and what lies beyond.
pub fn colour(number: u8) -> Option<Rgb> {
    COLOURS.get(usize::from(number)).copied().map(rgb)
}

/// The number of the nearest colour; the lowest of several.
pub fn nearest(wanted: Rgb) -> u8 {
    let distance = |value: u32| {
        let Rgb(red, green, blue) = rgb(value);
        let part = |one: u8, other: u8| u32::from(one.abs_diff(other)).pow(2);
        part(red, wanted.0) + part(green, wanted.1) + part(blue, wanted.2)
    };
    (0_u8..)
        .zip(COLOURS)
        .min_by_key(|(_, value)| distance(*value))
        .map_or(DEFAULT, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_of_the_palette_is_its_own_nearest() {
        for number in 0..=98 {
            let found = colour(number).unwrap();
            assert_eq!(colour(nearest(found)), Some(found));
        }
        assert_eq!(colour(99), None);
        assert_eq!(nearest(Rgb(250, 3, 3)), 4);
    }
}
