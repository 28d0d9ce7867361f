//! The C interface. `include/paring_rt.h` is made from this file: comments of public items are for its readers.

use crate::{Element, Model, Port, Runner};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The version of the interface; `paring_abi_version` gives that of the library.
pub const PARING_ABI_VERSION: u32 = 1;

/// Done.
pub const PARING_OK: c_int = 0;
/// A pointer is null or a number is out of range.
pub const PARING_ARGUMENT: c_int = 1;
/// The file or its contents are not as they should be.
pub const PARING_OPEN: c_int = 2;
/// An inference failed.
pub const PARING_RUN: c_int = 3;
/// A fault of the library.
pub const PARING_INTERNAL: c_int = 4;

/// Elements of 32-bit floating point.
pub const PARING_F32: u32 = 0;
/// Signed bytes.
pub const PARING_I8: u32 = 1;
/// Bytes.
pub const PARING_U8: u32 = 2;
/// 16-bit integers.
pub const PARING_I16: u32 = 3;
/// 32-bit integers.
pub const PARING_I32: u32 = 4;
/// 64-bit integers.
pub const PARING_I64: u32 = 5;
/// Truth values, one a byte.
pub const PARING_BOOL: u32 = 6;
/// Elements of 16-bit floating point.
pub const PARING_F16: u32 = 7;

const _: () = {
    assert!(PARING_F32 == Element::F32 as u32 && PARING_I8 == Element::I8 as u32);
    assert!(PARING_U8 == Element::U8 as u32 && PARING_I16 == Element::I16 as u32);
    assert!(PARING_I32 == Element::I32 as u32 && PARING_I64 == Element::I64 as u32);
    assert!(PARING_BOOL == Element::Bool as u32 && PARING_F16 == Element::F16 as u32);
};

/// Most extents that a description holds.
pub const PARING_MAX_RANK: usize = 8;

/// A network that is ready to run. Many threads may use it at once.
pub struct CModel {
    model: Model,
    /// Names of the inputs, then of the outputs.
    names: Vec<CString>,
}

/// Runs a network, with memory of its own. One thread at a time may use it.
pub struct CRunner {
    runner: Runner,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

/// An input or output. Quantized elements stand for `scale * (stored - zero_point)`.
#[repr(C)]
pub struct CPort {
    /// Lives as long as the model.
    name: *const c_char,
    /// Bytes of all elements.
    bytes: usize,
    /// 0 where the elements are not quantized.
    scale: f32,
    /// The number that stands for 0.
    zero_point: i32,
    /// `PARING_F32` and so on.
    element: u32,
    /// How many extents there are.
    rank: u32,
    /// The extents.
    shape: [usize; PARING_MAX_RANK],
}

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

fn fail(status: c_int, why: &str) -> c_int {
    let text = CString::new(why.replace('\0', " ")).unwrap_or_default();
    // Where the thread is ending there is nobody to read it.
    let _ = LAST.try_with(|last| *last.borrow_mut() = text);
    status
}

fn guarded(f: impl FnOnce() -> c_int) -> c_int {
    catch_unwind(AssertUnwindSafe(f))
        .unwrap_or_else(|_| fail(PARING_INTERNAL, "a fault of the library; please report it"))
}

/// The version of the library's interface; programs compare it with `PARING_ABI_VERSION`.
#[unsafe(no_mangle)]
pub extern "C" fn paring_abi_version() -> u32 {
    PARING_ABI_VERSION
}

/// Why the last call that failed on this thread did. The text stays until the next one fails there.
#[unsafe(no_mangle)]
pub extern "C" fn paring_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

fn give(model: Model, out: *mut *mut CModel) -> c_int {
    let ports = model.inputs().iter().chain(model.outputs());
    let names = ports.map(|p| CString::new(p.name.replace('\0', " ")).unwrap_or_default());
    let names = names.collect();
    // SAFETY: the callers check that the place is there.
    unsafe { *out = Box::into_raw(Box::new(CModel { model, names })) };
    PARING_OK
}

/// Maps a package. The file must not change while it is in use.
///
/// # Safety
/// `path` is a C string and `out` a place for a pointer, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_model_open(path: *const c_char, out: *mut *mut CModel) -> c_int {
    guarded(|| {
        if path.is_null() || out.is_null() {
            return fail(PARING_ARGUMENT, "a pointer is null");
        }
        // SAFETY: not null, and a C string by the caller's promise.
        let path = unsafe { CStr::from_ptr(path) };
        let Ok(path) = path.to_str() else {
            return fail(PARING_ARGUMENT, "the path is not UTF-8");
        };
        match crate::open(path) {
            Ok(model) => give(model, out),
            Err(e) => fail(PARING_OPEN, &e.to_string()),
        }
    })
}

/// Bytes of the caller's that stay where they are.
struct Borrowed(*const u8, usize);

// SAFETY: the bytes are only read, and the caller promises that nobody writes them.
unsafe impl Send for Borrowed {}
// SAFETY: as above.
unsafe impl Sync for Borrowed {}

impl AsRef<[u8]> for Borrowed {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the caller keeps the bytes as long as the model and its runners.
        unsafe { std::slice::from_raw_parts(self.0, self.1) }
    }
}

/// Takes a package that is in memory and stays there. Where it does not begin at a multiple of 64 bytes it is
/// copied.
///
/// # Safety
/// `data` has `len` bytes, which do not change while the model or a runner of it exists; `out` is a place
/// for a pointer, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_model_from_memory(
    data: *const c_void,
    len: usize,
    out: *mut *mut CModel,
) -> c_int {
    guarded(|| {
        if data.is_null() || out.is_null() {
            return fail(PARING_ARGUMENT, "a pointer is null");
        }
        match crate::from_bytes(Borrowed(data.cast(), len), crate::level()) {
            Ok(model) => give(model, out),
            Err(e) => fail(PARING_OPEN, &e.to_string()),
        }
    })
}

/// Closes a model; its runners stay valid.
///
/// # Safety
/// `model` is null or was given by this library and not closed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_model_close(model: *mut CModel) {
    if !model.is_null() {
        // SAFETY: the caller's promise.
        guarded(|| {
            drop(unsafe { Box::from_raw(model) });
            PARING_OK
        });
    }
}

/// The number of inputs.
///
/// # Safety
/// `model` is null or an open model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_model_inputs(model: *const CModel) -> usize {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(0, |m| m.model.inputs().len())
}

/// The number of outputs.
///
/// # Safety
/// `model` is null or an open model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_model_outputs(model: *const CModel) -> usize {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(0, |m| m.model.outputs().len())
}

/// Bytes of activations that each runner takes.
///
/// # Safety
/// `model` is null or an open model.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_model_arena(model: *const CModel) -> usize {
    // SAFETY: the caller's promise.
    unsafe { model.as_ref() }.map_or(0, |m| m.model.arena())
}

/// Describes an input.
///
/// # Safety
/// `model` is null or an open model, `out` null or a place for a description.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_model_input(
    model: *const CModel,
    index: usize,
    out: *mut CPort,
) -> c_int {
    // SAFETY: the caller's promise.
    describe(unsafe { model.as_ref() }, unsafe { out.as_mut() }, index, true)
}

/// Describes an output.
///
/// # Safety
/// `model` is null or an open model, `out` null or a place for a description.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_model_output(
    model: *const CModel,
    index: usize,
    out: *mut CPort,
) -> c_int {
    // SAFETY: the caller's promise.
    describe(unsafe { model.as_ref() }, unsafe { out.as_mut() }, index, false)
}

fn describe(model: Option<&CModel>, out: Option<&mut CPort>, index: usize, input: bool) -> c_int {
    guarded(|| {
        let (Some(m), Some(out)) = (model, out) else {
            return fail(PARING_ARGUMENT, "a pointer is null");
        };
        let (ports, first): (&[Port], _) =
            if input { (m.model.inputs(), 0) } else { (m.model.outputs(), m.model.inputs().len()) };
        let (Some(port), Some(name)) = (ports.get(index), m.names[first..].get(index)) else {
            return fail(PARING_ARGUMENT, "there is no input or output of this number");
        };
        if port.shape.len() > PARING_MAX_RANK {
            return fail(PARING_ARGUMENT, "it has more than eight dimensions");
        }
        let mut shape = [0; PARING_MAX_RANK];
        shape[..port.shape.len()].copy_from_slice(&port.shape);
        let (scale, zero_point) = port.quant.unwrap_or((0.0, 0));
        *out = CPort {
            name: name.as_ptr(),
            bytes: port.len,
            scale,
            zero_point,
            element: port.element as u32,
            rank: port.shape.len() as u32,
            shape,
        };
        PARING_OK
    })
}

/// Makes a runner.
///
/// # Safety
/// `model` is null or an open model, `out` null or a place for a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_runner_new(model: *const CModel, out: *mut *mut CRunner) -> c_int {
    guarded(|| {
        // SAFETY: the caller's promise.
        let (Some(m), false) = (unsafe { model.as_ref() }, out.is_null()) else {
            return fail(PARING_ARGUMENT, "a pointer is null");
        };
        let lens = |ports: &[Port]| ports.iter().map(|p| p.len).collect();
        let runner = CRunner {
            runner: m.model.runner(),
            inputs: lens(m.model.inputs()),
            outputs: lens(m.model.outputs()),
        };
        // SAFETY: the place is there.
        unsafe { *out = Box::into_raw(Box::new(runner)) };
        PARING_OK
    })
}

/// Ends a runner.
///
/// # Safety
/// `runner` is null or was given by this library and not ended.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_runner_free(runner: *mut CRunner) {
    if !runner.is_null() {
        guarded(|| {
            // SAFETY: the caller's promise.
            drop(unsafe { Box::from_raw(runner) });
            PARING_OK
        });
    }
}

/// Sets the states of a network that has some to what they begin with.
///
/// # Safety
/// `runner` is null or a runner that no other thread uses.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_runner_reset(runner: *mut CRunner) -> c_int {
    guarded(|| {
        // SAFETY: the caller's promise.
        let Some(r) = (unsafe { runner.as_mut() }) else {
            return fail(PARING_ARGUMENT, "a pointer is null");
        };
        r.runner.reset();
        PARING_OK
    })
}

/// Computes the outputs. Nothing is kept of the inputs.
///
/// # Safety
/// `runner` is null or a runner that no other thread uses; `inputs` and `outputs` have a pointer for each
/// input and output, each to as many bytes as its description says, outputs apart from everything else.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_runner_run(
    runner: *mut CRunner,
    inputs: *const *const c_void,
    outputs: *const *mut c_void,
) -> c_int {
    guarded(|| {
        // SAFETY: the caller's promise.
        let Some(r) = (unsafe { runner.as_mut() }) else {
            return fail(PARING_ARGUMENT, "a pointer is null");
        };
        if inputs.is_null() || outputs.is_null() {
            return fail(PARING_ARGUMENT, "a pointer is null");
        }
        // SAFETY: the caller's promise; null pointers are sorted out first.
        unsafe {
            let x = std::slice::from_raw_parts(inputs, r.inputs.len());
            let y = std::slice::from_raw_parts(outputs, r.outputs.len());
            if x.iter().any(|p| p.is_null()) || y.iter().any(|p| p.is_null()) {
                return fail(PARING_ARGUMENT, "a pointer is null");
            }
            let slice =
                |(p, n): (&*const c_void, &usize)| std::slice::from_raw_parts(p.cast::<u8>(), *n);
            let slice_mut =
                |(p, n): (&*mut c_void, &usize)| std::slice::from_raw_parts_mut(p.cast::<u8>(), *n);
            let x: Vec<&[u8]> = x.iter().zip(&r.inputs).map(slice).collect();
            let mut y: Vec<&mut [u8]> = y.iter().zip(&r.outputs).map(slice_mut).collect();
            match r.runner.run(&x, &mut y) {
                Ok(()) => PARING_OK,
                Err(e) => fail(PARING_RUN, &e.to_string()),
            }
        }
    })
}
