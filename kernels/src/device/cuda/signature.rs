//! What the text of a `.cu` file says about its kernels.
//!
//! ```text
//! extern "C" __global__ __launch_bounds__(256)
//! void conv_forward(ConvCall p, const float* x, const float* w, const float* bias, float* y) {
//! ```
//! The declaration has all that a launch must know: the threads of a block, the parameter struct, and the
//! buffers with their types, and which of them are written. So nothing of that has to be said twice.

use crate::DType;

/// One entry point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Signature {
    /// Threads of a block.
    pub block: u32,
    /// The parameter struct.
    pub params: Struct,
    /// The buffers it is given, in order.
    pub slots: Vec<Slot>,
    /// Whether the table of faults comes after them.
    pub faults: bool,
    /// Whether the clock of the random numbers comes last.
    pub clock: bool,
}

/// A parameter struct: every field as WGSL writes it, such as `input: array<u32, 3>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Struct {
    pub name: String,
    pub fields: Vec<String>,
}

/// A buffer of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub name: String,
    pub written: bool,
    /// Whether its elements are floats. A buffer of u32 takes any element of 4 bytes: for kernels
    /// that only move them.
    pub float: bool,
}

impl Slot {
    pub fn takes(&self, dtype: DType) -> bool {
        dtype == DType::F32 || (dtype == DType::U32 && !self.float)
    }
}

impl Struct {
    /// Its size: every number has 4 bytes.
    pub fn bytes(&self) -> usize {
        let numbers = |field: &String| match field.rsplit_once(", ") {
            Some((_, count)) => count.trim_end_matches('>').parse().unwrap_or(0),
            None => 1,
        };
        4 * self.fields.iter().map(numbers).sum::<usize>()
    }

    /// The struct `name` of a text without comments.
    fn find(text: &str, name: &str) -> Result<Struct, String> {
        let body = text
            .split("struct ")
            .skip(1)
            .find_map(|rest| {
                Some(rest.strip_prefix(name)?.trim_start().strip_prefix('{')?.split_once('}')?.0)
            })
            .ok_or_else(|| format!("no struct {name}"))?;
        let mut fields = Vec::new();
        for line in body.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            let wrong = || format!("struct {name}: {line:?} is no field of u32, i32 or float");
            let (kind, names) = line.split_once(char::is_whitespace).ok_or_else(wrong)?;
            let kind = scalar(kind).ok_or_else(wrong)?;
            for field in names.split(',').map(str::trim) {
                fields.push(match field.strip_suffix(']').and_then(|field| field.split_once('[')) {
                    Some((field, count)) => format!("{}: array<{kind}, {}>", field.trim(), count.trim()),
                    None => format!("{field}: {kind}"),
                });
            }
        }
        Ok(Struct { name: name.into(), fields })
    }
}

/// A type of C++ as WGSL writes it.
fn scalar(kind: &str) -> Option<&'static str> {
    match kind {
        "u32" => Some("u32"),
        "i32" => Some("i32"),
        "float" => Some("f32"),
        _ => None,
    }
}

impl Signature {
    /// The declaration of `entry` in a text, or why it cannot be read.
    pub fn of(text: &str, entry: &str) -> Result<Signature, String> {
        let text = without_comments(text);
        let (head, arguments) = text
            .split("__global__")
            .skip(1)
            .find_map(|rest| {
                let (head, rest) = rest.split_once('{')?.0.split_once("void ")?;
                let (name, arguments) = rest.split_once('(')?;
                (name.trim() == entry).then_some((head, arguments.trim_end().strip_suffix(')')?))
            })
            .ok_or_else(|| format!("no __global__ void {entry}(..)"))?;
        let block = head
            .trim()
            .strip_prefix("__launch_bounds__(")
            .and_then(|head| head.strip_suffix(')')?.trim().parse().ok())
            .ok_or_else(|| format!("{entry} does not say __launch_bounds__(THREADS), a number"))?;

        let mut arguments =
            arguments.split(',').map(|argument| argument.split_whitespace().collect::<Vec<_>>());
        let params = match arguments.next().as_deref() {
            Some([kind, name]) if !kind.contains('*') && !name.starts_with('*') => Struct::find(&text, kind)?,
            first => {
                return Err(format!("the first argument of {entry} is no parameter struct but {first:?}"));
            }
        };
        let mut signature = Signature { block, params, slots: Vec::new(), faults: false, clock: false };
        for argument in arguments {
            let argument = argument.join(" ").replace("__restrict__", " ").replace('*', " * ");
            let words: Vec<&str> = argument.split_whitespace().collect();
            let (kind, name, written) = match words[..] {
                ["const", kind, "*", name] | [kind, "const", "*", name] => (kind, name, false),
                [kind, "*", name] => (kind, name, true),
                _ => return Err(format!("{argument:?} of {entry} is no pointer to a buffer")),
            };
            match (name, kind) {
                ("faults", "u32") if written => signature.faults = true,
                ("clock", "u32") if !written => signature.clock = true,
                (_, "float" | "u32") if !signature.faults && !signature.clock => {
                    signature.slots.push(Slot { name: name.into(), written, float: kind == "float" });
                }
                _ => {
                    return Err(format!("{argument:?} of {entry} is no buffer of float or u32 in its place"));
                }
            }
        }
        Ok(signature)
    }
}

/// The names of all entry points of a text, in order.
#[cfg(test)]
pub(crate) fn entry_points(text: &str) -> Vec<String> {
    let text = without_comments(text);
    let names =
        text.split("__global__").skip(1).filter_map(|rest| rest.split_once("void ")?.1.split_once('('));
    names.map(|(name, _)| name.trim().to_string()).collect()
}

/// The text with a space for each of its comments.
fn without_comments(text: &str) -> String {
    let (mut code, mut rest) = (String::with_capacity(text.len()), text);
    while let Some((before, after)) = rest.split_once('/') {
        code += before;
        rest = match after.as_bytes().first() {
            Some(b'/') => after.find('\n').map_or("", |end| &after[end..]),
            Some(b'*') => after.split_once("*/").map_or("", |(_, behind)| behind),
            _ => {
                code.push('/');
                after
            }
        };
        code.push(' ');
    }
    code + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        // __global__ void old(Two p, float* y) {
        struct Two { // struct Two { u32 wrong; }
            u32 n; /* the number */
            i32 input[3], shift;
            float a;
        };
        __device__ float half_of(float x) { return x / 2; }

        extern "C" __global__ __launch_bounds__(256)
        void two(Two p, const u32* words, const float* __restrict__ x, float *y, u32* faults) {
            y[0] = half_of(x[0]); // all
        }
        extern "C" __global__ __launch_bounds__(64)
        void drop(
            Two p,
            float* y, // [n]
            const u32* clock
        ) { }
    "#;

    #[test]
    fn the_declaration_is_read_from_the_text() {
        let two = Signature::of(TEXT, "two").unwrap();
        assert_eq!(two.params.fields, ["n: u32", "input: array<i32, 3>", "shift: i32", "a: f32"]);
        assert_eq!((two.block, two.params.name.as_str(), two.params.bytes()), (256, "Two", 24));
        assert!(two.faults && !two.clock);
        let slot = |name: &str, written, float| Slot { name: name.into(), written, float };
        assert_eq!(two.slots, [slot("words", false, false), slot("x", false, true), slot("y", true, true)]);
        assert!(two.slots[0].takes(DType::F32) && !two.slots[1].takes(DType::U32));

        let drop = Signature::of(TEXT, "drop").unwrap();
        assert_eq!((drop.block, drop.slots.len(), drop.faults, drop.clock), (64, 1, false, true));
        assert_eq!(entry_points(TEXT), ["two", "drop"]);
    }

    #[test]
    fn what_cannot_be_read_is_said() {
        let wrong = |declaration: &str| {
            let text = format!("struct P {{ u32 n; }}; extern \"C\" __global__ {declaration} {{ }}");
            Signature::of(&text, "f").unwrap_err()
        };
        for (declaration, word) in [
            ("void g(P p)", "no __global__ void f"),
            ("void f(P p, float* y)", "__launch_bounds__"),
            ("__launch_bounds__(GROUP) void f(P p)", "__launch_bounds__"),
            ("__launch_bounds__(1) void f(Q p)", "no struct Q"),
            ("__launch_bounds__(1) void f(float* y)", "parameter struct"),
            ("__launch_bounds__(1) void f(P p, double* y)", "double"),
            ("__launch_bounds__(1) void f(P p, float y)", "no pointer"),
            ("__launch_bounds__(1) void f(P p, u32* faults, float* y)", "in its place"),
        ] {
            let message = wrong(declaration);
            assert!(message.contains(word), "{declaration}: {message}");
        }
        let text = "struct P { double n; }; extern \"C\" __global__ __launch_bounds__(1) void f(P p) {}";
        assert!(Signature::of(text, "f").unwrap_err().contains("double n"));
    }
}
