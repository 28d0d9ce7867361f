//! The C interface; `include/paring_rt.h` documents it.

use crate::{Model, Port, Runner};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The version of the interface.
const ABI: u32 = 1;

const OK: c_int = 0;
const ARGUMENT: c_int = 1;
const OPEN: c_int = 2;
const RUN: c_int = 3;
const INTERNAL: c_int = 4;

/// Most extents that a description holds.
const MAX_RANK: usize = 8;

/// A model as C sees it.
pub struct CModel {
    model: Model,
    /// Names of the inputs, then of the outputs.
    names: Vec<CString>,
}

/// A runner as C sees it.
pub struct CRunner {
    runner: Runner,
    inputs: Vec<usize>,
    outputs: Vec<usize>,
}

/// The description of an input or output.
#[repr(C)]
pub struct CPort {
    name: *const c_char,
    bytes: usize,
    scale: f32,
    zero_point: i32,
    element: u32,
    rank: u32,
    shape: [usize; MAX_RANK],
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
        .unwrap_or_else(|_| fail(INTERNAL, "a fault of the library; please report it"))
}

/// The version of the interface.
#[unsafe(no_mangle)]
pub extern "C" fn paring_abi_version() -> u32 {
    ABI
}

/// Why the last call of this thread failed.
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
    OK
}

/// Maps a package.
///
/// # Safety
/// `path` is a C string and `out` a place for a pointer, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn paring_model_open(path: *const c_char, out: *mut *mut CModel) -> c_int {
    guarded(|| {
        if path.is_null() || out.is_null() {
            return fail(ARGUMENT, "a pointer is null");
        }
        // SAFETY: not null, and a C string by the caller's promise.
        let path = unsafe { CStr::from_ptr(path) };
        let Ok(path) = path.to_str() else {
            return fail(ARGUMENT, "the path is not UTF-8");
        };
        match crate::open(path) {
            Ok(model) => give(model, out),
            Err(e) => fail(OPEN, &e.to_string()),
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

/// Takes a package that is in memory and stays there.
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
            return fail(ARGUMENT, "a pointer is null");
        }
        match crate::from_bytes(Borrowed(data.cast(), len), crate::level()) {
            Ok(model) => give(model, out),
            Err(e) => fail(OPEN, &e.to_string()),
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
            OK
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

/// Bytes of activations of each runner.
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
/// As of [`paring_model_input`].
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
            return fail(ARGUMENT, "a pointer is null");
        };
        let (ports, first): (&[Port], _) =
            if input { (m.model.inputs(), 0) } else { (m.model.outputs(), m.model.inputs().len()) };
        let (Some(port), Some(name)) = (ports.get(index), m.names.get(first + index)) else {
            return fail(ARGUMENT, "there is no input or output of this number");
        };
        if port.shape.len() > MAX_RANK {
            return fail(ARGUMENT, "it has more than eight dimensions");
        }
        let mut shape = [0; MAX_RANK];
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
        OK
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
            return fail(ARGUMENT, "a pointer is null");
        };
        let lens = |ports: &[Port]| ports.iter().map(|p| p.len).collect();
        let runner = CRunner {
            runner: m.model.runner(),
            inputs: lens(m.model.inputs()),
            outputs: lens(m.model.outputs()),
        };
        // SAFETY: the place is there.
        unsafe { *out = Box::into_raw(Box::new(runner)) };
        OK
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
            OK
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
            return fail(ARGUMENT, "a pointer is null");
        };
        r.runner.reset();
        OK
    })
}

/// Computes the outputs.
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
            return fail(ARGUMENT, "a pointer is null");
        };
        if inputs.is_null() || outputs.is_null() {
            return fail(ARGUMENT, "a pointer is null");
        }
        // SAFETY: the caller's promise; null pointers are sorted out first.
        unsafe {
            let x = std::slice::from_raw_parts(inputs, r.inputs.len());
            let y = std::slice::from_raw_parts(outputs, r.outputs.len());
            if x.iter().any(|p| p.is_null()) || y.iter().any(|p| p.is_null()) {
                return fail(ARGUMENT, "a pointer is null");
            }
            let slice =
                |(p, n): (&*const c_void, &usize)| std::slice::from_raw_parts(p.cast::<u8>(), *n);
            let slice_mut =
                |(p, n): (&*mut c_void, &usize)| std::slice::from_raw_parts_mut(p.cast::<u8>(), *n);
            let x: Vec<&[u8]> = x.iter().zip(&r.inputs).map(slice).collect();
            let mut y: Vec<&mut [u8]> = y.iter().zip(&r.outputs).map(slice_mut).collect();
            match r.runner.run(&x, &mut y) {
                Ok(()) => OK,
                Err(e) => fail(RUN, &e.to_string()),
            }
        }
    })
}
