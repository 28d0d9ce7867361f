use paring_cortex_m_kernels::Core;

pub(crate) struct Board {
    pub machine: &'static str,
    pub vectors: &'static str,
    pub flash: &'static str,
    pub flash_length: &'static str,
    pub ram: &'static str,
    pub ram_length: &'static str,
}

/// Where programs for a core run: the M0 and M0+ share the M3's board, whose instructions include theirs.
pub(crate) fn board(core: Core) -> Board {
    let mps2 = |machine| Board {
        machine,
        vectors: "0x0",
        flash: "0x400",
        flash_length: "0x3ffc00",
        ram: "0x20000000",
        ram_length: "0x400000",
    };
    match core {
        Core::M0 | Core::M0Plus | Core::M3 => mps2("mps2-an385"),
        Core::M4 => mps2("mps2-an386"),
        Core::M7 => mps2("mps2-an500"),
        Core::M33 => Board {
            machine: "mps2-an505",
            vectors: "0x10000000",
            flash: "0x10000400",
            flash_length: "0x3ffc00",
            ram: "0x38000000",
            ram_length: "0x200000",
        },
        Core::M55 => Board {
            machine: "mps3-an547",
            vectors: "0x10000000",
            flash: "0x11000000",
            flash_length: "0x200000",
            ram: "0x31000000",
            ram_length: "0x200000",
        },
    }
}
