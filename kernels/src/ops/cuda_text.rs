//! What can be known of the CUDA kernels without a GPU and without a compiler: each is the twin of a
//! compute shader, with the same threads, buffers and parameters.

use std::collections::{BTreeMap, BTreeSet};

use naga::{AddressSpace, Module, ScalarKind, StorageAccess, TypeInner};

use super::shaders::{parsed, rust_structs, wgsl_struct};
use super::{SOURCES, dropout};
use crate::device::Source;
use crate::device::cuda::signature::{Signature, Slot, Struct, entry_points};

/// The declarations in WGSL, written as those in CUDA.
fn wgsl(source: &Source, module: &Module, info: &naga::valid::ModuleInfo) -> BTreeMap<String, Signature> {
    let mut all = BTreeMap::new();
    for (index, entry) in module.entry_points.iter().enumerate() {
        let uses = info.get_entry_point(index);
        let used = module.global_variables.iter().filter(|(handle, _)| !uses[*handle].is_empty());
        let mut params = Struct { name: String::new(), fields: Vec::new() };
        let (mut slots, mut faults) = (Vec::new(), false);
        for (_, variable) in used {
            let (AddressSpace::Storage { access }, Some(binding)) = (variable.space, &variable.binding)
            else {
                continue;
            };
            let name = variable.name.clone().unwrap();
            match module.types[variable.ty].inner {
                TypeInner::Struct { .. } => {
                    let (name, fields) = wgsl_struct(module, variable.ty);
                    params = Struct { name, fields };
                }
                TypeInner::Array { .. } if name == "faults" => faults = true,
                TypeInner::Array { base, .. } => {
                    let float = match module.types[base].inner {
                        TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. } => {
                            scalar.kind == ScalarKind::Float
                        }
                        _ => false,
                    };
                    let written = access.contains(StorageAccess::STORE);
                    slots.push((binding.binding, Slot { name, written, float }));
                }
                ref other => panic!("{}.wgsl: {name} is {other:?}", source.name),
            }
        }
        slots.sort_by_key(|(binding, _)| *binding);
        let slots = slots.into_iter().map(|(_, slot)| slot).collect();
        let (block, clock) = (entry.workgroup_size.iter().product(), source.name == dropout::SOURCE.name);
        all.insert(entry.name.clone(), Signature { block, params, slots, faults, clock });
    }
    all
}

/// A buffer forgotten, a struct with a field more: the kernel would read one thing as another.
#[test]
fn every_shader_has_its_twin_in_cuda() {
    let mut wrong = Vec::new();
    for (source, (path, module, info)) in SOURCES.iter().zip(parsed()) {
        let shaders = wgsl(source, &module, &info);
        for (entry, shader) in &shaders {
            match Signature::of(source.cuda, entry) {
                Ok(kernel) if kernel == *shader => {}
                Ok(kernel) => {
                    wrong.push(format!("{path}: {entry} is\n{shader:?} there and in CUDA\n{kernel:?}"))
                }
                Err(error) => wrong.push(format!("{path}: {entry}: {error}")),
            }
        }
        let shaders: BTreeSet<String> = shaders.into_keys().collect();
        for entry in entry_points(source.cuda) {
            if !shaders.contains(&entry) {
                wrong.push(format!("{path} has no {entry}, which stands in CUDA"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} kernels differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The compute shaders are compared with Rust as well; here it is for those who look at CUDA.
#[test]
fn parameter_structs_are_the_same_in_rust_and_cuda() {
    let rust = rust_structs();
    for source in SOURCES {
        for entry in entry_points(source.cuda) {
            let Struct { name, fields } = Signature::of(source.cuda, &entry).unwrap().params;
            assert_eq!(Some(&fields), rust.get(&name), "{}.cu: {name} in CUDA and in Rust", source.name);
        }
    }
}

/// A file that says nothing of its own `#line` would shift the lines of all messages.
#[test]
fn every_file_of_a_source_says_its_name() {
    for source in SOURCES {
        let lines = source.cuda.lines().filter(|line| line.starts_with("#line 1 \""));
        assert!(lines.count() >= 1 && source.cuda.starts_with("#line 1"), "{}", source.name);
    }
}
