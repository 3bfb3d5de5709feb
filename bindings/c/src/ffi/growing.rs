//! Structs that later releases may make longer: the caller says how long his are.

use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::{fmt, ptr};

use super::{Callback, Context, In, Text, TextList, null};
use crate::codes::ResultCode;
use crate::failure::Failure;

/// A struct that later releases may make longer.
///
/// # Safety
///
/// `repr(C)`, the first field is the `usize` that the caller sets, and `OLDEST` reaches at least
/// behind it and at most to the end.
pub unsafe trait Grows: Copy {
    /// Its length in the first release, in bytes.
    const OLDEST: usize;
}

/// One that the caller fills in. All zero means every default.
///
/// # Safety
///
/// Every field may have any bytes: there are numbers in it and the pointer types of `ffi`.
pub unsafe trait GrowsFromC: Grows {}

/// NULL, or a [`GrowsFromC`] struct that is as long as the `size` in it says.
#[repr(transparent)]
pub struct GrowingIn<T>(*const T);

impl<T: GrowsFromC> GrowingIn<T> {
    /// A copy, with zeros where the caller's is shorter; pointers in it are good for this call.
    pub(crate) fn get(&self, name: &str) -> Result<T, Failure> {
        if self.0.is_null() {
            return Err(null(name));
        }
        // SAFETY: not NULL, and by the header's word at least the field `size` is there and set.
        let size = unsafe { self.0.cast::<usize>().read() };
        check_size::<T>(name, size)?;
        let known = size.min(size_of::<T>());
        let mut copy = MaybeUninit::<T>::zeroed();
        let from = self.0.cast::<u8>();
        // SAFETY: the caller's struct has `size` bytes and ours `size_of::<T>()`; `known` is at
        // most either. What is behind it in the caller's is a later release's, and bytes.
        let unknown = unsafe {
            ptr::copy_nonoverlapping(from, copy.as_mut_ptr().cast(), known);
            std::slice::from_raw_parts(from.add(known), size - known)
        };
        if unknown.iter().any(|&byte| byte != 0) {
            return Err(Failure {
                code: ResultCode::DMTCP_ERR_STRUCT_SIZE,
                message: format!("{name} sets a field that this release does not know"),
            });
        }
        // SAFETY: every byte is a zero or the caller's, and any bytes will do for a `GrowsFromC`.
        Ok(unsafe { copy.assume_init() })
    }

    /// The same where NULL means every default.
    pub(crate) fn or_default(&self, name: &str) -> Result<T, Failure> {
        if self.0.is_null() {
            // SAFETY: zeros, and any bytes will do for a `GrowsFromC`.
            return Ok(unsafe { MaybeUninit::zeroed().assume_init() });
        }
        self.get(name)
    }
}

impl<T> fmt::Debug for GrowingIn<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Pointer::fmt(&self.0, f)
    }
}

/// NULL, or a [`Grows`] struct that is as long as the `size` in it says.
#[repr(transparent)]
pub struct GrowingOut<T>(*mut T);

/// Room for as much of the struct as the caller knows.
pub(crate) struct GrowingPlace<'a, T> {
    at: *mut u8,
    size: usize,
    call: PhantomData<&'a T>,
}

impl<T: Grows> GrowingOut<T> {
    /// To be asked before the work is begun: there is no taking back then.
    pub(crate) fn place(&self, name: &str) -> Result<GrowingPlace<'_, T>, Failure> {
        if self.0.is_null() {
            return Err(null(name));
        }
        // SAFETY: not NULL, and by the header's word at least the field `size` is there and set.
        let size = unsafe { self.0.cast::<usize>().read() };
        check_size::<T>(name, size)?;
        Ok(GrowingPlace {
            at: self.0.cast(),
            size,
            call: PhantomData,
        })
    }
}

impl<T: Grows> GrowingPlace<'_, T> {
    /// Fills all fields but `size`; those that this release does not know become 0.
    pub(crate) fn put(self, value: T) {
        let skipped = size_of::<usize>();
        let known = self.size.min(size_of::<T>());
        // SAFETY: the caller's struct has `self.size` bytes, ours has `size_of::<T>()`; `known`
        // is at most either, and `skipped` is at most `OLDEST`, which is at most `known`.
        unsafe {
            let from = ptr::from_ref(&value).cast::<u8>();
            ptr::copy_nonoverlapping(from.add(skipped), self.at.add(skipped), known - skipped);
            ptr::write_bytes(self.at.add(known), 0, self.size - known);
        }
    }
}

fn check_size<T: Grows>(name: &str, size: usize) -> Result<(), Failure> {
    if size < T::OLDEST || size > LONGEST {
        return Err(Failure {
            code: ResultCode::DMTCP_ERR_STRUCT_SIZE,
            message: format!(
                "{name}->size is {size}, not {}: set it to sizeof before the call",
                size_of::<T>()
            ),
        });
    }
    Ok(())
}

/// More than any struct will have. A `size` beyond it was never set.
const LONGEST: usize = 4096;

/// A type that may have any bytes.
///
/// # Safety
///
/// That is so.
pub unsafe trait AnyBytes {}

macro_rules! any_bytes {
    ($($name:ty)*) => {$(
        // SAFETY: numbers, and pointers that are not followed unless they are not NULL.
        unsafe impl AnyBytes for $name {}
    )*};
}

any_bytes!(u32 i32 u64 i64 usize Text TextList Context);

// SAFETY: as above.
unsafe impl<T> AnyBytes for In<T> {}
// SAFETY: as above; a pointer to a function is one, or NULL.
unsafe impl<E> AnyBytes for Callback<E> {}

/// Says of a `repr(C)` struct with `size` first that it may grow at its end. `oldest` names the last
/// field of its first release.
macro_rules! growing {
    ($name:ident, oldest = $last:ident) => {
        // SAFETY: `size` is first, and `OLDEST` the end of a later field, by this macro; that it is
        // `repr(C)` is looked at by `tests/header/main.rs`.
        unsafe impl $crate::ffi::Grows for $name {
            const OLDEST: usize = {
                const fn end<T, F>(offset: usize, _: fn(&T) -> &F) -> usize {
                    offset + size_of::<F>()
                }
                const fn is_usize<T>(_: fn(&T) -> &usize) {}
                is_usize(|this: &Self| &this.size);
                assert!(std::mem::offset_of!($name, size) == 0);
                end(std::mem::offset_of!($name, $last), |this: &Self| {
                    &this.$last
                })
            };
        }
    };
}

/// The same of one that the caller fills in. Its fields must be numbers and types of `ffi`; they are
/// named here, so that a new one is looked at.
macro_rules! filled_in {
    ($name:ident: $($field:ident)*, oldest = $last:ident) => {
        $crate::ffi::growing!($name, oldest = $last);

        // SAFETY: each field is of a type for which `AnyBytes` says so, by this macro.
        unsafe impl $crate::ffi::GrowsFromC for $name {}

        const _: () = {
            const fn any_bytes<T, F: $crate::ffi::AnyBytes>(_: fn(&T) -> &F) {}
            $(any_bytes(|this: &$name| &this.$field);)*
            const fn all(this: &$name) {
                let $name { size: _, $($field: _),* } = this;
            }
            let _ = all;
        };
    };
}

pub(crate) use filled_in;
pub(crate) use growing;

#[cfg(test)]
mod tests {
    use super::*;

    /// As a later release might have it.
    #[derive(Clone, Copy, Debug, PartialEq)]
    #[repr(C)]
    struct Sample {
        size: usize,
        first: u32,
        second: u32,
        /// Added later.
        third: u64,
    }

    filled_in!(Sample: first second third, oldest = second);

    const SAMPLE: Sample = Sample {
        size: 0,
        first: 1,
        second: 2,
        third: 3,
    };

    /// What a caller with a struct of this size finds, in words of 32 bits behind `size`.
    fn filled(size: usize) -> Result<Vec<u32>, ResultCode> {
        let mut room = [u64::MAX; 8];
        room[0] = size as u64;
        let out = GrowingOut(room.as_mut_ptr().cast::<Sample>());
        let put = out.place("out").map(|place| place.put(SAMPLE));
        assert_eq!(room[0], size as u64);
        put.map_err(|failure| failure.code)?;
        let words = room[1..].iter().flat_map(|word| {
            let bytes = word.to_ne_bytes();
            [0, 4].map(|at| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()))
        });
        Ok(words.collect())
    }

    #[test]
    fn callers_of_older_and_newer_releases_get_what_they_have_room_for() {
        const X: u32 = u32::MAX;
        let third = 3u64.to_ne_bytes();
        let low = u32::from_ne_bytes(third[..4].try_into().unwrap());
        let high = u32::from_ne_bytes(third[4..].try_into().unwrap());
        let older = filled(16).unwrap();
        assert_eq!(older[..6], [1, 2, X, X, X, X]);
        let same = filled(24).unwrap();
        assert_eq!(same[..6], [1, 2, low, high, X, X]);
        let newer = filled(40).unwrap();
        assert_eq!(newer[..10], [1, 2, low, high, 0, 0, 0, 0, X, X]);
    }

    #[test]
    fn sizes_that_no_release_has_are_refused() {
        for size in [0, 1, 8, 15, LONGEST + 1, usize::MAX] {
            assert_eq!(
                filled(size).err(),
                Some(ResultCode::DMTCP_ERR_STRUCT_SIZE),
                "{size}"
            );
        }
    }

    /// What this library reads of a caller's struct of this size, whose words are all 7.
    fn read(size: usize, rest: u64) -> Result<Sample, ResultCode> {
        let mut room = [rest; 8];
        room[..3].copy_from_slice(&[size as u64, 0x0000_0007_0000_0007, 7]);
        let read = GrowingIn(room.as_ptr().cast::<Sample>()).get("in");
        read.map_err(|failure| failure.code)
    }

    #[test]
    fn what_older_callers_do_not_have_is_zero_and_what_newer_ones_set_is_refused() {
        let sample = |size, third| Sample {
            size,
            first: 7,
            second: 7,
            third,
        };
        assert_eq!(read(16, 9).unwrap(), sample(16, 0));
        assert_eq!(read(24, 9).unwrap(), sample(24, 7));
        assert_eq!(read(40, 0).unwrap(), sample(40, 7));
        assert_eq!(read(40, 9), Err(ResultCode::DMTCP_ERR_STRUCT_SIZE));
        let none = GrowingIn::<Sample>(ptr::null());
        assert_eq!(none.or_default("in").unwrap().first, 0);
        assert_eq!(none.get("in").unwrap_err().message, "in is NULL");
        let none = GrowingOut::<Sample>(ptr::null_mut());
        assert_eq!(none.place("out").err().unwrap().message, "out is NULL");
    }
}
