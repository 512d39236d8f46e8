//! CUDA's error codes.

use std::ffi::{CStr, c_char, c_int};

/// `CUresult`: a number, of which these have names here.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(pub c_int);

/// What a function returns, before it becomes a [`Status`].
pub type Result<T = ()> = std::result::Result<T, Status>;

macro_rules! statuses {
    ($($name:ident = $number:literal, $text:literal;)*) => {
        impl Status {
            $(#[doc = $text] pub const $name: Status = Status($number);)*

            /// Its name in CUDA, and what it means.
            fn texts(self) -> Option<(&'static CStr, &'static CStr)> {
                let texts = match self.0 {
                    $($number => (concat!("CUDA_ERROR_", stringify!($name), "\0"), concat!($text, "\0")),)*
                    _ => return None,
                };
                let text = |text: &'static str| CStr::from_bytes_with_nul(text.as_bytes()).unwrap_or_default();
                Some((if self == Status::SUCCESS { c"CUDA_SUCCESS" } else { text(texts.0) }, text(texts.1)))
            }
        }
    };
}

statuses! {
    SUCCESS = 0, "no error";
    INVALID_VALUE = 1, "invalid argument";
    OUT_OF_MEMORY = 2, "out of memory";
    NOT_INITIALIZED = 3, "initialization error";
    NO_DEVICE = 100, "no CUDA-capable device is detected";
    INVALID_DEVICE = 101, "invalid device ordinal";
    INVALID_IMAGE = 200, "device kernel image is invalid";
    INVALID_CONTEXT = 201, "invalid device context";
    NO_BINARY_FOR_GPU = 209, "no kernel image is available for execution on the device";
    FILE_NOT_FOUND = 301, "file not found";
    SHARED_OBJECT_INIT_FAILED = 303, "shared object initialization failed";
    INVALID_HANDLE = 400, "invalid resource handle";
    NOT_FOUND = 500, "named symbol not found";
    ILLEGAL_ADDRESS = 700, "an illegal memory access was encountered";
    CONTEXT_IS_DESTROYED = 709, "context is destroyed";
    ASSERT = 710, "device-side assert triggered";
    HARDWARE_STACK_ERROR = 714, "hardware stack error";
    ILLEGAL_INSTRUCTION = 715, "an illegal instruction was encountered";
    MISALIGNED_ADDRESS = 716, "misaligned address";
    LAUNCH_FAILED = 719, "unspecified launch failure";
    NOT_SUPPORTED = 801, "operation not supported";
    STREAM_CAPTURE_UNSUPPORTED = 900, "operation not permitted when stream is capturing";
    STREAM_CAPTURE_INVALIDATED = 901, "operation failed due to a previous error during capture";
    STREAM_CAPTURE_ISOLATION = 905, "dependency created on uncaptured work in another stream";
    STREAM_CAPTURE_IMPLICIT = 906, "operation would make the legacy stream depend on a capturing blocking stream";
    CAPTURED_EVENT = 907, "operation not permitted on an event last recorded in a capturing stream";
    ILLEGAL_STATE = 401, "the operation cannot be performed in the present state";
    UNKNOWN = 999, "unknown error";
}

impl From<Result> for Status {
    fn from(result: Result) -> Status {
        result.err().unwrap_or(Status::SUCCESS)
    }
}

/// Writes what a function gives back through a pointer.
pub unsafe fn put<T>(to: *mut T, value: T) -> Result {
    if to.is_null() {
        return Err(Status::INVALID_VALUE);
    }
    unsafe { to.write(value) };
    Ok(())
}

/// Writes it if the caller wants it.
pub unsafe fn put_if<T>(to: *mut T, value: T) {
    if !to.is_null() {
        unsafe { to.write(value) };
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorName(status: Status, name: *mut *const c_char) -> Status {
    unsafe { text(status, name, |texts| texts.0) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn cuGetErrorString(status: Status, text_out: *mut *const c_char) -> Status {
    unsafe { text(status, text_out, |texts| texts.1) }
}

unsafe fn text(
    status: Status,
    to: *mut *const c_char,
    which: fn((&'static CStr, &'static CStr)) -> &'static CStr,
) -> Status {
    let Some(texts) = status.texts() else {
        unsafe { put_if(to, std::ptr::null()) };
        return Status::INVALID_VALUE;
    };
    unsafe { put(to, which(texts).as_ptr()) }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_cudas_names() {
        assert_eq!(Status::SUCCESS.texts(), Some((c"CUDA_SUCCESS", c"no error")));
        let address = (c"CUDA_ERROR_ILLEGAL_ADDRESS", c"an illegal memory access was encountered");
        assert_eq!(Status::ILLEGAL_ADDRESS.texts(), Some(address));
        assert_eq!(Status(12345).texts(), None);
    }
}
