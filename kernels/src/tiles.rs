//! Registers that are tiles, of 16 rows of 16 words, and their products: AMX.
//!
//! One instruction multiplies a tile of rows by a tile of columns, 16 words of the depth at once, and
//! adds that to a tile of sums. Sums of quads are integers, of the same bits as everywhere. Sums
//! of pairs are taken in the order of the instruction, which no other instruction set has: in each 16
//! words of the depth the first numbers of pairs apart from the second ones, then both together,
//! then those to what was there; and whatever is smaller than the smallest normal float is 0. The
//! order depends on the depth alone. So a row has the same bits beside any rows, but others than without
//! tiles.
//!
//! There are no intrinsics for tiles in stable Rust, so `x86` writes the instructions itself. The tests have a
//! model of them by Intel's description, on which all that is around them runs anywhere.

#[cfg(target_arch = "x86_64")]
mod detect;
mod missing;
#[cfg(test)]
pub(crate) mod model;
#[cfg(any(test, target_arch = "x86_64"))]
mod registers;
#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
pub use detect::amx;
pub use missing::{AMX_SWITCH, NoTiles, missing};
#[cfg(target_arch = "x86_64")]
pub use x86::Amx;

#[cfg(any(test, target_arch = "x86_64"))]
pub(crate) use registers::{SIDE, Sums, Tile, Tiles};

#[cfg(test)]
mod tests;
