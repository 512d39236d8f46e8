//! What a kernel needs of a multiprocessor, as `--ptxas-options=-v` tells it:
//!
//! ```text
//! ptxas info    : Compiling entry function 'sum' for 'sm_75'
//! ptxas info    : Function properties for sum
//! ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
//! ptxas info    : Used 40 registers, used 1 barriers, 1024 bytes smem, 372 bytes cmem[0]
//! ```

use std::fmt::Write as _;

#[derive(Debug, Default, PartialEq)]
pub struct Usage {
    pub kernel: String,
    pub registers: u32,
    /// Bytes of static shared memory of a block.
    pub shared: u32,
    /// Bytes of local memory of a thread, which is slow: arrays whose indices are known at run time only.
    pub stack: u32,
    /// Bytes of registers stored to local memory and loaded again.
    pub spills: u32,
}

/// Every kernel of a compiler's log.
pub fn read(log: &str) -> Vec<Usage> {
    let mut all: Vec<Usage> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let kernel = rest.split('\'').next().unwrap_or_default().to_string();
            all.push(Usage { kernel, ..Usage::default() });
        }
        // A function that was not inlined has properties too, and those of its kernel include them.
        let Some(kernel) = all.last_mut() else { continue };
        if line.contains("bytes stack frame") {
            kernel.stack = kernel.stack.max(before(line, " bytes stack frame"));
            kernel.spills += before(line, " bytes spill stores") + before(line, " bytes spill loads");
        }
        if line.contains(" registers") {
            kernel.registers = before(line, " registers");
            kernel.shared = before(line, " bytes smem");
            kernel.stack = kernel.stack.max(before(line, " bytes cumulative stack size"));
        }
    }
    all
}

/// The number in front of `what`; 0 where it isn't said.
fn before(line: &str, what: &str) -> u32 {
    let number = line.split(what).next().filter(|front| front.len() < line.len());
    number.and_then(|front| front.rsplit([' ', ',']).next()?.parse().ok()).unwrap_or(0)
}

/// One row for each kernel. Shared memory and stack are those of the architecture that needs most.
pub fn table(kernels: &[(&str, i32, Usage)], architectures: &[i32]) -> String {
    let mut table = String::from("| source | kernel |");
    architectures.iter().for_each(|sm| write!(table, " sm_{sm} |").unwrap());
    table += " shared memory | stack |\n|---|---|";
    table += &"--:|".repeat(architectures.len() + 2);
    table.push('\n');
    let first = kernels.iter().filter(|(_, sm, _)| Some(sm) == architectures.first());
    for (source, _, Usage { kernel, .. }) in first {
        let same: Vec<_> = kernels.iter().filter(|(of, _, k)| of == source && k.kernel == *kernel).collect();
        write!(table, "| {source} | {kernel} |").unwrap();
        for sm in architectures {
            let registers = same.iter().find(|(_, of, _)| of == sm).map_or(0, |(.., k)| k.registers);
            write!(table, " {registers} |").unwrap();
        }
        let most = |bytes: fn(&Usage) -> u32| same.iter().map(|(.., k)| bytes(k)).max().unwrap_or(0);
        writeln!(table, " {} | {} |", most(|k| k.shared), most(|k| k.stack)).unwrap();
    }
    table + "\nRegisters of a thread; bytes of static shared memory of a block; bytes of stack of a thread.\n"
}

#[test]
fn a_log_is_read() {
    let log = "\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'b' for 'sm_75'
ptxas info    : Function properties for b
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 6 registers, used 1 barriers, 372 bytes cmem[0]
ptxas info    : Compiling entry function 'a' for 'sm_75'
ptxas info    : Function properties for a
ptxas         .     160 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads
ptxas info    : Used 63 registers, used 1 barriers, 160 bytes cumulative stack size, 1024 bytes smem
ptxas info    : Compile time = 58.282 ms
";
    let usage = |kernel: &str, registers, shared, stack, spills| Usage {
        kernel: kernel.into(),
        registers,
        shared,
        stack,
        spills,
    };
    let read = read(log);
    assert_eq!(read, [usage("b", 6, 0, 0, 0), usage("a", 63, 1024, 160, 20)]);
    let kernels: Vec<_> = read.into_iter().map(|kernel| ("s", 75, kernel)).collect();
    assert!(table(&kernels, &[75]).contains("| s | a | 63 | 1024 | 160 |\n"));
}
