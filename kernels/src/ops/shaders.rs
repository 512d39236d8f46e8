//! What can be known of the compute shaders without any GPU: they are valid, every backend of wgpu can
//! translate them, no entry point is forgotten, and their parameter structs are those of Rust.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, ArraySize, Module, Scalar, TypeInner};

use super::SOURCES;

/// All shaders, in the order of `SOURCES`.
pub(super) fn parsed() -> Vec<(String, Module, ModuleInfo)> {
    let parse = |source: &&crate::device::Source| {
        let path = format!("{}.wgsl", source.name);
        let module = naga::front::wgsl::parse_str(source.wgsl)
            .unwrap_or_else(|error| panic!("{}", error.emit_to_string_with_path(source.wgsl, &path)));
        let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|error| panic!("{}", error.emit_to_string_with_path(source.wgsl, &path)));
        (path, module, info)
    };
    SOURCES.iter().map(parse).collect()
}

/// All files under `dir` that end with `ending`.
fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let (dirs, files): (Vec<PathBuf>, Vec<PathBuf>) = entries.partition(|path| path.is_dir());
    let here = files.into_iter().filter(|path| path.extension().is_some_and(|e| e == ending));
    here.chain(dirs.iter().flat_map(|dir| self::files(dir, ending))).collect()
}

/// A test is run in the folder of its package.
fn ops() -> PathBuf {
    PathBuf::from("src/ops")
}

fn rust() -> String {
    let others = files(&ops(), "rs").into_iter().filter(|path| !path.ends_with("shaders.rs"));
    others.map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn every_shader_is_valid_and_listed() {
    let names: BTreeSet<String> = parsed().into_iter().map(|(path, ..)| path).collect();
    assert_eq!(names.len(), SOURCES.len(), "two sources have one name");
    // A source is one file or several, one behind the other.
    for path in files(&ops(), "wgsl") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(SOURCES.iter().any(|source| source.wgsl.contains(&text)), "{path:?} is not in SOURCES");
    }
}

/// Vulkan, Metal and DX12 get each shader in a language of their own.
#[test]
fn every_backend_can_translate_every_shader() {
    for (path, module, info) in parsed() {
        spv::write_vec(&module, &info, &spv::Options::default(), None)
            .unwrap_or_else(|error| panic!("{path} to SPIR-V: {error}"));
        let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
        msl::write_string(&module, &info, &options, &msl::PipelineOptions::default())
            .unwrap_or_else(|error| panic!("{path} to Metal: {error}"));
        let (options, mut text) = (hlsl::Options::default(), String::new());
        hlsl::Writer::new(&mut text, &options, &hlsl::PipelineOptions::default())
            .write(&module, &info, None)
            .unwrap_or_else(|error| panic!("{path} to HLSL: {error}"));
    }
}

#[test]
fn every_entry_point_is_launched_from_rust() {
    let rust = rust();
    let mut seen = BTreeSet::new();
    for (path, module, _) in parsed() {
        for entry in &module.entry_points {
            let named = format!("\"{}\")", entry.name); // ends a call of Kernel::new
            assert!(rust.contains(&named), "{path}: nobody launches {}", entry.name);
            assert!(seen.insert(entry.name.clone()), "two entry points are called {}", entry.name);
        }
    }
}

/// What an adapter must have, and not more; see the limits that opening one asks for.
#[test]
fn every_entry_point_keeps_to_the_limits() {
    for (path, module, info) in parsed() {
        let mut layouter = naga::proc::Layouter::default();
        layouter.update(module.to_ctx()).unwrap();
        for (index, entry) in module.entry_points.iter().enumerate() {
            let [x, y, z] = entry.workgroup_size;
            assert!(x * y * z <= 256, "{path}: {} has more than 256 threads in a group", entry.name);
            let uses = info.get_entry_point(index);
            let used = module.global_variables.iter().filter(|(handle, _)| !uses[*handle].is_empty());
            let (mut buffers, mut shared) = (0, 0);
            for (_, variable) in used {
                let size = layouter[variable.ty].size;
                match variable.space {
                    AddressSpace::WorkGroup => shared += size,
                    _ => buffers += 1,
                }
                let parameters = variable.binding.is_some_and(|binding| binding.binding == 0);
                assert!(!parameters || size <= 256, "{path}: {} has {size} bytes of parameters", entry.name);
            }
            assert!(buffers <= 10, "{path}: {} has {buffers} buffers, its parameters included", entry.name);
            assert!(shared <= 16_384, "{path}: {} has {shared} bytes of workgroup memory", entry.name);
        }
    }
}

/// `name: type` of every field of every `#[repr(C)]` struct of the ops, as WGSL would write it.
pub(super) fn rust_structs() -> BTreeMap<String, Vec<String>> {
    let rust = rust();
    let mut structs = BTreeMap::new();
    for part in rust.split("#[repr(C)]").skip(1) {
        let Some((head, body)) = part.split_once('{') else { continue };
        let Some((_, name)) = head.rsplit_once("struct ") else { continue };
        let body = body.split_once('}').unwrap().0;
        let code = body.lines().map(|line| line.split("//").next().unwrap().trim());
        let fields = code.filter(|line| !line.starts_with('#')).collect::<String>();
        // A comma ends a field; those in arrays are semicolons.
        let fields = fields.split(',').map(str::trim).filter(|field| !field.is_empty());
        let fields = fields.map(|field| {
            let field = field.trim_start_matches("pub ").replace("MAX_DIMS", "8");
            let (name, kind) = field.split_once(": ").unwrap();
            let array = kind.strip_prefix('[').and_then(|kind| kind.strip_suffix(']')?.split_once("; "));
            match array {
                Some((element, n)) => format!("{name}: array<{element}, {n}>"),
                None => format!("{name}: {kind}"),
            }
        });
        assert!(structs.insert(name.trim().to_string(), fields.collect()).is_none(), "two structs {name}");
    }
    structs
}

fn wgsl_type(module: &Module, ty: naga::Handle<naga::Type>) -> String {
    match module.types[ty].inner {
        TypeInner::Scalar(Scalar::U32) => "u32".into(),
        TypeInner::Scalar(Scalar::F32) => "f32".into(),
        TypeInner::Array { base, size: ArraySize::Constant(n), .. } => {
            format!("array<{}, {n}>", wgsl_type(module, base))
        }
        ref other => format!("{other:?}, which no parameter struct may have"),
    }
}

/// The name of a struct, and `name: type` of its fields.
pub(super) fn wgsl_struct(module: &Module, ty: naga::Handle<naga::Type>) -> (String, Vec<String>) {
    let TypeInner::Struct { members, .. } = &module.types[ty].inner else { return Default::default() };
    let field = |field: &naga::StructMember| {
        format!("{}: {}", field.name.as_deref().unwrap(), wgsl_type(module, field.ty))
    };
    (module.types[ty].name.clone().unwrap(), members.iter().map(field).collect())
}

/// A field added, renamed or moved in one language only would be read as another.
#[test]
fn parameter_structs_are_the_same_in_rust_and_wgsl() {
    let rust = rust_structs();
    let mut compared = 0;
    for (path, module, _) in parsed() {
        for (_, variable) in module.global_variables.iter() {
            let at_zero = variable.binding.is_some_and(|binding| binding.binding == 0);
            let storage = matches!(variable.space, AddressSpace::Storage { .. });
            let (true, true, ty) = (at_zero, storage, &module.types[variable.ty]) else { continue };
            assert!(matches!(ty.inner, TypeInner::Struct { .. }), "{path}: binding 0 is no struct");
            let (name, fields) = wgsl_struct(&module, variable.ty);
            let ours =
                rust.get(&name).unwrap_or_else(|| panic!("{path}: Rust has no #[repr(C)] struct {name}"));
            assert_eq!(&fields, ours, "{path}: {name} in WGSL and in Rust");
            compared += 1;
        }
    }
    assert!(compared > 0);
}
