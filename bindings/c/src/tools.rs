//! `dmtcp_tools`: where DMTCP's programs are.

use std::ffi::c_char;

use dmtcp_client::Tools as Found;

use crate::boundary::{call, contain};
use crate::codes::ResultCode;
use crate::ffi::{In, Out, Owned, Text};

/// One DMTCP installation.
pub struct Tools(Found);

/// The programs in this folder and nowhere else; NULL: in the folders of DMTCP_BIN if that is set,
/// else of PATH.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_tools_find(dir: Text, tools: Out<*mut Tools>) -> ResultCode {
    call(|| {
        let place = tools.place("tools")?;
        let found = Found::find(dir.optional_path("dir")?)?;
        place.put_object(Tools(found));
        Ok(())
    })
}

/// The folder; free the text with dmtcp_text_free().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_tools_dir(tools: In<Tools>, dir: Out<*mut c_char>) -> ResultCode {
    call(|| {
        let found = tools.get("tools")?.found();
        dir.place("dir")?.put_path(found.dir());
        Ok(())
    })
}

/// The release, such as "4.2.0", as dmtcp_launch --version tells it; waits at most five seconds, the
/// first time. Free the text with dmtcp_text_free().
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_tools_version(tools: In<Tools>, version: Out<*mut c_char>) -> ResultCode {
    call(|| {
        let found = tools.get("tools")?.found();
        let place = version.place("version")?;
        place.put_text(&found.version()?.text);
        Ok(())
    })
}

/// Frees the object.
#[unsafe(no_mangle)]
pub extern "C" fn dmtcp_tools_free(tools: Owned<Tools>) {
    contain((), || drop(tools.take()));
}

impl Tools {
    pub(crate) fn found(&self) -> &Found {
        &self.0
    }
}
