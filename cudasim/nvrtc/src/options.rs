//! NVRTC's options: those that mean something to a C++ compiler are handed on, and those that only
//! concern a GPU are accepted. Any other is an error, as it is with NVRTC.

/// What the options say.
#[derive(Debug, PartialEq, Eq)]
pub struct Options {
    /// `sm_90` is 90.
    pub architecture: u32,
    /// Whether machine code was asked for (`sm_90`) and not PTX alone (`compute_90`).
    pub machine_code: bool,
    /// What the compiler gets.
    pub arguments: Vec<String>,
}

/// The architectures that are known.
pub const ARCHITECTURES: [u32; 12] = [75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121];

/// Options of one word that change nothing here.
const IGNORED: [&str; 14] = [
    "--device-as-default-execution-space",
    "-default-device",
    "--generate-line-info",
    "-lineinfo",
    "--device-debug",
    "-G",
    "--restrict",
    "-restrict",
    "--extra-device-vectorization",
    "-extra-device-vectorization",
    "--relocatable-device-code=false",
    "-rdc=false",
    "--dopt=on",
    "--no-source-include",
];
/// Options with a value that change nothing here.
const IGNORED_VALUES: [&str; 9] = [
    "--ftz",
    "--prec-sqrt",
    "--prec-div",
    "--fmad",
    "--maxrregcount",
    "--ptxas-options",
    "--split-compile",
    "--diag-suppress",
    "--include-path",
];

impl Options {
    /// Reads them; what is wrong comes back as NVRTC's log says it.
    pub fn read(options: &[String]) -> Result<Options, String> {
        let mut read = Options { architecture: 75, machine_code: false, arguments: Vec::new() };
        let mut standard = "-std=c++17".to_string();
        let mut left = options.iter();
        while let Some(option) = left.next() {
            // Both `--name=value` and `--name value`.
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, Some(value.to_string())),
                None => (option.as_str(), None),
            };
            let mut value = || value.clone().or_else(|| left.next().cloned()).unwrap_or_default();
            match name {
                "--gpu-architecture" | "-arch" => read.set_architecture(&value())?,
                "--std" | "-std" => standard = format!("-std={}", value()),
                "--define-macro" => read.arguments.push(format!("-D{}", value())),
                "--undefine-macro" => read.arguments.push(format!("-U{}", value())),
                _ if option.starts_with("-D") || option.starts_with("-U") => {
                    read.arguments.push(option.clone());
                }
                _ if IGNORED.contains(&option.as_str()) => {}
                _ if IGNORED_VALUES.contains(&name) => drop(value()),
                _ if option.starts_with("-I") => {}
                _ => return Err(format!("nvrtc: error: unrecognized option {option} found\n")),
            }
        }
        read.arguments.push(standard);
        Ok(read)
    }

    fn set_architecture(&mut self, value: &str) -> Result<(), String> {
        let (kind, number) = value.split_once('_').unwrap_or(("", value));
        let number = number.trim_end_matches(['a', 'f']).parse().unwrap_or(0);
        if !["sm", "compute"].contains(&kind) || !ARCHITECTURES.contains(&number) {
            return Err(format!("nvrtc: error: invalid value for --gpu-architecture (-arch): {value}\n"));
        }
        (self.architecture, self.machine_code) = (number, kind == "sm");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(options: &[&str]) -> Result<Options, String> {
        Options::read(&options.iter().map(|option| option.to_string()).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_handed_on_ignored_or_refused() {
        let options = ["--gpu-architecture=sm_90", "-std=c++17", "-DTILE=16", "--fmad=true", "-lineinfo"];
        let expected = Options {
            architecture: 90,
            machine_code: true,
            arguments: vec!["-DTILE=16".into(), "-std=c++17".into()],
        };
        assert_eq!(read(&options), Ok(expected));
        let apart = read(&["-arch", "compute_80", "--define-macro", "N=2"]).expect("all known");
        assert_eq!((apart.architecture, apart.machine_code), (80, false));
        assert_eq!(apart.arguments, ["-DN=2", "-std=c++17"]);
        assert!(read(&["--gpu-architecture=sm_20"]).unwrap_err().contains("sm_20"));
        assert!(read(&["--faster"]).unwrap_err().contains("unrecognized option --faster"));
    }
}
