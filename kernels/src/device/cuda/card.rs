//! Which cards there are, and what must be installed to use one.

use std::ffi::CStr;

use cudarc::driver::sys::{CUdevice, CUdevice_attribute, CUresult};

use super::compile::Nvrtc;
use super::driver::{self, Failure, call};

/// A card that was found.
pub(super) struct Card {
    pub device: CUdevice,
    pub name: String,
    /// Its compute capability: (9, 0) is sm_90.
    pub capability: (i32, i32),
    /// Bytes of its memory.
    pub memory: u64,
    /// The driver's version, such as 12040.
    pub driver: i32,
    pub nvrtc: Nvrtc,
}

const DRIVER: &str = "the NVIDIA driver was not found (libcuda.so.1, on Windows nvcuda.dll)";
const GET_DRIVER: &str =
    "install the driver of the GPU, for example with the package nvidia-driver of the system";
const NVRTC: &str = "NVRTC, the CUDA compiler as a library, was not found (libnvrtc.so, libnvrtc.so.13, \
                     libnvrtc.so.12, on Windows nvrtc64_*.dll)";
const GET_NVRTC: &str = "install the CUDA toolkit, or `pip install nvidia-cuda-nvrtc` and put the folder of \
                         its libnvrtc.so.13 into LD_LIBRARY_PATH";

/// Whether both libraries can be opened, or what is missing and how to get it.
fn libraries() -> Result<(), String> {
    // SAFETY: opening a library runs what it runs when it is loaded; NVIDIA's do nothing of note.
    let (driver, nvrtc) =
        unsafe { (cudarc::driver::sys::is_culib_present(), cudarc::nvrtc::sys::is_culib_present()) };
    match (driver, nvrtc) {
        (true, true) => Ok(()),
        (true, false) => Err(format!("there is an NVIDIA driver, but {NVRTC}; {GET_NVRTC}")),
        (false, true) => Err(format!("there is NVRTC, but {DRIVER}; {GET_DRIVER}")),
        (false, false) => Err(format!("{DRIVER}; {GET_DRIVER}. NVRTC is needed too: {GET_NVRTC}")),
    }
}

/// Starts the driver, whose version this is, and NVRTC.
fn start() -> Result<(i32, Nvrtc), String> {
    libraries()?;
    let driver = driver::version()?;
    let nvrtc = Nvrtc::open()?;
    call!(cuInit(0)).map_err(no_card)?;
    Ok((driver, nvrtc))
}

/// The names of all cards.
fn names() -> Result<Vec<String>, String> {
    let mut count = 0;
    call!(cuDeviceGetCount(&mut count)).map_err(no_card)?;
    let names = (0..count).map(|i| name(device(i)?));
    names.collect::<Result<_, _>>().map_err(|failure| failure.to_string())
}

/// See [`Device::cuda_cards`](crate::Device::cuda_cards).
pub fn cards() -> Vec<String> {
    start().and_then(|_| names()).unwrap_or_default()
}

impl Card {
    /// Card number `ordinal`, or why it cannot be used.
    pub fn find(ordinal: usize) -> Result<Card, String> {
        let (driver, nvrtc) = start()?;
        let names = names()?;
        if names.is_empty() {
            return Err(NO_CARD.into());
        }
        if ordinal >= names.len() {
            let names: Vec<String> =
                names.iter().enumerate().map(|(i, name)| format!("{i}: {name}")).collect();
            return Err(format!("there is no GPU of that number; there are {}", names.join(", ")));
        }
        Card::describe(ordinal as i32, driver, nvrtc).map_err(|failure| failure.to_string())
    }

    fn describe(ordinal: i32, driver: i32, nvrtc: Nvrtc) -> Result<Card, Failure> {
        use CUdevice_attribute::{
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR as MAJOR,
            CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR as MINOR,
        };
        let device = device(ordinal)?;
        let attribute = |attribute| {
            let mut value = 0;
            call!(cuDeviceGetAttribute(&mut value, attribute, device)).map(|()| value)
        };
        let capability = (attribute(MAJOR)?, attribute(MINOR)?);
        let mut memory = 0;
        call!(cuDeviceTotalMem_v2(&mut memory, device))?;
        Ok(Card { device, name: name(device)?, capability, memory: memory as u64, driver, nvrtc })
    }
}

const NO_CARD: &str =
    "the NVIDIA driver is there and sees no GPU; `nvidia-smi` and CUDA_VISIBLE_DEVICES may tell why";

fn no_card(failure: Failure) -> String {
    match failure.code {
        CUresult::CUDA_ERROR_NO_DEVICE => NO_CARD.into(),
        CUresult::CUDA_ERROR_STUB_LIBRARY => {
            format!("the libcuda that was found is the toolkit's stub for linking, no driver; {GET_DRIVER}")
        }
        _ => format!("the NVIDIA driver does not start: {failure}"),
    }
}

fn device(ordinal: i32) -> Result<CUdevice, Failure> {
    let mut device = 0;
    call!(cuDeviceGet(&mut device, ordinal)).map(|()| device)
}

fn name(device: CUdevice) -> Result<String, Failure> {
    let mut bytes = [0u8; 256];
    call!(cuDeviceGetName(bytes.as_mut_ptr().cast(), bytes.len() as i32 - 1, device))?;
    let name = CStr::from_bytes_until_nul(&bytes).unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}
