//! Texts: those of the caller, lists of them, and those that the caller is given.

use std::ffi::{CStr, CString, OsStr, c_char};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::null;
use super::object::Place;
use crate::boundary::c_string;
use crate::failure::Failure;
use crate::set::c_path;

/// NULL, or a string that ends with a NUL byte and does not change during the call.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Text(*const c_char);

impl Text {
    /// The string, if it is UTF-8.
    pub(crate) fn get(&self, name: &str) -> Result<&str, Failure> {
        self.optional(name)?.ok_or_else(|| null(name))
    }

    /// The same where NULL means that there is none.
    pub(crate) fn optional(&self, name: &str) -> Result<Option<&str>, Failure> {
        let Some(text) = self.bytes() else {
            return Ok(None);
        };
        text.to_str()
            .map(Some)
            .map_err(|_| Failure::argument(format!("{name} is not UTF-8: {text:?}")))
    }

    /// The path, whatever its bytes are; empty is refused.
    pub(crate) fn path(&self, name: &str) -> Result<&Path, Failure> {
        self.optional_path(name)?.ok_or_else(|| null(name))
    }

    /// The same where NULL means that there is none.
    pub(crate) fn optional_path(&self, name: &str) -> Result<Option<&Path>, Failure> {
        match self.bytes() {
            Some(path) if path.is_empty() => Err(Failure::argument(format!("{name} is empty"))),
            path => Ok(path.map(|path| Path::new(OsStr::from_bytes(path.to_bytes())))),
        }
    }

    fn bytes(&self) -> Option<&CStr> {
        // SAFETY: not NULL means a terminated string that outlives the call, as the header says.
        (!self.0.is_null()).then(|| unsafe { CStr::from_ptr(self.0) })
    }
}

/// NULL, or an array of strings that ends with a NULL, as `argv` is one.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct TextList(*const *const c_char);

impl TextList {
    /// The strings; `None` for NULL.
    pub(crate) fn get(&self) -> Option<Vec<&OsStr>> {
        if self.0.is_null() {
            return None;
        }
        let mut texts = Vec::new();
        for index in 0.. {
            // SAFETY: not NULL means an array that ends with a NULL, and this is not behind it.
            let text = unsafe { self.0.add(index).read() };
            if text.is_null() {
                break;
            }
            // SAFETY: each of them is a terminated string that outlives the call.
            let text = unsafe { CStr::from_ptr(text) };
            texts.push(OsStr::from_bytes(text.to_bytes()));
        }
        Some(texts)
    }
}

/// NULL, or a text that the caller was given and gives back.
#[repr(transparent)]
pub struct OwnedText(*mut c_char);

impl OwnedText {
    /// Frees it.
    pub(crate) fn free(self) {
        if !self.0.is_null() {
            // SAFETY: not NULL means a text of `put_text`; the header says that it is freed once
            // and not used afterwards.
            drop(unsafe { CString::from_raw(self.0) });
        }
    }
}

impl Place<'_, *mut c_char> {
    /// Gives a copy of the text to the caller, who frees it.
    pub(crate) fn put_text(self, text: &str) {
        self.put(c_string(text).into_raw());
    }

    /// The same of a path, whatever its bytes are.
    pub(crate) fn put_path(self, path: &Path) {
        self.put(c_path(path).into_raw());
    }
}

#[cfg(test)]
mod tests {
    use super::super::Out;
    use super::*;
    use crate::codes::ResultCode;
    use std::ptr;

    #[test]
    fn text_must_be_utf_8_and_paths_need_not() {
        assert_eq!(Text(c"host".as_ptr()).get("host").unwrap(), "host");
        let failure = Text(c"\xff".as_ptr()).get("host").unwrap_err();
        assert_eq!(failure.code, ResultCode::DMTCP_ERR_ARGUMENT);
        let path = Text(c"\xff".as_ptr());
        assert_eq!(path.path("dir").unwrap().as_os_str().len(), 1);
        let failure = Text(c"".as_ptr()).path("dir").unwrap_err();
        assert_eq!(failure.message, "dir is empty");
        let failure = Text(ptr::null()).path("dir").unwrap_err();
        assert_eq!(failure.code, ResultCode::DMTCP_ERR_NULL);
        assert!(Text(ptr::null()).optional("id").unwrap().is_none());
    }

    #[test]
    fn a_list_ends_with_null() {
        let list = [c"a".as_ptr(), c"b c".as_ptr(), ptr::null(), c"d".as_ptr()];
        assert_eq!(TextList(list.as_ptr()).get().unwrap(), ["a", "b c"]);
        assert!(TextList(ptr::null()).get().is_none());
    }

    #[test]
    fn a_text_goes_to_the_caller_and_back() {
        let mut room = ptr::null_mut();
        let out = Out::<*mut c_char>::to(&mut room);
        out.place("text").unwrap().put_text("a\0b");
        assert_eq!(Text(room).get("text").unwrap(), "a?b");
        OwnedText(room).free();
        OwnedText(ptr::null_mut()).free();
        let path = Path::new(OsStr::from_bytes(b"a\xffb"));
        let out = Out::<*mut c_char>::to(&mut room);
        out.place("path").unwrap().put_path(path);
        assert_eq!(Text(room).path("path").unwrap(), path);
        OwnedText(room).free();
    }
}
