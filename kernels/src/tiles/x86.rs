//! The instructions of AMX.
//!
//! Three facts carry every block of `unsafe`: a value of [`Amx`] exists only where the instructions
//! were found to work, and [`Configured`], made of it, only while the tiles of its thread have their shape;
//! tiles are loaded from and stored to references to arrays of exactly their size.
//!
//! Tiles keep what one block leaves in them for the next. That is sound because the compiler has no
//! values in them: Rust has no type for tiles and uses their instructions nowhere by itself. Linux
//! saves them when a thread is interrupted.
#![allow(unsafe_code)]

use std::arch::asm;
use std::marker::PhantomData;

use super::{SIDE, Sums, Tile, Tiles};
use crate::dot::{Pair, Quad};
use crate::matmul::Panel;
use crate::simd::Avx512;

/// Bytes from one row of a [`Tile`] to the next.
const TILE_STRIDE: usize = size_of::<Tile<Pair>>() / SIDE;
/// Bytes from one step of the depth of a panel to the next, and from one row of sums to the next.
const PANEL_STRIDE: usize = size_of::<Panel<Pair>>();

/// Proves that the processor has AMX with BF16 and INT8, beside AVX-512, and that Linux lets this
/// process use it.
#[derive(Debug, Clone, Copy)]
pub struct Amx(Avx512);

impl Amx {
    /// # Safety
    /// The processor has AMX-TILE, AMX-BF16 and AMX-INT8 with tiles of 16 rows of 64 bytes, and
    /// the operating system has enabled them for this process.
    pub(super) unsafe fn assume(simd: Avx512) -> Self {
        Self(simd)
    }

    /// The other registers of the processor.
    pub fn avx512(self) -> Avx512 {
        self.0
    }

    /// Gives the tiles of this thread their shape, until the value is dropped. Nobody holds two at a
    /// time: the first to go would take the shape from the other.
    pub(crate) fn configure(self) -> Configured {
        // SAFETY: `self` proves that the processor has the instruction. It reads 64 bytes, which
        // are those of a `Shape`, valid by Intel's rules: palette 1, rows and bytes within it.
        unsafe {
            asm!(
                "ldtilecfg [{shape}]", shape = in(reg) std::ptr::from_ref(SHAPE),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(readonly, nostack, preserves_flags),
            );
        }
        Configured(PhantomData)
    }
}

/// What `ldtilecfg` reads (Intel SDM volume 1, 18.1 "TMUL": TILECFG memory layout).
#[repr(C, align(64))]
struct Shape {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_of_a_row: [u16; 16],
    rows: [u8; 16],
}

/// All eight tiles whole. What does not fill one is filled up with zeros, which add exactly 0.
const SHAPE: &Shape = {
    let (mut bytes_of_a_row, mut rows) = ([0; 16], [0; 16]);
    let mut tile = 0;
    while tile < 8 {
        (bytes_of_a_row[tile], rows[tile]) = (TILE_STRIDE as u16, SIDE as u8);
        tile += 1;
    }
    &Shape { palette: 1, start_row: 0, reserved: [0; 14], bytes_of_a_row, rows }
};

/// The tiles of this thread, in their shape: neither sent nor shared.
#[derive(Debug)]
pub(crate) struct Configured(PhantomData<*const ()>);

impl Drop for Configured {
    /// Makes tiles empty: Linux need not save what they hold when it switches threads.
    fn drop(&mut self) {
        // SAFETY: that `self` was made proves that the processor has the instruction.
        unsafe {
            asm!(
                "tilerelease",
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nomem, nostack, preserves_flags),
            );
        }
    }
}

/// Loads the sums of one tile of rows, or of two, from rows that are so many bytes apart.
///
/// # Safety
/// The tiles have their shape; 16 rows of a panel lie at each of `rows`, `stride` bytes apart.
#[inline(always)]
unsafe fn load_sums<const N: usize, T>(rows: [*const Panel<T>; N], stride: usize) {
    // SAFETY: who calls proves it; each load reads 64 bytes of each of 16 rows, whose other half
    // is 64 bytes further.
    unsafe {
        if let [first, second] = *rows.as_slice() {
            asm!(
                "tileloadd tmm0, [{first} + {stride}]",
                "tileloadd tmm1, [{first} + {stride} + 64]",
                "tileloadd tmm2, [{second} + {stride}]",
                "tileloadd tmm3, [{second} + {stride} + 64]",
                first = in(reg) first, second = in(reg) second, stride = in(reg) stride,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                options(readonly, nostack, preserves_flags),
            );
        } else if let [first] = *rows.as_slice() {
            asm!(
                "tileloadd tmm0, [{first} + {stride}]",
                "tileloadd tmm1, [{first} + {stride} + 64]",
                first = in(reg) first, stride = in(reg) stride,
                out("tmm0") _, out("tmm1") _,
                options(readonly, nostack, preserves_flags),
            );
        }
    }
}

/// Implements [`Tiles`] for words that an instruction multiplies.
macro_rules! tiles {
    ($word:ident, $sum:ty, $dot:literal) => {
        // SAFETY, for every block: that `self` exists proves that the processor has the
        // instructions and that tiles have their shape. A tile reads 16 rows of 64 bytes: those of a
        // `Tile`, or one half of 16 panels, whose other half is 64 bytes further.
        impl Tiles<$word> for Configured {
            #[inline(always)]
            fn begin<const N: usize>(&mut self, start: &Panel<$sum>) {
                // SAFETY: see above; without a stride all rows are `start`.
                unsafe { load_sums([std::ptr::from_ref(start); N], 0) }
            }

            #[inline(always)]
            fn take<const N: usize>(&mut self, sums: &[Sums<$sum>; N]) {
                // SAFETY: see above.
                unsafe { load_sums(sums.each_ref().map(|sums| sums.as_ptr()), PANEL_STRIDE) }
            }

            #[inline(always)]
            fn add<const N: usize>(&mut self, rows: [&Tile<$word>; N], columns: &[Panel<$word>; SIDE]) {
                if let [first, second] = *rows.as_slice() {
                    // SAFETY: see above.
                    unsafe {
                        asm!(
                            "tileloadd tmm4, [{first} + {row}]",
                            "tileloadd tmm6, [{columns} + {step}]",
                            concat!($dot, " tmm0, tmm4, tmm6"),
                            "tileloadd tmm7, [{columns} + {step} + 64]",
                            concat!($dot, " tmm1, tmm4, tmm7"),
                            "tileloadd tmm5, [{second} + {row}]",
                            concat!($dot, " tmm2, tmm5, tmm6"),
                            concat!($dot, " tmm3, tmm5, tmm7"),
                            first = in(reg) first, second = in(reg) second, row = in(reg) TILE_STRIDE,
                            columns = in(reg) columns, step = in(reg) PANEL_STRIDE,
                            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                            options(readonly, nostack, preserves_flags),
                        );
                    }
                } else if let [first] = *rows.as_slice() {
                    // SAFETY: see above.
                    unsafe {
                        asm!(
                            "tileloadd tmm4, [{first} + {row}]",
                            "tileloadd tmm6, [{columns} + {step}]",
                            concat!($dot, " tmm0, tmm4, tmm6"),
                            "tileloadd tmm7, [{columns} + {step} + 64]",
                            concat!($dot, " tmm1, tmm4, tmm7"),
                            first = in(reg) first, row = in(reg) TILE_STRIDE,
                            columns = in(reg) columns, step = in(reg) PANEL_STRIDE,
                            out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
                            options(readonly, nostack, preserves_flags),
                        );
                    }
                }
            }

            #[inline(always)]
            fn give<const N: usize>(&mut self, sums: &mut [Sums<$sum>; N]) {
                if let [first, second] = sums.as_mut_slice() {
                    // SAFETY: see above; what is written are halves of 16 panels.
                    unsafe {
                        asm!(
                            "tilestored [{first} + {stride}], tmm0",
                            "tilestored [{first} + {stride} + 64], tmm1",
                            "tilestored [{second} + {stride}], tmm2",
                            "tilestored [{second} + {stride} + 64], tmm3",
                            first = in(reg) first, second = in(reg) second,
                            stride = in(reg) PANEL_STRIDE,
                            options(nostack, preserves_flags),
                        );
                    }
                } else if let [first] = sums.as_mut_slice() {
                    // SAFETY: see above; what is written are halves of 16 panels.
                    unsafe {
                        asm!(
                            "tilestored [{first} + {stride}], tmm0",
                            "tilestored [{first} + {stride} + 64], tmm1",
                            first = in(reg) first, stride = in(reg) PANEL_STRIDE,
                            options(nostack, preserves_flags),
                        );
                    }
                }
            }
        }
    };
}

tiles!(Pair, f32, "tdpbf16ps");
tiles!(Quad, i32, "tdpbusd");
