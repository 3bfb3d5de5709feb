//! Quotation marks as a shell sees them; written apart from the reader of restart scripts.

use alloc::vec::Vec;

/// The text of a shell script with `W` in place of every run of plain characters and quotations,
/// so that two scripts have the same skeleton when only their words differ. `None`: a quotation
/// does not end.
pub(super) fn skeleton(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((&byte, behind)) = rest.split_first() {
        rest = match byte {
            b'\'' => behind.get(1 + behind.iter().position(|&b| b == b'\'')?..)?,
            b'"' => behind_double(behind)?,
            b'\\' => behind.get(1..)?,
            b'#' if matches!(out.last(), None | Some(b' ' | b'\n' | b';' | b'(')) => {
                let end = behind.iter().position(|&b| b == b'\n');
                let (comment, behind) = behind.split_at(end.unwrap_or(behind.len()));
                out.extend_from_slice(comment);
                rest = behind;
                continue;
            }
            byte if byte.is_ascii_alphanumeric() || b"/._-+,@%=".contains(&byte) => behind,
            mark => {
                out.push(mark);
                rest = behind;
                continue;
            }
        };
        if out.last() != Some(&b'W') {
            out.push(b'W');
        }
    }
    Some(out)
}

fn behind_double(text: &[u8]) -> Option<&[u8]> {
    let mut escaped = false;
    let end = text.iter().position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    text.get(end + 1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_marks() {
        let skeleton = |text: &str| skeleton(text.as_bytes());
        assert_eq!(skeleton("a='b'\"c\"\\;"), Some(b"W".to_vec()));
        assert_eq!(skeleton("a 'b\n' # it's"), Some(b"W W  it's".to_vec()));
        assert_eq!(
            skeleton("a;$(b) \"\\\"\" c#d"),
            Some(b"W;$(W) W W#W".to_vec())
        );
        for open in ["'", "a \"", "\"\\\"", "'\\''", "\\"] {
            assert_eq!(skeleton(open), None, "{open}");
        }
    }
}
