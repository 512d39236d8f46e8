//! From a shader's text to a pipeline, once per kernel.
//!
//! naga, the shader compiler of wgpu, reads the text first. From what it finds the layout follows:
//! which buffers an entry point uses, in which order, which of them it writes, of what type they are,
//! and how large the parameter struct is. So nothing of that has to be said twice.

use std::collections::HashMap;
use std::sync::Arc;

use ::wgpu::naga::{
    self, AddressSpace, Module, ScalarKind, StorageAccess, TypeInner,
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};
use ::wgpu::{
    BindGroupLayout, BindGroupLayoutEntry, BindingType, BufferBindingType, ComputePipeline,
    ComputePipelineDescriptor, ErrorFilter, PipelineCompilationOptions, PipelineLayoutDescriptor,
    ShaderModuleDescriptor, ShaderSource, ShaderStages,
};

use super::{Kernel, WgpuDevice, lock};
use crate::{DType, Error, Result};

/// The name of the table of faults in a shader; the device binds it by itself.
const FAULTS: &str = "faults";

/// A kernel ready to be launched.
pub(super) struct Pipeline {
    pub compute: ComputePipeline,
    pub layout: BindGroupLayout,
    /// The buffers it is given, in order.
    pub slots: Vec<Slot>,
    /// The binding of the table of faults, of a kernel that checks its data.
    pub faults: Option<u32>,
    /// Bytes of the parameter struct.
    pub params: u64,
    /// Told apart from all others of the device.
    pub number: usize,
}

/// A buffer of a kernel.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// Its name in the shader.
    pub name: String,
    pub binding: u32,
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

/// All pipelines of a device, by the address of their kernel.
#[derive(Default)]
pub(super) struct Pipelines(HashMap<usize, Arc<Pipeline>>);

/// What the text of a shader says about one entry point.
pub(super) struct Reflection {
    pub params: u64,
    pub slots: Vec<Slot>,
    pub faults: Option<u32>,
}

/// Reads and validates a shader.
pub(super) fn parse(kernel: &Kernel) -> Result<(Module, ModuleInfo)> {
    let (text, path) = (kernel.source.wgsl, format!("{}.wgsl", kernel.source.name));
    let fail = |message| Error::Kernel { kernel: kernel.entry.to_string(), message };
    let module =
        naga::front::wgsl::parse_str(text).map_err(|e| fail(e.emit_to_string_with_path(text, &path)))?;
    let info = Validator::new(ValidationFlags::all(), Capabilities::empty())
        .validate(&module)
        .map_err(|e| fail(e.emit_to_string_with_path(text, &path)))?;
    Ok((module, info))
}

/// What entry point `entry` of a module uses.
pub(super) fn reflect(module: &Module, info: &ModuleInfo, entry: &str) -> Option<Reflection> {
    let index = module.entry_points.iter().position(|point| point.name == entry)?;
    let uses = info.get_entry_point(index);
    let mut reflection = Reflection { params: 0, slots: Vec::new(), faults: None };
    for (handle, variable) in module.global_variables.iter() {
        let (Some(binding), false) = (&variable.binding, uses[handle].is_empty()) else { continue };
        let AddressSpace::Storage { access } = variable.space else { return None };
        let (name, binding) = (variable.name.clone().unwrap_or_default(), binding.binding);
        let element = match module.types[variable.ty].inner {
            TypeInner::Array { base, .. } => &module.types[base].inner,
            TypeInner::Struct { span, .. } if binding == 0 => {
                reflection.params = span.into();
                continue;
            }
            _ => return None,
        };
        if name == FAULTS {
            reflection.faults = Some(binding);
            continue;
        }
        let float = matches!(element, TypeInner::Scalar(scalar) | TypeInner::Vector { scalar, .. }
            if scalar.kind == ScalarKind::Float);
        let written = access.contains(StorageAccess::STORE);
        reflection.slots.push(Slot { name, binding, written, float });
    }
    reflection.slots.sort_by_key(|slot| slot.binding);
    Some(reflection)
}

impl WgpuDevice {
    /// The pipeline of a kernel, compiled when it is first asked for.
    pub(super) fn pipeline(&self, kernel: &'static Kernel) -> Result<Arc<Pipeline>> {
        let mut pipelines = lock(&self.0.pipelines);
        let address = std::ptr::from_ref(kernel) as usize;
        if let Some(pipeline) = pipelines.0.get(&address) {
            return Ok(pipeline.clone());
        }
        let pipeline = Arc::new(self.compile(kernel, pipelines.0.len())?);
        pipelines.0.insert(address, pipeline.clone());
        Ok(pipeline)
    }

    fn compile(&self, kernel: &Kernel, number: usize) -> Result<Pipeline> {
        let fail = |message| Error::Kernel { kernel: kernel.entry.to_string(), message };
        let (module, info) = parse(kernel)?;
        let Some(Reflection { params, slots, faults }) = reflect(&module, &info, kernel.entry) else {
            return Err(fail(format!("{}.wgsl has no such entry point", kernel.source.name)));
        };
        let device = &self.0.device;
        let scope = device.push_error_scope(ErrorFilter::Validation);
        let label = Some(kernel.entry);
        let entry = |binding, written: bool, dynamic| BindGroupLayoutEntry {
            binding,
            visibility: ShaderStages::COMPUTE,
            ty: BindingType::Buffer {
                ty: BufferBindingType::Storage { read_only: !written },
                has_dynamic_offset: dynamic,
                min_binding_size: None,
            },
            count: None,
        };
        let mut entries = vec![entry(0, false, true)];
        entries.extend(slots.iter().map(|slot| entry(slot.binding, slot.written, false)));
        entries.extend(faults.map(|binding| entry(binding, true, false)));
        let layout =
            device.create_bind_group_layout(&::wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let source = ShaderSource::Naga(std::borrow::Cow::Owned(module));
        let module = device.create_shader_module(ShaderModuleDescriptor { label, source });
        let compute = device.create_compute_pipeline(&ComputePipelineDescriptor {
            label,
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: label,
            // Every kernel fills its workgroup memory before it reads it.
            compilation_options: PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        match pollster::block_on(scope.pop()) {
            Some(error) => Err(fail(error.to_string())),
            None => Ok(Pipeline { compute, layout, slots, faults, params, number }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Source;

    #[test]
    fn a_broken_shader_is_shown_with_its_line() {
        static UNKNOWN: Source =
            Source { name: "broken", wgsl: "fn f() -> f32 {\n    return x;\n}\n", cuda: "" };
        let message = parse(&Kernel::new(&UNKNOWN, "f")).unwrap_err().to_string();
        for word in ["kernel f", "broken.wgsl:2:12", "return x;"] {
            assert!(message.contains(word), "{message}");
        }
        // Grammatical, but a value of the wrong type.
        static WRONG: Source =
            Source { name: "wrong", wgsl: "fn f(x: f32) -> u32 {\n    return x;\n}\n", cuda: "" };
        let message = parse(&Kernel::new(&WRONG, "f")).unwrap_err().to_string();
        assert!(message.contains("wrong.wgsl:"), "{message}");
    }

    #[test]
    fn the_layout_is_read_from_the_shader() {
        static SOURCE: Source = Source {
            name: "two",
            cuda: "",
            wgsl: "struct P { n: u32, a: f32 }
                @group(0) @binding(0) var<storage, read> p: P;
                @group(0) @binding(4) var<storage, read_write> y: array<f32>;
                @group(0) @binding(2) var<storage, read> words: array<u32>;
                @group(0) @binding(3) var<storage, read> unused: array<f32>;
                @group(0) @binding(9) var<storage, read_write> faults: array<atomic<u32>>;
                @compute @workgroup_size(1)
                fn f() {
                    y[0] = f32(words[p.n]) * p.a;
                    atomicMin(&faults[0], 1u);
                }",
        };
        let (module, info) = parse(&Kernel::new(&SOURCE, "f")).unwrap();
        let found = reflect(&module, &info, "f").unwrap();
        assert_eq!((found.params, found.faults), (8, Some(9)));
        let slot = |name: &str, binding, written, float| Slot { name: name.into(), binding, written, float };
        assert_eq!(found.slots, [slot("words", 2, false, false), slot("y", 4, true, true)]);
        assert!(found.slots[0].takes(DType::F32) && !found.slots[1].takes(DType::U32));
        assert!(reflect(&module, &info, "g").is_none());
    }
}
