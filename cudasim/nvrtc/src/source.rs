//! From CUDA's dialect to C++: the kernels of a text, and its shared memory.
//!
//! Almost all of CUDA C++ is C++ with a header in front. Two things are not, and are found here in the
//! text: which functions are kernels, and `__shared__`, which looks like a storage class but means one
//! variable for a whole block. Lines stay where they are, so that messages name the right ones.

use std::ops::Range;

/// One `__global__` function.
#[derive(Debug, PartialEq, Eq)]
pub struct Kernel {
    /// Its name.
    pub name: String,
    /// The first argument of `__launch_bounds__`, or nothing.
    pub most_threads: Option<String>,
    /// What stands between its parentheses, in one line.
    pub parameters: String,
}

/// A text of which comments and literals were blanked out, so that words are found where they count.
struct Text<'a> {
    original: &'a str,
    code: Vec<u8>,
}

/// The kernels that can be launched: templates are not among them.
pub fn kernels(text: &str) -> Vec<Kernel> {
    let text = Text::new(text);
    let mut kernels: Vec<Kernel> = Vec::new();
    for word in text.words("__global__") {
        let before = text.code[..word.start].iter().rposition(|c| b";{}".contains(c)).map_or(0, |i| i + 1);
        let template = text.words("template").any(|other| (before..word.start).contains(&other.start));
        if template {
            continue;
        }
        // A kernel that is declared and then defined is one kernel.
        if let Some(kernel) = text.kernel(word.end)
            && !kernels.iter().any(|other| other.name == kernel.name)
        {
            kernels.push(kernel);
        }
    }
    kernels
}

/// The text with its shared variables declared as `include/shared.h` wants them.
pub fn with_shared_memory(text: &str) -> String {
    let text = Text::new(text);
    let mut out = String::new();
    let mut done = 0;
    for word in text.words("__shared__") {
        let Some(end) = text.code[word.end..].iter().position(|c| *c == b';').map(|i| word.end + i) else {
            continue;
        };
        // `extern` or `static` may stand in front.
        let storage = ["extern", "static"].into_iter().find_map(|name| {
            let before = text.code[..word.start].trim_ascii_end();
            before.ends_with(name.as_bytes()).then(|| (name, before.len() - name.len()))
        });
        let start = storage.map_or(word.start, |(_, at)| at);
        out += &text.original[done..start];
        let count = |c: u8| text.code[..start].iter().filter(|d| **d == c).count();
        let scope = match storage {
            Some(("extern", _)) => Scope::Dynamic,
            _ if count(b'{') == count(b'}') => Scope::Outside,
            _ => Scope::Function,
        };
        out += &text.shared(word.end..end, scope);
        done = end + 1;
    }
    out + &text.original[done..]
}

/// Where a shared variable is declared.
#[derive(Clone, Copy)]
enum Scope {
    /// `extern`: as large as the launch says.
    Dynamic,
    /// Outside of any function.
    Outside,
    /// In a function.
    Function,
}

impl<'a> Text<'a> {
    fn new(original: &'a str) -> Text<'a> {
        let mut code = original.as_bytes().to_vec();
        let mut i = 0;
        while i < code.len() {
            let end = match (code[i], code.get(i + 1)) {
                (b'/', Some(b'/')) => find(&code, i, b"\n").unwrap_or(code.len()),
                (b'/', Some(b'*')) => find(&code, i + 2, b"*/").map_or(code.len(), |at| at + 2),
                // A quote inside a number, as in 1'000, begins no literal.
                (b'\'', _) if i > 0 && code[i - 1].is_ascii_alphanumeric() => i + 1,
                (quote @ (b'"' | b'\''), _) => literal_end(&code, i, quote),
                _ => {
                    i += 1;
                    continue;
                }
            };
            code[i..end].iter_mut().filter(|c| **c != b'\n').for_each(|c| *c = b' ');
            i = end;
        }
        Text { original, code }
    }

    /// Where `name` stands as a whole word.
    fn words(&self, name: &'static str) -> impl Iterator<Item = Range<usize>> {
        let mut from = 0;
        std::iter::from_fn(move || {
            while let Some(at) = find(&self.code, from, name.as_bytes()) {
                let word = at..at + name.len();
                from = word.end;
                let whole = !at.checked_sub(1).is_some_and(|before| is_name(self.code[before]))
                    && !self.code.get(word.end).is_some_and(|c| is_name(*c));
                if whole {
                    return Some(word);
                }
            }
            None
        })
    }

    /// The word that begins at `at`.
    fn word(&self, at: usize) -> &'a str {
        let length = self.code[at..].iter().take_while(|c| is_name(**c)).count();
        &self.original[at..at + length]
    }

    /// What stands between the parenthesis at `open` and the one that closes it.
    fn group(&self, open: usize) -> Option<Range<usize>> {
        let mut depth = 0;
        for (i, c) in self.code[open..].iter().enumerate() {
            match c {
                b'(' => depth += 1,
                b')' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(open + 1..open + i);
            }
        }
        None
    }

    /// A range of the text in one line, without its comments.
    fn line(&self, range: Range<usize>) -> String {
        let code = String::from_utf8_lossy(&self.code[range]);
        code.split_whitespace().collect::<Vec<_>>().join(" ").replace(['"', '\\'], "")
    }

    /// The kernel whose `__global__` ends at `at`: the name is the last word before the parameters, and
    /// attributes have parentheses of their own.
    fn kernel(&self, mut at: usize) -> Option<Kernel> {
        let (mut name, mut most_threads) = ("", None);
        loop {
            match *self.code.get(at)? {
                b';' | b'{' | b'}' => return None,
                b'(' => {
                    let group = self.group(at)?;
                    at = group.end + 1;
                    match name {
                        "__launch_bounds__" => {
                            let first = self.line(group);
                            most_threads = Some(first.split(',').next().unwrap_or("").to_string());
                        }
                        "__attribute__" | "__maxnreg__" | "__cluster_dims__" => {}
                        _ => {
                            let parameters = self.line(group);
                            return Some(Kernel { name: name.into(), most_threads, parameters });
                        }
                    }
                }
                c if is_name(c) => {
                    name = self.word(at);
                    at += name.len();
                }
                _ => at += 1,
            }
        }
    }

    /// `float a[4], b` as the declaration of two shared variables.
    fn shared(&self, declaration: Range<usize>, scope: Scope) -> String {
        let mut typedef = String::from("typedef");
        let mut variables = String::new();
        let mut done = declaration.start;
        for name in self.declared(declaration.clone()) {
            typedef += &self.original[done..name.end];
            typedef += "__shared";
            done = name.end;
            let name = &self.original[name];
            variables += &match scope {
                Scope::Dynamic => format!(" cudasim::Dynamic<{name}__shared> {name};"),
                Scope::Outside => format!(" cudasim::Outside<__COUNTER__, {name}__shared> {name};"),
                Scope::Function => format!(" auto& {name} = cudasim::shared<__COUNTER__, {name}__shared>();"),
            };
        }
        typedef + &self.original[done..declaration.end] + ";" + &variables
    }

    /// The names that a declaration declares: in each of its parts between commas, the last word
    /// before the sizes in brackets.
    fn declared(&self, declaration: Range<usize>) -> Vec<Range<usize>> {
        let mut names = Vec::new();
        let (mut depth, mut last, mut sized) = (0, None, false);
        let mut at = declaration.start;
        while at < declaration.end {
            let c = self.code[at];
            match c {
                b'[' if depth == 0 => {
                    sized = true;
                    depth += 1;
                }
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                // Of a template; in a size it is a comparison.
                b'<' if !sized => depth += 1,
                b'>' if !sized => depth -= 1,
                b',' if depth == 0 => {
                    names.extend(last.take());
                    sized = false;
                }
                c if is_name(c) => {
                    let word = at..at + self.word(at).len();
                    at = word.end;
                    if depth == 0 && !sized {
                        last = Some(word);
                    }
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        names.extend(last);
        names
    }
}

fn is_name(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_'
}

fn find(text: &[u8], from: usize, what: &[u8]) -> Option<usize> {
    let rest = text.get(from..)?;
    rest.windows(what.len()).position(|window| window == what).map(|at| from + at)
}

/// Behind the quote that ends the literal at `start`; a line's end does so too.
fn literal_end(code: &[u8], start: usize, quote: u8) -> usize {
    let mut i = start + 1;
    while i < code.len() && code[i] != quote && code[i] != b'\n' {
        i += 1 + usize::from(code[i] == b'\\');
    }
    (i + 1).min(code.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_are_found_with_their_bounds_and_parameters() {
        let text = r#"
            // __global__ void no_kernel(int* x);
            template <typename T> __global__ void general(T* x) {}
            __global__ void declared(int n);
            extern "C" __global__ __launch_bounds__(256)
            void first(Params p, const float* x, // x: [N, (C)]
                       float* y) { printf("__global__ void text(int x)"); }
            extern "C" __global__ void __launch_bounds__(2 * TILE, 4) second(float (*f)[3]) {}
            __global__ void declared(int n) {}
        "#;
        let kernel = |name: &str, most_threads: Option<&str>, parameters: &str| Kernel {
            name: name.into(),
            most_threads: most_threads.map(str::to_string),
            parameters: parameters.into(),
        };
        let expected = [
            kernel("declared", None, "int n"),
            kernel("first", Some("256"), "Params p, const float* x, float* y"),
            kernel("second", Some("2 * TILE"), "float (*f)[3]"),
        ];
        assert_eq!(kernels(text), expected);
    }

    #[test]
    fn shared_variables_are_declared_where_they_stood() {
        let text = "{ a;\n__shared__ float tile[16][N + 1], sum;\nextern __shared__\nfloat4 all[];\nb; // __shared__ c;";
        let expected = "{ a;\ntypedef float tile__shared[16][N + 1], sum__shared; \
            auto& tile = cudasim::shared<__COUNTER__, tile__shared>(); \
            auto& sum = cudasim::shared<__COUNTER__, sum__shared>();\n\
            typedef\nfloat4 all__shared[]; cudasim::Dynamic<all__shared> all;\nb; // __shared__ c;";
        assert_eq!(with_shared_memory(text), expected);

        let compared = "{ __shared__ int a[N < 4 ? 4 : N], b[2];";
        assert_eq!(with_shared_memory(compared).matches("auto& ").count(), 2);

        let aligned = "{ static __shared__ __align__(16) Pair<int, float> pairs[4];";
        let expected = "{ typedef __align__(16) Pair<int, float> pairs__shared[4]; \
            auto& pairs = cudasim::shared<__COUNTER__, pairs__shared>();";
        assert_eq!(with_shared_memory(aligned), expected);

        let outside = "void f() {}\n__shared__ int n;";
        let expected = "void f() {}\ntypedef int n__shared; cudasim::Outside<__COUNTER__, n__shared> n;";
        assert_eq!(with_shared_memory(outside), expected);
    }

    #[test]
    fn literals_and_comments_hide_what_they_contain() {
        let text = "char c = '\"'; /* \" */ int n = 1'000; const char* s = \"\\\"__shared__ int x;\";";
        assert_eq!(with_shared_memory(text), text);
        assert_eq!(kernels("/* __global__ void f(int x) {} */"), []);
    }
}
