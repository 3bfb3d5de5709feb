//! Restart scripts: any text, a script with any names, and such a script after a few edits.

use alloc::vec::Vec;
use bytes::Bytes;
use core::time::Duration;

use super::input::Script;
use super::shell::skeleton;
use crate::interval::Interval;
use crate::restart_script::{
    HEAD, RemoteShell, RestartHost, RestartMode, RestartScript, RestartScriptError, TAIL, is_plain,
};
use crate::text::Text;

/// What a shell, a stock script or ours gives a meaning to.
const PIECES: &[&[u8]] = &[
    b"/d/ckpt_a.dmtcp",
    b"'",
    b"\"",
    b"'\\''",
    b"$(id)",
    b"`id`",
    b"\\",
    b"\n",
    b"\n :: h :bg: /f : ssh",
    b" ",
    b":",
    b";",
    b"#",
    b"~",
    b"\ncoord_port=1\n",
    b"-oX",
];

/// A text is refused or read; what was read, or made of any names, is written so that it is read
/// back as it was, and so that no name ends its quotation.
pub fn restart_script(data: &[u8]) {
    let mut script = Script::new(data);
    match script.byte() % 3 {
        0 => {
            let text = script.rest();
            if let Ok(read) = RestartScript::parse(text) {
                writing(&read);
            }
            let len = text.len();
            let max = len / 2;
            if len > 0 {
                let refused = RestartScript::parse_within(text, max);
                assert_eq!(refused, Err(RestartScriptError::TooLong { len, max }));
            }
        }
        1 => writing(&made(&mut script)),
        _ => {
            let text = edited(&mut script);
            if let Ok(read) = RestartScript::parse(&text) {
                writing(&read);
            }
        }
    }
}

fn writing(script: &RestartScript) {
    let text = script.to_text();
    let read = RestartScript::parse(&text);
    assert_eq!(read.as_ref(), Ok(script), "not read back");
    let harmless = data_lines(&harmless(script).to_text());
    assert!(harmless.is_some(), "our own text has an open quotation");
    assert_eq!(data_lines(&text), harmless, "a name is more than a name");
}

/// What stands between the two parts that are always the same, as marks without words.
fn data_lines(text: &[u8]) -> Option<Vec<u8>> {
    skeleton(
        text.strip_prefix(HEAD.as_bytes())?
            .strip_suffix(TAIL.as_bytes())?,
    )
}

/// The same script with names that cannot do anything.
fn harmless(script: &RestartScript) -> RestartScript {
    let mut script = script.clone();
    let tame = |text: &mut Text| {
        *text = Text::from(if is_plain(text) { "x" } else { "x y" });
    };
    tame(&mut script.timestamp);
    tame(&mut script.coordinator_host);
    tame(&mut script.restart_command);
    for host in &mut script.hosts {
        host.name.iter_mut().for_each(tame);
        host.images.iter_mut().for_each(tame);
    }
    script
}

fn made(script: &mut Script<'_>) -> RestartScript {
    let coordinator_host = text(script);
    let coordinator_port = u16::from_le_bytes([script.byte(), script.byte()]);
    let interval = match script.byte() {
        0 => Interval::Never,
        1 => Interval::Unchanged,
        seconds => Interval::Every(Duration::from_secs(seconds.into())),
    };
    let hosts = (0..=script.byte() % 4).map(|_| host(script)).collect();
    RestartScript::new(coordinator_host, coordinator_port, hosts)
        .interval(interval)
        .timestamp(text(script))
        .restart_command(text(script))
}

fn host(script: &mut Script<'_>) -> RestartHost {
    let name = Some(text(script)).filter(|name| !name.is_empty());
    let shell = script.choose(&[None, Some(RemoteShell::Ssh), Some(RemoteShell::Rsh)]);
    let mode = script.choose(&[
        RestartMode::Background,
        RestartMode::Foreground,
        RestartMode::Xterm,
    ]);
    let images = (0..=script.byte() % 4).map(|_| {
        let image = text(script);
        if image.is_empty() {
            Text::from("/d/image")
        } else {
            image
        }
    });
    RestartHost::new(name, shell, images.collect()).mode(mode)
}

/// A few pieces, or bytes as they are.
fn text(script: &mut Script<'_>) -> Text {
    let mut text = Vec::new();
    let kind = script.byte();
    for _ in 0..kind % 4 {
        if kind < 128 {
            text.extend_from_slice(script.choose(PIECES));
        } else {
            let len = script.byte() % 8;
            text.extend_from_slice(script.bytes(len.into()));
        }
    }
    text.retain(|&byte| byte != 0);
    Text::new(Bytes::from(text)).unwrap_or_default()
}

/// Our text of a script, with pieces cut out and others put in.
fn edited(script: &mut Script<'_>) -> Vec<u8> {
    let made = made(script);
    let mut text = made.to_text();
    // Most of the text is code: edits in the lines with data tell more.
    let data = text
        .windows(15)
        .position(|line| line == b"\nckpt_timestamp");
    let start = data.unwrap_or_default();
    for _ in 0..=script.byte() % 4 {
        let at = usize::from(u16::from_le_bytes([script.byte(), script.byte()]));
        let at = (start + at % 1024).min(text.len());
        let end = (at + usize::from(script.byte() % 64)).min(text.len());
        let piece = if script.flag() {
            script.choose(PIECES)
        } else {
            let len = script.byte() % 32;
            script.bytes(len.into())
        };
        text.splice(at..end, piece.iter().copied());
    }
    text
}
