//! Why a process goes without tiles.

use std::fmt;

/// The environment variable that turns AMX off where it is `off`.
pub const AMX_SWITCH: &str = "NIGHTSHIFT_AMX";

/// Why there are no tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTiles {
    /// The processor has none that these kernels know, or a hypervisor hides them.
    Processor,
    /// The operating system does not save them, or is not known to.
    System,
    /// [`AMX_SWITCH`] is `off`.
    Off,
    /// [`AMX_SWITCH`] is another word than `on` and `off`.
    Word(String),
    /// Linux does not let this process use them: the number of its error.
    Refused(i64),
    /// A product of so and so many numbers, which is exact in every order, came out wrong.
    Wrong,
}

impl NoTiles {
    /// Whether somebody should look: tiles are there and wanted, but cannot be used.
    pub fn is_odd(&self) -> bool {
        matches!(self, Self::Word(_) | Self::Refused(_) | Self::Wrong)
    }
}

impl fmt::Display for NoTiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Processor => write!(f, "the processor shows no AMX with bf16 and int8"),
            Self::System => write!(f, "the operating system does not enable AMX"),
            Self::Off => write!(f, "AMX is turned off by {AMX_SWITCH}"),
            Self::Word(word) => write!(f, "{AMX_SWITCH} is {word:?}: use `on` or `off`"),
            Self::Refused(error) => write!(
                f,
                "the kernel does not let this process use AMX (arch_prctl: error {error}); \
                 set {AMX_SWITCH}=off if that is meant"
            ),
            Self::Wrong => write!(
                f,
                "AMX computes wrong sums on this machine and is not used; report its processor \
                 and hypervisor, and set {AMX_SWITCH}=off"
            ),
        }
    }
}

/// Why this process goes without tiles; nothing where it has them.
pub fn missing() -> Option<NoTiles> {
    #[cfg(target_arch = "x86_64")]
    return super::amx().err();
    #[cfg(not(target_arch = "x86_64"))]
    Some(NoTiles::Processor)
}
