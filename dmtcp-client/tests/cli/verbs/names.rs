//! The public names in sources, as far as their formatters lay them out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .into()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The beginning of a text that is a name.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

/// Public functions of a file in `dmtcp-client/src`: of this type, or of none.
pub(crate) fn rust_functions(file: &str, of: Option<&str>) -> BTreeSet<String> {
    let text = read(&root().join("dmtcp-client/src").join(file));
    let mut found = BTreeSet::new();
    // As rustfmt has it, a block ends with the next brace in the first column.
    let mut block: Option<&str> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("impl") {
            let rest = match rest.strip_prefix('<') {
                Some(generic) => generic.split_once('>').unwrap().1,
                None => rest,
            };
            block = (!line.contains(" for ")).then(|| name(rest.trim_start()));
        } else if line == "}" {
            block = None;
        }
        let place = match of {
            Some(of) if block == Some(of) => line.strip_prefix("    pub "),
            None => line.strip_prefix("pub "),
            _ => None,
        };
        let Some(rest) = place else { continue };
        let rest = rest
            .trim_start_matches("const ")
            .trim_start_matches("async ");
        if let Some(rest) = rest.strip_prefix("fn ") {
            found.insert(name(rest).to_owned());
        }
    }
    assert!(!found.is_empty(), "{file} has no public function of {of:?}");
    found
}

/// Functions of the C header, and `struct.field`.
pub(crate) fn c_names() -> (BTreeSet<String>, BTreeSet<String>) {
    let text = read(&root().join("bindings/c/include/dmtcp_rs.h"));
    let (mut functions, mut fields) = (BTreeSet::new(), BTreeSet::new());
    let mut structure: Option<&str> = None;
    for line in text.lines() {
        let code = line.split("//").next().unwrap_or_default();
        if line.starts_with(' ') {
            if let (Some(structure), Some(declared)) =
                (structure, code.trim_end().strip_suffix(';'))
            {
                let last = declared.rsplit([' ', '*']).next().unwrap_or_default();
                fields.insert(format!("{structure}.{}", name(last)));
            }
            continue;
        }
        if let Some(rest) = code.strip_prefix("typedef struct ") {
            structure = Some(name(rest));
        } else if code.starts_with('}') {
            structure = None;
        } else if let Some((before, _)) = code.split_once('(') {
            let last = before.rsplit([' ', '*']).next().unwrap_or_default();
            if last.starts_with("dmtcp_")
                && before.contains([' ', '*'])
                && !before.starts_with("typedef")
            {
                functions.insert(last.to_owned());
            }
        }
    }
    assert!(
        functions.len() > 50 && fields.len() > 50,
        "{functions:?} {fields:?}"
    );
    (functions, fields)
}

pub(crate) type Classes = BTreeMap<String, Class>;

/// A class of the Python package.
#[derive(Debug, Default)]
pub(crate) struct Class {
    /// With their parameters.
    methods: BTreeMap<String, BTreeSet<String>>,
    attributes: BTreeSet<String>,
}

impl Class {
    pub(crate) fn has(&self, member: &str) -> bool {
        self.methods.contains_key(member) || self.attributes.contains(member)
    }

    pub(crate) fn has_parameter(&self, method: &str, parameter: &str) -> bool {
        let method = self.methods.get(method);
        method.is_some_and(|parameters| parameters.contains(parameter))
    }

    pub(crate) fn methods(&self) -> impl Iterator<Item = &str> {
        let names = self.methods.keys().map(String::as_str);
        names.filter(|name| !name.starts_with('_'))
    }
}

/// The public classes of `dmtcp`; not those of `dmtcp.aio`.
pub(crate) fn python_classes() -> Classes {
    let mut classes = Classes::new();
    for entry in fs::read_dir(root().join("bindings/python/python/dmtcp")).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        if file.ends_with(".py") && !file.starts_with('_') && file != "aio.py" {
            read_classes(&read(&path), &mut classes);
        }
    }
    classes
}

fn read_classes(text: &str, classes: &mut Classes) {
    let mut class: Option<String> = None;
    let mut method: Option<String> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("class ") {
            class = Some(name(rest).to_owned()).filter(|name| !name.starts_with('_'));
        } else if line.starts_with(|c: char| !c.is_whitespace() && c != ')') {
            class = None;
        }
        let Some(class) = &class else { continue };
        let class = classes.entry(class.clone()).or_default();
        let member = line
            .strip_prefix("    ")
            .filter(|rest| !rest.starts_with(' '));
        let parameters = if let Some(member) = member {
            let member = member.trim_start_matches("async ");
            let defined = member.strip_prefix("def ");
            if let Some(defined) = defined {
                method = Some(name(defined).to_owned());
                class.methods.entry(name(defined).to_owned()).or_default();
                defined.split_once('(').map_or("", |(_, rest)| rest)
            } else {
                if member.contains(": ") && !name(member).is_empty() {
                    class.attributes.insert(name(member).to_owned());
                }
                ""
            }
        } else {
            line
        };
        // A head ends with the colon in the end of a line.
        if let Some(name_of) = &method {
            let known = class.methods.entry(name_of.clone()).or_default();
            let begin = parameters.split(", ").map(str::trim);
            known.extend(
                begin
                    .map(|one| name(one).to_owned())
                    .filter(|one| !one.is_empty()),
            );
            if line.trim_end().ends_with(':') {
                method = None;
            }
        }
    }
}
