//! Whether this process has tiles.
#![allow(unsafe_code)]

use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::env;
use std::sync::OnceLock;

use super::{AMX_SWITCH, Amx, NoTiles};
use crate::matmul::Finish;
use crate::matrix::{Matrix, Precision, Workspace};
use crate::simd::{Avx512, Isa, Portable};

/// AMX, if this process may use it and it computes what it should; else why not.
///
/// The answer is found once: Linux gives the permission to a process and all its threads, those
/// that run already too, and never takes it back. So what is kept here is a fact of the process, as that it has
/// AVX-512 is.
///
/// # Errors
/// Whatever keeps tiles from being used.
pub fn amx() -> Result<Amx, NoTiles> {
    static FOUND: OnceLock<Result<Amx, NoTiles>> = OnceLock::new();
    FOUND.get_or_init(|| find(env::var(AMX_SWITCH).ok().as_deref())).clone()
}

/// Looks for tiles, unless `switch` says not to. What costs nothing is asked first, so that only
/// processes that will use tiles ask Linux for room for them.
fn find(switch: Option<&str>) -> Result<Amx, NoTiles> {
    wanted(switch)?;
    let simd = Avx512::detect().ok_or(NoTiles::Processor)?;
    has_tiles()?;
    permitted()?;
    // SAFETY: the processor shows AMX with BF16 and INT8 and tiles of this shape, and the operating
    // system saves tiles and lets this process use them.
    let amx = unsafe { Amx::assume(simd) };
    if is_right(by(Isa::Amx(amx))) { Ok(amx) } else { Err(NoTiles::Wrong) }
}

/// Whether [`AMX_SWITCH`] lets tiles be used.
pub(super) fn wanted(switch: Option<&str>) -> Result<(), NoTiles> {
    match switch.unwrap_or_default() {
        "" | "on" => Ok(()),
        "off" => Err(NoTiles::Off),
        word => Err(NoTiles::Word(word.to_owned())),
    }
}

/// Whether the processor shows tiles of the shape that is used here and the operating system has enabled
/// them (Intel SDM volume 2, CPUID, leaves 1, 7, 1D and 1E; volume 1, 13.3, XCR0).
fn has_tiles() -> Result<(), NoTiles> {
    /// BF16, TILE and INT8 in EDX of leaf 7.
    const FEATURES: u32 = 1 << 22 | 1 << 24 | 1 << 25;
    /// XGETBV is there, in ECX of leaf 1.
    const OSXSAVE: u32 = 1 << 27;
    /// The shape and the contents of tiles in XCR0.
    const STATES: u64 = 1 << 17 | 1 << 18;

    let last_leaf = __cpuid(0).eax;
    if last_leaf < 0x1E || __cpuid_count(7, 0).edx & FEATURES != FEATURES {
        return Err(NoTiles::Processor);
    }
    // Bytes of a tile and of a row, tiles, rows of palette 1; then the rows and bytes of a product.
    let (palette, products) = (__cpuid_count(0x1D, 1), __cpuid_count(0x1E, 0));
    let shape = [palette.eax >> 16, palette.ebx & 0xFFFF, palette.ebx >> 16, palette.ecx & 0xFFFF];
    let most = [products.ebx & 0xFF, products.ebx >> 8 & 0xFFFF];
    if shape != [1024, 64, 8, 16] || most != [16, 64] {
        return Err(NoTiles::Processor);
    }
    if __cpuid(1).ecx & OSXSAVE == 0 {
        return Err(NoTiles::System);
    }
    // SAFETY: OSXSAVE says that the instruction is there and that XCR0 may be read.
    let enabled = unsafe { _xgetbv(0) };
    if enabled & STATES == STATES { Ok(()) } else { Err(NoTiles::System) }
}

/// Asks Linux to let this process use tiles (Documentation/arch/x86/xstate.rst).
///
/// It refuses where a thread has a stack for signals that is too small for what it would save there. Those
/// of Rust's threads are as large as Linux says (`AT_MINSIGSTKSZ`), tiles included.
#[cfg(target_os = "linux")]
fn permitted() -> Result<(), NoTiles> {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const TILE_DATA: u64 = 18;
    let answer: i64;
    // SAFETY: the call takes two numbers and touches no memory of the process; the instruction
    // changes rax, rcx and r11 alone, as declared.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => answer,
            in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") TILE_DATA,
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    if answer == 0 { Ok(()) } else { Err(NoTiles::Refused(-answer)) }
}

/// Nobody is asked elsewhere, so nobody is known to save tiles.
#[cfg(not(target_os = "linux"))]
fn permitted() -> Result<(), NoTiles> {
    Err(NoTiles::System)
}

/// Whether `product`, of a matrix and rows of so many numbers, is right for either kind of words: with small
/// integers, so that it is exact in every order. A processor or a hypervisor that shows what it does
/// not have must not spoil scores.
pub(super) fn is_right(product: impl Fn(&Matrix, &[f32], usize) -> Vec<f32>) -> bool {
    // Two tiles of rows and one more, whole steps of the depth and a rest, a panel and a column.
    const ROWS: usize = 33;
    const DEPTH: usize = 70;
    const COLUMNS: usize = 33;
    let integers = |count: usize, step: usize| -> Vec<f32> {
        (0..count).map(|at| (at * step % 17) as f32 - 8.0).collect()
    };
    let (rows, weights) = (integers(ROWS * DEPTH, 5), integers(COLUMNS * DEPTH, 7));
    let bias = integers(COLUMNS, 3);
    [Precision::Bf16, Precision::Int8].into_iter().all(|precision| {
        let matrix = Matrix::pack(precision, COLUMNS, DEPTH, &weights, &bias);
        let wanted = by(Isa::Portable(Portable))(&matrix, &rows, DEPTH);
        let bits = |numbers: &[f32]| numbers.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        bits(&product(&matrix, &rows, DEPTH)) == bits(&wanted)
    })
}

/// Products on an instruction set.
pub(super) fn by(isa: Isa) -> impl Fn(&Matrix, &[f32], usize) -> Vec<f32> {
    move |matrix, rows, depth| {
        let (mut workspace, mut out) = (Workspace::default(), Vec::new());
        matrix.multiply(isa, &mut workspace, rows, depth, Finish::Identity, &mut out);
        out
    }
}
